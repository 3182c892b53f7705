import type { Client } from "../client/client.js";
import { windowSizes } from "../client/flow-control.js";
import { RequestTimeout } from "../client/request-timeout.js";
import { imageErase } from "../smp/groups/image.js";
import { osEcho, osParams } from "../smp/groups/os-first.js";
import { trustBoot } from "../smp/groups/trust.js";
import { DeviceError } from "../smp/message.js";
import { ShapeError } from "../smp/schema.js";
import { advise } from "./advice.js";
import type { Diagnosis } from "./diagnosis.js";
import { lineMs, uploadRate } from "./link-rate.js";

export interface DiagnoseOptions {
  signal?: AbortSignal | undefined;
  /** Bits a second of the line, where there is one. */
  baudRate?: number | undefined;
  /** A shell's prompt was heard beside the answers. */
  overShell?: boolean | undefined;
  /** Also erase the free slot, to see how long that takes. */
  erase?: boolean | undefined;
}

const SHORT_QUESTIONS = 15;
const LONG_QUESTIONS = 5;
const ERASE_TIMEOUT_MS = 120_000;

/**
 * Measures a link without changing anything on the board, unless an erase is asked for.
 *
 * @param client - connected
 * @param options - `baudRate` of the line in bits per second where known; `overShell` when SMP shares a shell's
 *   console; `signal`
 * @returns times in milliseconds, rates in bytes per second, and findings in words
 * @throws what `Client.send` throws
 *
 * @example
 * ```ts
 * import { connect, diagnose, startBoard } from "bootproof";
 * const board = await startBoard({ machine: "wasm", variant: "good" });
 * const client = await connect(await board.connect());
 * const { roundTripMs } = await diagnose(client);
 * if (!(roundTripMs >= 0)) throw new Error("no round trip was measured");
 * await client.close();
 * await board.close();
 * ```
 */
export async function diagnose(client: Client, options: DiagnoseOptions = {}): Promise<Diagnosis> {
  const { signal, baudRate, overShell = false } = options;
  const { framing, server, largestMessage } = client;
  const repeatedBefore = client.counts.repeated;
  const roundTripMs = await usualMs(SHORT_QUESTIONS, () => anyAnswer(client, signal));
  const shortLineMs =
    lineMs(framing, SHORT_SIZE.question, baudRate) + lineMs(framing, SHORT_SIZE.answer, baudRate);
  const latencyMs = Math.max(0, roundTripMs - shortLineMs);
  const longest = server.mode === "application" ? await longestEcho(client, signal) : undefined;
  const longestRoundTripMs = longest === "lost" ? undefined : longest;
  const erased = options.erase ? await timeErase(client, signal) : {};
  const losesBursts = client.pacing.isSlow;
  const shape = {
    framing,
    // What gets through without pauses counts.
    bufSize: losesBursts ? Math.min(server.bufSize, BUFFER_OF_TWO_LINES) : server.bufSize,
    baudRate,
    latencyMs,
    window: losesBursts ? 1 : windowSizes(server, framing.name).safe,
  };
  const measured = {
    framing: framing.name,
    server,
    largestMessage,
    roundTripMs,
    ...(longestRoundTripMs === undefined ? {} : { longestRoundTripMs }),
    repeated: client.counts.repeated - repeatedBefore,
    losesBursts,
    ...(longest === "lost" ? { losesLongMessages: true as const } : {}),
    overShell,
    latencyMs,
    ...(baudRate === undefined ? {} : { baudRate }),
    uploadRate:
      baudRate === undefined ? rateOfRounds(client, roundTripMs, longestRoundTripMs) : uploadRate(shape),
    ...(baudRate === undefined
      ? {}
      : {
          ceiling: uploadRate({
            ...shape,
            bufSize: server.bufSize,
            latencyMs: 0,
            window: MOST_USEFUL_WINDOW,
          }),
        }),
    ...erased,
  };
  const advice = advise(client, measured, await bootloaderVersion(client, signal));
  return { ...measured, ...(advice && { advice }) };
}

/** Of "os params" and its answer, decoded. */
const SHORT_SIZE = { question: 9, answer: 33 } as const;
const MOST_USEFUL_WINDOW = 8;
/** Two console lines, which every server holds. */
const BUFFER_OF_TWO_LINES = 164;

/**
 * Without a line of a known speed: an upload's round lies between a short question and the longest message and back, which
 * takes that way twice.
 */
function rateOfRounds(client: Client, shortMs: number, longestMs: number | undefined): number {
  const roundMs = longestMs === undefined ? shortMs : (shortMs + longestMs) / 2;
  return (client.largestMessage * 1000) / roundMs;
}

/** The middle of several tries. */
async function usualMs(tries: number, ask: () => Promise<unknown>): Promise<number> {
  const taken: number[] = [];
  for (let count = 0; count < tries; count++) {
    const start = performance.now();
    await ask();
    taken.push(performance.now() - start);
  }
  return taken.sort((a, b) => a - b)[tries >> 1] ?? 0;
}

async function anyAnswer(client: Client, signal: AbortSignal | undefined): Promise<void> {
  try {
    await client.send(osParams, {}, { signal });
  } catch (error) {
    // A server without this command still answers that it has none.
    if (!(error instanceof DeviceError)) throw error;
  }
}

/** Header, map, key, and the head of a text. */
const AROUND_ECHO = 14;

/** `lost`: the longest message is never answered, and the board answers short ones all the same. */
async function longestEcho(client: Client, signal: AbortSignal | undefined): Promise<number | "lost"> {
  // The answer is a byte longer than the question, and has to fit as well.
  const d = "x".repeat(Math.max(0, client.largestMessage - AROUND_ECHO - 1));
  try {
    return await usualMs(LONG_QUESTIONS, () => client.send(osEcho, { d }, { signal }));
  } catch (error) {
    if (!(error instanceof RequestTimeout)) throw error;
    await untilItAnswers(client, signal);
    return "lost";
  }
}

/** A board that faults at a long message restarts first. */
const RESTART_TRIES = 5;

async function untilItAnswers(client: Client, signal: AbortSignal | undefined): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await anyAnswer(client, signal);
    } catch (error) {
      if (!(error instanceof RequestTimeout) || tries === RESTART_TRIES) throw error;
    }
  }
}

/** Serial recovery cannot erase, and a slot in use is not erased: the rest of the diagnosis holds all the same. */
async function timeErase(
  client: Client,
  signal: AbortSignal | undefined,
): Promise<Pick<Diagnosis, "eraseMs" | "eraseRefused">> {
  const start = performance.now();
  try {
    await client.send(imageErase, {}, { signal, timeoutMs: ERASE_TIMEOUT_MS, retries: 0 });
  } catch (error) {
    if (error instanceof DeviceError) return { eraseRefused: error.message };
    throw error;
  }
  return { eraseMs: performance.now() - start };
}

/** Serial recovery seldom says which MCUboot it is part of; where it has the trust group, that may. */
async function bootloaderVersion(
  client: Client,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  if (client.server.mode !== "recovery") return undefined;
  try {
    return (await client.send(trustBoot, {}, { signal })).version;
  } catch (error) {
    if (error instanceof DeviceError || error instanceof ShapeError) return undefined;
    throw error;
  }
}

/** Zephyr's shell: `uart:~$`. */
const PROMPT = /\b[\w.-]+:~\$/;

/** True for a line that a shell has put its prompt into. */
export const hasPrompt = (line: string): boolean => PROMPT.test(line);

/** Baud rates that boards use, the likeliest first. */
export const USUAL_BAUD_RATES = [
  115200, 1_000_000, 921600, 460800, 230400, 57600, 38400, 19200, 9600,
] as const;
