import { concat, fromHex } from "../bytes.js";
import { sha1 } from "../crypto/hashes.js";

/** The namespace of RFC 9562 for DNS names, under which vendors are named. */
const NAMESPACE_DNS = fromHex("6ba7b8109dad11d180b400c04fd430c8");

/** Vendor id: a UUID with or without dashes, or a name, which becomes a UUID version 5 under DNS. */
export function vendorId(text: string): Uint8Array {
  return rawUuid(text) ?? uuid5(NAMESPACE_DNS, text);
}

/** Class id: as {@link vendorId}, a name under its vendor. undefined: a name, but no vendor. */
export function classId(text: string, vendor: Uint8Array | undefined): Uint8Array | undefined {
  return rawUuid(text) ?? (vendor && uuid5(vendor, text));
}

/** `cfbff0d1-9375-5685-968c-48ce8b15ae17` of 16 bytes. */
export function formatUuid(bytes: Uint8Array): string {
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/**
 * Is this a UUID and not a name?
 *
 * @param text - as an option has it
 * @returns with or without dashes
 */
export function isUuid(text: string): boolean {
  return rawUuid(text) !== undefined;
}

function rawUuid(text: string): Uint8Array | undefined {
  const dashed = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
  return dashed.test(text) || /^[0-9a-f]{32}$/i.test(text) ? fromHex(text.replaceAll("-", "")) : undefined;
}

function uuid5(namespace: Uint8Array, name: string): Uint8Array {
  const uuid = sha1(concat(namespace, new TextEncoder().encode(name))).slice(0, 16);
  uuid[6] = (uuid[6]! & 0x0f) | 0x50;
  uuid[8] = (uuid[8]! & 0x3f) | 0x80;
  return uuid;
}
