/** One option of a command line, without its dashes. */
export interface OptionSpec {
  /** The long name; {@link GivenOptions} is asked by it. */
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  /** Without one the option is a flag. Two words: the option takes two values and may be repeated. */
  readonly value?: string;
  readonly choices?: readonly string[];
  readonly required?: boolean;
  readonly help: string;
  /** Not imgtool's: left out of what is promised to be the same. */
  readonly ours?: boolean;
}

/** What was given on a command line, however it was read. */
export interface GivenOptions {
  flag(name: string): boolean;
  /** Of an option given twice the last one counts. */
  text(name: string): string | undefined;
  /** Of an option that takes two values. */
  pairs(name: string): readonly (readonly [string, string])[];
}

/** What an image shall be like, in the words of `imgtool sign`, which `bootproof sign` shares: names, letters, choices. */
export const IMAGE_OPTIONS: readonly OptionSpec[] = [
  {
    name: "public-key-format",
    value: "FORMAT",
    choices: ["hash", "full"],
    help: "carry the key's hash or the key",
  },
  { name: "align", value: "N", choices: ["1", "2", "4", "8", "16", "32"], help: "write size of the flash" },
  { name: "max-align", value: "N", choices: ["8", "16", "32"], help: "BOOT_MAX_ALIGN" },
  { name: "version", short: "v", value: "VERSION", required: true, help: "maj[.min[.rev[+build]]]" },
  { name: "security-counter", short: "s", value: "N", help: "security counter, or auto" },
  { name: "dependencies", short: "d", value: "LIST", help: "(image, version)(image, version)" },
  { name: "pad-sig", help: "pad ECDSA signatures with zeros (MCUboot before 1.5)" },
  { name: "header-size", short: "H", value: "N", required: true, help: "bytes before the body" },
  { name: "pad-header", help: "put a header in front of the input" },
  { name: "slot-size", short: "S", value: "N", required: true, help: "size of the slot; 0 is not checked" },
  { name: "pad", help: "fill up to the slot's size, with the trailer's magic" },
  { name: "test", help: "as --pad: to be tested" },
  { name: "confirm", help: "as --pad, and confirmed" },
  { name: "max-sectors", short: "M", value: "N", help: "sectors of a slot, default 128" },
  { name: "boot-record", value: "TYPE", help: "add a boot record for this software type" },
  { name: "overwrite-only", help: "the bootloader overwrites, it does not swap" },
  {
    name: "endian",
    short: "e",
    value: "ORDER",
    choices: ["little", "big"],
    help: "byte order of the header",
  },
  { name: "clear", short: "c", help: "with --encrypt: leave the body in clear" },
  {
    name: "compression",
    value: "KIND",
    choices: ["disabled", "lzma2", "lzma2armthumb"],
    help: "compress the body",
  },
  { name: "encrypt-keylen", value: "BITS", choices: ["128", "256"], help: "AES key length" },
  { name: "encrypt", short: "E", value: "FILE", help: "encrypt for the owner of this key" },
  { name: "save-enctlv", help: "the bootloader saves whole TLVs of encryption" },
  { name: "load-addr", short: "L", value: "ADDRESS", help: "RAM address" },
  { name: "rom-fixed", short: "F", value: "ADDRESS", help: "flash address the image is linked for" },
  { name: "hex-addr", short: "x", value: "ADDRESS", help: "address in .hex output" },
  {
    name: "erased-val",
    short: "R",
    value: "BYTE",
    choices: ["0", "0xff"],
    help: "what erased flash reads as",
  },
  { name: "custom-tlv", value: "TAG VALUE", help: "add a protected TLV: text, or 0x and hex" },
  { name: "custom-tlv-file", value: "TAG FILE", help: "add a protected TLV from a file" },
  { name: "non-bootable", help: "validate the image, never boot it" },
  { name: "vid", value: "ID", help: "vendor: UUID or name" },
  { name: "cid", value: "ID", help: "class: UUID or name" },
  { name: "fix-sig", value: "FILE", help: "a signature made elsewhere, base64" },
  { name: "fix-sig-pubkey", value: "FILE", help: "public key of that signature" },
  { name: "sig-out", value: "FILE", help: "write the signature too, base64" },
  { name: "pure", help: "sign the image instead of its hash (Ed25519)" },
  { name: "sha", value: "BITS", choices: ["auto", "256", "384", "512"], help: "hash of the image" },
  { name: "hmac-sha", value: "BITS", choices: ["auto", "256", "512"], help: "hash in ECIES with X25519" },
  {
    name: "vector-to-sign",
    value: "WHAT",
    choices: ["payload", "digest"],
    help: "write what is to be signed instead of an image",
  },
];
