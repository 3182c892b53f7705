import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { toHex } from "../bytes.js";
import { canonicalJson } from "../tuf/canonical-json.js";
import { sha256Hex } from "../tuf/hashes.js";
import type { TufKey } from "../tuf/metadata-types.js";
import type { ManifestSigner } from "../uptane/manifest.js";
import type { VehicleState } from "./vehicle-state.js";

/** The identity of an ECU, held by the bridge: boards that run MCUboot alone sign nothing. */
export interface EcuKey {
  readonly id: string;
  /** As a Director keeps it. */
  readonly key: TufKey;
  readonly signer: ManifestSigner;
}

/**
 * The Ed25519 key of an ECU; made at the first use.
 *
 * @param state - of the vehicle on this host; the key is kept there
 * @param serial - of the ECU
 * @returns signs, and is shown as metadata shows keys
 */
export function ecuKey(state: VehicleState, serial: string): EcuKey {
  const pem = state.key(serial, () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    return privateKey.export({ format: "pem", type: "pkcs8" }).toString();
  });
  const privateKey = createPrivateKey(pem);
  const raw = { keytype: "ed25519", scheme: "ed25519", keyval: { public: pointOf(privateKey) } };
  const id = sha256Hex(canonicalJson(raw));
  return {
    id,
    key: { keytype: "ed25519", scheme: "ed25519", public: raw.keyval.public, raw },
    signer: {
      keyid: id,
      method: "ed25519",
      sign: async (message) => new Uint8Array(sign(null, message, privateKey)),
    },
  };
}

function pointOf(key: KeyObject): string {
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  return toHex(new Uint8Array(spki.subarray(-32)));
}
