import { join } from "node:path";
import { realDisk, replaceFile } from "../trust-store/disk.js";
import { isObject, type JsonObject, parseJson } from "../tuf/canonical-json.js";
import { sha256Hex } from "../tuf/hashes.js";
import { FileStore } from "../tuf-store/file-store.js";
import { UptaneError } from "../uptane/error.js";

/** An image as the metadata names it, and as boards report it. */
export interface KnownImage {
  readonly path: string;
  /** Bytes of the file. */
  readonly length: number;
  /** Hash name -> hex, of the file. */
  readonly hashes: Readonly<Record<string, string>>;
  /** The image hash that a board reports, hex. */
  readonly imageHash: string;
  readonly releaseCounter?: number;
}

/** What the bridge keeps of one ECU of a vehicle. */
export interface EcuState {
  /** Of the last report: rises with every one. */
  readonly counter: number;
  /** Of the last report. */
  readonly time?: string;
  /** What was installed last and read back. */
  readonly installed?: KnownImage;
  /** What was detected since the last report, in words. */
  readonly attacks?: string;
}

/** An installation that has begun and is not finished: it goes on whatever has expired since. */
export interface Installation {
  /** When it was verified. */
  readonly verifiedAt: string;
  /** Has anything been sent to a board? Before that, everything is verified anew. */
  readonly hasBegun: boolean;
  /** ECU -> the image that it is to run. */
  readonly images: Readonly<Record<string, KnownImage & { readonly role: string }>>;
  /** Versions of the metadata that directed it. */
  readonly versions: Readonly<Record<string, number>>;
}

interface State {
  readonly v: 1;
  readonly ecus: Readonly<Record<string, EcuState>>;
  readonly installation?: Installation;
  /** How the last installation went, for the next report, in aktualizr's shape. */
  readonly report?: JsonObject;
}

const STATE = "vehicle.json";

/**
 * What the bench keeps of one vehicle as its Primary: the state of its ECUs, their metadata, an installation under way and
 * its images. Each change is on the disk before it counts.
 */
export class VehicleState {
  readonly folder: string;

  /** @param folder - of this vehicle alone */
  constructor(folder: string) {
    this.folder = folder;
    realDisk.makeFolder(folder);
  }

  /** Metadata of the Primary, or of one ECU. @throws TufStoreError */
  store(owner: string, repository: "director" | "images"): FileStore {
    return new FileStore(join(this.folder, "metadata", nameOf(owner), repository));
  }

  ecu(serial: string): EcuState {
    return this.#read().ecus[serial] ?? { counter: 0 };
  }

  changeEcu(serial: string, change: (before: EcuState) => EcuState): EcuState {
    const state = this.#read();
    const after = change(state.ecus[serial] ?? { counter: 0 });
    this.#write({ ...state, ecus: { ...state.ecus, [serial]: after } });
    return after;
  }

  get installation(): Installation | undefined {
    return this.#read().installation;
  }

  /** Keeps an installation, its images first; undefined: it is finished. */
  keepInstallation(installation: Installation | undefined, images: readonly Uint8Array[] = []): void {
    const folder = join(this.folder, "images");
    realDisk.makeFolder(folder);
    for (const bytes of images) replaceFile(realDisk, join(folder, sha256Hex(bytes)), bytes);
    const { installation: _before, ...rest } = this.#read();
    this.#write({ ...rest, ...(installation && { installation }) });
    if (!installation) realDisk.remove(folder);
  }

  /** An image of the installation under way; checked by its hash. @throws UptaneError `bad-vehicle-state` */
  image({ path, hashes }: KnownImage): Uint8Array {
    const bytes = realDisk.read(join(this.folder, "images", hashes.sha256 ?? "none"));
    if (bytes && sha256Hex(bytes) === hashes.sha256) return bytes;
    throw damaged(`the image ${path} of the installation under way is gone or was changed`);
  }

  get report(): JsonObject | undefined {
    return this.#read().report;
  }
  keepReport(report: JsonObject): void {
    this.#write({ ...this.#read(), report });
  }

  /** The private key of an ECU or of the Primary, PKCS#8 PEM; made when there is none yet. */
  key(serial: string, make: () => string): string {
    const folder = join(this.folder, "keys");
    const file = join(folder, `${nameOf(serial)}.pem`);
    const there = realDisk.read(file);
    if (there) return new TextDecoder().decode(there);
    realDisk.makeFolder(folder);
    const pem = make();
    replaceFile(realDisk, file, new TextEncoder().encode(pem));
    return pem;
  }

  /** Runs `work` while no other process works on this vehicle. @throws TufStoreError */
  alone<T>(waitMs: number, work: () => Promise<T>): Promise<T> {
    return new FileStore(join(this.folder, "turn")).alone(waitMs, work);
  }

  #read(): State {
    const bytes = realDisk.read(join(this.folder, STATE));
    if (!bytes) return { v: 1, ecus: {} };
    const value = parseJson(bytes, "The vehicle's state");
    if (!isObject(value) || value.v !== 1 || !isObject(value.ecus)) throw damaged("it is of another form");
    return value as unknown as State;
  }

  #write(state: State): void {
    const text = `${JSON.stringify(state, undefined, 1)}\n`;
    replaceFile(realDisk, join(this.folder, STATE), new TextEncoder().encode(text));
  }
}

/** A serial may be any text; a folder's name is not. */
function nameOf(serial: string): string {
  return sha256Hex(new TextEncoder().encode(serial)).slice(0, 32);
}

function damaged(why: string): UptaneError {
  return new UptaneError(
    "bad-vehicle-state",
    "vehicle",
    `What is kept of the vehicle cannot be used: ${why}.`,
  );
}
