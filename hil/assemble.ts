import { readFileSync } from "node:fs";
import { ImageError, type Key, parseImage, parseKey } from "bootproof";
import {
  type BoardVariant,
  boardVariant,
  boardVariants,
  fixtureBody,
  fixtureKey,
  type Machine,
  needsTrailer,
  signedFixture,
} from "bootproof/boards";
import { upgradeMode } from "bootproof/mcuboot";
import { type BoardUnderTest, UnusableBoard } from "./board.js";
import { BEHAVIOURS, type Behaviour, type BoardEntry, type Reach } from "./board-files/board-entry.js";
import { openAttached } from "./boards/attached.js";
import { openEmulated } from "./boards/emulated.js";
import { openPlace } from "./boards/labgrid.js";
import { openMachine } from "./boards/machine.js";
import { areaOf, type FlashLayout, layoutFrom, layoutOf } from "./flash-layout.js";
import type { NamedKey } from "./harness/options.js";
import { ImageFactory, type ImageFactoryParts } from "./images/image-factory.js";

/** A board and what its bad images are made from. */
export interface Assembly {
  readonly board: BoardUnderTest;
  readonly factory: ImageFactory;
  readonly layout: FlashLayout | undefined;
  readonly keys: { readonly accepted: readonly NamedKey[]; readonly refused: readonly NamedKey[] };
}

/** Given on the command line; goes before what the board file says. */
export interface Overrides {
  readonly image?: string | undefined;
  readonly key?: string | undefined;
}

/** Opens a board that is to be judged. Throws `UnusableBoard` with the reason, and what reading files and keys throws. */
export async function assemble(entry: BoardEntry, overrides: Overrides = {}): Promise<Assembly> {
  const { reach } = entry;
  if ("variant" in reach) return emulated(entry, reach, overrides);
  return usersOwn(entry, reach, overrides);
}

async function usersOwn(entry: BoardEntry, reach: UsersReach, overrides: Overrides): Promise<Assembly> {
  const factory = await ownImageFactory(entry, overrides);
  const keys = await namedKeys(entry);
  return {
    board: await openUsers(entry, reach),
    factory,
    layout: entry.layout && layoutFrom(entry.layout),
    keys,
  };
}

type UsersReach = Extract<Reach, { kind: "machine" | "attached" | "labgrid" }>;

async function openUsers(entry: BoardEntry, reach: UsersReach): Promise<BoardUnderTest> {
  switch (reach.kind) {
    case "machine":
      return openMachine(entry, reach);
    case "attached":
      return openAttached(entry, reach);
    case "labgrid":
      return openPlace(entry, reach);
  }
}

/** Of the image that runs on an emulated board: neither of them the least, so that there is something below. */
const BASE = { version: "3.1.4", counter: 7 } as const;

async function emulated(
  entry: BoardEntry,
  reach: Extract<Reach, { kind: "wasm" | "qemu" }>,
  overrides: Overrides,
): Promise<Assembly> {
  const variant = boardVariant(reach.variant);
  const signing = overrides.key ?? entry.keys.signing;
  const key = signing === undefined ? await fixtureKey(variant.keys[0]!) : await readSigningKey(signing);
  const layout = entry.layout ? layoutFrom(entry.layout) : layoutOf(variant, reach.kind);
  const own = await fixtureKey(variant.keys[0]!);
  const named = await namedKeys(entry);
  const base = await signedFixture(variant.app ?? "good-a", reach.kind, variant, {
    ...BASE,
    confirmed: needsTrailer(variant),
  });
  const bodies = Object.fromEntries(
    BEHAVIOURS.map((behaviour) => [behaviour, fixtureBody(behaviour, reach.kind)]),
  );
  const board = await openEmulated(entry, reach, base);
  const others = [...new Set(boardVariants().flatMap(({ keys }) => keys))].filter(
    (name) => !variant.keys.includes(name),
  );
  return {
    board,
    factory: new ImageFactory({
      base: ownImage(board, layout, overrides) ?? wholeImage(base),
      key,
      otherSlot: await otherSlot(reach.kind, variant),
      encryption: await encryptionOf(variant),
      bodies: linkedElsewhere(reach.kind, variant) ? {} : bodies,
    }),
    layout,
    keys: {
      accepted: named.accepted.length > 0 ? named.accepted : await fixtureKeys(variant.keys.slice(1), own),
      refused:
        named.refused.length > 0 ? named.refused : await fixtureKeys([...others, "foreign-ed25519"], own),
    },
  };
}

async function namedEncryption({
  keys: { encryption },
}: BoardEntry): Promise<ImageFactoryParts["encryption"]> {
  if (!encryption) return undefined;
  return {
    key: await parseKey(readInput(encryption.file)),
    keyLength: encryption.bits,
    always: false,
  };
}

async function encryptionOf({ decryption, claims }: BoardVariant): Promise<ImageFactoryParts["encryption"]> {
  if (!decryption) return undefined;
  const key = await fixtureKey(decryption.key);
  return { key, keyLength: decryption.aesBits, always: claims.includes("encrypted-only") };
}

/** Machine code runs where it was linked for; WebAssembly anywhere. */
async function otherSlot(machine: Machine, variant: BoardVariant): Promise<Uint8Array | "same"> {
  if (machine === "wasm" || upgradeMode(variant.mode).runsIn !== "either") return "same";
  return signedFixture("good-a", machine, variant, { ...BASE, slot: 1 });
}

/**
 * The images that misbehave are linked for the primary slot. Those of other modes would be ten more files of 30 KiB in the
 * package, for what the same C code shows as WebAssembly, which runs anywhere.
 */
function linkedElsewhere(machine: Machine, { mode }: BoardVariant): boolean {
  return machine !== "wasm" && upgradeMode(mode).runsIn !== "primary";
}

/** What lies in the primary slot: a flash that was kept holds what it was left with, which may be nothing whole. */
function ownImage(board: BoardUnderTest, layout: FlashLayout, { image }: Overrides): Uint8Array | undefined {
  if (image !== undefined) return wholeImage(readInput(image));
  const { offset, size } = areaOf(layout, { image: 0, slot: 0 });
  try {
    return wholeImage(board.readFlash(offset, size));
  } catch (error) {
    if (error instanceof ImageError) return undefined;
    throw error;
  }
}

/** Of these keys those of the same kind: another kind of signature is not built into the board at all. */
async function fixtureKeys(names: readonly string[], like: Key): Promise<NamedKey[]> {
  const all = await Promise.all(names.map(async (name) => ({ name, key: await fixtureKey(name) })));
  return all.filter(({ key }) => key.type === like.type);
}

async function ownImageFactory(entry: BoardEntry, overrides: Overrides): Promise<ImageFactory> {
  const image = overrides.image ?? entry.image;
  if (image === undefined) {
    throw new UnusableBoard("board-unusable", `The running image of ${entry.name} is not named.`, {
      hint: "Give it with --image FILE, or as field image in the board file: it is put back at the end.",
    });
  }
  const signing = overrides.key ?? entry.keys.signing;
  const bodies = Object.entries(entry.images).map(([behaviour, file]) => [
    behaviour,
    parseImage(readInput(file)).body,
  ]) as [Behaviour, Uint8Array][];
  return new ImageFactory({
    base: wholeImage(readInput(image)),
    ...(signing === undefined ? {} : { key: await readSigningKey(signing) }),
    ...(entry.update === undefined ? {} : { update: wholeImage(readInput(entry.update)) }),
    ...(entry.otherSlot === undefined ? {} : { otherSlot: wholeImage(readInput(entry.otherSlot)) }),
    bodies: Object.fromEntries(bodies),
    encryption: await namedEncryption(entry),
  });
}

/** Without padding and trailer, which belong to a slot and not to an image. */
function wholeImage(file: Uint8Array): Uint8Array {
  return file.slice(0, parseImage(file).size);
}

async function namedKeys({ keys }: BoardEntry): Promise<Assembly["keys"]> {
  const read = (paths: readonly string[]) =>
    Promise.all(paths.map(async (name) => ({ name, key: await readKey(name) })));
  return { accepted: await read(keys.accepted), refused: await read(keys.refused) };
}

async function readSigningKey(signing: string): Promise<Key | "none"> {
  return signing === "none" ? "none" : readKey(signing);
}

async function readKey(path: string): Promise<Key> {
  const key = await parseKey(readInput(path));
  if (key.isPrivate) return key;
  throw new UnusableBoard("board-unusable", `${path} holds no private key: nothing can be signed with it.`);
}

/** Throws `UnusableBoard` for a file that cannot be read. */
export function readInput(path: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (cause) {
    throw new UnusableBoard("board-unusable", `${path} cannot be read: ${(cause as Error).message}.`, {
      cause,
    });
  }
}
