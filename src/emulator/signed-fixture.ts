import { type EncryptOptions, type SignOptions, signImage } from "../mcuboot/sign.js";
import { upgradeMode } from "../mcuboot/upgrade-modes.js";
import { BoardError, type Machine } from "./board.js";
import { fixtureBody, fixtureImage, fixtureKey, isUnpackingBuild } from "./catalog.js";
import { LAYOUT, sectorCount, slotArea } from "./layout.js";
import { type BoardVariant, readFixture } from "./manifest.js";

export interface SignFixtureOptions {
  /** Default: the version and counter of the manifest. */
  version?: string;
  counter?: number;
  /** Name of the signing key. Default: the variant's first. */
  key?: string;
  /** The slot it is to run from, where that matters (direct-XIP). Default 0. */
  slot?: 0 | 1;
  /** Fill up to the slot's size, with a trailer that makes the image stay. */
  confirmed?: boolean;
  /** Encrypted for the board's key. */
  encrypted?: boolean;
  /** Compressed in this way. */
  compression?: SignOptions["compression"];
}

/**
 * In these modes an image needs a trailer to start at all.
 *
 * @param variant - by {@link boardVariant}
 * @returns true for modes that pick by version and revert
 */
export function needsTrailer({ mode }: BoardVariant): boolean {
  const { picks, reverts } = upgradeMode(mode);
  return picks === "version" && reverts;
}

function runsInRam({ mode }: BoardVariant): boolean {
  return upgradeMode(mode).runsIn === "ram";
}

/** The body that a machine can run where the variant runs it. */
function placedBody(id: string, machine: Machine, variant: BoardVariant, slot: 0 | 1): Uint8Array {
  const row = fixtureImage(id);
  if (isUnpackingBuild(variant) && row.unpacking) return readFixture(row.unpacking[machine]);
  const runsThere = slot === 1 && upgradeMode(variant.mode).runsIn === "either";
  const place = runsInRam(variant) ? "ram" : runsThere ? "slot1" : undefined;
  if (machine === "wasm" || place === undefined) return fixtureBody(id, machine);
  if (!row.qemuPlaced)
    throw new BoardError("unknown-image", `The image ${id} is not linked for ${place} of the QEMU board.`, {
      hint: "good-a and good-b are; on the wasm board every image runs anywhere.",
    });
  return readFixture(row.qemuPlaced[place]);
}

/**
 * A fixture image, signed for a variant: the file that would be flashed.
 *
 * @param id - like `good-a`
 * @param machine - `wasm` or `qemu`
 * @param variant - by {@link boardVariant}
 * @param options - key, version and counter other than the fixture's own; `slot` for images that run in place
 * @returns the whole file
 * @throws BoardError, SignError
 */
export async function signedFixture(
  id: string,
  machine: Machine,
  variant: BoardVariant,
  options: SignFixtureOptions = {},
): Promise<Uint8Array> {
  const row = fixtureImage(id);
  const area = slotArea(row.image, options.slot ?? 0, variant.geometry);
  const signed = await signImage(placedBody(id, machine, variant, options.slot ?? 0), {
    key: await fixtureKey(options.key ?? variant.keys[0]!),
    version: options.version ?? row.version,
    securityCounter: options.counter ?? row.counter,
    headerSize: LAYOUT.imageHeaderSize,
    padHeader: true,
    slotSize: area.size,
    align: variant.writeUnit,
    maxSectors: sectorCount(area),
    overwriteOnly: variant.mode === "overwrite-only",
    erasedValue: variant.erased ?? 0xff,
    ...(runsInRam(variant) ? { loadAddress: LAYOUT.ram.start } : {}),
    ...(options.confirmed ? { trailer: "confirmed" as const } : {}),
    ...(options.encrypted ? { encrypt: await recipient(variant) } : {}),
    ...(options.compression ? { compression: options.compression } : {}),
  });
  return options.confirmed ? signed.bytes : signed.image;
}

async function recipient({ id, decryption }: BoardVariant): Promise<EncryptOptions> {
  if (!decryption) throw new BoardError("unknown-board", `The board ${id} takes no encrypted images.`);
  return { key: await fixtureKey(decryption.key), keyLength: decryption.aesBits };
}
