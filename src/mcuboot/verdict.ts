import type { HashName } from "../crypto/hashes.js";
import type { Key } from "../crypto/keys.js";
import type { DecryptionKey } from "./encryption.js";
import type { Image } from "./image.js";
import type { SlotGeometry } from "./largest-image.js";
import type { SignatureResult, SignatureTrial } from "./signatures.js";
import type { UpgradeMode } from "./upgrade-modes.js";

/** What is looked at, in this order. */
export type CheckName =
  /** Header and TLVs can be read, and everything that they state is there. */
  | "structure"
  /** The bootloader can handle what the header's flags ask for. */
  | "flags"
  /** The image is there to be booted. */
  | "bootable"
  /** It fits the slot. */
  | "size"
  /** The unprotected TLVs are of types that a bootloader lets pass. */
  | "tlv-types"
  /** What must be covered by hash and signature stands in the protected area, whose size is the header's. */
  | "protected-area"
  /** The given key opens it. Only of images that are encrypted. */
  | "decryption"
  /** The image hash is the hash of what is there. */
  | "hash"
  /** It names a key that is trusted. */
  | "key-hash"
  /** A trusted key signed it. */
  | "signature"
  /** A compressed image unpacks to what it says. Only of images that are compressed. */
  | "compressed-body"
  /** The security counter is not behind the device's. */
  | "security-counter"
  /** What it says of other images can be read. Only of images that depend on others. */
  | "dependencies";

export interface Check {
  readonly name: CheckName;
  readonly result: "pass" | "fail" | "not-checked";
  /** One sentence for people. */
  readonly sentence: string;
}

/**
 * What came of it. `good`: nothing failed and a trusted key's signature was verified. `digest-not-checked`: the same of an
 * encrypted image, whose digest could not be compared with its content. `signature-not-checked`: nothing failed, but who
 * made the image is unknown. `bad`: at least one check failed.
 */
export interface Verdict {
  readonly result: "good" | "digest-not-checked" | "signature-not-checked" | "bad";
  readonly checks: readonly Check[];
  /** Things worth knowing that do not decide. */
  readonly warnings: readonly string[];
  readonly signatures: readonly SignatureResult[];
  /** With `tryEveryKey`: each signature against each key. */
  readonly trials?: readonly SignatureTrial[];
  /** Whose signature decided, when it was good. */
  readonly signedBy?: Key;
  /** Absent when the structure is broken. */
  readonly image?: Image;
}

/** The bootloader's policy, as far as it is known. What is left out is not checked. */
export interface VerifyOptions {
  /** Public keys it trusts, in its order. Empty: no signature can be good. Left out: signatures are not checked. */
  readonly keys?: readonly Key[];
  /** The only hash it knows. Default: what goes with the key. */
  readonly hash?: HashName;
  readonly slotSize?: number;
  /** Together with `mode`: the real limit of its upgrade mode; without: whether any mode takes it. */
  readonly geometry?: SlotGeometry;
  readonly mode?: UpgradeMode;
  /** The stored security counter. When given, the image must carry one that is not lower. */
  readonly storedCounter?: number;
  /** MCUBOOT_USE_TLV_ALLOW_LIST, on unless switched off. Default true. */
  readonly allowList?: boolean;
  /** Private key for the content key of an encrypted image, whose hash and signature are over plaintext. */
  readonly decryptionKey?: DecryptionKey;
  /** It can decrypt, or decompress. Left out: unknown. */
  readonly supports?: { readonly encryption?: boolean; readonly compression?: boolean };
  /** The image shall run: NON_BOOTABLE is a failure. */
  readonly toBoot?: boolean;
  /** Find out about each signature and each key, beyond what decides. */
  readonly tryEveryKey?: boolean;
  /** Where the slot begins in flash: an image that is linked for another address is not started there. */
  readonly slotAddress?: number;
}
