import { fromHex, toHex } from "../../src/bytes.js";
import { generateKey, parseKey, toPem } from "../../src/crypto/keys.js";
import { ImageError } from "../../src/mcuboot/header.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { signImage } from "../../src/mcuboot/sign.js";
import { verifyImage } from "../../src/mcuboot/verify.js";
import { formatVersion } from "../../src/mcuboot/version.js";
import { consoleFraming } from "../../src/smp/framing/console.js";
import { osEcho } from "../../src/smp/groups/os.js";
import { decodeResponse, encodeRequest } from "../../src/smp/message.js";

/** What a page is given to work on. */
export interface BrowserInput {
  /** Private keys, PEM, by their type. */
  readonly keys: Readonly<Record<string, string>>;
  /** An image of imgtool's, hex. */
  readonly theirs: string;
  /** What is signed, hex. */
  readonly body: string;
  /** The console line of a server's answer to echo. */
  readonly answer: string;
}

/** What came of it; plain JSON, so that a page can send it back. */
export interface BrowserOutcome {
  /** Names that only Node has and that are there all the same. */
  readonly nodeNames: readonly string[];
  /** For each key: the verdict on our own image, on the same with a changed byte, and on the image for another key. */
  readonly verdicts: Readonly<Record<string, readonly string[]>>;
  readonly encrypted: string;
  readonly theirs: { version: string; hash: string };
  /** The code of the error for an image cut short. */
  readonly broken: string;
  /** A request to echo on the console, and what the answer says. */
  readonly asked: string;
  readonly answered: unknown;
  /** An Ed25519 image, hex: deterministic, so every machine makes the same. */
  readonly image: string;
}

const plain = { version: "1.2.3", headerSize: 32, padHeader: true, slotSize: 0, securityCounter: 4 };

/** Uses the pure rooms as a page would. */
export async function scenario({
  keys,
  theirs,
  body: bodyHex,
  answer,
}: BrowserInput): Promise<BrowserOutcome> {
  const body = fromHex(bodyHex);
  const verdicts: Record<string, string[]> = {};
  const stranger = await generateKey("ed25519");
  let image = "";
  for (const [type, pem] of Object.entries(keys)) {
    const key = await parseKey(pem);
    const trusted = await parseKey(await toPem(key.publicKey, "public"));
    const { bytes } = await signImage(body, { ...plain, key });
    if (type === "ed25519") image = toHex(bytes);
    const good = await verifyImage(bytes, { keys: [trusted] });
    const other = await verifyImage(bytes, { keys: [stranger.publicKey] });
    bytes[100]! ^= 1;
    const changed = await verifyImage(bytes, { keys: [trusted] });
    verdicts[type] = [good.result, changed.result, other.result];
  }
  const read = parseImage(fromHex(theirs));
  return {
    nodeNames: ["process", "Buffer", "require", "global", "setImmediate"].filter(
      (name) => name in globalThis,
    ),
    verdicts,
    encrypted: await encrypted(body),
    theirs: { version: formatVersion(read.version), hash: toHex(read.imageHash!.value) },
    broken: codeOf(() => parseImage(fromHex(theirs).subarray(0, 20))),
    asked: asked(),
    answered: answered(answer),
    image,
  };
}

async function encrypted(body: Uint8Array): Promise<string> {
  const [key, receiver] = [await generateKey("ed25519"), await generateKey("x25519")];
  const { bytes } = await signImage(body, { ...plain, key, encrypt: { key: receiver } });
  return (await verifyImage(bytes, { keys: [key], decryptionKey: receiver })).result;
}

function codeOf(work: () => unknown): string {
  try {
    work();
    return "no error";
  } catch (error) {
    return error instanceof ImageError ? error.code : String(error);
  }
}

function asked(): string {
  const message = encodeRequest(osEcho, { d: "hello" }, { seq: 0x42, version: 2 });
  return new TextDecoder().decode(consoleFraming().encode(message));
}

function answered(line: string): unknown {
  const [received] = consoleFraming().decoder().push(new TextEncoder().encode(line));
  return received?.kind === "message" ? decodeResponse(osEcho, received.bytes) : received;
}
