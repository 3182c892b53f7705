import { spawn } from "node:child_process";
import { fromBase64, toBase64, toHex } from "../bytes.js";
import { environmentWithoutSecrets } from "../child-environment.js";
import { type Key, parseKey } from "../crypto/keys.js";
import { type SignatureEncoding, toImageSignature } from "../crypto/signature-encoding.js";
import type { Signer, SigningRequest } from "../crypto/signer.js";
import { schemeInput, schemeOf } from "../crypto/signing-scheme.js";
import { SignerError } from "./signer-error.js";

/** How to reach a signer that is a program of its own. */
export interface CommandSignerOptions {
  readonly program: string;
  readonly args: readonly string[];
  /** The signer's name for the key. */
  readonly keyRef: string;
  /** Whose signature is expected. Without one the signer is asked. */
  readonly publicKey?: Key;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** What the image is, for the signer's log. */
  readonly context?: Readonly<Record<string, unknown>>;
}

const LATE_HINT = "If a person has to approve it, allow more time with --signer-timeout.";

/** Nothing a signer answers is longer; what goes on is not read. */
const MAX_ANSWER = 64 * 1024;

/**
 * A signer that is a program: one JSON line in, one JSON line out, no shell between. What it says on stderr is
 * shown. The signature is not believed here: `finishImage` checks it before it gets into an image.
 *
 * @param options - program and arguments; `keyRef`, its name for the key; `timeoutMs` in milliseconds
 * @returns asks the program for each signature; for its public key too, when none is given
 * @throws {@link SignerError}
 */
export async function commandSigner(options: CommandSignerOptions): Promise<Signer> {
  const publicKey = options.publicKey ?? (await askPublicKey(options));
  return { publicKey, sign: (request) => askSignature(options, request) };
}

async function askPublicKey(options: CommandSignerOptions): Promise<Key> {
  const answer = await ask(options, { v: 1, op: "publicKey", keyRef: options.keyRef });
  const { publicKey: pem } = answer;
  if (typeof pem !== "string") throw badAnswer(options, 'no "publicKey" in PEM');
  return (await parseKey(pem)).publicKey;
}

async function askSignature(options: CommandSignerOptions, request: SigningRequest): Promise<Uint8Array> {
  const { keyType } = request.algorithm;
  const { kind, bytes } = schemeInput(request);
  const answer = await ask(options, {
    v: 1,
    op: "sign",
    scheme: schemeOf(request),
    keyRef: options.keyRef,
    input: kind,
    [kind]: kind === "digest" ? toHex(bytes) : toBase64(bytes),
    ...(options.context && { context: options.context }),
  });
  const { signature, encoding } = answer;
  if (typeof signature !== "string") throw badAnswer(options, 'no "signature" in base64');
  if (encoding !== undefined && !isEncoding(encoding))
    throw badAnswer(options, '"encoding" is neither raw, der nor p1363');
  try {
    return toImageSignature(keyType, fromBase64(signature), encoding);
  } catch {
    throw badAnswer(options, '"signature" is not base64');
  }
}

function isEncoding(value: unknown): value is SignatureEncoding {
  return value === "raw" || value === "der" || value === "p1363";
}

type Answer = Readonly<Record<string, unknown>>;

async function ask(options: CommandSignerOptions, question: object): Promise<Answer> {
  const line = await run(options, `${JSON.stringify(question)}\n`);
  const answer = parseAnswer(line);
  if (!answer) throw badAnswer(options, "not one JSON object on one line");
  if (answer.v !== 1) throw badAnswer(options, '"v" is not 1');
  if (typeof answer.error === "string")
    throw new SignerError(
      "signer-failed",
      `The signer ${options.program} refused: ${answer.error.slice(0, 500)}`,
      { hint: "This is the signer's decision: see its documentation and log." },
    );
  return answer;
}

function parseAnswer(text: string): Answer | undefined {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.length !== 1) return undefined;
  try {
    const value: unknown = JSON.parse(lines[0]!);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Answer)
      : undefined;
  } catch {
    // SyntaxError: the caller says what was expected instead.
    return undefined;
  }
}

/** Runs the program once; its whole stdout. */
function run({ program, args, timeoutMs, signal }: CommandSignerOptions, input: string): Promise<string> {
  signal?.throwIfAborted();
  // Node refuses to start these without a shell, and a shell would read words of the key's name as its own.
  if (process.platform === "win32" && /\.(?:cmd|bat)$/i.test(program))
    throw new SignerError("signer-failed", `${program} is a batch file, which cannot be started by itself.`, {
      hint: "Name the program that it calls, or cmd.exe with /d /c and the file as its arguments.",
    });
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args], {
      shell: false,
      stdio: ["pipe", "pipe", "inherit"],
      env: environmentWithoutSecrets(),
    });
    const end = (error: unknown, answer = "") => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      // What it started itself may hold the pipe open for longer than it lives.
      child.stdout.destroy();
      child.kill("SIGKILL");
      if (error === undefined) resolve(answer);
      else reject(error);
    };
    const onAbort = () => end(signal?.reason);
    const tooLate = `The signer ${program} did not answer within ${timeoutMs / 1000} seconds.`;
    const timer = setTimeout(
      () => end(new SignerError("signer-timeout", tooLate, { hint: LATE_HINT })),
      timeoutMs,
    );
    signal?.addEventListener("abort", onAbort, { once: true });
    const chunks: Buffer[] = [];
    let size = 0;
    child.stdout.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_ANSWER) end(badSize(program));
      else chunks.push(chunk);
    });
    // A signer that ends before it has read the question says why with its status.
    child.stdin.on("error", () => {});
    child.on("error", (cause) => end(notStarted(program, cause)));
    child.on("close", (status, killedBy) => {
      if (status === 0) end(undefined, Buffer.concat(chunks).toString("utf8"));
      else
        end(
          new SignerError(
            "signer-failed",
            `The signer ${program} ended with ${killedBy ?? `status ${status}`}.`,
            { hint: "Its stderr is shown above; run it yourself with the same arguments." },
          ),
        );
    });
    child.stdin.end(input);
  });
}

function badSize(program: string): SignerError {
  return new SignerError("signer-answer", `The signer ${program} answers more than ${MAX_ANSWER} bytes.`, {
    hint: "It has to print one JSON line on stdout; what it logs belongs on stderr.",
  });
}

function notStarted(program: string, cause: Error): SignerError {
  return new SignerError("signer-missing", `The signer ${program} cannot be started: ${cause.message}`, {
    cause,
    hint: "Name a program, not a shell command line; give its arguments with --signer-arg.",
  });
}

function badAnswer({ program }: CommandSignerOptions, what: string): SignerError {
  return new SignerError(
    "signer-answer",
    `The signer ${program} gave an answer that cannot be used: ${what}.`,
    {
      hint: 'Asked to sign, it answers one line: {"v":1,"signature":"<base64>","encoding":"raw|der|p1363"}.',
    },
  );
}
