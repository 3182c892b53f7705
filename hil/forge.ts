import { createHash } from "node:crypto";
import {
  BootproofError,
  formatVersion,
  generateKey,
  IMAGE_F,
  type Image,
  type Key,
  keySigner,
  parseImage,
  type Signer,
  type SigningRequest,
  type SignOptions,
  signImage,
  TLV,
  type Version,
} from "bootproof";
import type { Behaviour } from "./bench.js";

export type ForgeErrorCode =
  /** The image needs a signature and there is no private key. */
  | "no-key"
  /** There is no body that behaves so. */
  | "no-body"
  /** Only damage can be made, and for that a second good image is needed. */
  | "no-update";

/** An image that cannot be made from what was given. */
export class ForgeError extends BootproofError {
  declare readonly code: ForgeErrorCode;
}

export interface ForgeParts {
  /** The board's own image, whole. */
  readonly base: Uint8Array;
  /** Signs like the board's maker. `none`: images of this board carry a hash only. Absent: no key at hand. */
  readonly key?: Key | "none" | undefined;
  /** Another good image of the maker: what damage is done to when there is no key. */
  readonly update?: Uint8Array | undefined;
  /** Other bodies, by how they behave. */
  readonly bodies?: Partial<Record<Behaviour, Uint8Array>> | undefined;
}

/** What to make of the board's own image. Everything left out stays as it is there, the version rises. */
export interface Recipe {
  readonly version?: string;
  /** Security counter; null leaves the TLV out. */
  readonly counter?: number | null;
  readonly behaviour?: Behaviour;
  /** A key other than the maker's; `none` leaves the signature out. */
  readonly key?: Key | "none";
  /** Bytes the body grows by. */
  readonly grow?: number;
  readonly options?: Partial<SignOptions>;
}

/** Makes good, bad and odd images out of the board's own. Good ones differ from it in their version only. */
export class Forge {
  readonly base: Image;
  readonly #parts: ForgeParts;

  /** Throws `ImageError` when the base is no image. */
  constructor(parts: ForgeParts) {
    this.#parts = parts;
    this.base = parseImage(parts.base);
  }

  get baseFile(): Uint8Array {
    return this.#parts.base;
  }

  /** Whether images can be signed, or need not be. */
  get canSign(): boolean {
    return this.#parts.key !== undefined;
  }

  /** Whether there is a good image other than the board's own. */
  get canUpdate(): boolean {
    return this.canSign || this.#parts.update !== undefined;
  }

  /** The private key of the board's maker, when images carry signatures and it is at hand. */
  get key(): Key | undefined {
    return this.#parts.key === "none" ? undefined : this.#parts.key;
  }

  get asksForSignature(): boolean {
    return this.#parts.key !== "none" && this.base.signatures.length > 0;
  }

  /** Of the board's own image; undefined when it carries none. */
  get counter(): number | undefined {
    return this.base.securityCounter;
  }

  get isRamLoad(): boolean {
    return (this.base.header.flags & IMAGE_F.RAM_LOAD) !== 0;
  }

  has(behaviour: Behaviour): boolean {
    return this.#parts.bodies?.[behaviour] !== undefined;
  }

  /** A version that is higher (or lower) than the board's own by this many major steps. */
  version(steps: number): string {
    const { major, minor, revision } = this.base.version;
    const next: Version = { major: Math.min(255, Math.max(0, major + steps)), minor, revision, build: 0 };
    return formatVersion(next);
  }

  /** A version just below the board's own; undefined for 0.0.0. */
  get lowerVersion(): string | undefined {
    const { major, minor, revision } = this.base.version;
    if (revision > 0) return formatVersion({ major, minor, revision: revision - 1, build: 0 });
    if (minor > 0) return formatVersion({ major, minor: minor - 1, revision, build: 0 });
    return major > 0 ? formatVersion({ major: major - 1, minor, revision, build: 0 }) : undefined;
  }

  /** A good update, signed like the maker's when that can be; else the maker's other good image. */
  async update(): Promise<Uint8Array> {
    if (this.canSign) return this.make({});
    if (this.#parts.update) return this.#parts.update;
    throw new ForgeError(
      "no-update",
      "There is neither a signing key nor a second good image to make this from.",
    );
  }

  /**
   * A signed image. `edit` changes its bytes before hash and signature are made, for what no signing tool would write.
   * Throws {@link ForgeError}.
   */
  async make(recipe: Recipe, edit?: (file: Uint8Array) => void): Promise<Uint8Array> {
    const key = recipe.key ?? this.#parts.key;
    if (key === undefined) throw new ForgeError("no-key", "There is no private key to sign this image with.");
    const signer = key === "none" ? undefined : new RecordingSigner(key);
    const image = await this.#sign(recipe, signer);
    return edit === undefined ? image : resign(image, edit, signer);
  }

  async #sign(recipe: Recipe, signer: Signer | undefined): Promise<Uint8Array> {
    const { headerSize, flags, loadAddress } = this.base.header;
    const counter = recipe.counter === undefined ? this.counter : recipe.counter;
    const { image } = await signImage(this.#body(recipe), {
      version: recipe.version ?? this.version(1),
      headerSize,
      padHeader: true,
      slotSize: 0,
      ...(signer && { signer }),
      ...(counter === undefined || counter === null ? {} : { securityCounter: counter }),
      ...((flags & IMAGE_F.RAM_LOAD) !== 0 ? { loadAddress } : {}),
      ...((flags & IMAGE_F.ROM_FIXED) !== 0 ? { romFixed: loadAddress } : {}),
      ...this.#carriedOver(),
      ...recipe.options,
    });
    return image;
  }

  /** A key of the maker's kind that nobody trusts. */
  foreignKey(): Promise<Key> {
    return generateKey(this.key?.type ?? "ed25519");
  }

  /** A key that something for another board would be encrypted for, of the family that goes with the maker's key. */
  foreignEncryptionKey(): Promise<Key> {
    const type = this.key?.type ?? "ed25519";
    return generateKey(type === "ed25519" ? "x25519" : type === "ecdsa-p256" ? type : "rsa-2048");
  }

  #body({ behaviour, grow = 0 }: Recipe): Uint8Array {
    const body = behaviour === undefined ? this.base.body : this.#parts.bodies?.[behaviour];
    if (!body) throw new ForgeError("no-body", `There is no image at hand that behaves as "${behaviour}".`);
    return grow === 0 ? body : grown(body, grow);
  }

  /** What binds an image to its board stays in every image made of it. */
  #carriedOver(): Partial<SignOptions> {
    const entries = this.base.tlvs.filter((tlv) => tlv.protected);
    const vendor = entries.find(({ type }) => type === TLV.UUID_VID);
    const product = entries.find(({ type }) => type === TLV.UUID_CID);
    const custom = entries.filter(({ type }) => type >= 0xa0);
    return {
      ...(this.base.dependencies.length > 0 ? { dependencies: this.base.dependencies } : {}),
      ...(vendor ? { vendorId: uuid(vendor.value) } : {}),
      ...(product ? { classId: uuid(product.value) } : {}),
      ...(custom.length > 0 ? { customTlvs: custom } : {}),
    };
  }
}

/** Signs, and remembers what it was asked, so that the same can be asked again over other bytes. */
class RecordingSigner implements Signer {
  readonly publicKey: Key;
  readonly #inner: Signer;
  #request: SigningRequest | undefined;

  constructor(key: Key) {
    this.#inner = keySigner(key);
    this.publicKey = key.publicKey;
  }

  sign(request: SigningRequest): Promise<Uint8Array> {
    this.#request = request;
    return this.#inner.sign(request);
  }

  again(range: Uint8Array, digest: Uint8Array): Promise<Uint8Array> {
    return this.#inner.sign({ ...this.#request!, range, digest });
  }
}

/** The image with its bytes edited, and hash and signature made anew over them. */
async function resign(
  file: Uint8Array,
  edit: (file: Uint8Array) => void,
  signer: RecordingSigner | undefined,
): Promise<Uint8Array> {
  const edited = file.slice();
  edit(edited);
  const fresh = rehash(edited);
  if (!signer) return fresh;
  const image = parseImage(fresh);
  const old = image.signatures[0]!;
  const value = await signer.again(image.hashedRange, image.imageHash!.value);
  // The signature is the last TLV, and an ECDSA one may have another length than before.
  const { unprotectedArea } = image;
  const whole = concat(fresh.subarray(0, old.offset + 4), value);
  const view = new DataView(whole.buffer);
  view.setUint16(old.offset + 2, value.length, true);
  view.setUint16(unprotectedArea.offset + 2, whole.length - unprotectedArea.offset, true);
  return whole;
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

const WASM_MAGIC = "0061736d";
/** Id, length in five bytes, a name of one letter. */
const WASM_SECTION_HEAD = 8;

/** The least a body can grow by. */
export const SMALLEST_GROWTH = WASM_SECTION_HEAD;

/** A longer body that does the same: zeros behind machine code; a section nobody reads behind a WebAssembly module. */
function grown(body: Uint8Array, by: number): Uint8Array {
  const longer = new Uint8Array(body.length + by);
  longer.set(body);
  if (Buffer.from(body.subarray(0, 4)).toString("hex") !== WASM_MAGIC) return longer;
  const size = by - 6;
  const leb = [0, 7, 14, 21, 28].map((shift) => ((size >>> shift) & 0x7f) | (shift < 28 ? 0x80 : 0));
  longer.set([0, ...leb, 1, 0x78], body.length);
  return longer;
}

function uuid(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString("hex")
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** Flag and TLVs of a compressed image, signed, over a body that was never compressed and a hash of nothing. */
export async function compressedWithWrongHash(forge: Forge): Promise<Uint8Array> {
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, forge.base.body.length, true);
  const customTlvs = [
    { type: 0x00a0, value: size },
    { type: 0x00a1, value: new Uint8Array(32).fill(0x5a) },
  ];
  return forge.make({ options: { customTlvs } }, (file) => {
    const view = new DataView(file.buffer, file.byteOffset);
    view.setUint32(16, view.getUint32(16, true) | IMAGE_F.COMPRESSED_LZMA2, true);
    for (const { type, offset } of parseImage(file).tlvs) {
      if (type === 0x00a0) view.setUint16(offset, TLV.DECOMP_SIZE, true);
      if (type === 0x00a1) view.setUint16(offset, TLV.DECOMP_SHA, true);
    }
  });
}

// --- damage: bytes in, bytes out; each leaves what it was given alone ----------------------------------------------

/** One bit turned over. */
export function flipBit(file: Uint8Array, offset: number, bit = 0): Uint8Array {
  const bad = file.slice();
  bad[offset]! ^= 1 << bit;
  return bad;
}

/** What erased flash reads as: ones, on some chips zeros. */
const ERASED: readonly number[] = [0xff, 0x00];

/**
 * Without its last byte, or without more until one of them is missed: where a file ends too early the board reads erased
 * flash, and one signature in 128 ends in what that reads as.
 */
export function cutShort(file: Uint8Array): Uint8Array {
  const last = file.findLastIndex((byte) => !ERASED.includes(byte));
  return file.subarray(0, Math.max(0, last));
}

/** The hash made right again over whatever the image holds now, as an attacker without the key would. */
export function rehash(file: Uint8Array): Uint8Array {
  const { hashedRange, imageHash } = parseImage(file);
  const bad = file.slice();
  const at = hashAt(file);
  const digest = createHash(imageHash!.algorithm).update(hashedRange).digest();
  bad.set(digest.subarray(0, imageHash!.value.length), at);
  return bad;
}

/** Where the value of the image hash stands. */
export function hashAt(file: Uint8Array): number {
  return valueAt(file, [TLV.SHA256, TLV.SHA384, TLV.SHA512]);
}

const SIGNATURES: readonly number[] = [TLV.RSA2048_PSS, TLV.RSA3072_PSS, TLV.ECDSA_SIG, TLV.ED25519];

export function signatureAt(file: Uint8Array): number {
  return valueAt(file, SIGNATURES);
}

export function keyHashAt(file: Uint8Array): number {
  return valueAt(file, [TLV.KEYHASH, TLV.PUBKEY]);
}

export function counterAt(file: Uint8Array): number {
  return valueAt(file, [TLV.SEC_CNT]);
}

/** The image with the signature of another. Both signatures have the same length, or the shorter one leads. */
export function withSignatureOf(file: Uint8Array, other: Uint8Array): Uint8Array {
  const bad = file.slice();
  const to = parseImage(file).signatures[0]!;
  const from = parseImage(other).signatures[0]!;
  bad.set(from.value.subarray(0, to.value.length), to.offset + 4);
  return bad;
}

/** The image with a TLV appended to the area that hash and signature do not cover. */
export function appendUnprotected(file: Uint8Array, type: number, value: Uint8Array): Uint8Array {
  const { unprotectedArea, size } = parseImage(file);
  const longer = new Uint8Array(size + 4 + value.length);
  longer.set(file.subarray(0, size));
  const view = new DataView(longer.buffer);
  view.setUint16(unprotectedArea.offset + 2, unprotectedArea.length + 4 + value.length, true);
  view.setUint16(size, type, true);
  view.setUint16(size + 2, value.length, true);
  longer.set(value, size + 4);
  return longer;
}

/** The first TLV of an area claims more bytes than the area has. */
export function overflowTlv(file: Uint8Array): Uint8Array {
  const bad = file.slice();
  const { unprotectedArea } = parseImage(file);
  new DataView(bad.buffer).setUint16(unprotectedArea.offset + 4 + 2, 0xffff, true);
  return bad;
}

function valueAt(file: Uint8Array, types: readonly number[]): number {
  const tlv = parseImage(file).tlvs.find(({ type }) => types.includes(type));
  if (!tlv) throw new ForgeError("no-body", "The image has no such TLV.");
  return tlv.offset + 4;
}
