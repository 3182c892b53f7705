import type { Key } from "../crypto/keys.js";
import type { FlashOptions, ImageCompressor } from "../update/flash.js";
import { UsageError } from "./usage-error.js";

/**
 * What `--compress` means for an update. What is sent is signed anew, so the key that signed the image must be at hand.
 *
 * @param keys - as given with `--key`, or by the config file
 * @returns nothing without the option
 * @throws UsageError when none of the keys is private
 */
export function compressing(
  { compress }: { readonly compress?: boolean },
  keys: readonly Key[],
): Pick<FlashOptions, "compress"> {
  if (!compress) return {};
  const own = keys.filter(({ isPrivate }) => isPrivate);
  if (own.length === 0)
    throw new UsageError(
      "--compress needs the private key to sign the compressed image.",
      "Give the private key that signed the image with --key FILE, or compress it while signing: bootproof sign --compression lzma2armthumb.",
    );
  return { compress: compressor(own) };
}

function compressor(own: readonly Key[]): ImageCompressor {
  return async (file) => {
    // Loaded when there is something to compress.
    const { COMPRESSION_FLAGS } = await import("../mcuboot/compression.js");
    const { compressImage } = await import("../mcuboot/compress-image.js");
    const { parseImage } = await import("../mcuboot/image.js");
    const { keySigner } = await import("../crypto/signer.js");
    const { xzLzma2 } = await import("./signing/xz.js");
    const { header, keyHashes } = parseImage(file);
    if ((header.flags & COMPRESSION_FLAGS) !== 0) return undefined;
    const signed = own.find((key) => keyHashes.some((hash) => isSame(hash, key.keyHash)));
    return compressImage(file, keySigner(signed ?? own[0]!), xzLzma2);
  };
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
