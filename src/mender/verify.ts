import { toHex } from "../bytes.js";
import { verifySha256 } from "../crypto/pkcs1.js";
import { keyTypeText, type VerificationKey } from "../crypto/verification-key.js";
import type { Artifact } from "./artifact.js";

/** One thing that was looked at, as in the verdict of an image. */
export interface ArtifactCheck {
  readonly name: "signature" | "device-type" | "provides" | "scripts";
  readonly result: "pass" | "fail" | "warn" | "not-checked";
  readonly message: string;
}

export interface ArtifactVerdict {
  /** `signature-not-checked`: nothing is wrong, but no key says whose artifact it is. */
  readonly result: "good" | "signature-not-checked" | "bad";
  readonly checks: readonly ArtifactCheck[];
  /** The key whose signature it is. */
  readonly signedBy?: VerificationKey;
}

export interface ArtifactPolicy {
  /** Keys of which one must have signed. None: the signature is not checked. */
  readonly keys?: readonly VerificationKey[];
  /** The device's type. */
  readonly deviceType?: string;
  /** What is installed on the device, artifact_name and artifact_group included. */
  readonly provides?: Readonly<Record<string, string>>;
}

/**
 * Judges an artifact that was read: who signed it, and whether it is for this device. With a key, an unsigned artifact is
 * bad. Keys are tried in order, as Mender's client does: artifacts name no key.
 *
 * @param artifact - by {@link readArtifact}
 * @param policy - keys that may have signed, device type, what the device provides
 * @returns every check with its result, and who signed
 */
export async function verifyArtifact(
  artifact: Artifact,
  policy: ArtifactPolicy = {},
): Promise<ArtifactVerdict> {
  const { check, signedBy } = await checkSignature(artifact, policy.keys ?? []);
  const checks = [
    check,
    checkDeviceType(artifact, policy),
    ...checkDepends(artifact, policy),
    ...checkScripts(artifact),
  ];
  const isBad = checks.some(({ result }) => result === "fail");
  return {
    result: isBad ? "bad" : signedBy ? "good" : "signature-not-checked",
    checks,
    ...(signedBy && { signedBy }),
  };
}

async function checkSignature(
  { signature, manifest }: Artifact,
  keys: readonly VerificationKey[],
): Promise<{ check: ArtifactCheck; signedBy?: VerificationKey }> {
  const say = (result: ArtifactCheck["result"], message: string): { check: ArtifactCheck } => ({
    check: { name: "signature", result, message },
  });
  if (!signature)
    return keys.length > 0
      ? say("fail", "The artifact is not signed, and a key was given that should have signed it.")
      : say(
          "not-checked",
          "The artifact is not signed: its checksums detect damage, but do not show who made it.",
        );
  if (keys.length === 0)
    return say(
      "not-checked",
      `There is a signature of ${signature.length} bytes, but no key to check it with.`,
    );
  for (const key of keys)
    if (await verifySha256(key, manifest, signature))
      return {
        ...say("pass", `signed by ${keyTypeText(key)} key ${toHex(key.fingerprint).slice(0, 16)}`),
        signedBy: key,
      };
  const tried =
    keys.length === 1 ? "The key that was given" : `Each of the ${keys.length} keys that were given`;
  return say(
    "fail",
    `${tried} did not make this signature, or the manifest was changed after it was signed.`,
  );
}

function checkDeviceType({ header }: Artifact, { deviceType }: ArtifactPolicy): ArtifactCheck {
  const name = "device-type";
  const list = header.deviceTypes.join(", ");
  if (deviceType === undefined)
    return { name, result: "not-checked", message: `for ${list}; the device's type was not given` };
  return header.deviceTypes.includes(deviceType)
    ? { name, result: "pass", message: `for ${list}, as the device is` }
    : { name, result: "fail", message: `The artifact is for ${list}; the device is a ${deviceType}.` };
}

/** What must be installed before; each key with its alternatives. */
export function dependsOf({ header, typeInfo }: Artifact): Readonly<Record<string, readonly string[]>> {
  return {
    ...(header.dependsName && { artifact_name: header.dependsName }),
    ...(header.dependsGroup && { artifact_group: header.dependsGroup }),
    ...typeInfo.depends,
  };
}

function checkDepends(artifact: Artifact, { provides }: ArtifactPolicy): ArtifactCheck[] {
  return Object.entries(dependsOf(artifact)).map(([key, wanted]): ArtifactCheck => {
    const list = wanted.join(" or ");
    const name = "provides";
    if (provides === undefined)
      return {
        name,
        result: "not-checked",
        message: `needs ${key} ${list}; what the device has was not given`,
      };
    const there = Object.hasOwn(provides, key) ? provides[key] : undefined;
    if (there !== undefined && wanted.includes(there))
      return { name, result: "pass", message: `needs ${key} ${list}, and the device has ${there}` };
    return {
      name,
      result: "fail",
      message: `The artifact needs ${key} ${list}; the device has ${there ?? "none"}.`,
    };
  });
}

function checkScripts({ scripts }: Artifact): ArtifactCheck[] {
  if (scripts.length === 0) return [];
  const list = scripts.map(({ name }) => name).join(", ");
  return [
    {
      name: "scripts",
      result: "warn",
      message: `carries state scripts, which bootproof never runs: ${list}`,
    },
  ];
}

/**
 * What the device provides after the artifact was installed on it: cleared, then added.
 *
 * @param artifact - by {@link readArtifact}
 * @param before - what the device provides now
 * @returns names and values
 */
export function providesAfter(
  artifact: Artifact,
  before: Readonly<Record<string, string>>,
): Record<string, string> {
  const { header, typeInfo } = artifact;
  const isCleared = (key: string) => typeInfo.clears.some((pattern) => matches(pattern, key));
  const kept = Object.entries(before).filter(([key]) => !isCleared(key) && key !== "artifact_group");
  return {
    ...Object.fromEntries(kept),
    artifact_name: header.artifactName,
    ...(header.artifactGroup !== undefined && { artifact_group: header.artifactGroup }),
    ...typeInfo.provides,
  };
}

/** Only `*` is special: any number of any characters. Without back-tracking, whatever the pattern. */
export function matches(pattern: string, key: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  if (rest.length === 0) return pattern === key;
  const last = rest.pop()!;
  if (!key.startsWith(first) || !key.endsWith(last) || key.length < first.length + last.length) return false;
  let at = first.length;
  for (const part of rest) {
    const found = key.indexOf(part, at);
    if (found < 0 || found + part.length > key.length - last.length) return false;
    at = found + part.length;
  }
  return true;
}
