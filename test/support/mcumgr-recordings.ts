import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runImgtool } from "../../src/cli/imgtool/run.js";
import { deviceProblem } from "../../src/cli/mcumgr/device-problem.js";
import { runMcumgr } from "../../src/cli/mcumgr/run.js";
import { decodeCbor, encodeCbor } from "../../src/smp/cbor.js";
import { consoleFraming } from "../../src/smp/framing/console.js";
import { ChunkQueue } from "../../src/transport/chunk-queue.js";
import type { ByteStream } from "../../src/transport/transport.js";

interface RecordedFile {
  size: number;
  sha256: string;
  text?: string;
  hex?: string;
}

/** One run of the original program; `test/vectors/mcumgr-cli/README.md` explains the fields. */
export interface Recording {
  id: string;
  command: string;
  argv: string[];
  server: string;
  note?: string;
  stdin?: string;
  env?: Record<string, string>;
  profile_before?: string;
  profile_after?: string;
  files?: Record<string, RecordedFile>;
  files_after?: Record<string, RecordedFile>;
  stdout_is_terminal?: [columns: number, rows: number];
  controlling_terminal?: boolean;
  wire?: string[];
  wire_packets?: [number, number];
  stdout: string;
  stderr: string;
  status: number;
}

export interface Replayed {
  stdout: string;
  stderr: string;
  status: number;
  /** Requests as hex, the sequence number relative to the first. */
  sent: string[];
  files: Record<string, { size: number; sha256: string }>;
  profile: string | undefined;
}

const file = fileURLToPath(new URL("../vectors/mcumgr-cli/recordings.json", import.meta.url));
export const { recordings } = JSON.parse(readFileSync(file, "utf8")) as { recordings: Recording[] };

const TTY = "/dev/ttyRECORDED";
const PORT = "41337";
const fill = (text: string, home: string) =>
  text.replaceAll("$TTY", TTY).replaceAll("$PORT", PORT).replaceAll("$HOME", home);

const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** The input files whose bytes the recordings describe and do not hold. */
const RULES: Readonly<Record<string, (index: number) => number>> = {
  "k.bin": (index) => 5 * index,
  "junk.bin": (index) => 3 * index + 1,
};

/** The bytes of an input file, checked against its hash; undefined where they are not known. */
function inputBytes(name: string, { text, hex, size, sha256 }: RecordedFile): Uint8Array | undefined {
  const image = images.get(name);
  if (image && digest(image) === sha256) return image;
  const rule = RULES[name] ?? (() => 0x78);
  const bytes =
    text !== undefined
      ? new TextEncoder().encode(text)
      : hex !== undefined
        ? new Uint8Array(Buffer.from(hex, "hex"))
        : Uint8Array.from({ length: size }, (_, index) => rule(index) & 0xff);
  return digest(bytes) === sha256 ? bytes : undefined;
}

/** The images that MCUboot's imgtool made, made again by ours; `inputBytes` looks at their hashes. */
const IMAGES: Readonly<Record<string, { version: string; size: number; byte: (index: number) => number }>> = {
  "small.bin": { version: "1.2.3+4", size: 4096, byte: (index) => 7 * index + 3 },
  "medium.bin": { version: "2.0.0", size: 20_000, byte: (index) => 13 * index + 5 },
};

const folder = mkdtempSync(join(tmpdir(), "mcumgr-images-"));
const images = new Map<string, Uint8Array>();
for (const [name, { version, size, byte }] of Object.entries(IMAGES)) {
  const [body, image] = [join(folder, `${name}.body`), join(folder, name)];
  writeFileSync(
    body,
    Uint8Array.from({ length: size }, (_, index) => byte(index) & 0xff),
  );
  const options = ["-v", version, "-H", "0x200", "--pad-header", "-S", "0x40000", "--align", "4"];
  await runImgtool(["sign", ...options, body, image], { out: () => {}, err: () => {} });
  images.set(name, new Uint8Array(readFileSync(image)));
}
rmSync(folder, { recursive: true });

/** Its input files; undefined when the bytes of one are not known, since the program that made it is not here. */
export function inputsOf({ files = {} }: Recording): Record<string, Uint8Array> | undefined {
  const found = Object.entries(files).map(([name, about]) => [name, inputBytes(name, about)] as const);
  return found.some(([, bytes]) => bytes === undefined)
    ? undefined
    : (Object.fromEntries(found) as Record<string, Uint8Array>);
}

/** Plays a recording's server to our mcumgr, in a folder of its own. Time runs a hundred times as fast. */
export async function replay(recording: Recording, inputs: Record<string, Uint8Array>): Promise<Replayed> {
  const home = mkdtempSync(join(tmpdir(), "mcumgr-home-"));
  const folder = mkdtempSync(join(tmpdir(), "mcumgr-work-"));
  const before = process.cwd();
  const server = new RecordedServer(recording);
  let stdout = "";
  let stderr = "";
  try {
    const profile = join(home, ".mcumgr.cp.json");
    if (recording.profile_before !== undefined) writeFileSync(profile, fill(recording.profile_before, home));
    for (const [name, bytes] of Object.entries(inputs)) writeFileSync(join(folder, name), bytes);
    process.chdir(folder);
    const [columns] = recording.controlling_terminal ? (recording.stdout_is_terminal ?? [0]) : [0];
    const status = await runMcumgr(
      recording.argv.map((word) => fill(word, home)),
      {
        out: (text) => {
          stdout += text;
        },
        err: (text) => {
          stderr += text;
        },
        home: recording.env?.HOME ?? home,
        columns,
        deviceProblem: (path) => (path === TTY ? undefined : deviceProblem(path)),
        openSerial: async (path) => server.pipe(path, "console"),
        openUdp: async (host, port) => server.pipe(`${host}:${port}`, "datagram"),
        after: (ms, then) => {
          const timer = setTimeout(then, ms / 100);
          return () => clearTimeout(timer);
        },
        now: () => performance.now() * 10,
      },
    );
    const unfill = (text: string) =>
      text.replaceAll(home, "$HOME").replaceAll(TTY, "$TTY").replaceAll(PORT, "$PORT");
    return {
      stdout: unfill(stdout),
      stderr: unfill(stderr),
      status,
      sent: server.sent,
      files: filesIn(folder, inputs),
      profile: existsSync(profile) ? unfill(readFileSync(profile, "utf8")) : undefined,
    };
  } finally {
    process.chdir(before);
    for (const each of [home, folder]) rmSync(each, { recursive: true, force: true });
  }
}

/** What is new or changed in the working folder. */
function filesIn(folder: string, inputs: Record<string, Uint8Array>): Replayed["files"] {
  const found = readdirSync(folder).flatMap((name) => {
    const bytes = new Uint8Array(readFileSync(join(folder, name)));
    const sha256 = digest(bytes);
    const isInput = inputs[name] !== undefined && digest(inputs[name]) === sha256;
    return isInput ? [] : [[name, { size: bytes.length, sha256 }] as const];
  });
  return Object.fromEntries(found);
}

const withSeq = (message: Uint8Array, seq: number) => {
  const copy = message.slice();
  copy[6] = seq & 0xff;
  return copy;
};
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

/** Answers requests as the wire of the recording has it; uploads whose middle was left out, with where they should go on. */
class RecordedServer {
  readonly sent: string[] = [];
  readonly #answers = new Map<string, Uint8Array[][]>();
  readonly #isShortened: boolean;
  readonly #chunks = new ChunkQueue();
  #first: number | undefined;

  constructor({ wire = [] }: Recording) {
    this.#isShortened = wire.includes("...");
    let last: Uint8Array[] = [];
    for (const line of wire) {
      if (line === "...") continue;
      const [direction, hex] = line.split(" ") as [string, string];
      if (direction === "<") {
        last.push(new Uint8Array(Buffer.from(hex, "hex")));
        continue;
      }
      last = [];
      const known = this.#answers.get(hex) ?? [];
      known.push(last);
      this.#answers.set(hex, known);
    }
  }

  pipe(name: string, framing: "console" | "datagram"): ByteStream {
    const console = consoleFraming();
    const decoder = console.decoder();
    const reply = (message: Uint8Array) => {
      for (const answer of this.#hear(message))
        this.#chunks.push(framing === "console" ? console.encode(answer) : answer);
    };
    return {
      name,
      chunks: this.#chunks,
      write: async (bytes) => {
        if (framing === "datagram") return reply(bytes);
        for (const received of decoder.push(bytes)) if (received.kind === "message") reply(received.bytes);
      },
      close: async () => this.#chunks.end(),
    };
  }

  #hear(message: Uint8Array): Uint8Array[] {
    const seq = message[6]!;
    this.#first ??= seq;
    const request = toHex(withSeq(message, seq - this.#first));
    this.sent.push(request);
    const answers = this.#answers.get(request)?.shift();
    if (answers) return answers.map((answer) => withSeq(answer, answer[6]! + this.#first!));
    if (!this.#isShortened) return [];
    const { off, data } = decodeCbor(message.subarray(8)) as { off: number; data: Uint8Array };
    const payload = encodeCbor({ rc: 0, off: off + data.length });
    const header = [3, 0, 0, payload.length, message[4]!, message[5]!, seq, message[7]!];
    return [Uint8Array.from([...header, ...payload])];
  }
}
