import { canSign } from "../crypto/algorithms.js";
import type { Key } from "../crypto/keys.js";
import { verifyImage } from "./verify.js";

/** Something with a name that people gave it. */
export interface Named<T> {
  readonly name: string;
  readonly value: T;
}

/** Who signed one image. */
export interface Signatories {
  readonly image: string;
  /** Names of the keys whose signature is good, in the order of the keys. */
  readonly signedBy: readonly string[];
  /** Key hashes that the image names and that belong to none of the keys. */
  readonly unknown: readonly Uint8Array[];
  /** The image cannot be read, or is damaged; then nobody's signature is good. */
  readonly problem?: string;
}

/**
 * Which of the keys signed which images. Each key is tried alone, so that several signatures are all found.
 *
 * @param images - whole files, each with a name
 * @param keys - each with a name
 * @returns for each image the names of its keys, in the order of `keys`, and key hashes that belong to none
 */
export async function whoSigned(
  images: readonly Named<Uint8Array>[],
  keys: readonly Named<Key>[],
): Promise<Signatories[]> {
  return Promise.all(images.map((image) => signatoriesOf(image, keys)));
}

async function signatoriesOf(image: Named<Uint8Array>, keys: readonly Named<Key>[]): Promise<Signatories> {
  const signedBy: string[] = [];
  for (const { name, value } of keys) {
    if (!canSign(value.type)) continue;
    const { checks } = await verifyImage(image.value, { keys: [value] });
    const passed = (wanted: string) =>
      checks.some((check) => check.name === wanted && check.result === "pass");
    if (passed("signature") && passed("hash")) signedBy.push(name);
  }
  const verdict = await verifyImage(image.value);
  const broken = verdict.checks.find(({ result }) => result === "fail");
  const known = keys.flatMap(({ value }) => HASH_NAMES.map((hash) => value.keyHashBy(hash)));
  const unknown = (verdict.image?.keyHashes ?? []).filter(
    (hash) => !known.some((one) => sameBytes(one, hash)),
  );
  return { image: image.name, signedBy, unknown, ...(broken && { problem: broken.sentence }) };
}

const HASH_NAMES = ["sha256", "sha384", "sha512"] as const;

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** One way in which boards in the field can be equipped while keys change. */
export interface KeySet {
  readonly name: string;
  readonly keys: readonly Key[];
}

/**
 * The three stages of a change of keys: before, in between, after.
 *
 * @param old - public key of today
 * @param next - public key of tomorrow
 * @returns three sets of keys
 */
export function rotationStages(old: Key, next: Key): readonly KeySet[] {
  return [
    { name: "{old}", keys: [old] },
    { name: "{old, new}", keys: [old, next] },
    { name: "{new}", keys: [next] },
  ];
}

/**
 * Does a board with these keys start the image? In the order of images, then sets.
 *
 * @param images - whole files, each with a name
 * @param sets - keys of boards
 * @returns one row for each image, one answer for each set
 */
export async function acceptance(
  images: readonly Named<Uint8Array>[],
  sets: readonly KeySet[],
): Promise<{ image: string; accepted: readonly boolean[] }[]> {
  return Promise.all(
    images.map(async ({ name, value }) => ({
      image: name,
      accepted: await Promise.all(
        sets.map(async ({ keys }) => (await verifyImage(value, { keys })).result === "good"),
      ),
    })),
  );
}
