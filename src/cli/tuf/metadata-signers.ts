import { keySigner } from "../../crypto/signer.js";
import { type MetadataSigner, metadataSigner } from "../../tuf/repository/tuf-key.js";
import { readPrivateKey } from "../secrets.js";
import { type ChosenSigner, openSigner, type SigningOptions } from "../signing/choose.js";
import { UsageError } from "../usage-error.js";

/** Who signs metadata: any number of key files, and at most one signer elsewhere of each kind. */
export interface MetadataSigningOptions extends Omit<SigningOptions, "key" | "request" | "attach"> {
  key?: string[];
}

/** Does `work` with the signers that were named, and lets go of them. */
export async function withSigners<T>(
  { key: files = [], ...options }: MetadataSigningOptions,
  signal: AbortSignal,
  work: (signers: readonly MetadataSigner[]) => Promise<T>,
): Promise<T> {
  const opened: ChosenSigner[] = [];
  try {
    const signers: MetadataSigner[] = [];
    for (const file of files)
      signers.push(await metadataSigner(keySigner(await readPrivateKey(file, options))));
    for (const way of ["signerCommand", "pkcs11Module"] as const) {
      if (options[way] === undefined) continue;
      const chosen = await openSigner(way, options, { signal, context: { what: "TUF metadata" } });
      if (!chosen) continue;
      opened.push(chosen);
      signers.push(await metadataSigner(chosen.signer));
    }
    return await work(signers);
  } finally {
    for (const { close } of opened) close();
  }
}

/** Some signer must have been named. */
export function mustHaveSigners(signers: readonly MetadataSigner[]): void {
  if (signers.length > 0) return;
  throw new UsageError(
    "Say who signs.",
    "Name --key FILE, --signer-command PROGRAM or --pkcs11-module LIBRARY.",
  );
}
