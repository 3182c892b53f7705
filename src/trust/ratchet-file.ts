import {
  type BoardRatchet,
  type ImageRatchet,
  RatchetError,
  type RatchetMark,
  type RatchetPermission,
  type RatchetState,
  type VouchingMetadata,
} from "./ratchet.js";

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
