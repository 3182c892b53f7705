import { basename } from "node:path";
import { fromHex, toHex } from "../../bytes.js";
import { KeyError } from "../../crypto/key-error.js";
import { type Key, parseKey } from "../../crypto/keys.js";
import { BootproofError } from "../../errors.js";
import { parseImage } from "../../mcuboot/image.js";
import { TLV } from "../../mcuboot/tlv.js";
import { parseMetadata } from "../../tuf/metadata.js";
import { UsageError } from "../usage-error.js";

/** What a key can be for; a key has one purpose. */
export const PURPOSES = ["image", "artifact", "metadata", "audit", "attest", "provenance"] as const;
export type Purpose = (typeof PURPOSES)[number];

/** One place that says what a key is used for. */
export interface KeyUse {
  readonly purpose: Purpose;
  /** Hex: the key's hash, or how it begins. */
  readonly hash: string;
  readonly where: string;
}

/** `image=FILE`, as the command line says it. @throws UsageError */
export function readUse(text: string): { purpose: Purpose; file: string } {
  const [name = "", ...rest] = text.split("=");
  const purpose = PURPOSES.find((known) => known === name);
  if (purpose !== undefined && rest.length > 0) return { purpose, file: rest.join("=") };
  throw new UsageError(`--use "${text}": write it as PURPOSE=FILE.`, `Purposes: ${PURPOSES.join(", ")}.`);
}

/** What a file of the folder says about the use of keys; nothing when it is none of the kinds that are known. */
export async function usesIn(file: string, content: Uint8Array): Promise<KeyUse[]> {
  const name = basename(file);
  try {
    if (name === "log.vkey") return [await vkeyUse(file, content)];
    if (/(^|\.)root\.json$/.test(name)) return await rootUses(file, content);
    if (isImage(content)) return imageUses(file, content);
  } catch (error) {
    // Whatever it is, it is not what its name or its first bytes say: nothing about keys can be read out of it.
    if (!(error instanceof BootproofError)) throw error;
  }
  return [];
}

const isImage = (content: Uint8Array): boolean =>
  content.length > 32 && toHex(content.subarray(0, 4)) === "3db8f396";

function imageUses(file: string, content: Uint8Array): KeyUse[] {
  return parseImage(content)
    .tlvs.filter(({ type }) => type === TLV.KEYHASH)
    .map(({ value }) => ({ purpose: "image" as const, hash: toHex(value), where: `signed ${file}` }));
}

async function vkeyUse(file: string, content: Uint8Array): Promise<KeyUse> {
  const base64 = new TextDecoder().decode(content).trim().split("+").at(-1) ?? "";
  const bytes = Buffer.from(base64, "base64");
  return { purpose: "audit", hash: await ed25519Hash(toHex(bytes.subarray(1))), where: file };
}

async function rootUses(file: string, content: Uint8Array): Promise<KeyUse[]> {
  const { signed } = parseMetadata("root", content);
  const uses: KeyUse[] = [];
  for (const [role, { keyids }] of Object.entries(signed.roles))
    for (const id of keyids) {
      const text = signed.keys.get(id)?.public;
      if (text === undefined) continue;
      const hash = text.startsWith("-----") ? hashOf(await parseKey(text)) : await ed25519Hash(text);
      uses.push({ purpose: "metadata", hash, where: `role ${role} of ${file}` });
    }
  return uses;
}

/** SubjectPublicKeyInfo of Ed25519 up to the point: RFC 8410. */
const SPKI_HEAD = "302a300506032b6570032100";

async function ed25519Hash(point: string): Promise<string> {
  if (!/^[0-9a-f]{64}$/.test(point)) throw new KeyError("unsupported-key", "This is not a point on Ed25519.");
  return hashOf(await parseKey(fromHex(SPKI_HEAD + point)));
}

const hashOf = (key: Key): string => toHex(key.keyHash);

/** Uses of one key for more than one purpose. */
export function clashes(uses: readonly KeyUse[]): { hash: string; uses: KeyUse[] }[] {
  const groups: KeyUse[][] = [];
  for (const use of [...uses].sort((a, b) => b.hash.length - a.hash.length)) {
    const group = groups.find(([first]) => first!.hash.startsWith(use.hash));
    if (group) group.push(use);
    else groups.push([use]);
  }
  return groups
    .filter((group) => new Set(group.map(({ purpose }) => purpose)).size > 1)
    .map((group) => ({ hash: group[0]!.hash, uses: group }));
}
