import type { CliRow } from "./image-cli-vectors.js";

/** A row where imgtool does something that helps nobody, and what is done instead. */
export interface Deviation {
  readonly why: string;
  readonly of: (line: string, row: CliRow) => boolean;
  readonly exit: 0 | 1 | 2;
  /** What must be on stderr, or on stdout when the run succeeds or answers. */
  readonly message: RegExp;
  /** A file is written all the same. */
  readonly writes?: boolean;
}

const has = (...words: string[]) => {
  return (line: string) => words.every((word) => ` ${line} `.includes(` ${word} `));
};

/** All rows of the vectors that are not imgtool's to the byte. */
export const DEVIATIONS: readonly Deviation[] = [
  {
    why: "no trailer without a slot's size",
    of: (line) => line.includes("-S 0 --pad"),
    exit: 2,
    message: /give the slot's size \(--slot-size\)/,
  },
  {
    why: "an address below 0 or beyond 32 bits cannot be written in Intel HEX",
    of: (line) => /-x (?:0xfffffff0|-1) |low\.hex out\.hex/.test(line) && !line.includes("confirm"),
    exit: 1,
    message: /beyond the 32-bit address space/,
  },
  {
    why: "a boot record holds the key's hash",
    of: (line, row) => has("--vector-to-sign", "--boot-record")(line) && !row.args.includes("-k"),
    exit: 2,
    message: /depends on it/,
  },
  {
    why: "a compressed image cannot be non-bootable: imgtool forgets it",
    of: (line) => /--compression .*--non-bootable/.test(line),
    exit: 2,
    message: /cannot be non-bootable/,
  },
  {
    why: "a compressed image has two signatures",
    of: (line) => /--compression .*--vector-to-sign/.test(line),
    exit: 2,
    message: /two signatures/,
  },
  {
    why: "imgtool forgets --test when it compresses",
    of: (line) => /--compression .*--test .*out\.hex/.test(line),
    exit: 0,
    message: /compressed image size/,
    writes: true,
  },
  {
    why: "a trailer is not to be signed",
    of: has("--vector-to-sign", "--pad"),
    exit: 2,
    message: /trailer after the data/,
  },
  {
    why: "a pure signature is not over the digest",
    of: has("--vector-to-sign", "digest", "--pure"),
    exit: 2,
    message: /over the payload/,
  },
  {
    why: "the key that will sign says which digest",
    of: has("--vector-to-sign", "digest", "--fix-sig-pubkey"),
    exit: 0,
    message: /export digest/,
    writes: true,
  },
  {
    why: "a signature that does not verify",
    of: (line) =>
      /-s 8 --fix-sig|-s 9 --fix-sig ed25519\.sig --fix-sig-pubkey ecdsa-p256\.pub|--fix-sig broken\.sig/.test(
        line,
      ),
    exit: 1,
    message: /not made by this .* key over this image/,
  },
  {
    why: "a signature that is no base64",
    of: (line) => line.includes("--fix-sig p64.bin"),
    exit: 1,
    message: /base64/,
  },
  {
    why: "an X25519 key signs nothing, whatever else is asked",
    of: (line) => /-k x25519\.pem (?:--sha 384|--pure)/.test(line),
    exit: 1,
    message: /cannot sign/,
  },
  {
    why: "no signature to write",
    of: (line, row) => has("--sig-out")(line) && !row.args.includes("-k") && !row.args.includes("--fix-sig"),
    exit: 2,
    message: /no signature without a key/,
  },
  {
    why: "pure without a key",
    of: (line, row) =>
      has("--pure")(line) && !row.args.includes("-k") && !row.args.includes("--vector-to-sign"),
    exit: 2,
    message: /needs an Ed25519 key/,
  },
  {
    why: "nobody could decrypt it",
    of: (line, row) => /-E (?:rsa-3072|ecdsa-p384|ed25519)/.test(line) && row.exit === 0,
    exit: 2,
    message: /cannot be encrypted for/,
  },
  {
    why: "big-endian images are read",
    of: (line) => /^verify .*big\.img/.test(line) && !line.includes("-k"),
    exit: 0,
    message: /correctly validated/,
  },
  {
    why: "big-endian images are read; this one is not signed",
    of: (line) => /^verify .*-k .*big\.img/.test(line),
    exit: 1,
    message: /No signature found/,
  },
  { why: "big-endian images are read", of: has("dumpinfo", "big.img"), exit: 0, message: /.*/, writes: true },
  {
    why: "an encrypted image is not an image with a wrong hash",
    of: (line, row) => row.args[0] === "verify" && line.includes("enc.img"),
    exit: 1,
    message: /Image is encrypted/,
  },
  {
    why: "a warning on stdout would spoil JSON and YAML",
    of: (line) => /^dumpinfo tail\.img -f (?:json|yaml)$/.test(line),
    exit: 0,
    message: /tail\.img/,
  },
];
