import { createHash } from "node:crypto";
import { type Image, type Key, parseImage, type SignOptions, signImage } from "bootproof";
import { canSign, keySigner, type Signer, type SigningRequest } from "bootproof/crypto";
import {
  ENCRYPTION_KEYS,
  type EncryptOptions,
  formatVersion,
  IMAGE_F,
  TLV,
  type Version,
} from "bootproof/mcuboot";
import type { Behaviour } from "../board-files/board-entry.js";
import { foreignKeyFor } from "../foreign-key.js";
import { hashAt } from "./image-edits.js";
import { ImageFactoryError } from "./image-factory-error.js";

export interface ImageFactoryParts {
  /** The board's own image, whole. */
  readonly base: Uint8Array;
  /** Signs like the board's maker. `none`: images of this board carry a hash only. Absent: no key at hand. */
  readonly key?: Key | "none" | undefined;
  /** Another good image of the maker: what damage is done to when there is no key. */
  readonly update?: Uint8Array | undefined;
  /**
   * The board's own firmware, an image linked for the second slot, where images run in the slot that they are written to.
   * `same`: the board does not care where its images lie. Absent: nobody has one.
   */
  readonly otherSlot?: Uint8Array | "same" | undefined;
  /** How updates are encrypted for the board. `always`: it is said to take no others. */
  readonly encryption?: (EncryptOptions & { readonly always: boolean }) | undefined;
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
  /** Another body instead, whatever it is. */
  readonly body?: Uint8Array;
  readonly options?: Partial<SignOptions>;
  /** Encrypted for the board or not, whatever other updates are. */
  readonly encrypted?: boolean;
}

/** What is done to an image before hash and signature are made over it again. */
export interface Edit {
  change(file: Uint8Array): void;
  /** Bytes that hash and signature shall cover, from the start of the file. Default: what they cover in a good image. */
  readonly covers?: (file: Uint8Array) => number;
  /** What is done afterwards. */
  readonly finish?: (file: Uint8Array) => void;
}

/** Makes good, bad and odd images out of the board's own. Good ones differ from it in their version only. */
export class ImageFactory {
  readonly base: Image;
  /** What bodies and load addresses are taken from. */
  readonly model: Image;
  readonly #parts: ImageFactoryParts;
  readonly #encrypts: boolean;

  /** Throws `ImageError` when the base is no image. */
  constructor(parts: ImageFactoryParts, model?: Image, encrypts = false) {
    this.#parts = parts;
    this.#encrypts = encrypts;
    this.base = parseImage(parts.base);
    this.model = model ?? this.base;
  }

  /** Makes the same images linked for the second slot, as far as somebody has linked them. */
  forSecondSlot(): ImageFactory {
    const { otherSlot } = this.#parts;
    if (otherSlot === undefined || otherSlot === "same") return this;
    return new ImageFactory({ ...this.#parts, bodies: {} }, parseImage(otherSlot));
  }

  /** Makes what goes where updates go: encrypted, where the board takes no others. */
  forUpdates(): ImageFactory {
    return this.#parts.encryption?.always ? new ImageFactory(this.#parts, this.model, true) : this;
  }

  /** What it makes is encrypted unless a recipe says otherwise. */
  get encrypts(): boolean {
    return this.#encrypts;
  }

  /** Somebody has named the key that updates are encrypted for. */
  get canEncrypt(): boolean {
    return this.#parts.encryption !== undefined;
  }

  /** Where an image for this slot says that it runs, in flash; undefined when it does not say so. */
  addressOf(slot: 0 | 1): number | undefined {
    const { otherSlot } = this.#parts;
    const image =
      slot === 0 ? this.base : otherSlot instanceof Uint8Array ? parseImage(otherSlot) : undefined;
    return image && (image.header.flags & IMAGE_F.ROM_FIXED) !== 0 ? image.header.loadAddress : undefined;
  }

  /** Images can be made that run from the second slot. */
  get hasOtherSlot(): boolean {
    return this.#parts.otherSlot !== undefined;
  }

  /** The same maker's images, made from another base. */
  withBase(base: Uint8Array): ImageFactory {
    return new ImageFactory({ ...this.#parts, base });
  }

  /** The board's own firmware, its version as it is, signed with another security counter. Throws {@link ImageFactoryError}. */
  signedAgain(counter: number): Promise<Uint8Array> {
    return this.make({ version: formatVersion(this.base.version), counter });
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
    throw new ImageFactoryError(
      "no-update",
      "There is neither a signing key nor a second good image to make this image from.",
    );
  }

  /**
   * A signed image. `edit` changes its bytes before hash and signature are made, for what no signing tool would write;
   * such an image is never encrypted. Throws {@link ImageFactoryError}.
   */
  async make(recipe: Recipe, edit?: Edit): Promise<Uint8Array> {
    const key = recipe.key ?? this.#parts.key;
    if (key === undefined)
      throw new ImageFactoryError("no-key", "There is no private key to sign this image with.");
    const signer = key === "none" ? undefined : new RecordingSigner(key);
    const image = await this.#sign(edit ? { ...recipe, encrypted: false } : recipe, signer);
    return edit === undefined ? image : resign(image, edit, signer);
  }

  /** The signature that an image with this hash range would carry; undefined where images carry none. */
  async signatureOver(range: Uint8Array, digest: Uint8Array): Promise<Uint8Array | undefined> {
    const key = this.#parts.key;
    if (key === undefined || key === "none") return undefined;
    const signer = new RecordingSigner(key);
    await this.#sign({}, signer);
    return signer.again(range, digest);
  }

  async #sign(recipe: Recipe, signer: Signer | undefined): Promise<Uint8Array> {
    const { headerSize, flags, loadAddress } = this.model.header;
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
      ...((recipe.encrypted ?? this.#encrypts) ? this.#encryption() : {}),
      ...recipe.options,
    });
    return image;
  }

  #encryption(): Partial<SignOptions> {
    const { always, ...encrypt } = this.#parts.encryption!;
    return { encrypt };
  }

  /** What is the same of the same image however often it was signed: signatures may have random parts. */
  get #identity(): Uint8Array {
    return this.base.imageHash?.value ?? this.baseFile;
  }

  /** A key of the maker's kind that nobody trusts. */
  foreignKey(): Promise<Key> {
    return foreignKeyFor(this.#identity, this.key?.type ?? "ed25519", "signs");
  }

  /** A key that something for another board would be encrypted for, of the family that goes with the maker's key. */
  foreignEncryptionKey(): Promise<Key> {
    const type = this.key?.type ?? "ed25519";
    return foreignKeyFor(this.#identity, canSign(type) ? ENCRYPTION_KEYS[type][0]! : "x25519", "encrypts");
  }

  #body({ body: given, behaviour, grow = 0 }: Recipe): Uint8Array {
    if (given) return given;
    const body = behaviour === undefined ? this.model.body : this.#parts.bodies?.[behaviour];
    if (!body) throw new ImageFactoryError("no-body", `No image is given that behaves as "${behaviour}".`);
    return grow === 0 ? body : grown(body, grow);
  }

  /** The maker's own TLVs. */
  get customTlvs(): SignOptions["customTlvs"] & {} {
    return this.base.tlvs.filter((tlv) => tlv.protected && tlv.type >= 0xa0);
  }

  /** What binds an image to its board stays in every image made of it. */
  #carriedOver(): Partial<SignOptions> {
    const entries = this.base.tlvs.filter((tlv) => tlv.protected);
    const custom = this.customTlvs;
    const vendor = entries.find(({ type }) => type === TLV.UUID_VID);
    const product = entries.find(({ type }) => type === TLV.UUID_CID);
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
  { change, covers, finish }: Edit,
  signer: RecordingSigner | undefined,
): Promise<Uint8Array> {
  // Where things stand is asked before the edit: afterwards the file may be one that nobody can read.
  const { imageHash, hashedRange, signatures, unprotectedArea } = parseImage(file);
  const edited = file.slice();
  change(edited);
  const range = edited.subarray(0, covers?.(edited) ?? hashedRange.length);
  const digest = createHash(imageHash!.algorithm).update(range).digest();
  edited.set(digest.subarray(0, imageHash!.value.length), hashAt(file));
  if (!signer) {
    finish?.(edited);
    return edited;
  }
  const old = signatures[0]!;
  const value = await signer.again(range, digest);
  // The signature is the last TLV, and an ECDSA one may have another length than before.
  const whole = concat(edited.subarray(0, old.offset + 4), value);
  const view = new DataView(whole.buffer);
  view.setUint16(old.offset + 2, value.length, true);
  view.setUint16(unprotectedArea.offset + 2, whole.length - unprotectedArea.offset, true);
  finish?.(whole);
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
export async function compressedWithWrongHash(factory: ImageFactory): Promise<Uint8Array> {
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, factory.base.body.length, true);
  const customTlvs = [
    { type: 0x00a0, value: size },
    { type: 0x00a1, value: new Uint8Array(32).fill(0x5a) },
  ];
  const change = (file: Uint8Array) => {
    const view = new DataView(file.buffer, file.byteOffset);
    view.setUint32(16, view.getUint32(16, true) | IMAGE_F.COMPRESSED_LZMA2, true);
    for (const { type, offset } of parseImage(file).tlvs) {
      if (type === 0x00a0) view.setUint16(offset, TLV.DECOMP_SIZE, true);
      if (type === 0x00a1) view.setUint16(offset, TLV.DECOMP_SHA, true);
    }
  };
  return factory.make({ options: { customTlvs } }, { change });
}
