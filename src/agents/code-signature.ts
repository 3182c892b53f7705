import { verify, X509Certificate } from "node:crypto";
import { AwsError } from "./aws-error.js";
import type { AwsJob } from "./aws-job.js";

/** Extended key usage of code signing (RFC 5280, 4.2.1.12). */
const CODE_SIGNING = "1.3.6.1.5.5.7.3.3";

/** A certificate whose owner may sign files, by the name that jobs give it. */
export interface CodeSigner {
  readonly name: string;
  readonly certificate: X509Certificate;
}

/**
 * Reads a certificate of a signer.
 *
 * @param name - by which jobs name it
 * @param content - PEM or DER
 * @returns the certificate under its name
 * @throws AwsError `bad-code-signer` when it is no certificate, not one for code signing, or its key is neither ECDSA nor RSA
 */
export function readCodeSigner(name: string, content: Uint8Array): CodeSigner {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(content);
  } catch (cause) {
    throw new AwsError("bad-code-signer", `${name} is not an X.509 certificate.`, { cause });
  }
  if (!certificate.keyUsage?.includes(CODE_SIGNING))
    throw new AwsError("bad-code-signer", `The certificate ${name} is not for code signing.`, {
      hint: "Give the leaf certificate of the signing profile: extended key usage code signing.",
    });
  const signer = { name, certificate };
  signatureTypeOf(signer);
  return signer;
}

/**
 * By which word a job names signatures of a certificate's key.
 *
 * @param signer - as {@link readCodeSigner} gave it
 * @returns the word
 * @throws AwsError `bad-code-signer` for another type of key
 */
export function signatureTypeOf({ name, certificate }: CodeSigner): "ecdsa" | "rsa" {
  const type = certificate.publicKey.asymmetricKeyType;
  if (type === "ec" || type === "rsa") return type === "ec" ? "ecdsa" : "rsa";
  throw new AwsError("bad-code-signer", `The certificate ${name} has a key of type ${type}.`, {
    hint: "Jobs know ECDSA and RSA.",
  });
}

/**
 * Checks a job's signature over its whole file by a certificate of this host; the job only names it.
 *
 * @param file - the whole of it
 * @param signature - as the job has it, with the certificate's name and the type of its key
 * @param signers - certificates that this host allows
 * @throws AwsError `job-rejected`
 */
export function checkCodeSignature(
  file: Uint8Array,
  { certificate: wanted, keyType, bytes }: NonNullable<AwsJob["signature"]>,
  signers: readonly CodeSigner[],
): void {
  const base = wanted.split(/[/\\]/).at(-1);
  const signer = signers.find(({ name }) => name === base);
  if (signer === undefined)
    throw new AwsError(
      "job-rejected",
      `The job names the certificate ${base}; ${signers.length > 0 ? `allowed here: ${signers.map(({ name }) => name).join(", ")}` : "none is allowed here"}.`,
      { hint: "Allow it with --code-signer FILE; its file name is what the job calls it." },
    );
  const key = signer.certificate.publicKey;
  if (signatureTypeOf(signer) !== keyType || !verify("sha256", file, key, bytes))
    throw new AwsError("job-rejected", `The file is not signed by the certificate ${base}.`, {
      hint: "Sign this very file with the key of that certificate: SHA-256 with ECDSA, or RSA PKCS#1 v1.5.",
    });
}
