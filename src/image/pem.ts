import { fromBase64, toBase64 } from "../bytes.js";

/** One block of a PEM text. */
export interface PemBlock {
  readonly label: string;
  readonly bytes: Uint8Array;
  /** Old OpenSSL encryption, told by headers inside the block; the bytes are then not DER. */
  readonly legacyEncrypted: boolean;
}

const BEGIN = /^-----BEGIN ([A-Z0-9 ]{1,64})-----$/;

/** All blocks of a text, other lines left out. Throws `BytesError` `bad-text` when a block is not base64. */
export function parsePem(text: string): PemBlock[] {
  const lines = text.split("\n").map((line) => line.trim());
  const blocks: PemBlock[] = [];
  for (let index = 0; index < lines.length; index++) {
    const label = BEGIN.exec(lines[index]!)?.[1];
    if (label === undefined) continue;
    const end = lines.indexOf(`-----END ${label}-----`, index);
    if (end < 0) break;
    blocks.push(parseBlock(label, lines.slice(index + 1, end)));
    index = end;
  }
  return blocks;
}

/** A block with lines of 64 characters and a newline at its end, as OpenSSL writes it. */
export function toPemText(label: string, bytes: Uint8Array): string {
  const lines = toBase64(bytes).match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

function parseBlock(label: string, lines: readonly string[]): PemBlock {
  // RFC 1421 headers ("Proc-Type: 4,ENCRYPTED"); base64 has no colon.
  const headers = lines.filter((line) => line.includes(":"));
  const base64 = lines.filter((line) => !line.includes(":")).join("");
  const legacyEncrypted = headers.some((line) => line.includes("ENCRYPTED"));
  return { label, bytes: legacyEncrypted ? new Uint8Array(0) : fromBase64(base64), legacyEncrypted };
}
