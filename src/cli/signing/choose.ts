import { PIN_VARIABLE } from "../../child-environment.js";
import type { Key } from "../../crypto/keys.js";
import { keySigner, type Signer } from "../../crypto/signer.js";
import { readKey, readPrivateKey, secretText } from "../secrets.js";
import { UsageError } from "../usage-error.js";

/** The ways to say who signs. Exactly one of them is given. */
export interface SigningOptions {
  /** File of the private key. */
  key?: string;
  unsigned?: boolean;
  passphraseFile?: string;
  /** File of the public key whose signature is expected: required for answers from elsewhere. */
  publicKey?: string;
  /** Write a request to this file. */
  request?: string;
  /** Take the signature out of this response. */
  attach?: string;
  signerCommand?: string;
  signerArg?: string[];
  keyRef?: string;
  signerTimeout?: number;
  pkcs11Module?: string;
  pkcs11Token?: string;
  pkcs11Key?: string;
  pkcs11Id?: string;
  pkcs11AllowExtractable?: boolean;
  pinFile?: string;
  /** A signature in base64, as imgtool takes it. */
  fixSig?: string;
  fixSigPubkey?: string;
}

const WAYS = {
  key: "--key FILE",
  unsigned: "--unsigned",
  request: "--request FILE (then --attach)",
  attach: "--attach FILE",
  signerCommand: "--signer-command PROGRAM",
  pkcs11Module: "--pkcs11-module LIBRARY",
  fixSig: "--fix-sig FILE",
} as const;

export type Way = keyof typeof WAYS;

/** The one way of `ways` that was given. Throws `UsageError` for none and for two. */
export function wayOf(options: SigningOptions, ways: readonly Way[] = Object.keys(WAYS) as Way[]): Way {
  const given = ways.filter((way) => options[way] !== undefined && options[way] !== false);
  const [way] = given;
  if (way !== undefined && given.length === 1) return way;
  const list = ways.map((name) => WAYS[name]).join(", ");
  if (way === undefined)
    throw new UsageError(
      ways.includes("unsigned")
        ? "Say how to sign: either --key FILE or --unsigned, or a signer elsewhere."
        : "Say how to sign: --key FILE, or a signer elsewhere.",
      `There are: ${list}. bootproof keys generate makes a key.`,
    );
  throw new UsageError(
    `Say in one way how to sign, not with ${given.map((name) => WAYS[name]).join(" and ")}.`,
  );
}

/** The key whose signature will come from elsewhere. Throws `UsageError` when it is not named. */
export async function expectedKey(options: SigningOptions): Promise<Key> {
  const file = options.publicKey ?? options.fixSigPubkey;
  if (file !== undefined) return (await readKey(file, options)).publicKey;
  throw new UsageError(
    "Give the signer's public key: --public-key FILE.",
    "Its signature is checked before anything is written.",
  );
}

/** A signer at hand, and how to let go of it. */
export interface ChosenSigner {
  readonly signer: Signer;
  /** Who it is, for people, unless it is just a key in a file. */
  readonly where?: string;
  close(): void;
}

/** Opens the signer that was chosen; undefined for the ways that have none. */
export async function openSigner(
  way: Way,
  options: SigningOptions,
  { signal, context }: { signal?: AbortSignal; context: Readonly<Record<string, unknown>> },
): Promise<ChosenSigner | undefined> {
  if (way === "key") {
    const signer = keySigner(await readPrivateKey(options.key!, options));
    return { signer, close: () => {} };
  }
  if (way === "signerCommand") {
    const { commandSigner } = await import("../../signers/command-signer.js");
    const signer = await commandSigner({
      program: options.signerCommand!,
      args: options.signerArg ?? [],
      keyRef: options.keyRef ?? "",
      ...(options.publicKey !== undefined && { publicKey: await expectedKey(options) }),
      timeoutMs: (options.signerTimeout ?? 60) * 1000,
      ...(signal && { signal }),
      context,
    });
    return { signer, where: options.signerCommand!, close: () => {} };
  }
  return way === "pkcs11Module" ? openModule(options) : undefined;
}

async function openModule(options: SigningOptions): Promise<ChosenSigner> {
  const { pkcs11Module, pkcs11Token, pkcs11Key, pkcs11Id, pkcs11AllowExtractable, pinFile } = options;
  const { pkcs11Signer } = await import("../../signers/pkcs11-signer.js");
  const signer = await pkcs11Signer({
    library: pkcs11Module!,
    ...(pkcs11Token !== undefined && { token: pkcs11Token }),
    ...(pkcs11Key !== undefined && { label: pkcs11Key }),
    ...(pkcs11Id !== undefined && { id: pkcs11Id }),
    pin: await secretText("PIN: ", {
      file: pinFile,
      variable: PIN_VARIABLE,
      option: "--pin-file",
      missing: "The security module needs a PIN, and there is no terminal to ask for it.",
    }),
    allowExtractable: pkcs11AllowExtractable ?? false,
  });
  const { label, serial } = signer.token;
  return { signer, where: `token ${label}, serial ${serial}`, close: () => signer.close() };
}
