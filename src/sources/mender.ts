import type { VerificationKey } from "../crypto/verification-key.js";
import { readArtifact } from "../mender/artifact.js";
import { verifyArtifact } from "../mender/verify.js";
import { decompressors } from "./decompress.js";
import { type Source, UNBOUND } from "./source.js";

export interface MenderOptions {
  /** Keys of which one must have signed the artifact. None: its signature is not checked. */
  readonly artifactKeys?: readonly VerificationKey[] | undefined;
  readonly deviceType?: string | undefined;
  readonly provides?: Readonly<Record<string, string>> | undefined;
}

/** The payload type of images for MCUboot. */
const ZEPHYR_IMAGE = "zephyr-image";

/** Reads a Mender artifact as an update. Its files are images 0, 1, … in the artifact's order. Throws `MenderError`. */
export async function readMender(
  name: string,
  bytes: Uint8Array,
  options: MenderOptions = {},
): Promise<Source> {
  const artifact = await readArtifact(bytes, { decompressors });
  const { artifactKeys: keys, deviceType, provides } = options;
  const verdict = await verifyArtifact(artifact, {
    ...(keys && { keys }),
    ...(deviceType !== undefined && { deviceType }),
    ...(provides && { provides }),
  });
  const { payloadType, deviceTypes, artifactName } = artifact.header;
  const { files } = artifact;
  return {
    kind: "mender",
    name,
    payloads: files.map(({ name: file, bytes: content }, image) => ({
      name: file,
      bytes: content,
      ...(files.length > 1 && { image }),
    })),
    binding: { ...UNBOUND, deviceTypes },
    checks: [
      ...verdict.checks.map((check) => ({ ...check, name: `artifact-${check.name}` })),
      ...(payloadType === ZEPHYR_IMAGE
        ? []
        : [
            {
              name: "artifact-type",
              result: "warn" as const,
              message: `The payload is of type ${payloadType ?? "none"}, not ${ZEPHYR_IMAGE}.`,
            },
          ]),
    ],
    ...(verdict.signedBy && { vouchedBy: `the signature of artifact ${artifactName}` }),
  };
}
