import { readFileSync } from "node:fs";
import {
  boardVariant,
  boardVariants,
  fixtureBody,
  fixtureKey,
  ImageError,
  type Key,
  LAYOUT,
  parseImage,
  parseKey,
  signImage,
} from "bootproof";
import { BEHAVIOURS, type Behaviour, type BoardEntry, type LayoutFacts, type Reach } from "./bench.js";
import { type BenchBoard, UnusableBoard } from "./board.js";
import { openAttached } from "./boards/attached.js";
import { openEmulated } from "./boards/emulated.js";
import { openPlace } from "./boards/labgrid.js";
import { openMachine } from "./boards/machine.js";
import { Forge } from "./forge.js";
import type { NamedKey } from "./stand/desk.js";

/** A board and what its bad images are made from. */
export interface Assembly {
  readonly board: BenchBoard;
  readonly forge: Forge;
  readonly layout: LayoutFacts | undefined;
  readonly keys: { readonly accepted: readonly NamedKey[]; readonly refused: readonly NamedKey[] };
}

/** Given on the command line; goes before what the bench says. */
export interface Overrides {
  readonly image?: string | undefined;
  readonly key?: string | undefined;
}

/** Opens a board of the bench. Throws `UnusableBoard` with the reason, and what reading files and keys throws. */
export async function assemble(entry: BoardEntry, overrides: Overrides = {}): Promise<Assembly> {
  const { reach } = entry;
  if ("variant" in reach) return emulated(entry, reach, overrides);
  return usersOwn(entry, reach, overrides);
}

async function usersOwn(entry: BoardEntry, reach: UsersReach, overrides: Overrides): Promise<Assembly> {
  const forge = await ownForge(entry, overrides);
  const keys = await namedKeys(entry);
  return { board: await openUsers(entry, reach), forge, layout: entry.layout, keys };
}

type UsersReach = Extract<Reach, { kind: "machine" | "attached" | "labgrid" }>;

async function openUsers(entry: BoardEntry, reach: UsersReach): Promise<BenchBoard> {
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
  const key = await fixtureKey(variant.keys[0]!);
  const layout = {
    slotSize: LAYOUT.slotSize,
    sector: LAYOUT.sector,
    writeUnit: variant.writeUnit,
    maxSectors: LAYOUT.slotSize / LAYOUT.sector,
  };
  const { image: base } = await signImage(fixtureBody("good-a", reach.kind), {
    key,
    version: BASE.version,
    securityCounter: BASE.counter,
    headerSize: LAYOUT.imageHeaderSize,
    padHeader: true,
    slotSize: LAYOUT.slotSize,
    align: variant.writeUnit,
    maxSectors: layout.maxSectors,
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
    forge: new Forge({ base: ownImage(board, layout, overrides) ?? base, key, bodies }),
    layout: entry.layout ?? layout,
    keys: {
      accepted: await fixtureKeys(variant.keys.slice(1), key),
      refused: await fixtureKeys([...others, "foreign-ed25519"], key),
    },
  };
}

/** What lies in the primary slot: a flash that was kept holds what it was left with, which may be nothing whole. */
function ownImage(
  board: BenchBoard,
  { slotSize }: LayoutFacts,
  { image }: Overrides,
): Uint8Array | undefined {
  if (image !== undefined) return wholeImage(readInput(image));
  try {
    return wholeImage(board.readFlash(0, slotSize));
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

async function ownForge(entry: BoardEntry, overrides: Overrides): Promise<Forge> {
  const image = overrides.image ?? entry.image;
  if (image === undefined) {
    throw new UnusableBoard("board-unusable", `The image that runs on ${entry.name} is not named.`, {
      hint: "Give it with --image FILE, or as field image in the bench file: it is what is put back at the end.",
    });
  }
  const signing = overrides.key ?? entry.keys.signing;
  const bodies = Object.entries(entry.images).map(([behaviour, file]) => [
    behaviour,
    parseImage(readInput(file)).body,
  ]) as [Behaviour, Uint8Array][];
  return new Forge({
    base: wholeImage(readInput(image)),
    ...(signing === undefined ? {} : { key: signing === "none" ? "none" : await readKey(signing) }),
    ...(entry.update === undefined ? {} : { update: wholeImage(readInput(entry.update)) }),
    bodies: Object.fromEntries(bodies),
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

async function readKey(path: string): Promise<Key> {
  const key = await parseKey(readInput(path));
  if (key.isPrivate) return key;
  throw new UnusableBoard("board-unusable", `${path} holds no private key: nothing can be signed with it.`);
}

function readInput(path: string): Uint8Array {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (cause) {
    throw new UnusableBoard("board-unusable", `${path} cannot be read: ${(cause as Error).message}.`, {
      cause,
    });
  }
}
