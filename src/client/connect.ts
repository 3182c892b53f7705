import { setTimeout as delay } from "node:timers/promises";
import { CborError } from "../smp/cbor.js";
import { consoleFraming } from "../smp/framing/console.js";
import type { Framing, FramingName } from "../smp/framing/framing.js";
import { rawFraming } from "../smp/framing/raw.js";
import { osConsoleEcho, osParams } from "../smp/groups/os-first.js";
import type { SmpVersion } from "../smp/header.js";
import { DeviceError } from "../smp/message.js";
import { ShapeError } from "../smp/schema.js";
import type { ByteStream } from "../transport/transport.js";
import { Client, type ClientOptions, RequestTimeout, type SendOptions, type ServerFacts } from "./client.js";
import { RAW_FORGETS_MS } from "./flow-control.js";

export interface ConnectOptions extends ClientOptions {
  signal?: AbortSignal | undefined;
  /** How long each first question waits. Default 1000; a board that is just starting needs several. */
  probeTimeoutMs?: number | undefined;
  /** How often the first question is asked before giving up. Default 5; a board that was heard starting gets three times that. */
  probes?: number | undefined;
  /**
   * How long to listen before the first byte is said. Default 20. An emulator that was switched on a moment ago needs more
   * until it says its first word.
   */
  noticeMs?: number | undefined;
}

/**
 * Buffers of servers that do not tell: Zephyr's default, and the lesser of the two defaults of MCUboot's serial recovery
 * (512 without Zephyr, 1024 with it).
 */
const ASSUMED_BUF_SIZE: Readonly<Record<ServerFacts["mode"], number>> = {
  application: 384,
  recovery: 512,
  unknown: 384,
};
/** Smaller buffers cannot take any useful request: such a figure is a mistake. The most is what a header can announce. */
const BUF_SIZE_LIMITS = { min: 64, max: 0xffff } as const;

/**
 * Finds out who is at the other end of `stream`: SMP version, buffers, application or serial recovery.
 *
 * @param stream - the client's from here on; closed when this fails
 * @param options - `signal` aborts with its own reason; times in milliseconds
 * @returns ready to be asked; close it when done
 * @throws RequestTimeout when nobody answers, saying what was heard instead; TransportError when the pipe is gone
 *
 * @example
 * ```ts
 * import { connect, startBoard } from "bootproof";
 * import { osEcho } from "bootproof/smp";
 * const board = await startBoard({ machine: "wasm", variant: "good" });
 * const client = await connect(await board.connect());
 * const { r } = await client.send(osEcho, { d: "hello" });
 * if (r !== "hello") throw new Error(r);
 * await client.close();
 * await board.close();
 * ```
 */
export async function connect(stream: ByteStream, options: ConnectOptions = {}): Promise<Client> {
  const framings = options.framing ? undefined : inOrder(options.memory?.framing);
  const client = new Client(stream, { ...options, framings });
  try {
    client.server = await findServer(client, options);
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
}

/**
 * Finds out anew who answers on an open pipe: after a restart it may be serial recovery, with other buffers. Throws as
 * {@link connect}, and leaves the pipe open.
 *
 * @param client - connected; its `server` is replaced
 * @param options - times in milliseconds; `signal` aborts with its own reason
 */
export async function identify(client: Client, options: ConnectOptions = {}): Promise<void> {
  client.server = await findServer(client, options);
}

/**
 * Console first: most servers speak it, and a raw server drops our console question without a trace (see `Link`), while
 * a raw question leaves half a line in a console server.
 */
function inOrder(likely: FramingName | undefined): readonly [Framing, ...Framing[]] {
  const [console, raw] = [consoleFraming(), rawFraming];
  return likely === "raw" ? [raw, console] : [console, raw];
}

async function findServer(client: Client, options: ConnectOptions): Promise<ServerFacts> {
  const { signal, probeTimeoutMs: timeoutMs = 1000, probes = 5 } = options;
  await letBoot(client, { signal, noticeMs: options.noticeMs });
  const asking = { signal, timeoutMs };
  const everyFraming = !client.isFramingKnown;
  // While the framing is open every question does this itself.
  if (!everyFraming && client.framing.name === "console") await client.link.endLine(signal);
  const first = { ...asking, versions: [2, 1], retries: probes - 1, everyFraming } as const;
  let buffers = await askBuffers(client, first)
    .catch((error: unknown) => askStarting(client, first, error))
    .catch((error: unknown) => askAfterSilence(client, asking, error));
  // A lost first request must not look like an old server, so version 1 has to stand up to a second question.
  const doubtful = client.answeredIn === 1;
  if (doubtful) buffers = (await answeredAgain(client, asking)) ?? buffers;
  const version: SmpVersion = client.answeredIn ?? 2;
  const mode = await findMode(client, buffers.bufCount, { ...asking, versions: [version] });
  return {
    version,
    mode,
    ...buffers,
    bufSize: buffers.bufSize ?? ASSUMED_BUF_SIZE[mode],
    bufSizeFrom: buffers.bufSize === undefined ? "assumed" : "server",
  };
}

/**
 * A board that talks at once is left to finish, in bounds. One whose words are those of a start rests longer between them:
 * while an image is checked, and on an emulator that shares its machine.
 */
const BOOT = { noticeMs: 20, quietMs: 100, startingQuietMs: 600, atMostMs: 2000 } as const;
/** Tries for a board that was heard starting, in multiples of the usual. A swap takes its time. */
const PATIENCE = 3;

/**
 * Listens, without saying a byte, until a board that boots has finished its log. Bytes that reach a UART while its driver
 * sets it up are lost, and on some targets they wedge it until the next reset: an emulated nRF51 that is asked for a sign
 * of life during its boot never answers again. After a reset command give `noticeMs` the time until the restart is over
 * on boards that log elsewhere: Zephyr waits 250 ms before it restarts (`CONFIG_MCUMGR_GRP_OS_RESET_MS`).
 */
export async function letBoot(
  client: Client,
  options: { signal?: AbortSignal | undefined; noticeMs?: number | undefined } = {},
): Promise<void> {
  const { signal, noticeMs = BOOT.noticeMs } = options;
  signal?.throwIfAborted();
  await delay(noticeMs, undefined, { signal }).catch(() => signal?.throwIfAborted());
  await client.link.quiet({ quietMs: BOOT.quietMs, atMostMs: BOOT.atMostMs, signal });
  if (client.link.isBooting)
    await client.link.quiet({ quietMs: BOOT.startingQuietMs, atMostMs: BOOT.atMostMs, signal });
}

/** The first question again, for a board that only said that it starts. */
async function askStarting(client: Client, options: SendOptions, silence: unknown): Promise<Buffers> {
  if (!(silence instanceof RequestTimeout && silence.received === "boot")) throw silence;
  const probes = 1 + (options.retries ?? 0);
  await letBoot(client, { signal: options.signal });
  return askBuffers(client, { ...options, retries: (PATIENCE - 1) * probes - 1 });
}

/**
 * The first question again, for a raw server that waits for the rest of a message which noise has begun: every byte that
 * reaches it before the silence is over counts as that rest. Throws the first silence when there is no answer now either.
 */
async function askAfterSilence(client: Client, options: SendOptions, silence: unknown): Promise<Buffers> {
  const raw = client.link.framings.find(({ name }) => name === "raw");
  if (!(silence instanceof RequestTimeout) || raw === undefined) throw silence;
  const isNoise = silence.received === "noise" || silence.received === "damaged";
  const mayBeWaiting = silence.received === "nothing" && (client.isFramingKnown || client.link.hasHeardBytes);
  if (!isNoise && !mayBeWaiting) throw silence;
  const { signal } = options;
  await delay(RAW_FORGETS_MS, undefined, { signal }).catch(() => signal?.throwIfAborted());
  try {
    return await askBuffers(client, { ...options, framing: raw, retries: 0 });
  } catch (error) {
    throw error instanceof RequestTimeout ? silence : error;
  }
}

interface Buffers {
  bufSize?: number;
  bufCount?: number;
}

/** Any answer will do to know that somebody is there; servers without this command answer ENOTSUP. */
async function askBuffers(client: Client, options: SendOptions): Promise<Buffers> {
  try {
    const { buf_size, buf_count } = await client.send(osParams, {}, options);
    if (buf_size < BUF_SIZE_LIMITS.min) return {};
    return { bufSize: Math.min(buf_size, BUF_SIZE_LIMITS.max), bufCount: buf_count };
  } catch (error) {
    if (error instanceof DeviceError || error instanceof ShapeError || error instanceof CborError) return {};
    throw error;
  }
}

/** What the server says to version 2; undefined when it keeps silent to that, as bootloaders before MCUboot 2.0 do. */
async function answeredAgain(client: Client, options: SendOptions): Promise<Buffers | undefined> {
  try {
    return await askBuffers(client, { ...options, versions: [2], retries: 1 });
  } catch (error) {
    if (error instanceof RequestTimeout) return undefined;
    throw error;
  }
}

/**
 * Application or serial recovery? The console-echo command tells: MCUboot accepts and ignores it, no Zephyr application
 * has it. A server that keeps silent to it is judged by its buffers: recovery has one.
 */
async function findMode(
  client: Client,
  bufCount: number | undefined,
  options: SendOptions,
): Promise<ServerFacts["mode"]> {
  try {
    await client.send(osConsoleEcho, { echo: 0 }, { ...options, retries: 1 });
    return "recovery";
  } catch (error) {
    if (error instanceof DeviceError && error.rcName === "ENOTSUP") return "application";
    if (!(error instanceof DeviceError || error instanceof RequestTimeout)) throw error;
    if (bufCount === undefined) return "unknown";
    return bufCount === 1 ? "recovery" : "application";
  }
}
