import {
  type BoardRatchet,
  type CompareVersions,
  type ImageRatchet,
  RatchetError,
  type RatchetMark,
  type RatchetPermission,
  type RatchetState,
  type VouchingMetadata,
} from "./ratchet.js";

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
