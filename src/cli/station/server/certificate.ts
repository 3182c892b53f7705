import { generateKeyPairSync, randomBytes, sign, X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { DER, der, derBits, derInteger } from "../../../crypto/der.js";

export interface Tls {
  readonly key: string;
  readonly cert: string;
  /** SHA-256 of the certificate, as browsers show it. */
  readonly fingerprint: string;
}

const YEARS = 2;
/** A certificate that ends sooner is made anew. */
const RENEW_MS = 30 * 24 * 3600 * 1000;

/** The station's own certificate for these names, kept in its folder; made when there is none that fits. */
export function ownCertificate(stationFolder: string, names: readonly string[]): Tls {
  const folder = join(stationFolder, "tls");
  const [keyFile, certFile] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  if (existsSync(keyFile) && existsSync(certFile)) {
    const kept = { key: readFileSync(keyFile, "utf8"), cert: readFileSync(certFile, "utf8") };
    if (fits(kept.cert, names)) return { ...kept, fingerprint: fingerprintOf(kept.cert) };
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const made = makeCertificate(names, new Date());
  writeFileSync(keyFile, made.key, { mode: 0o600 });
  writeFileSync(certFile, made.cert, { mode: 0o644 });
  return { ...made, fingerprint: fingerprintOf(made.cert) };
}

export function fingerprintOf(pem: string): string {
  return new X509Certificate(pem).fingerprint256;
}

function fits(pem: string, names: readonly string[]): boolean {
  try {
    const certificate = new X509Certificate(pem);
    const isLong = Date.parse(certificate.validTo) - Date.now() > RENEW_MS;
    return (
      isLong && names.every((name) => (isIP(name) ? certificate.checkIP(name) : certificate.checkHost(name)))
    );
  } catch {
    // Damaged: another is made.
    return false;
  }
}

/** A self-signed certificate (RFC 5280) of a fresh P-256 key. */
export function makeCertificate(names: readonly string[], now: Date): Omit<Tls, "fingerprint"> {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
  const ecdsaWithSha256 = der(DER.SEQUENCE, oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02));
  const name = der(
    DER.SEQUENCE,
    der(SET, der(DER.SEQUENCE, oid(0x55, 0x04, 0x03), utf8("bootproof station"))),
  );
  const until = new Date(now);
  until.setUTCFullYear(now.getUTCFullYear() + YEARS);
  // An hour earlier: clocks on a bench differ.
  const validity = der(DER.SEQUENCE, time(new Date(now.getTime() - 3_600_000)), time(until));
  const alternatives = der(DER.SEQUENCE, ...names.map(alternativeName));
  const extension = (id: Uint8Array, value: Uint8Array) =>
    der(DER.SEQUENCE, id, der(DER.OCTET_STRING, value));
  const extensions = der(
    EXPLICIT_3,
    der(
      DER.SEQUENCE,
      extension(oid(0x55, 0x1d, 0x11), alternatives),
      extension(
        oid(0x55, 0x1d, 0x25),
        der(DER.SEQUENCE, oid(0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01)),
      ),
    ),
  );
  const body = der(
    DER.SEQUENCE,
    der(DER.CONTEXT_0, derInteger(Uint8Array.of(2))),
    derInteger(randomBytes(16)),
    ecdsaWithSha256,
    name,
    validity,
    name,
    spki,
    extensions,
  );
  const signature = new Uint8Array(sign("sha256", body, privateKey));
  const certificate = der(DER.SEQUENCE, body, ecdsaWithSha256, derBits(signature));
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    cert: pem(certificate),
  };
}

const SET = 0x31;
const EXPLICIT_3 = 0xa3;
const UTF8_STRING = 0x0c;
const GENERALIZED_TIME = 0x18;
const UTC_TIME = 0x17;
const DNS_NAME = 0x82;
const IP_ADDRESS = 0x87;

const oid = (...bytes: number[]) => der(DER.OID, Uint8Array.from(bytes));
const utf8 = (text: string) => der(UTF8_STRING, new TextEncoder().encode(text));

/** Until 2049 in two digits of the year, as RFC 5280 wants it. */
function time(at: Date): Uint8Array {
  const digits = at.toISOString().replace(/[-:T]|\.\d+/g, "");
  const isNear = at.getUTCFullYear() < 2050;
  return der(
    isNear ? UTC_TIME : GENERALIZED_TIME,
    new TextEncoder().encode(isNear ? digits.slice(2) : digits),
  );
}

function alternativeName(name: string): Uint8Array {
  const kind = isIP(name);
  if (kind === 0) return der(DNS_NAME, new TextEncoder().encode(name));
  return der(IP_ADDRESS, kind === 4 ? Uint8Array.from(name.split("."), Number) : ipv6(name));
}

function ipv6(text: string): Uint8Array {
  const [head = "", tail] = text.split("::");
  const words = (part: string) => (part === "" ? [] : part.split(":"));
  const [before, after] = [words(head), words(tail ?? "")];
  const zeros = tail === undefined ? [] : new Array<string>(8 - before.length - after.length).fill("0");
  return Uint8Array.from(
    [...before, ...zeros, ...after].flatMap((word) => {
      const value = Number.parseInt(word, 16);
      return [value >> 8, value & 0xff];
    }),
  );
}

function pem(bytes: Uint8Array): string {
  const lines = Buffer.from(bytes)
    .toString("base64")
    .match(/.{1,64}/g)!;
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
