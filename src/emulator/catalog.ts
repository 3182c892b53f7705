import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Key, parseKey } from "../crypto/keys.js";
import { type EncryptOptions, type SignOptions, signImage } from "../mcuboot/sign.js";
import { upgradeMode } from "../mcuboot/upgrade-modes.js";
import { packageFile } from "../package-files.js";
import { BoardError, type Machine } from "./board.js";
import { type GeometryName, LAYOUT, sectorCount, slotArea } from "./layout.js";
import { type BootMode, type Decryption, needsOptions, type Policy, type Provision } from "./provision.js";

/** What a board's maker may promise. A weak variant breaks some of these on purpose. */
export type Claim =
  | "signature"
  | "anti-rollback-counter"
  | "anti-rollback-version"
  | "counter-after-confirm"
  | "rollback"
  | "recovery-checked"
  | "power-loss"
  | "load-address"
  | "lengths"
  | "encrypted-only"
  | "counter-locked"
  | "broken-slot"
  | "host-confirms"
  | "slots-untouched"
  | "decompression";

/** A row of the manifest: one variant of the board. */
export interface BoardVariant {
  id: string;
  /** One sentence for people. */
  summary: string;
  mode: BootMode;
  images: 1 | 2;
  policy: readonly Policy[];
  /** Names of trusted keys, the first of which signs what the factory installs. */
  keys: readonly string[];
  /** The image body that the factory installs. Default good-a. */
  app?: string;
  writeUnit: Provision["writeUnit"];
  /** Slots and sectors. Default "even": 4 KiB sectors. */
  geometry?: GeometryName;
  /** Value of an erased byte. Default 255. */
  erased?: 255 | 0;
  /** The board takes encrypted images; `key` names the private key it unwraps them with. */
  decryption?: { type: Decryption["type"]; key: string; aesBits: 128 | 256 };
  /** The board takes compressed images: a bootloader of its own build unpacks them. */
  decompresses?: true;
  /** The stored security counter can be raised to this and no further, as where each step is a fuse. Default: without end. */
  counterSteps?: number;
  /** Machines that have this board. Default: all. */
  machines?: readonly Machine[];
  /** `none`: no recording of MCUboot judges how this board boots. Default: recordings do, see test/vectors/mcuboot. */
  judge?: "none";
  bufSize: number;
  bufCount: number;
  recoveryBufSize: number;
  claims: readonly Claim[];
  /** Claims that do not hold, on purpose. */
  broken: readonly Claim[];
}

/** A row of the manifest: something that any board can be weak in, on purpose. */
export interface Weakness {
  id: string;
  /** One sentence for people. */
  summary: string;
  policy: readonly Policy[];
  /** Claims that a board with it breaks, where it makes them. */
  breaks: readonly Claim[];
  /** Modes in which it changes nothing. */
  notIn?: readonly BootMode[];
  /** Policies beside which it changes nothing. */
  notWith?: readonly Policy[];
  /** Only boards with so many images show it. */
  images?: 1 | 2;
}

/** A row of the manifest: one image body and what it is usually signed with. */
export interface FixtureImage {
  id: string;
  summary: string;
  /** Image number. */
  image: number;
  version: string;
  /** Security counter. */
  counter: number;
  files: Readonly<Record<Machine, string>>;
  /** The same program, built for boards that take compressed images. */
  unpacking?: Readonly<Record<Machine, string>>;
  /** The same program, linked for slot 1 and for RAM. WebAssembly does not care where it lies. */
  qemuPlaced?: Readonly<Record<"slot1" | "ram", string>>;
}

interface Manifest {
  machines: {
    wasm: { boot: string; bootOptions: string; bootUnpacking: string };
    qemu: {
      boot: string;
      bootOptions: string;
      bootUnpacking: string;
      launch: string;
      launchUart: { socket: string; pty: string };
      launchWithCut: string;
      launchBroken: string;
    };
  };
  keys: Readonly<Record<string, string>>;
  boards: readonly BoardVariant[];
  weaknesses: readonly Weakness[];
  images: readonly FixtureImage[];
}

// Beside src/ in the repository, beside dist/ in an installed package.
const fixtures = packageFile("firmware-fixtures/");
let manifest: Manifest | undefined;

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

/** What of a variant decides about its bootloader. */
type BootTraits = Pick<BoardVariant, "policy" | "decompresses" | "counterSteps">;

/** Some traits are known to programs of one build only, which also unpack. */
function isUnpackingBuild({ decompresses, counterSteps }: BootTraits): boolean {
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

function loadManifest(): Manifest {
  manifest ??= JSON.parse(Buffer.from(readFixture("manifest.json")).toString("utf8")) as Manifest;
  return manifest;
}

function readFixture(path: string): Uint8Array {
  const url = new URL(path, fixtures);
  try {
    return new Uint8Array(readFileSync(url));
  } catch (cause) {
    throw new BoardError(
      "fixture-missing",
      `A file of the emulated boards is missing: ${fileURLToPath(url)}.`,
      {
        cause,
        hint: "Install bootproof again; in its repository: make -C firmware-fixtures prebuilt.",
      },
    );
  }
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
