import type { Key } from "../crypto/keys.js";
import type { Device } from "../devices/device.js";
import { version } from "./version.js";

/** What a kept result has to say beside the outcome: which program, when, on which board. */
export interface RunFacts {
  readonly tool: { readonly name: "bootproof"; readonly version: string };
  /** ISO 8601. */
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly board: {
    readonly address?: string;
    /** The board's own identity, where it shows one. */
    readonly id?: string;
    /** Of the USB device behind the address, which may be a probe or an adapter. */
    readonly serialNumber?: string;
    readonly usbPort?: string;
  };
}

interface About {
  readonly address?: string | undefined;
  readonly id?: string | undefined;
}

/** Takes the time now; the function gives the facts of a run that ends when it is called. */
export function beginRun(): (about: About, device?: Device) => RunFacts {
  const startedAt = new Date().toISOString();
  return ({ address, id }, device) => ({
    tool: { name: "bootproof", version: version() },
    startedAt,
    finishedAt: new Date().toISOString(),
    board: {
      ...(address === undefined ? {} : { address }),
      ...(id === undefined ? {} : { id }),
      ...(device?.serialNumber === undefined ? {} : { serialNumber: device.serialNumber }),
      ...(device?.usbPort === undefined ? {} : { usbPort: device.usbPort }),
    },
  });
}

/** The files that keys were read from. */
const files = new WeakMap<Key, string>();

export function rememberKeyFile(key: Key, file: string): void {
  files.set(key, file);
}

/** The file that a key was read from in this run. */
export function keyFileOf(key: Key): string | undefined {
  return files.get(key);
}

/** A key for a result: with the file that it came from. */
export function describeKey(key: Key): { file?: string; type: string; hash: Uint8Array } {
  const file = keyFileOf(key);
  return { ...(file === undefined ? {} : { file }), type: key.type, hash: key.keyHash };
}
