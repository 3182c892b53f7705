import { decodeCbor, encodeCbor } from "../smp/cbor.js";
import { AwsError } from "./aws-error.js";
import type { AwsThing } from "./aws-thing.js";
import type { BlockMap } from "./block-map.js";

/** Files by AWS IoT's MQTT streams, in CBOR. One-letter fields as the service documents them. */

/** One answer holds at most 128 KiB. */
const MOST_BYTES = 128 * 1024;
/** Requests that bring nothing, before the stream counts as dead. */
const MOST_FRUITLESS = 8;

export interface StreamOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long a request may bring nothing, milliseconds. Default 10000. */
  readonly quietMs?: number | undefined;
}

/** A block that arrived. */
export interface StreamBlock {
  readonly index: number;
  readonly bytes: Uint8Array;
}

/**
 * Fetches the blocks that `blocks` lacks. Holes are asked for again.
 *
 * @param thing - connected to AWS IoT
 * @param expected - the stream's version, where an earlier run began with one
 * @param blocks - which of them are here; arrived ones are marked
 * @param onBlock - is given each block that was lacking; the next one waits for it
 * @param options - `quietMs` without a block before holes are asked for again, milliseconds; `signal`; `expected`
 *   version
 * @returns the stream's version
 * @throws AwsError `job-rejected` when the stream is another one than the job says, or changes meanwhile
 */
export async function fetchStream(
  thing: AwsThing,
  { name, fileId }: { readonly name: string; readonly fileId: number },
  blocks: BlockMap,
  onBlock: (block: StreamBlock) => Promise<void> | void,
  options: StreamOptions & { readonly expected?: number | undefined; onVersion?(version: number): void } = {},
): Promise<number> {
  const { signal, quietMs = 10_000 } = options;
  const base = `$aws/things/${thing.name}/streams/${name}`;
  const arrived: { topic: string; body: Readonly<Record<string, unknown>> }[] = [];
  let wake: (() => void) | undefined;
  const close = await thing.listen(
    [`${base}/description/cbor`, `${base}/data/cbor`, `${base}/rejected/cbor`],
    (payload, topic) => {
      const body = read(payload);
      if (body) arrived.push({ topic, body });
      wake?.();
    },
  );
  /** The next message; undefined when none comes in time. */
  const next = () => {
    signal?.throwIfAborted();
    if (arrived.length > 0) return Promise.resolve(arrived.shift());
    return new Promise<(typeof arrived)[number] | undefined>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        wake = undefined;
        resolve(arrived.shift());
      };
      const timer = setTimeout(done, quietMs);
      wake = done;
    });
  };
  try {
    const version = await describe();
    if (options.expected !== undefined && options.expected !== version)
      throw changed(name, options.expected, version);
    options.onVersion?.(version);
    const most = Math.max(1, Math.floor(MOST_BYTES / blocks.blockSize));
    for (let fruitless = 0; blocks.missing > 0; ) {
      const { offset, count, bitmap } = blocks.request(most)!;
      const question = {
        c: "bootproof",
        s: version,
        f: fileId,
        l: blocks.blockSize,
        o: offset,
        n: count,
        b: bitmap,
      };
      await thing.publish(`${base}/get/cbor`, encodeCbor(question));
      let gained = 0;
      while (gained < count) {
        const message = await next();
        if (message === undefined) break;
        if (message.topic.endsWith("/rejected/cbor")) throw streamRefused(name, message.body);
        const { f, i, p } = message.body;
        if (!message.topic.endsWith("/data/cbor") || f !== fileId || typeof i !== "number") continue;
        const length = blocks.lengthOf(i);
        if (!(p instanceof Uint8Array) || length === undefined || p.length !== length)
          throw new AwsError(
            "job-rejected",
            `Stream ${name} sends block ${i} with another length than the job's size allows.`,
          );
        if (blocks.has(i)) continue;
        await onBlock({ index: i, bytes: p });
        blocks.add(i);
        gained++;
      }
      fruitless = gained === 0 ? fruitless + 1 : 0;
      if (fruitless === MOST_FRUITLESS)
        throw new AwsError("aws-no-answer", `Stream ${name} delivers nothing, after ${fruitless} times.`, {
          hint: "Does the certificate's policy allow this thing's streams topics?",
        });
    }
    return version;
  } finally {
    close();
  }

  async function describe(): Promise<number> {
    for (let tries = 0; tries < MOST_FRUITLESS; tries++) {
      await thing.publish(`${base}/describe/cbor`, encodeCbor({ c: "bootproof" }));
      const message = await next();
      if (message === undefined) continue;
      if (message.topic.endsWith("/rejected/cbor")) throw streamRefused(name, message.body);
      const { s, r } = message.body;
      if (!message.topic.endsWith("/description/cbor") || typeof s !== "number" || !Array.isArray(r))
        continue;
      const file = r.find((one: unknown) => (one as { f?: unknown } | null)?.f === fileId) as
        | { z?: unknown }
        | undefined;
      if (file?.z !== blocks.size)
        throw new AwsError(
          "job-rejected",
          `Stream ${name} has ${file?.z ?? "no"} bytes of file ${fileId}; the job says ${blocks.size}.`,
        );
      return s;
    }
    throw new AwsError("aws-no-answer", `Stream ${name} does not answer with its description.`, {
      hint: "Does the certificate's policy allow this thing's streams topics?",
    });
  }
}

function read(payload: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value = decodeCbor(payload);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Fields of an error: short names, or the long ones of older services. */
function streamRefused(name: string, { o, code, m, message }: Readonly<Record<string, unknown>>): AwsError {
  const reason = `${o ?? code ?? ""} ${m ?? message ?? ""}`.trim();
  const isFinal = /VersionMismatch|ETagMismatch|ResourceNotFound|Unauthorized/.test(reason);
  return new AwsError(isFinal ? "job-rejected" : "aws-no-answer", `Stream ${name} refuses: ${reason}.`);
}

function changed(name: string, before: number, now: number): AwsError {
  return new AwsError(
    "job-rejected",
    `Stream ${name} changed from version ${before} to ${now} during the download.`,
  );
}
