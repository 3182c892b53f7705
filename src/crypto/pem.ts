import { fromBase64, fromHex, toBase64 } from "../bytes.js";

/** One block of a PEM text. */
export interface PemBlock {
  readonly label: string;
  readonly bytes: Uint8Array;
  /** Present: OpenSSL's old encryption, told by headers inside the block; `bytes` is then ciphertext. */
  readonly encryption?: { readonly cipher: string; readonly iv: Uint8Array };
}

const BEGIN = /-----BEGIN ([A-Z0-9 ]{1,64})-----/g;

/** RFC 1421 headers as OpenSSL writes them, in front of the base64. A block cipher's IV has 8 or 16 bytes. */
const ENCRYPTED =
  /Proc-Type:\s*4,\s*ENCRYPTED\s+DEK-Info:\s*([A-Z0-9-]{1,32}),\s*((?:[0-9A-Fa-f]{16}){1,2})(?![0-9A-Fa-f])/;

/**
 * All blocks of a text, in order; everything around them is left out. What surrounds and divides the base64 does not
 * matter: a block may stand on one line, with blanks or a written-out `\n` where its lines ended, in quotes, and
 * without padding, as Python's cryptography reads it too. Throws `BytesError` `bad-text` when a block is not base64.
 */
export function parsePem(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  let behind = 0;
  for (const begin of text.matchAll(BEGIN)) {
    if (begin.index < behind) continue;
    const label = begin[1]!;
    const from = begin.index + begin[0].length;
    const mark = `-----END ${label}-----`;
    const end = text.indexOf(mark, from);
    if (end < 0) continue;
    blocks.push(parseBlock(label, text.slice(from, end)));
    behind = end + mark.length;
  }
  return blocks;
}

/** A block with lines of 64 characters and a newline at its end, as OpenSSL writes it. */
export function toPemText(label: string, bytes: Uint8Array): string {
  const lines = toBase64(bytes).match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

function parseBlock(label: string, inside: string): PemBlock {
  const lines = inside.replace(/\\r|\\n/g, "\n");
  const encrypted = ENCRYPTED.exec(lines);
  const rest = encrypted ? lines.slice(encrypted.index + encrypted[0].length) : lines;
  // Other headers; base64 has no colon.
  const base64 = rest
    .split(/[\r\n]+/)
    .filter((line) => !line.includes(":"))
    .join("")
    .replace(/\s/g, "");
  const bytes = fromBase64(padded(base64));
  if (!encrypted) return { label, bytes };
  return { label, bytes, encryption: { cipher: encrypted[1]!, iv: fromHex(encrypted[2]!) } };
}

/** base64 whose padding somebody cut off. */
function padded(base64: string): string {
  return base64.endsWith("=") || base64.length % 4 < 2
    ? base64
    : base64.padEnd(Math.ceil(base64.length / 4) * 4, "=");
}
