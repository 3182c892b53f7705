import { toHex } from "../bytes.js";
import { generateKey } from "../crypto/keys.js";
import { signFile } from "../crypto/sign-file.js";
import { keySigner, type Signer } from "../crypto/signer.js";
import { type VerificationKey, verificationKeyOf } from "../crypto/verification-key.js";
import { type Decompressors, readArtifact } from "./artifact.js";
import { verifyArtifact } from "./verify.js";
import { manifestOf, withSignature, writeArtifact } from "./write.js";

/**
 * A change of the keys that devices trust for artifacts, tried out before it is made. Each key gets a stand-in that signs a
 * small artifact, and the verifier judges it with the old and with the new list: no private key is needed.
 */

export interface NamedKey {
  /** As the user calls it. */
  readonly name: string;
  readonly key: VerificationKey;
}

export interface KeyListOutcome {
  /** Which list the device has. */
  readonly device: "old list" | "new list";
  readonly signedBy: string;
  /** What happens to the key. */
  readonly change: "kept" | "removed" | "new";
  readonly accepted: boolean;
  /** What the verifier says. */
  readonly message: string;
}

export interface KeyListRehearsal {
  readonly outcomes: readonly KeyListOutcome[];
  /** Keys that both lists hold: what they sign is taken by every device, whichever list it has. */
  readonly acceptedByAll: readonly string[];
  /** Keys whose signature brings the new list to devices that have the old one. */
  readonly mustSignNewList: readonly string[];
}

/**
 * What devices with the old and with the new list make of artifacts by each key.
 *
 * @param before - keys that devices have now
 * @param after - keys that they will have
 * @param decompressors - for compressed payloads
 * @returns which artifacts each generation of devices takes; signed with stand-ins for the keys
 */
export async function rehearseKeyList(
  before: readonly NamedKey[],
  after: readonly NamedKey[],
  decompressors: Decompressors,
): Promise<KeyListRehearsal> {
  const idOf = ({ key }: NamedKey) => toHex(key.fingerprint);
  const [oldIds, newIds] = [new Set(before.map(idOf)), new Set(after.map(idOf))];
  const all = new Map([...before, ...after].map((named) => [idOf(named), named]));
  const signers = new Map<string, Signer>();
  for (const id of all.keys()) signers.set(id, keySigner(await generateKey("ecdsa-p256")));
  const listOf = (ids: ReadonlySet<string>) =>
    Promise.all([...ids].map((id) => verificationKeyOf(signers.get(id)!.publicKey)));
  const lists = { "old list": await listOf(oldIds), "new list": await listOf(newIds) };

  const outcomes: KeyListOutcome[] = [];
  for (const [id, { name }] of all) {
    const artifact = await readArtifact(await signedBy(signers.get(id)!), { decompressors });
    const change = !oldIds.has(id) ? "new" : newIds.has(id) ? "kept" : "removed";
    for (const device of ["old list", "new list"] as const) {
      const { result, checks } = await verifyArtifact(artifact, { keys: lists[device] });
      const { message } = checks.find((check) => check.name === "signature")!;
      outcomes.push({ device, signedBy: name, change, accepted: result === "good", message });
    }
  }
  const accepted = (device: KeyListOutcome["device"]) =>
    outcomes.filter((each) => each.device === device && each.accepted).map((each) => each.signedBy);
  const mustSignNewList = accepted("old list");
  return {
    outcomes,
    mustSignNewList,
    acceptedByAll: accepted("new list").filter((name) => mustSignNewList.includes(name)),
  };
}

async function signedBy(signer: Signer): Promise<Uint8Array> {
  const artifact = writeArtifact({
    type: "zephyr-image",
    artifactName: "rehearsal",
    deviceTypes: ["any"],
    files: [{ name: "image.bin", bytes: new Uint8Array(16) }],
  });
  return withSignature(artifact, await signFile(signer, manifestOf(artifact)));
}
