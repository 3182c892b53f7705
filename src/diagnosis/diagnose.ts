import type { Client, ServerFacts } from "../client/client.js";
import { windowSizes } from "../client/flow-control.js";
import { RequestTimeout } from "../client/request-timeout.js";
import { rawFraming } from "../smp/framing/raw.js";
import { imageErase } from "../smp/groups/image.js";
import { osEcho, osParams } from "../smp/groups/os.js";
import { trustBoot } from "../smp/groups/trust.js";
import { DeviceError } from "../smp/message.js";
import { ShapeError } from "../smp/schema.js";
import { lineMs, uploadRate } from "./link-rate.js";

/** What was measured on a link that works. Times in milliseconds, rates in bytes a second. */
export interface Diagnosis {
  readonly framing: string;
  readonly server: ServerFacts;
  readonly largestMessage: number;
  /** Half of all short questions were answered within this. */
  readonly roundTripMs: number;
  /** The longest message and back; absent where nothing takes one (serial recovery has no echo). */
  readonly longestRoundTripMs?: number;
  /** Messages that had to be repeated. */
  readonly repeated: number;
  /** Messages of many lines get lost unless the lines are paused. */
  readonly losesBursts: boolean;
  /** The longest message was never answered, while short ones were before and after it. */
  readonly losesLongMessages?: true;
  /** SMP travels through the board's shell. */
  readonly overShell: boolean;
  /** Besides the bytes' own time on the line. */
  readonly latencyMs: number;
  readonly baudRate?: number;
  /** What an upload can reach as the link is. */
  readonly uploadRate: number;
  /** What the line itself could carry with this framing and buffer, without latency. */
  readonly ceiling?: number;
  /** Erasing the free slot, when that was asked for. */
  readonly eraseMs?: number;
  /** Why the board would not erase it. */
  readonly eraseRefused?: string;
  /** The change that would help most; absent when none would help much. */
  readonly advice?: Advice;
}

export interface Advice {
  /** Kconfig, devicetree or host setting. */
  readonly setting: string;
  readonly why: string;
  /** The first release that has the setting, where not every supported one has. */
  readonly needs?: string;
  /** Upload rate with it, where that can be reckoned. */
  readonly uploadRate?: number;
}

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
/** A change that brings less is not worth a new firmware. */
const WORTH = 1.1;
/** An erase as long as this makes the first chunk of an upload look like a silent board to many clients. */
const LONG_ERASE_MS = 2000;

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

type Measured = Omit<Diagnosis, "advice">;

/** The one change that would help most: what loses data first, then what makes uploads fastest. */
function advise(client: Client, measured: Measured, version: string | undefined): Advice | undefined {
  const { server, losesBursts, losesLongMessages, overShell, eraseMs } = measured;
  const isRecovery = server.mode === "recovery";
  if (losesLongMessages) {
    return {
      setting:
        "a Zephyr in which the header of each line is read byte by byte (zephyr issue 117129, August 2026)",
      why: `Short messages are answered, one of ${measured.largestMessage} bytes never is, so uploads cannot work. On cores without unaligned access (Cortex-M0, M0+, M23) Zephyr's serial and shell transports fault at messages of several lines; on others look for a buffer or stack that is too small.`,
    };
  }
  if (losesBursts) {
    const lines = Math.ceil((measured.largestMessage + 4) / BYTES_A_LINE);
    const setting = isRecovery
      ? "CONFIG_BOOT_LINE_BUFS"
      : overShell
        ? "CONFIG_MCUMGR_TRANSPORT_SHELL_RX_BUF_COUNT"
        : "CONFIG_UART_MCUMGR_RX_BUF_COUNT";
    return {
      setting: `${setting}=${lines}`,
      why: `The server loses messages of more than two lines, so each line has to be followed by a pause; its longest message has ${lines}.`,
    };
  }
  // Reckoned as a gain, since without a known line only rounds were measured.
  const now = uploadRate(shapeOf(client, measured));
  const best = alternatives(client, measured)
    .map((one) => {
      const gain = uploadRate({ ...shapeOf(client, measured), ...one.change }) / now;
      return { ...one, uploadRate: measured.uploadRate * gain };
    })
    .sort((a, b) => b.uploadRate - a.uploadRate)[0];
  if (best && best.uploadRate > measured.uploadRate * WORTH) {
    const { setting, why, needs, uploadRate: rate } = best;
    const has = version === undefined ? "" : `; this board has ${version}`;
    return { setting, why, ...(needs === undefined ? {} : { needs: needs + has }), uploadRate: rate };
  }
  if (eraseMs !== undefined && eraseMs > LONG_ERASE_MS) {
    return {
      setting: isRecovery ? "CONFIG_BOOT_ERASE_PROGRESSIVELY=y" : "CONFIG_IMG_ERASE_PROGRESSIVELY=y",
      why: "The slot is erased in one go before the first chunk is answered.",
    };
  }
  return undefined;
}

const BYTES_A_LINE = 93;
const LARGE_BUFFER = 2048;
const FAST_BAUD = 1_000_000;
/** What FTDI's adapters hold answers back for, unless told otherwise, and what is left of it then. */
const ADAPTER_LATENCY = { usualMs: 12, leastMs: 2 } as const;

function shapeOf(client: Client, { server, baudRate, latencyMs }: Measured) {
  const window = windowSizes(server, client.framing.name).safe;
  return { framing: client.framing, bufSize: server.bufSize, baudRate, latencyMs, window };
}

/** Options that no release up to 2.4.0 has. */
const AFTER_2_4 = "MCUboot newer than 2.4.0 (its main branch; no release has it yet)";

interface Alternative extends Advice {
  readonly change: Partial<ReturnType<typeof shapeOf>>;
}

function alternatives(client: Client, measured: Measured): Alternative[] {
  const { server, baudRate, latencyMs, overShell } = measured;
  const isRecovery = server.mode === "recovery";
  const { name } = client.framing;
  const rows: (Alternative & { fits: boolean })[] = [
    {
      fits: server.bufSizeFrom === "assumed",
      setting: isRecovery ? "CONFIG_BOOT_MGMT_MCUMGR_PARAMS=y" : "CONFIG_MCUMGR_GRP_OS_MCUMGR_PARAMS=y",
      why: "The server does not say how large its buffers are, so the smallest usual size is assumed.",
      ...(isRecovery ? { needs: AFTER_2_4 } : {}),
      change: { bufSize: isRecovery ? 1024 : server.bufSize, window: isRecovery ? 1 : 3 },
    },
    {
      fits: server.bufSizeFrom === "server" && server.bufSize < LARGE_BUFFER && name !== "datagram",
      setting: isRecovery
        ? `CONFIG_BOOT_SERIAL_MAX_RECEIVE_SIZE=${LARGE_BUFFER}`
        : `CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE=${LARGE_BUFFER}`,
      why: `A buffer of ${server.bufSize} bytes makes many small messages.`,
      change: { bufSize: LARGE_BUFFER },
    },
    {
      fits: !isRecovery && name !== "raw" && server.bufCount !== undefined && server.bufCount < 4,
      setting: "CONFIG_MCUMGR_TRANSPORT_NETBUF_COUNT=4",
      why: "With so few buffers the next request has to wait for the answer to the one before.",
      change: { window: 3 },
    },
    {
      fits: name === "console" && baudRate !== undefined && !overShell,
      setting: isRecovery
        ? "CONFIG_BOOT_SERIAL_RAW_PROTOCOL=y"
        : "CONFIG_MCUMGR_TRANSPORT_RAW_UART=y with CONFIG_UART_MCUMGR_RAW_PROTOCOL=y",
      why: "Console framing sends a third more bytes; raw framing adds none, but it has no checksum either.",
      needs: isRecovery ? AFTER_2_4 : "Zephyr 4.4",
      change: { framing: rawFraming, window: 1 },
    },
    {
      fits: baudRate !== undefined && baudRate < FAST_BAUD,
      setting: `current-speed = <${FAST_BAUD}> at the UART's devicetree node, and ?baud=${FAST_BAUD} here`,
      why: `The line itself is the limit at ${baudRate} baud.`,
      change: { baudRate: FAST_BAUD },
    },
    {
      fits: latencyMs > ADAPTER_LATENCY.usualMs && baudRate !== undefined,
      setting: latencySetting(process.platform),
      why: `Each round takes ${Math.round(latencyMs)} ms more than its bytes need; many adapters hold back answers for 16 ms.`,
      change: { latencyMs: ADAPTER_LATENCY.leastMs },
    },
  ];
  return rows.filter(({ fits }) => fits);
}

/** How the USB adapter is told not to hold answers back, in the words of this machine. */
export function latencySetting(platform: NodeJS.Platform): string {
  switch (platform) {
    case "win32":
      return "latency timer of the USB adapter: 1 ms in the Device Manager (the port's properties, Port Settings, Advanced)";
    case "linux":
      return "latency_timer of the USB adapter: 1 in /sys/bus/usb-serial/devices/ttyUSB*/latency_timer";
    default:
      return "latency timer of the USB adapter: 1 ms in the settings of its driver";
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
