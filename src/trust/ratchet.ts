import { BootproofError } from "../errors.js";

/**
 * What a host knows that a board may never run again. A memory of the host beside the board's own, or instead of one that
 * the board lacks: per board and image number the highest security counter, version and release counter that were
 * confirmed, and the newest metadata that vouched for one of them.
 */

export type RatchetErrorCode =
  /** The file was changed by hand, damaged, or belongs to another key. */
  | "ratchet-edited"
  /** Its key is there and the file is gone: an alarm, not a first use. */
  | "ratchet-vanished"
  | "ratchet-busy"
  | "ratchet-unwritable"
  /** The trusted counter says that an older copy of the file was put back, or is itself another or gone: an alarm. */
  | "ratchet-restored"
  /** What should be imported is no export of a ratchet. */
  | "bad-ratchet-file"
  /** A permission is not signed by a key that may give it, is used up, or is for something else. */
  | "bad-permission";

/** The ratchet cannot be read, written or trusted. */
export class RatchetError extends BootproofError {
  declare readonly code: RatchetErrorCode;
}

/** How a board is known. Never the port it is reached through, nor the serial number of an adapter in front of it. */
export type BoardIdentity =
  | { readonly id: string; readonly from: "usb-serial-number" | "emulated-flash" | "smp" }
  /** It has none that it shows: why, as a sentence. */
  | { readonly id?: undefined; readonly reason: string };

/** An image as the ratchet remembers it. */
export interface RatchetImage {
  /** Image hash, hex. */
  readonly hash: string;
  /** `1.2.3` or `1.2.3+4`. */
  readonly version: string;
  /** Security counter; absent when the image carries none. */
  readonly counter?: number;
  /** Release counter, as signed metadata states it beside the image; absent when nothing did. */
  readonly release?: number;
  /** The metadata that vouched for the image; absent when none did. */
  readonly metadata?: VouchingMetadata;
}

/** Versions of the metadata that vouched for an image. */
export interface VouchingMetadata {
  /** Of the repository or pair of repositories: the hash of its first root, hex. */
  readonly by: string;
  /** Role -> version; a role whose name ends in `root` decides whether the others can be compared. */
  readonly versions: Readonly<Record<string, number>>;
}

/** An image with the time at which it was confirmed, or was to be. RFC 3339, UTC. */
export interface RatchetMark extends RatchetImage {
  readonly at: string;
}

export interface ImageRatchet {
  /** The confirmed image with the highest security counter. */
  readonly counter?: RatchetMark;
  /** The confirmed image with the highest version. */
  readonly version?: RatchetMark;
  /** The confirmed image with the highest release counter. */
  readonly release?: RatchetMark;
  /** The newest metadata that vouched for a confirmed image, by repository. */
  readonly metadata?: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /**
   * Confirmations that were about to be sent and whose outcome nobody read back: the process was killed, or the link was
   * lost. They count like confirmed ones.
   */
  readonly intents: readonly RatchetMark[];
}

/** A permission to flash one image once although the ratchet refuses it. */
export interface RatchetPermission {
  readonly hash: string;
  readonly reason: string;
  /** Who signed it: the key's hash, hex. */
  readonly keyHash: string;
  /** Makes each permission another: it can be used once. */
  readonly nonce: string;
  readonly at: string;
  readonly usedAt?: string;
}

export interface BoardRatchet {
  /** By image number. */
  readonly images: Readonly<Record<string, ImageRatchet>>;
  readonly permissions?: readonly RatchetPermission[];
}

/** Everything that one host remembers. */
export interface RatchetState {
  readonly v: 1;
  /** Grows with every change. */
  readonly generation: number;
  /** By board identity. */
  readonly boards: Readonly<Record<string, BoardRatchet>>;
  /** A counter in hardware that goes up with the generation: what it shows is `generation + difference`. */
  readonly trustedMemory?: { readonly index: number; readonly difference: number };
}

/**
 * Binds the memory to a trusted counter, or lets go of it.
 *
 * @param state - what is remembered so far
 * @param counter - what the counter shows now; undefined: no counter from here on
 * @returns the memory with one change more
 */
export function withTrustedMemory(
  { trustedMemory: _before, ...state }: RatchetState,
  counter: { readonly index: number; readonly shows: number } | undefined,
): RatchetState {
  const generation = state.generation + 1;
  const difference = counter && counter.shows - generation;
  return {
    ...state,
    generation,
    ...(counter && { trustedMemory: { index: counter.index, difference: difference! } }),
  };
}

export const EMPTY_RATCHET: RatchetState = { v: 1, generation: 0, boards: {} };

/** One board's part of the memory, as an update uses it. Whoever has a disk makes one. */
export interface RatchetPort {
  /** May this image run on the board? */
  judge(imageNumber: number, offered: RatchetImage): Promise<RatchetVerdict>;
  /** A confirmation is about to be sent: returns once that is on the disk. */
  intend(imageNumber: number, image: RatchetImage): Promise<void>;
  /** The board shows the image as confirmed. */
  confirmed(imageNumber: number, image: RatchetImage): Promise<void>;
  /** It was read back that the confirmation did not happen. */
  notConfirmed(imageNumber: number, image: RatchetImage): Promise<void>;
}

/** -1, 0 or 1: how two versions of the form that images carry are ordered; build numbers count. */
export type CompareVersions = (a: string, b: string) => number;

export interface RatchetVerdict {
  readonly result: "pass" | "fail" | "warn" | "unknown";
  /** One sentence: what was compared with what. */
  readonly message: string;
  readonly hint?: string;
  /** The permission that lets it pass. */
  readonly permission?: RatchetPermission;
}

/**
 * May this image run on this board, by what this host remembers?
 *
 * `fail`: an image with a lower security counter, or none, after one with a counter was confirmed here; a lower release
 * counter; older metadata of the same repository. `warn`: only the version is lower and no counter is known, no metadata
 * states a release counter although one is remembered, or a permission lets it pass. `unknown`: the board has no identity.
 *
 * @param state - what this host remembers
 * @param board - its identity, or the reason why there is none
 * @param imageNumber - as MCUboot counts images
 * @param offered - hash (hex), version and counters of the image
 * @param compareVersions - of version texts
 * @returns the verdict, and why
 */
export function judgeByRatchet(
  state: RatchetState,
  board: BoardIdentity,
  imageNumber: number,
  offered: RatchetImage,
  compareVersions: CompareVersions,
): RatchetVerdict {
  if (board.id === undefined)
    return { result: "unknown", message: `Unprotected by this host's memory: ${board.reason}` };
  const known = state.boards[board.id];
  const image = known?.images[imageNumber];
  if (image === undefined)
    return { result: "pass", message: "This host has confirmed no image on this board so far." };
  const verdicts = [
    judgeCounter(image, offered, compareVersions),
    ...judgeRelease(image, offered),
    ...judgeMetadata(image, offered),
  ];
  const bad =
    verdicts.find(({ result }) => result === "fail") ?? verdicts.find(({ result }) => result === "warn");
  if (bad?.result !== "fail") return bad ?? verdicts[0]!;
  const permission = known?.permissions?.find(
    ({ hash, usedAt }) => hash === offered.hash && usedAt === undefined,
  );
  if (!permission) return bad;
  return { result: "warn", message: `${bad.message} Permitted once: ${permission.reason}`, permission };
}

function judgeCounter(
  image: ImageRatchet,
  offered: RatchetImage,
  compareVersions: CompareVersions,
): RatchetVerdict {
  const floor = highest("counter", image);
  if (floor?.counter === undefined) return judgeVersion(image, offered, compareVersions);
  const since = describe(floor, image, `counter ${floor.counter}`);
  if (offered.counter !== undefined && offered.counter >= floor.counter)
    return { result: "pass", message: `Security counter ${offered.counter} is not below: ${since}.` };
  const has =
    offered.counter === undefined ? "carries no security counter" : `has counter ${offered.counter}`;
  return {
    result: "fail",
    message: `${capital(since)}; the image ${has}.`,
    hint: "Build a new image with a counter that is not lower. bootproof help ratchet explains exceptions.",
  };
}

/** A release counter is stated beside an image: an image that comes without metadata has none to compare. */
function judgeRelease(image: ImageRatchet, offered: RatchetImage): RatchetVerdict[] {
  const floor = highest("release", image);
  if (floor?.release === undefined || (offered.release ?? -1) >= floor.release) return [];
  const since = capital(describe(floor, image, `release ${floor.release}`));
  if (offered.release === undefined)
    return [
      {
        result: "warn",
        message: `${since}; the image comes without signed metadata that states its release counter.`,
      },
    ];
  return [
    {
      result: "fail",
      message: `${since}; the image is release ${offered.release}.`,
      hint: "To go back on purpose, sign the old image's metadata again with a higher release counter. bootproof help ratchet explains exceptions.",
    },
  ];
}

/** Metadata that is older than what vouched for an image on this board before: a rollback, whatever else is remembered. */
function judgeMetadata({ metadata = {} }: ImageRatchet, offered: RatchetImage): RatchetVerdict[] {
  const { by, versions = {} } = offered.metadata ?? {};
  const known = by === undefined || !Object.hasOwn(metadata, by) ? undefined : metadata[by];
  if (!known) return [];
  const shared = Object.keys(known).filter((role) => versions[role] !== undefined);
  const isRoot = (role: string) => /\broot$/.test(role);
  // New roots may have exchanged the keys of all other roles, whose versions then begin anew.
  const rootIsNewer = shared.some((role) => isRoot(role) && versions[role]! > known[role]!);
  const older = shared.find((role) => versions[role]! < known[role]! && (isRoot(role) || !rootIsNewer));
  if (older === undefined) return [];
  return [
    {
      result: "fail",
      message: `Version ${known[older]} of ${older} has vouched for an image on this board; this update comes with version ${versions[older]}.`,
      hint: "The metadata is old: this may be a rollback attack. Bring it up to date, or get the current bundle.",
    },
  ];
}

function judgeVersion(
  image: ImageRatchet,
  offered: RatchetImage,
  compareVersions: CompareVersions,
): RatchetVerdict {
  const highest = [image.version, ...image.intents]
    .filter((mark) => mark !== undefined)
    .reduce<RatchetMark | undefined>(
      (best, mark) => (best && compareVersions(best.version, mark.version) >= 0 ? best : mark),
      undefined,
    );
  if (highest === undefined || compareVersions(offered.version, highest.version) >= 0)
    return { result: "pass", message: "No newer version was confirmed on this board by this host." };
  return {
    result: "warn",
    message: `This host confirmed version ${highest.version} on this board on ${dateOf(highest)}; the image is ${offered.version}; without security counters the older one is not refused.`,
  };
}

/** The highest counter of its kind that was confirmed, or was to be. */
function highest(kind: "counter" | "release", image: ImageRatchet): RatchetMark | undefined {
  return [image[kind], ...image.intents].reduce<RatchetMark | undefined>(
    (best, mark) => ((mark?.[kind] ?? -1) > (best?.[kind] ?? -1) ? mark : best),
    undefined,
  );
}

function describe(mark: RatchetMark, { intents }: ImageRatchet, which: string): string {
  const what = `${which} (version ${mark.version}) on this board on ${dateOf(mark)}`;
  return intents.includes(mark)
    ? `this host was about to confirm ${what}, but was interrupted`
    : `this host confirmed ${what}`;
}

const dateOf = ({ at }: RatchetMark): string => at.slice(0, 10);
const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);

/**
 * A confirmation is about to be sent.
 *
 * @param state - what this host remembers; not changed
 * @param boardId - of the board
 * @param imageNumber - as MCUboot counts images
 * @param mark - what is about to be confirmed
 * @returns the state to store before anything is sent
 */
export function withIntent(
  state: RatchetState,
  boardId: string,
  imageNumber: number,
  mark: RatchetMark,
): RatchetState {
  return changeImage(state, boardId, imageNumber, (image) => ({
    ...image,
    intents: withoutTooMany([...image.intents.filter(({ hash }) => hash !== mark.hash), mark]),
  }));
}

/** More are only left by a host that dies again and again on one board. */
const MOST_INTENTS = 16;

/** The newest, and those with the highest counters whenever they were: a memory that forgets its highest goes back. */
function withoutTooMany(intents: readonly RatchetMark[]): readonly RatchetMark[] {
  const newest = intents.slice(-MOST_INTENTS);
  const highest = (["counter", "release"] as const).flatMap((kind) => {
    const [top] = intents.filter((one) => one[kind] !== undefined).sort((a, b) => b[kind]! - a[kind]!);
    return top === undefined || newest.includes(top) ? [] : [top];
  });
  return [...new Set(highest), ...newest.slice(new Set(highest).size)];
}

/**
 * The board shows this image as confirmed: it and what it replaces are remembered, its intent is settled.
 *
 * @param state - what this host remembers; not changed
 * @param boardId - of the board
 * @param imageNumber - as MCUboot counts images
 * @param mark - what was confirmed
 * @param compareVersions - of version texts
 * @returns the state to store; marks are only ever raised
 */
export function withConfirmed(
  state: RatchetState,
  boardId: string,
  imageNumber: number,
  mark: RatchetMark,
  compareVersions: CompareVersions,
): RatchetState {
  return changeImage(state, boardId, imageNumber, ({ counter, version, release, metadata, intents }) => {
    const newer = version === undefined || compareVersions(mark.version, version.version) > 0;
    const highestCounter = (mark.counter ?? -1) > (counter?.counter ?? -1) ? mark : counter;
    const highestRelease = (mark.release ?? -1) > (release?.release ?? -1) ? mark : release;
    const inTheShade = (intent: RatchetMark) =>
      (intent.counter ?? -1) <= (highestCounter?.counter ?? -1) &&
      (intent.release ?? -1) <= (highestRelease?.release ?? -1);
    const vouching = withNewest(metadata, mark.metadata);
    return {
      ...(highestCounter && { counter: highestCounter }),
      version: newer ? mark : version,
      ...(highestRelease && { release: highestRelease }),
      ...(vouching && { metadata: vouching }),
      // An intent is settled by what was read back: its own image, or one that puts it in the shade.
      intents: intents.filter(
        (intent) => intent.hash !== mark.hash && (intent.counter === undefined || !inTheShade(intent)),
      ),
    };
  });
}

/** Of each role the highest version; all of them from a newer root on, which may have exchanged their keys. */
function withNewest(
  known: ImageRatchet["metadata"],
  mark: VouchingMetadata | undefined,
): ImageRatchet["metadata"] {
  if (!mark) return known;
  const before = known?.[mark.by] ?? {};
  const rootIsNewer = Object.keys(before).some(
    (role) => /\broot$/.test(role) && (mark.versions[role] ?? 0) > before[role]!,
  );
  const newest = rootIsNewer ? { ...before, ...mark.versions } : maxima(before, mark.versions);
  return { ...known, [mark.by]: newest };
}

function maxima(
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>,
): Record<string, number> {
  const all = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return Object.fromEntries(all.map((role) => [role, Math.max(a[role] ?? 0, b[role] ?? 0)]));
}

/**
 * The board refused the confirmation, or runs something else: what was read back says that it did not happen.
 *
 * @param state - what this host remembers; not changed
 * @param boardId - of the board
 * @param imageNumber - as MCUboot counts images
 * @param hash - of the image, hex
 * @returns the state to store
 */
export function withoutIntent(
  state: RatchetState,
  boardId: string,
  imageNumber: number,
  hash: string,
): RatchetState {
  return changeImage(state, boardId, imageNumber, (image) => ({
    ...image,
    intents: image.intents.filter((intent) => intent.hash !== hash),
  }));
}

/**
 * Adds a permission.
 *
 * @param state - what this host remembers; not changed
 * @param boardId - of the board
 * @param permission - by `openPermission`
 * @returns the state to store
 * @throws RatchetError `bad-permission` when it was given before
 */
export function withPermission(
  state: RatchetState,
  boardId: string,
  permission: RatchetPermission,
): RatchetState {
  const board = state.boards[boardId] ?? { images: {} };
  const permissions = board.permissions ?? [];
  if (permissions.some(({ nonce }) => nonce === permission.nonce))
    throw new RatchetError("bad-permission", "This permission was already given to this host.", {
      hint: "Each permission is valid once. Get a new one signed.",
    });
  return changeBoard(state, boardId, { ...board, permissions: [...permissions, permission] });
}

/**
 * The permission with this nonce is used up.
 *
 * @param state - what this host remembers; not changed
 * @param boardId - of the board
 * @param nonce - of the permission, hex
 * @param usedAt - RFC 3339, UTC
 * @returns the state to store; the same one when there is no such permission
 */
export function withPermissionUsed(
  state: RatchetState,
  boardId: string,
  nonce: string,
  usedAt: string,
): RatchetState {
  const board = state.boards[boardId];
  if (board?.permissions === undefined) return state;
  const permissions = board.permissions.map((one) => (one.nonce === nonce ? { ...one, usedAt } : one));
  return changeBoard(state, boardId, { ...board, permissions });
}

/**
 * Joins what another host remembers: nothing is ever lowered. Permissions are this host's alone and are not taken
 * over.
 *
 * @param mine - this host's; not changed
 * @param theirs - another host's
 * @param compareVersions - of version texts
 * @returns the state to store
 */
export function mergeRatchets(
  mine: RatchetState,
  theirs: RatchetState,
  compareVersions: CompareVersions,
): RatchetState {
  let merged = mine;
  for (const [id, { images }] of Object.entries(theirs.boards))
    for (const [number, { counter, version, release, metadata = {}, intents }] of Object.entries(images)) {
      for (const mark of [counter, version, release])
        if (mark) merged = withConfirmed(merged, id, Number(number), mark, compareVersions);
      for (const [by, versions] of Object.entries(metadata))
        merged = changeImage(merged, id, Number(number), (image) => ({
          ...image,
          metadata: withNewest(image.metadata, { by, versions })!,
        }));
      for (const intent of intents) merged = withIntent(merged, id, Number(number), intent);
    }
  return merged;
}

function changeImage(
  state: RatchetState,
  boardId: string,
  imageNumber: number,
  change: (image: ImageRatchet) => ImageRatchet,
): RatchetState {
  const board = state.boards[boardId] ?? { images: {} };
  const image = change(board.images[imageNumber] ?? { intents: [] });
  return changeBoard(state, boardId, { ...board, images: { ...board.images, [imageNumber]: image } });
}

function changeBoard(state: RatchetState, boardId: string, board: BoardRatchet): RatchetState {
  return { ...state, generation: state.generation + 1, boards: { ...state.boards, [boardId]: board } };
}

/**
 * Reads the JSON of a ratchet; every field is checked.
 *
 * @param text - JSON, as it came
 * @returns what the file's host remembers
 * @throws RatchetError `bad-ratchet-file`
 */
export function parseRatchet(text: string): RatchetState {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw wrong("it is not JSON", cause);
  }
  const { v, generation, boards, trustedMemory, ...rest } = objectIn(value, "it");
  if (v !== 1) throw wrong("it is of another format");
  if (!Number.isSafeInteger(generation) || (generation as number) < 0) throw wrong("it has no generation");
  mustBeEmpty(rest, "it");
  const read = Object.entries(objectIn(boards, "boards")).map(([id, board]) => {
    if (id === "" || id.length > 200) throw wrong("a board has no identity");
    return [id, readBoard(board, id)] as const;
  });
  return {
    v: 1,
    generation: generation as number,
    boards: Object.fromEntries(read),
    ...(trustedMemory === undefined ? {} : { trustedMemory: readTrustedMemory(trustedMemory) }),
  };
}

function readTrustedMemory(value: unknown): NonNullable<RatchetState["trustedMemory"]> {
  const { index, difference, ...rest } = objectIn(value, "trustedMemory");
  mustBeEmpty(rest, "trustedMemory");
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(difference))
    throw wrong("its trustedMemory is no counter");
  return { index: index as number, difference: difference as number };
}

function readBoard(value: unknown, id: string): BoardRatchet {
  const { images, permissions, ...rest } = objectIn(value, id);
  mustBeEmpty(rest, id);
  const read = Object.entries(objectIn(images, id)).map(([number, image]) => {
    if (!/^\d{1,3}$/.test(number)) throw wrong(`${id} has an image number "${number}"`);
    const { counter, version, release, metadata, intents, ...others } = objectIn(image, id);
    mustBeEmpty(others, id);
    if (!Array.isArray(intents)) throw wrong(`${id} has no list of intents`);
    return [
      number,
      {
        ...(counter === undefined ? {} : { counter: readMark(counter, id) }),
        ...(version === undefined ? {} : { version: readMark(version, id) }),
        ...(release === undefined ? {} : { release: readMark(release, id) }),
        ...(metadata === undefined ? {} : { metadata: readVouching(metadata, id) }),
        intents: intents.map((intent) => readMark(intent, id)),
      },
    ] as const;
  });
  return {
    images: Object.fromEntries(read),
    ...(permissions === undefined ? {} : { permissions: readPermissions(permissions, id) }),
  };
}

function readMark(value: unknown, id: string): RatchetMark {
  const { hash, version, counter, release, metadata, at, ...rest } = objectIn(value, id);
  mustBeEmpty(rest, id);
  if (!isHex(hash) || typeof version !== "string" || !VERSION.test(version) || !isTime(at))
    throw wrong(`a mark of ${id} has a wrong value`);
  return {
    hash,
    version,
    at,
    ...(counter === undefined ? {} : { counter: readCount(counter, id) }),
    ...(release === undefined ? {} : { release: readCount(release, id) }),
    ...(metadata === undefined ? {} : { metadata: readMetadata(metadata, id) }),
  };
}

function readMetadata(value: unknown, id: string): VouchingMetadata {
  const { by, versions, ...rest } = objectIn(value, id);
  mustBeEmpty(rest, id);
  if (!isHex(by)) throw wrong(`a mark of ${id} has no signature that vouches for it`);
  return { by, versions: readVersions(versions, id) };
}

function readVouching(value: unknown, id: string): NonNullable<ImageRatchet["metadata"]> {
  const entries = Object.entries(objectIn(value, id));
  if (!entries.every(([by]) => isHex(by))) throw wrong(`the metadata of ${id} names no repository`);
  return Object.fromEntries(entries.map(([by, versions]) => [by, readVersions(versions, id)]));
}

function readVersions(value: unknown, id: string): Record<string, number> {
  return Object.fromEntries(
    Object.entries(objectIn(value, id)).map(([role, version]) => [role, readCount(version, id)]),
  );
}

function readCount(value: unknown, id: string): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw wrong(`a counter of ${id} is not a whole number`);
}

function readPermissions(value: unknown, id: string): RatchetPermission[] {
  if (!Array.isArray(value)) throw wrong(`the permissions of ${id} are not a list`);
  return value.map((one) => {
    const { hash, reason, keyHash, nonce, at, usedAt, ...rest } = objectIn(one, id);
    mustBeEmpty(rest, id);
    const isGood = isHex(hash) && typeof reason === "string" && isHex(keyHash) && isHex(nonce) && isTime(at);
    if (!isGood || (usedAt !== undefined && !isTime(usedAt)))
      throw wrong(`a permission of ${id} has a wrong value`);
    return { hash, reason, keyHash, nonce, at, ...(usedAt === undefined ? {} : { usedAt }) };
  });
}

const VERSION = /^\d{1,3}\.\d{1,3}\.\d{1,5}(\+\d{1,10})?$/;
const isHex = (value: unknown): value is string =>
  typeof value === "string" && /^([0-9a-f]{2}){1,64}$/.test(value);
const isTime = (value: unknown): value is string =>
  typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value);

function objectIn(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw wrong(`${what} is not an object`);
  return value as Record<string, unknown>;
}

function mustBeEmpty(rest: object, what: string): void {
  const [name] = Object.keys(rest);
  if (name !== undefined) throw wrong(`${what} has an unknown field "${name.slice(0, 40)}"`);
}

function wrong(why: string, cause?: unknown): RatchetError {
  return new RatchetError("bad-ratchet-file", `This is not an export of a ratchet: ${why}.`, {
    cause,
    hint: "bootproof ratchet export writes one.",
  });
}
