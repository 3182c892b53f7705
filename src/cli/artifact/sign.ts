import { BytesError, fromBase64, toHex } from "../../bytes.js";
import { verifySha256 } from "../../crypto/pkcs1.js";
import { fileSignature, signFile } from "../../crypto/sign-file.js";
import { keyTypeText, parseVerificationKey } from "../../crypto/verification-key.js";
import { readArtifact } from "../../mender/artifact.js";
import { MenderError } from "../../mender/error.js";
import { manifestOf, withSignature } from "../../mender/write.js";
import { decompressors } from "../../sources/decompress.js";
import type { AddVerb } from "../add-verb.js";
import { readAs, readInput, writeOutput } from "../files.js";
import { warnIfPublished } from "../published-key.js";
import { openSigner, type SigningOptions, wayOf } from "../signing/choose.js";
import { signerOptions } from "../signing/options.js";
import { UsageError } from "../usage-error.js";
import { type CommonOptions, type Context, inContext } from "../verb-context.js";

interface SignOptions extends CommonOptions, SigningOptions {
  output?: string;
  force?: boolean;
  exportManifest?: string;
  signature?: string;
}

export function defineSign(verb: AddVerb): void {
  signerOptions(verb("sign <artifact>", "sign an artifact, with RSA (PKCS#1 v1.5) or ECDSA P-256"))
    .option("-o, --output <file>", "write to this file instead of replacing the artifact")
    .option("--export-manifest <file>", "only write what is to be signed, for a key on another machine")
    .option("--signature <file>", "add this signature: base64 or raw, checked with --public-key")
    .option("--force", "replace an existing signature or output file")
    .action((file: string, options: SignOptions) =>
      inContext(options, (context) => sign(file, options, context)),
    );
}

async function sign(file: string, options: SignOptions, context: Context): Promise<void> {
  const { out } = context;
  const { output = file, force = false, exportManifest } = options;
  const artifact = await readAs(file, async (content) => {
    // Whatever is signed was whole and without contradictions.
    await readArtifact(content, { decompressors });
    return content;
  });
  const manifest = manifestOf(artifact);
  if (exportManifest !== undefined) {
    writeOutput(exportManifest, manifest, { overwrite: force });
    out.result(
      { file: exportManifest, bytes: manifest.length },
      `${exportManifest}: ${manifest.length} bytes to be signed; then use --signature FILE --public-key PEM`,
    );
    return;
  }
  const { signature, signer } = await makeSignature(manifest, options, context);
  const signed = await withSignature(artifact, signature, { replace: force });
  writeOutput(output, signed, { overwrite: force || output === file });
  out.result(
    { file: output, bytes: signed.length, signature, ...signer },
    `${output}: signed with ${signer.keyType} key ${signer.keyHash.slice(0, 16)}`,
  );
}

async function makeSignature(manifest: Uint8Array, options: SignOptions, { signal, out }: Context) {
  if (options.signature !== undefined) return signatureFrom(options.signature, manifest, options);
  const way = wayOf(options, ["key", "signerCommand", "pkcs11Module"]);
  const chosen = (await openSigner(way, options, { signal, context: { kind: "mender-artifact" } }))!;
  try {
    const { publicKey } = chosen.signer;
    warnIfPublished(publicKey, out);
    const signer = { keyType: publicKey.type, keyHash: toHex(publicKey.keyHash) };
    return { signature: await signFile(chosen.signer, manifest), signer };
  } finally {
    chosen.close();
  }
}

async function signatureFrom(file: string, manifest: Uint8Array, { publicKey }: SignOptions) {
  if (publicKey === undefined)
    throw new UsageError(
      "Give the signer's public key: --public-key FILE.",
      "The signature is checked before anything is written.",
    );
  const key = await readAs(publicKey, parseVerificationKey);
  const given = base64Or(readInput(file));
  if (!(await verifySha256(key, manifest, given)))
    throw new MenderError(
      "bad-artifact-option",
      `${file} is not a signature by that key over this artifact's manifest.`,
      {
        hint: "It must be RSA PKCS#1 v1.5 or ECDSA P-256 over SHA-256 of the exported manifest.",
      },
    );
  return {
    signature: fileSignature(key, given),
    signer: { keyType: keyTypeText(key), keyHash: toHex(key.fingerprint) },
  };
}

function base64Or(bytes: Uint8Array): Uint8Array {
  try {
    return fromBase64(new TextDecoder("latin1").decode(bytes).trim());
  } catch (error) {
    // Raw bytes, then.
    if (error instanceof BytesError) return bytes;
    throw error;
  }
}
