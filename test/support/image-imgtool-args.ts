import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fromHex } from "../../src/bytes.js";
import type { HashName } from "../../src/crypto/hashes.js";
import type { Key } from "../../src/crypto/keys.js";
import type { Dependency } from "../../src/mcuboot/image.js";
import type { SignOptions } from "../../src/mcuboot/sign.js";
import type { TlvEntry } from "../../src/mcuboot/tlv.js";
import { parseVersion } from "../../src/mcuboot/version.js";

/** The inputs that image-make-vectors.py names: `p64` counts up, `z512+p64` has 512 zeros in front, `t64` is code, `s64` chance. */
export function payload(name: string): Uint8Array {
  const words = /^t(\d+)$/.exec(name)?.[1];
  if (words !== undefined)
    return Uint8Array.from({ length: Number(words) }, (_, at) => thumbCall(Math.floor(at / 4))[at % 4]!);
  const chance = /^s(\d+)$/.exec(name)?.[1];
  if (chance !== undefined) return chanceBytes(Number(chance));
  const [, zeros = "0", length = "0"] = /^(?:z(\d+)\+)?p(\d+)$/.exec(name)!;
  const body = Uint8Array.from({ length: Number(length) }, (_, index) =>
    Number(length) > 256 ? index * 7 + (index >> 8) : index,
  );
  return Uint8Array.from([...new Uint8Array(Number(zeros)), ...body]);
}

/** Bytes that no encoder makes smaller: SHA-256("s:0") SHA-256("s:1") ... */
function chanceBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 32) {
    const block = createHash("sha256")
      .update(`s:${at / 32}`)
      .digest();
    bytes.set(block.subarray(0, Math.min(32, length - at)), at);
  }
  return bytes;
}

/** A BL instruction of Thumb code, to ever other places. */
function thumbCall(index: number): number[] {
  return [(index * 13) & 0xff, 0xf0 | ((index >> 8) & 7), (index * 7) & 0xff, 0xf8 | ((index >> 5) & 7)];
}

/** A file of test/vectors/image. */
export function vectorFile(name: string): string {
  return readFileSync(new URL(`../vectors/image/${name}`, import.meta.url), "utf8");
}

/** imgtool's arguments of the vectors as options of ours. Throws what reading a version throws. */
export function signOptionsOf(args: readonly string[], keys: Readonly<Record<string, Key>>): SignOptions {
  const options: { -readonly [name in keyof SignOptions]?: SignOptions[name] } = {};
  const customTlvs: TlvEntry[] = [];
  const left = [...args];
  const next = () => left.shift()!;
  while (left.length > 0) {
    const option = next();
    const simple = FLAGS[option];
    if (simple) Object.assign(options, simple);
    else if (option in NUMBERS) Object.assign(options, { [NUMBERS[option]!]: Number(next()) });
    else if (option in TEXTS) Object.assign(options, { [TEXTS[option]!]: next() });
    else if (option === "-s") {
      const value = next();
      options.securityCounter = value.toLowerCase() === "auto" ? "auto" : Number(value);
    } else if (option === "-k") options.key = keys[next()]!;
    else if (option === "--sha") options.hash = `sha${next()}` as HashName;
    else if (option === "-d") options.dependencies = dependencies(next());
    else if (option === "--custom-tlv") customTlvs.push({ type: Number(next()), value: tlvValue(next()) });
    else throw new Error(`no mapping for ${option}`);
  }
  // imgtool: both given, --confirm wins; it is the last of the three to be looked at here as well.
  if (args.includes("--confirm")) options.trailer = "confirmed";
  return { ...options, customTlvs } as SignOptions;
}

const FLAGS: Readonly<Record<string, Partial<SignOptions>>> = {
  "--pad-header": { padHeader: true },
  "--pad": { trailer: "test" },
  "--test": { trailer: "test" },
  "--confirm": { trailer: "confirmed" },
  "--overwrite-only": { overwriteOnly: true },
  "--non-bootable": { nonBootable: true },
  "--pure": { pure: true },
  "--pad-sig": { padSignature: true },
};

const NUMBERS: Readonly<Record<string, keyof SignOptions>> = {
  "-H": "headerSize",
  "-S": "slotSize",
  "-L": "loadAddress",
  "-F": "romFixed",
  "-M": "maxSectors",
  "-R": "erasedValue",
  "--align": "align",
  "--max-align": "maxAlign",
};

const TEXTS: Readonly<Record<string, keyof SignOptions>> = {
  "-v": "version",
  "-e": "endian",
  "--public-key-format": "publicKeyFormat",
  "--boot-record": "bootRecord",
  "--vid": "vendorId",
  "--cid": "classId",
};

function dependencies(text: string): Dependency[] {
  return [...text.matchAll(/\((\d+),\s*([0-9.+]+)\)/g)].map(([, image, version]) => ({
    image: Number(image),
    version: parseVersion(version!),
  }));
}

function tlvValue(text: string): Uint8Array {
  return text.startsWith("0x") ? fromHex(text.slice(2)) : new TextEncoder().encode(text);
}
