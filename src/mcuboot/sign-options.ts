import type { Endian } from "../bytes.js";
import type { HashName } from "../crypto/hashes.js";
import type { Key } from "../crypto/keys.js";
import type { Signer } from "../crypto/signer.js";
import type { CompressionKind, Lzma2Compressor } from "./compression.js";
import type { Dependency } from "./image.js";
import type { TlvEntry } from "./tlv.js";
import type { MaxAlign } from "./trailer.js";
import type { Version } from "./version.js";

/** How to make an image. Names and defaults follow imgtool's options; `signingPlan` checks them. */
export interface SignOptions
  extends HeaderOptions,
    PlacementOptions,
    TlvOptions,
    SignatureOptions,
    BodyOptions {
  /** A private key, or a signer. Neither = an image with a hash only. */
  readonly key?: Key;
  readonly signer?: Signer;
}

/** What stands in the header. */
export interface HeaderOptions {
  readonly version: Version | string;
  /** Bytes before the body, at least 32. */
  readonly headerSize: number;
  /** Put a header in front. Otherwise the input already begins with `headerSize` zero bytes. */
  readonly padHeader?: boolean;
  /** RAM address; sets RAM_LOAD. */
  readonly loadAddress?: number;
  /** Flash address; sets ROM_FIXED. */
  readonly romFixed?: number;
  readonly nonBootable?: boolean;
  readonly endian?: Endian;
}

/** Where the image will lie, and the trailer at the end of that. */
export interface PlacementOptions {
  /** Size of the slot, bytes; 0 = not checked. */
  readonly slotSize: number;
  /** Fill up to the slot's size and put a trailer there. `test`: boots once; `confirmed`: stays. */
  readonly trailer?: "test" | "confirmed";
  /** Write size of the flash, bytes. Default 1. */
  readonly align?: 1 | 2 | 4 | 8 | 16 | 32;
  /** BOOT_MAX_ALIGN, bytes. Default: 8, or `align` when larger. */
  readonly maxAlign?: MaxAlign;
  /** BOOT_MAX_IMG_SECTORS. Default 128. */
  readonly maxSectors?: number;
  readonly overwriteOnly?: boolean;
  /** What erased flash reads as. Default 0xff. */
  readonly erasedValue?: 0 | 0xff;
}

/** What the image says of itself under its signature. */
export interface TlvOptions {
  /** `auto`: derived from the version. */
  readonly securityCounter?: number | "auto";
  readonly dependencies?: readonly Dependency[];
  /** Software type of a boot record, at most 12 characters. */
  readonly bootRecord?: string;
  /** UUID or name. */
  readonly vendorId?: string;
  readonly classId?: string;
  /** Further protected TLVs. */
  readonly customTlvs?: readonly TlvEntry[];
}

/** How it is signed. */
export interface SignatureOptions {
  /** Carry the key's hash, or the whole public key for bootloaders with MCUBOOT_HW_KEY. */
  readonly publicKeyFormat?: "hash" | "full";
  /** Default: the key's own. */
  readonly hash?: HashName;
  /** Ed25519 over the image instead of over its hash. */
  readonly pure?: boolean;
  /** Zeros behind an ECDSA signature up to one length, for very old bootloaders. */
  readonly padSignature?: boolean;
}

/** What is done to the body. */
export interface BodyOptions {
  /** Compress it, when that makes the image smaller. `compress` packs a raw LZMA2 stream. */
  readonly compression?: { readonly kind: CompressionKind; readonly compress: Lzma2Compressor };
  /** Encrypt it for the owner of a key. */
  readonly encrypt?: EncryptOptions;
}

/** How to encrypt. */
export interface EncryptOptions {
  /** Of the bootloader; a private part is not looked at. */
  readonly key: Key;
  /** AES key length, bits. Default 128. */
  readonly keyLength?: 128 | 256;
  /** With an X25519 key. Default SHA-256. */
  readonly hash?: "sha256" | "sha512";
  /**
   * Flag and content key, but the body in clear: for programming straight into the primary, so that a later swap can
   * encrypt it on its way out.
   */
  readonly clear?: boolean;
  /** The bootloader saves whole TLVs in the trailer (MCUBOOT_SWAP_SAVE_ENCTLV): more is reserved for it. */
  readonly saveTlv?: boolean;
}
