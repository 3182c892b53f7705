import type { HashName } from "../../crypto/hashes.js";
import type { SignOptions } from "../../mcuboot/sign.js";
import { SignError } from "../../mcuboot/sign-error.js";
import type { TlvEntry } from "../../mcuboot/tlv.js";
import { parseVersion } from "../../mcuboot/version.js";
import { readInput } from "../files.js";
import { isAuto, parseDependencies, parseTlvValue } from "../sign-arguments.js";
import { UsageError } from "../usage-error.js";
import { integerOption, pythonInteger } from "./integer.js";
import type { GivenOptions } from "./option-table.js";

/** All of an image but its keys and its custom TLVs. Throws `UsageError`, `VersionError`. */
export function imageOptions(given: GivenOptions): SignOptions {
  const headerSize = integerOption("header-size", given.text("header-size")!);
  if (headerSize < 32)
    throw new UsageError("Invalid value for '--header-size': a header has at least 32 bytes.");
  return {
    version: parseVersion(given.text("version")!),
    headerSize,
    padHeader: given.flag("pad-header"),
    slotSize: integerOption("slot-size", given.text("slot-size")!),
    overwriteOnly: given.flag("overwrite-only"),
    nonBootable: given.flag("non-bootable"),
    padSignature: given.flag("pad-sig"),
    pure: given.flag("pure"),
    publicKeyFormat: given.text("public-key-format") === "full" ? "full" : "hash",
    endian: given.text("endian") === "big" ? "big" : "little",
    erasedValue: given.text("erased-val") === "0" ? 0 : 0xff,
    ...trailer(given),
    ...alignment(given),
    ...addresses(given),
    ...hash(given),
    ...counter(given),
    ...optional("maxSectors", given.text("max-sectors"), maxSectors),
    ...optional("dependencies", given.text("dependencies"), parseDependencies),
    ...optional("bootRecord", given.text("boot-record"), String),
    ...optional("vendorId", given.text("vid"), String),
    ...optional("classId", given.text("cid"), String),
  };
}

/** Custom TLVs in imgtool's order: all values, then all files. Throws `SignError`, `FileError`, `UsageError`. */
export function customTlvs(given: GivenOptions): TlvEntry[] {
  return [
    ...given.pairs("custom-tlv").map(([tag, value]) => ({ type: tagOf(tag), value: parseTlvValue(value) })),
    ...given.pairs("custom-tlv-file").map(([tag, file]) => ({ type: tagOf(tag), value: readInput(file) })),
  ];
}

function optional<Name extends string, Value>(
  name: Name,
  text: string | undefined,
  read: (text: string) => Value,
): { [name in Name]?: Value } {
  return (text === undefined ? {} : { [name]: read(text) }) as { [name in Name]?: Value };
}

function trailer(given: GivenOptions): Pick<SignOptions, "trailer"> {
  if (given.flag("confirm")) return { trailer: "confirmed" };
  return given.flag("pad") || given.flag("test") ? { trailer: "test" } : {};
}

function alignment(given: GivenOptions): Pick<SignOptions, "align" | "maxAlign"> {
  const number = (text: string) => Number(text);
  return {
    ...optional("align", given.text("align"), number),
    ...optional("maxAlign", given.text("max-align"), number),
  } as Pick<SignOptions, "align" | "maxAlign">;
}

/** Zero means that there is none: imgtool sets no flag for it. */
function addresses(given: GivenOptions): Pick<SignOptions, "loadAddress" | "romFixed"> {
  const address = (option: string) => {
    const text = given.text(option);
    return (text === undefined ? 0 : integerOption(option, text)) || undefined;
  };
  const loadAddress = address("load-addr");
  const romFixed = address("rom-fixed");
  return { ...(loadAddress && { loadAddress }), ...(romFixed && { romFixed }) };
}

function hash(given: GivenOptions): Pick<SignOptions, "hash"> {
  const sha = given.text("sha");
  if (sha === undefined || sha === "auto") return {};
  if (given.flag("pure"))
    throw new UsageError("A pure signature determines the hash: omit either --pure or --sha.");
  return { hash: `sha${sha}` as HashName };
}

function counter(given: GivenOptions): Pick<SignOptions, "securityCounter"> {
  const text = given.text("security-counter");
  if (text === undefined) return {};
  return { securityCounter: isAuto(text) ? "auto" : integerOption("security-counter", text) };
}

/** The one number that imgtool reads as plain decimal. */
function maxSectors(text: string): number {
  const digits = /^\s*[+-]?\d+(?:_\d+)*\s*$/.test(text) ? Number(text.replaceAll("_", "")) : Number.NaN;
  if (Number.isSafeInteger(digits)) return digits;
  throw new UsageError(`Invalid value for '--max-sectors': '${text}' is not a valid integer.`);
}

function tagOf(text: string): number {
  const tag = pythonInteger(text);
  if (tag === undefined)
    throw new SignError("option-out-of-range", `Custom TLV tag "${text}" is not a number.`);
  return tag;
}
