import { fileURLToPath } from "node:url";
import { type Key, parseKey } from "../crypto/keys.js";
import { BoardError, type Machine } from "./board.js";
import {
  type BoardVariant,
  type Claim,
  type FixtureImage,
  fixtures,
  loadManifest,
  type Manifest,
  readFixture,
  type Weakness,
} from "./manifest.js";
import { needsOptions } from "./provision.js";

/**
 * All variants, in the manifest's order.
 *
 * @returns each with its upgrade mode, keys and buffers
 * @throws {@link BoardError} `fixture-missing`
 */
export function boardVariants(): readonly BoardVariant[] {
  return loadManifest().boards;
}

/**
 * The variant of this name.
 *
 * @param id - as `bootproof board --list` names it
 * @returns its row of the manifest; `xip+no-counter`: the board xip with that weakness
 * @throws {@link BoardError} `unknown-board`, with the ones there are
 */
export function boardVariant(id: string): BoardVariant {
  const [board, weakness, ...more] = id.split("+");
  if (weakness === undefined || more.length > 0) return named(boardVariants(), id, "unknown-board", "board");
  const { weaknesses } = loadManifest();
  return weakened(
    named(boardVariants(), board!, "unknown-board", "board"),
    named(weaknesses, weakness, "unknown-board", "weakness"),
  );
}

/**
 * Every board that is sound, with every weakness that changes something there.
 *
 * @returns each with the claims that it breaks
 */
export function weakVariants(): readonly BoardVariant[] {
  return boardVariants()
    .filter(({ broken }) => broken.length === 0)
    .flatMap((board) =>
      loadManifest()
        .weaknesses.filter((weakness) => changes(weakness, board))
        .map((weakness) => weakened(board, weakness)),
    );
}

/** What every board promises without saying so. */
const UNREPORTED: readonly Claim[] = ["power-loss", "lengths", "broken-slot"];

function changes(
  { breaks, notIn = [], notWith = [], images, policy }: Weakness,
  board: BoardVariant,
): boolean {
  return (
    !notIn.includes(board.mode) &&
    (images === undefined || images === board.images) &&
    ![...policy, ...notWith].some((bit) => board.policy.includes(bit)) &&
    breaks.some((claim) => board.claims.includes(claim) || UNREPORTED.includes(claim))
  );
}

function weakened(board: BoardVariant, weakness: Weakness): BoardVariant {
  const { id, summary, policy, breaks } = weakness;
  return {
    ...board,
    id: `${board.id}+${id}`,
    summary: `${board.summary} Weak on purpose: ${summary[0]!.toLowerCase()}${summary.slice(1)}`,
    policy: [...board.policy, ...policy],
    broken: breaks.filter((claim) => board.claims.includes(claim) || UNREPORTED.includes(claim)),
  };
}

/**
 * All image bodies.
 *
 * @returns each with its version, counter and machines
 * @throws BoardError `fixture-missing`
 */
export function fixtureImages(): readonly FixtureImage[] {
  return loadManifest().images;
}

/** Throws {@link BoardError} `unknown-image`, with the ones there are. */
export function fixtureImage(id: string): FixtureImage {
  return named(fixtureImages(), id, "unknown-image", "image");
}

/**
 * The body of an image for a machine: what is to be signed.
 *
 * @param id - like `good-a`
 * @param machine - `wasm` or `qemu`
 * @returns without header
 * @throws BoardError for an image that does not exist
 */
export function fixtureBody(id: string, machine: Machine): Uint8Array {
  return readFixture(fixtureImage(id).files[machine]);
}

/**
 * A throw-away key of the fixtures, private part included, e.g. `ed25519-1`.
 *
 * @param name - like `ed25519-1`
 * @returns published with this package: trust it nowhere
 * @throws {@link BoardError} for a name that is none
 */
export async function fixtureKey(name: string): Promise<Key> {
  const path = loadManifest().keys[name];
  if (path === undefined) {
    const known = Object.keys(loadManifest().keys).join(", ");
    throw new BoardError("fixture-missing", `There is no test key "${name}". There are: ${known}.`);
  }
  return parseKey(readFixture(path));
}

/**
 * Where a key of the fixtures lies, for a command line.
 *
 * @param name - like `ed25519-1`
 * @returns absolute path of a PEM file
 * @throws BoardError `fixture-missing`
 */
export function fixtureKeyPath(name: string): string {
  return fileURLToPath(new URL(loadManifest().keys[name] ?? name, fixtures));
}

/** What of a variant decides about its bootloader. */
type BootTraits = Pick<BoardVariant, "policy" | "decompresses" | "counterSteps">;

/** Some traits are known to programs of one build only, which also unpack. */
export function isUnpackingBuild({ decompresses, counterSteps }: BootTraits): boolean {
  return decompresses === true || counterSteps !== undefined;
}

/** The program that a variant boots with: most need none of the further options. */
function bootOf(machine: Machine, variant: BootTraits): string {
  const { boot, bootOptions, bootUnpacking } = loadManifest().machines[machine];
  if (isUnpackingBuild(variant)) return bootUnpacking;
  return needsOptions(variant.policy) ? bootOptions : boot;
}

/** The bootloader: code for the wasm machine, a path for QEMU. */
export function bootFile(machine: Machine, variant: BootTraits = { policy: [] }): string {
  return fileURLToPath(new URL(bootOf(machine, variant), fixtures));
}

export function bootCode(variant: BootTraits = { policy: [] }): Uint8Array {
  return readFixture(bootOf("wasm", variant));
}

/** How QEMU is started; `{words}` in it are to be filled in. */
export function qemuLaunch(): Manifest["machines"]["qemu"] {
  return loadManifest().machines.qemu;
}

function named<Row extends { id: string }>(
  rows: readonly Row[],
  id: string,
  code: "unknown-board" | "unknown-image",
  what: "board" | "weakness" | "image",
): Row {
  const row = rows.find((candidate) => candidate.id === id);
  if (row) return row;
  throw new BoardError(code, `There is no emulated ${what} "${id}".`, {
    hint: `There are: ${rows.map((candidate) => candidate.id).join(", ")}.`,
  });
}
