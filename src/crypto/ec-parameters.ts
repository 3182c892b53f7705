import { equal, fromHex } from "../bytes.js";
import { CURVES, type EcdsaKeyType } from "./algorithms.js";
import type { CurveDomain } from "./curve-domains.js";
import { DER, type DerReader } from "./der.js";
import { KeyError } from "./key-error.js";

const NAMED: readonly { readonly type: EcdsaKeyType; readonly oid: Uint8Array }[] = [
  { type: "ecdsa-p256", oid: fromHex("2a8648ce3d030107") },
  { type: "ecdsa-p384", oid: fromHex("2b81040022") },
];

const PRIME_FIELD = fromHex("2a8648ce3d0101");

/** The object identifier of a curve, as keys are written. */
export function curveOid(type: EcdsaKeyType): Uint8Array {
  return NAMED.find((row) => row.type === type)!.oid;
}

/**
 * Which curve the next element names: by its identifier, or by spelling out all of its parameters (RFC 3279, section
 * 2.3.5; OpenSSL's `-param_enc explicit`). Spelled-out parameters count only when every one of them is that of a known
 * curve: with another base point anybody could forge signatures (CVE-2020-0601). Throws {@link KeyError}.
 */
export function readCurve(parameters: DerReader): EcdsaKeyType {
  if (parameters.tag === DER.OID) {
    const oid = parameters.read(DER.OID, "the curve");
    const named = NAMED.find((row) => equal(row.oid, oid));
    if (named) return named.type;
    throw unknownCurve("This key is on a curve that MCUboot does not use.");
  }
  if (parameters.tag !== DER.SEQUENCE) throw unknownCurve("This EC key does not name its curve.");
  const spelled = readDomain(parameters.enter(DER.SEQUENCE, "the curve"));
  const known = NAMED.find(({ type }) => spelled && isDomain(spelled, CURVES[type].domain, type));
  if (known) return known.type;
  throw unknownCurve(
    "This key file contains explicit parameters of a curve that is neither P-256 nor P-384.",
  );
}

interface SpelledDomain extends Omit<CurveDomain, "x" | "y"> {
  readonly base: Uint8Array;
  readonly cofactor: bigint;
}

/** Undefined for a curve over another kind of field. The seed says how the curve was found, not which it is. */
function readDomain(domain: DerReader): SpelledDomain | undefined {
  domain.integer("the version of the curve's parameters");
  const field = domain.enter(DER.SEQUENCE, "the curve's field");
  if (!equal(field.read(DER.OID, "the kind of field"), PRIME_FIELD)) return undefined;
  const p = numberOf(field.integer("the field's prime"));
  const curve = domain.enter(DER.SEQUENCE, "the curve's equation");
  const a = numberOf(curve.read(DER.OCTET_STRING, "the curve's a"));
  const b = numberOf(curve.read(DER.OCTET_STRING, "the curve's b"));
  const base = domain.read(DER.OCTET_STRING, "the base point");
  const n = numberOf(domain.integer("the order"));
  const cofactor = domain.tag === DER.INTEGER ? numberOf(domain.integer("the cofactor")) : 1n;
  return { p, a, b, n, base, cofactor };
}

function isDomain(spelled: SpelledDomain, known: CurveDomain | undefined, type: EcdsaKeyType): boolean {
  if (!known) return false;
  const { p, a, b, n } = known;
  const numbers = spelled.p === p && spelled.a === a && spelled.b === b && spelled.n === n;
  const base = CURVES[type].readPublic(spelled.base);
  if (!numbers || spelled.cofactor !== 1n || !base) return false;
  const half = (base.length - 1) / 2;
  return numberOf(base.subarray(1, 1 + half)) === known.x && numberOf(base.subarray(1 + half)) === known.y;
}

/** No curve has numbers of more than 66 bytes; what is longer is none we know. */
function numberOf(bytes: Uint8Array): bigint {
  if (bytes.length > 80) return -1n;
  return bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
}

function unknownCurve(message: string): KeyError {
  return new KeyError("unsupported-key", message, {
    hint: "MCUboot knows RSA-2048 and RSA-3072, ECDSA P-256 and P-384, Ed25519, and X25519 for encryption.",
  });
}
