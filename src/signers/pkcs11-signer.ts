import { concat, fromHex, toHex } from "../bytes.js";
import { DER, DerReader } from "../crypto/der.js";
import { type Key, publicKeyOf } from "../crypto/keys.js";
import { toImageSignature } from "../crypto/signature-encoding.js";
import type { Signer, SigningRequest } from "../crypto/signer.js";
import { schemeInput } from "../crypto/signing-scheme.js";
import { CK, type Cryptoki, type Handle, loadCryptoki, messageOf, PARAMS_RSA_PSS } from "./pkcs11.js";
import { SignerError } from "./signer-error.js";

/** Which key in which security module. */
export interface Pkcs11Options {
  /** Path of the module's library. */
  readonly library: string;
  /** Label of the token; may be left out when there is only one. */
  readonly token?: string;
  /** Label of the key. */
  readonly label?: string;
  /** Id of the key, hex. */
  readonly id?: string;
  readonly pin: string;
  /** Take a key that could be copied out of the module. */
  readonly allowExtractable?: boolean;
}

/** A signer in a security module. Close it: the session stays open until then. */
export interface Pkcs11Signer extends Signer {
  readonly token: { readonly label: string; readonly serial: string };
  close(): void;
}

/**
 * A signer whose key is in a security module and stays there. Refuses a key that could be copied out, unless told
 * otherwise.
 *
 * @param options - library, token, key by label or id (hex), and the PIN
 * @returns close it when done
 * @throws {@link SignerError}; no error holds the PIN
 */
export async function pkcs11Signer(options: Pkcs11Options): Promise<Pkcs11Signer> {
  const module = await loadCryptoki(options.library);
  const close = () => {
    module.C_Finalize();
    module.close();
  };
  try {
    const { slot, token } = findToken(module, options.token);
    const session = module.C_OpenSession(slot, CK.SESSION_SERIAL);
    logIn(module, session, options.pin);
    const key = findPrivateKey(module, session, options);
    const publicKey = await readPublicKey(module, session, key);
    return {
      publicKey,
      token,
      close,
      sign: async (request) => sign(module, session, key, request),
    };
  } catch (error) {
    close();
    throw error instanceof SignerError ? error : failed("cannot be used", error);
  }
}

function findToken(module: Cryptoki, wanted: string | undefined) {
  const tokens = module.C_GetSlotList(true).flatMap((slot) => {
    const info = module.C_GetTokenInfo(slot);
    const token = { label: info.label.trim(), serial: info.serialNumber.trim() };
    return token.label === "" ? [] : [{ slot, token }];
  });
  const found = wanted === undefined ? tokens : tokens.filter(({ token }) => token.label === wanted);
  if (found.length === 1) return found[0]!;
  const labels = tokens.map(({ token }) => `"${token.label}"`).join(", ") || "none";
  throw new SignerError(
    "signer-key",
    wanted === undefined
      ? `The security module has ${found.length} tokens.`
      : `The security module has ${found.length} tokens called "${wanted}".`,
    { hint: `Name one with --pkcs11-token. There are: ${labels}.` },
  );
}

/** Refusals of a PIN: PKCS#11 2.40, 11.6. */
const PIN_REFUSALS: Readonly<Record<string, readonly [message: string, hint: string]>> = {
  CKR_PIN_INCORRECT: [
    "The security module refuses the PIN: it is wrong.",
    "Check the PIN, and that --pkcs11-token names the right token, before you try again: tokens lock after a few wrong PINs.",
  ],
  CKR_PIN_INVALID: [
    "The security module refuses the PIN: it contains characters that are not allowed in a PIN of this token.",
    "Check where the PIN comes from: --pin-file reads the first line of a file, without its line end.",
  ],
  CKR_PIN_LEN_RANGE: [
    "The security module refuses the PIN: it is too short or too long.",
    "Check where the PIN comes from: --pin-file reads the first line of a file, without its line end.",
  ],
  CKR_PIN_LOCKED: [
    "The token is locked after too many wrong PINs.",
    "The token's security officer can unlock it and set a new PIN.",
  ],
  CKR_PIN_EXPIRED: ["The token's PIN has expired.", "Set a new PIN with the tool of the security module."],
  CKR_USER_PIN_NOT_INITIALIZED: [
    "The token has no user PIN yet.",
    "Set one with the tool of the security module, for instance pkcs11-tool --init-pin.",
  ],
};

const MODULE_HINT =
  "Check that the token is plugged in and not in use, and look at the log of the security module.";

function logIn(module: Cryptoki, session: Handle, pin: string): void {
  try {
    module.C_Login(session, CK.USER, pin);
  } catch (error) {
    // Only the name of the failure: whatever else a module puts into its error, the PIN could be in it.
    const name = /CKR_[A-Z_]+/.exec(messageOf(error))?.[0] ?? "no reason given";
    const [message, hint] = PIN_REFUSALS[name] ?? [
      `The security module refused the login: ${name}.`,
      MODULE_HINT,
    ];
    throw new SignerError("signer-failed", message, { hint });
  }
}

function findPrivateKey(module: Cryptoki, session: Handle, options: Pkcs11Options): Handle {
  const { label, id, allowExtractable } = options;
  const keys = find(module, session, [
    { type: CK.CLASS, value: CK.OBJECT_PRIVATE },
    ...(label === undefined ? [] : [{ type: CK.LABEL, value: label }]),
    ...(id === undefined ? [] : [{ type: CK.ID, value: Buffer.from(id, "hex") }]),
  ]);
  const [key] = keys;
  if (key === undefined || keys.length > 1)
    throw new SignerError(
      "signer-key",
      `The token has ${keys.length === 0 ? "no" : "more than one"} such private key.`,
      {
        hint: "Name the key with --pkcs11-key LABEL or --pkcs11-id HEX.",
      },
    );
  const [extractable, sensitive] = attributes(module, session, key, [CK.EXTRACTABLE, CK.SENSITIVE]);
  if (!allowExtractable && (extractable![0] !== 0 || sensitive![0] === 0))
    throw new SignerError("signer-key", "This key can be extracted from the security module.", {
      hint: "Make one that is sensitive and not extractable, or accept this one with --pkcs11-allow-extractable.",
    });
  return key;
}

/** Of RSA the private object knows all; of curves the point is in the public object of the same id. */
async function readPublicKey(module: Cryptoki, session: Handle, key: Handle): Promise<Key> {
  const [kind, id] = attributes(module, session, key, [CK.KEY_TYPE, CK.ID]);
  if (kind!.readUInt32LE(0) === CK.KEY_RSA) {
    const [modulus, exponent] = attributes(module, session, key, [CK.MODULUS, CK.PUBLIC_EXPONENT]);
    return publicKeyOf({ type: "rsa", modulus: modulus!, exponent: exponent! });
  }
  const [object] = find(module, session, [
    { type: CK.CLASS, value: CK.OBJECT_PUBLIC },
    { type: CK.ID, value: id! },
  ]);
  if (object === undefined)
    throw new SignerError("signer-key", "The token holds no public key with the id of the private key.", {
      hint: "Store the public key under the same id (CKA_ID), for instance with pkcs11-tool --write-object.",
    });
  const [params, point] = attributes(module, session, object, [CK.EC_PARAMS, CK.EC_POINT]);
  return publicKeyOf({ type: curveOf(params!), point: pointOf(point!) });
}

/** OIDs of P-256, P-384 and Ed25519, and the name that SoftHSM puts in the last one's place. */
const CURVE_PARAMS = {
  "06082a8648ce3d030107": "ecdsa-p256",
  "06052b81040022": "ecdsa-p384",
  "06032b6570": "ed25519",
  "130c656477617264733235353139": "ed25519",
} as const;

function curveOf(params: Uint8Array) {
  const known = Object.entries(CURVE_PARAMS).find(([hex]) => hex === toHex(params));
  if (known) return known[1];
  throw new SignerError("signer-key", "The key is on a curve that MCUboot does not support.", {
    hint: "MCUboot verifies RSA-2048, RSA-3072, ECDSA P-256, ECDSA P-384 and Ed25519.",
  });
}

/** Ed25519, P-256, P-384; each is two bytes longer when wrapped. */
const BARE_POINTS: readonly number[] = [32, 65, 97];

/** A point comes wrapped into an OCTET STRING; some modules leave that out. */
function pointOf(value: Uint8Array): Uint8Array {
  return BARE_POINTS.includes(value.length)
    ? value
    : new DerReader(value).read(DER.OCTET_STRING, "the point");
}

function sign(module: Cryptoki, session: Handle, key: Handle, request: SigningRequest): Uint8Array {
  const { keyType, family } = request.algorithm;
  const { mechanism, input } = mechanismFor(request);
  try {
    module.C_SignInit(session, mechanism, key);
    const room = Buffer.alloc(request.algorithm.signatureLength.max);
    const signature = module.C_Sign(session, Buffer.from(input), room);
    return toImageSignature(keyType, Uint8Array.from(signature), family === "ecdsa" ? "p1363" : "raw");
  } catch (error) {
    throw failed("did not sign", error);
  }
}

/** DigestInfo of SHA-256 up to the digest (RFC 8017, 9.2): what PKCS#1 v1.5 signs is made by the caller. */
const SHA256_INFO = fromHex("3031300d060960864801650304020105000420");

function mechanismFor(request: SigningRequest) {
  const { family } = request.algorithm;
  const input = schemeInput(request).bytes;
  if (family === "eddsa") return { mechanism: { mechanism: CK.EDDSA }, input };
  if (family === "ecdsa") return { mechanism: { mechanism: CK.ECDSA }, input };
  if (request.padding === "pkcs1")
    return { mechanism: { mechanism: CK.RSA_PKCS }, input: concat(SHA256_INFO, input) };
  const parameter = { type: PARAMS_RSA_PSS, hashAlg: CK.SHA256, mgf: CK.MGF1_SHA256, saltLen: 32 };
  return { mechanism: { mechanism: CK.RSA_PKCS_PSS, parameter }, input };
}

function find(
  module: Cryptoki,
  session: Handle,
  template: Parameters<Cryptoki["C_FindObjectsInit"]>[1],
): Handle[] {
  module.C_FindObjectsInit(session, template);
  try {
    // Two are enough to know that there is more than one.
    return module.C_FindObjects(session, 2);
  } finally {
    module.C_FindObjectsFinal(session);
  }
}

function attributes(module: Cryptoki, session: Handle, object: Handle, types: readonly number[]): Buffer[] {
  const template = types.map((type) => ({ type }));
  return module.C_GetAttributeValue(session, object, template).map(({ value }) => value);
}

function failed(what: string, cause: unknown): SignerError {
  return new SignerError("signer-failed", `The security module ${what}: ${messageOf(cause)}.`, {
    cause,
    hint: MODULE_HINT,
  });
}
