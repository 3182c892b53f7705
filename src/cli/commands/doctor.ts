import type { Command } from "commander";
import { devicesHere, openable } from "../../boards/choose-device.js";
import type { Client } from "../../client/client.js";
import { connect } from "../../client/connect.js";
import { RequestTimeout } from "../../client/request-timeout.js";
import { diagnose, hasPrompt, USUAL_BAUD_RATES } from "../../diagnosis/diagnose.js";
import type { Diagnosis } from "../../diagnosis/diagnosis.js";
import { BootproofError } from "../../errors.js";
import { readFacts } from "../../session/board-facts.js";
import type { BoardFacts } from "../../session/facts.js";
import { type BoardAddress, formatAddress, isPipe, type WireAddress } from "../../transport/address.js";
import { describePort, listSerialPorts, type SerialPortInfo } from "../../transport/list.js";
import { openStream } from "../../transport/open-stream.js";
import { TransportError } from "../../transport/transport.js";
import { type BoardOptions, boardOptions } from "../board-options.js";
import { type Context, chooseDevice, inContext } from "../context.js";
import { writeReport } from "../doctor-report.js";
import { errorJson } from "../error-json.js";
import { statusFor } from "../exit.js";
import { EMULATOR_START_MS, startEmulated } from "../open-board.js";
import { printable, type Tone, tone } from "../output.js";

interface DoctorOptions extends BoardOptions {
  erase?: boolean;
  report?: string;
}

/** One thing that was looked at. */
interface Finding {
  readonly about: string;
  readonly verdict: "good" | "warn" | "bad";
  readonly message: string;
  readonly hint?: string;
}

export function define(command: Command): void {
  boardOptions(command)
    .option("--erase", "also erase the free slot, to measure how long that takes")
    .option(
      "--report <file>",
      "write all findings to a file that you can send to others; it contains no secrets",
    )
    .addHelpText("after", "\nWithout --erase nothing on the board is changed.")
    .action((options: DoctorOptions) => inContext(options, (context) => examine(options, context)));
}

/** How long each question waits while it is tried whether anybody is there. */
const PROBE = { probeTimeoutMs: 600, probes: 3 } as const;
const QUICK_PROBE = { probeTimeoutMs: 400, probes: 1 } as const;

async function examine(options: DoctorOptions, context: Context): Promise<void> {
  const { out, signal } = context;
  const findings: Finding[] = [];
  const add = (finding: Finding) => {
    findings.push(finding);
    if (!out.json) out.note(draw(finding));
  };
  const address = await chooseDevice(options.device, context);
  const where = isPipe(address) ? await openable(address, context.config, signal) : address;
  const reached = await reachBoard(where, { add, signal });
  let diagnosis: Diagnosis | undefined;
  let board: BoardFacts | undefined;
  try {
    if (reached.client) {
      diagnosis = await diagnose(reached.client, {
        signal,
        erase: options.erase,
        baudRate: reached.baudRate,
        overShell: reached.overShell,
      });
      for (const finding of findingsOf(diagnosis)) add(finding);
      if (options.report !== undefined) board = await readFacts({ client: reached.client }, { signal });
    }
  } finally {
    await reached.close();
  }
  const result = { address: formatAddress(address), findings, ...(diagnosis && { diagnosis }) };
  if (options.report !== undefined) {
    const devices = await devicesHere(context.config, signal);
    const error = reached.error ? errorJson(reached.error).error : undefined;
    writeReport(options.report, { ...result, ...(error && { error }), ...(board && { board }), devices });
    out.note(`Report: ${options.report} (no keys, passphrases or tokens; serial numbers are in it)`);
  }
  out.result(result, summary(diagnosis, findings));
  if (reached.error) process.exitCode = statusFor(reached.error);
}

interface Reached {
  client?: Client;
  baudRate?: number | undefined;
  overShell?: boolean;
  /** Why there is no client. */
  error?: unknown;
  close(): Promise<void>;
}

interface Examination {
  add(finding: Finding): void;
  signal: AbortSignal;
}

async function reachBoard(address: WireAddress | BoardAddress, examination: Examination): Promise<Reached> {
  const { add, signal } = examination;
  if (isPipe(address)) return reachPipe(address, examination);
  const board = await startEmulated(address.kind, address.variant, address.flash);
  try {
    const client = await connect(await board.connect(), { signal });
    add({ about: "answer", verdict: "good", message: serverSeen(client) });
    return {
      client,
      close: async () => {
        await client.close();
        await board.close();
      },
    };
  } catch (error) {
    await board.close();
    throw error;
  }
}

async function reachPipe(address: WireAddress, examination: Examination): Promise<Reached> {
  const { add, signal } = examination;
  const closed = { close: async () => {} };
  const port = await lookAtPort(address, examination);
  try {
    const stream = await openStream(address, { signal });
    const { baudRate } = stream;
    add({ about: "open", verdict: "good", message: `${stream.name} can be opened.` });
    let overShell = false;
    const onText = (line: string) => {
      overShell ||= hasPrompt(line);
    };
    const noticeMs = address.kind === "tcp" ? EMULATOR_START_MS : undefined;
    const client = await connect(stream, { ...PROBE, noticeMs, onText, signal });
    add({ about: "answer", verdict: "good", message: serverSeen(client, overShell) });
    return {
      client,
      overShell,
      baudRate: hasLine(address, port) ? baudRate : undefined,
      close: () => client.close(),
    };
  } catch (error) {
    if (!(error instanceof BootproofError)) throw error;
    const hint = error.hint === undefined ? {} : { hint: error.hint };
    const about = error.code === "timeout" ? "answer" : "open";
    // What is wrong with the port may have been said already.
    if (error.message !== port?.problem?.message)
      add({ about, verdict: "bad", message: error.message, ...hint });
    if (error instanceof RequestTimeout && !READABLE.includes(error.received))
      await tryBaudRates(address, examination);
    return { ...closed, error };
  }
}

/** A board's own USB port has no line behind it, nor has an emulator's pseudo-terminal, whatever the baud rate says. */
const hasLine = (address: WireAddress, port: SerialPortInfo | undefined) =>
  !/ttyACM|usbmodem|^\/dev\/pts\//.test(port?.path ?? ("path" in address ? address.path : ""));

async function lookAtPort(
  address: WireAddress,
  { add, signal }: Examination,
): Promise<SerialPortInfo | undefined> {
  if (address.kind !== "serial") return undefined;
  const ports = await listSerialPorts({ signal }).catch((error: unknown) => {
    // Opening the port says the same, as a finding.
    if (error instanceof TransportError && error.code === "no-driver") return [];
    throw error;
  });
  const port = ports.find((one) => [one.path, one.byId].includes(address.path));
  if (!port) return undefined;
  const { problem } = port;
  add({
    about: "port",
    verdict: problem ? "bad" : "good",
    message: problem
      ? problem.message
      : `${port.path} is ${describePort(port)}; no other program has it open.`,
    ...(problem && { hint: problem.hint }),
  });
  return port;
}

/** What can only be heard at the right speed. */
const READABLE: readonly RequestTimeout["received"][] = ["text", "boot", "echo", "other-answers"];

/** A board that is heard but not understood, or not heard at all, may speak at another speed. */
async function tryBaudRates(address: WireAddress, { add, signal }: Examination): Promise<void> {
  if (address.kind !== "serial" && address.kind !== "rfc2217") return;
  const others = USUAL_BAUD_RATES.filter((rate) => rate !== address.baudRate);
  for (const baudRate of others) {
    const other = { ...address, baudRate };
    try {
      const client = await connect(await openStream(other, { signal }), { ...QUICK_PROBE, signal });
      await client.close();
      add({
        about: "baud",
        verdict: "warn",
        message: `It answers at ${baudRate} baud.`,
        hint: `Use -d ${formatAddress(other)}`,
      });
      return;
    } catch (error) {
      if (!(error instanceof BootproofError)) throw error;
    }
  }
  add({
    about: "baud",
    verdict: "bad",
    message: `It answers at none of ${[address.baudRate, ...others].join(", ")} baud.`,
  });
}

function serverSeen({ framing, server }: Client, overShell = false): string {
  const count = server.bufCount === undefined ? "" : ` x ${server.bufCount}`;
  const from = server.bufSizeFrom === "assumed" ? " (assumed: not reported)" : "";
  return `${MODES[server.mode]} answers in ${framing.name} framing${overShell ? " through its shell" : ""}, SMP version ${server.version}, buffers ${server.bufSize} bytes${count}${from}.`;
}

const MODES = {
  application: "The application",
  recovery: "Serial recovery",
  unknown: "A server of an unknown kind",
} as const;

function findingsOf(diagnosis: Diagnosis): Finding[] {
  const { roundTripMs, longestRoundTripMs, repeated, losesBursts, ceiling, eraseMs, eraseRefused } =
    diagnosis;
  const rate = kilobytes(diagnosis.uploadRate);
  return [
    {
      about: "round trip",
      verdict: "good",
      message: `A short request takes ${ms(roundTripMs)}${
        longestRoundTripMs === undefined
          ? ""
          : `, the longest message (${diagnosis.largestMessage} bytes) and back ${ms(longestRoundTripMs)}`
      }.`,
    },
    {
      about: "losses",
      verdict: losesBursts ? "bad" : repeated > 0 ? "warn" : "good",
      message: losesBursts
        ? "Messages of several lines get lost unless each line is followed by a pause."
        : repeated > 0
          ? `${repeated} of the requests had to be repeated.`
          : "No request had to be repeated.",
    },
    {
      about: "rate",
      verdict: ceiling !== undefined && diagnosis.uploadRate < ceiling * 0.9 ? "warn" : "good",
      message:
        ceiling === undefined
          ? `An upload can reach ${rate} here.`
          : `An upload can reach ${rate}; the line can carry ${kilobytes(ceiling)} with this framing and buffer.`,
    },
    ...(eraseMs === undefined
      ? []
      : [
          {
            about: "erase",
            verdict: "good" as const,
            message: `Erasing the free slot takes ${ms(eraseMs)}.`,
          },
        ]),
    ...(eraseRefused === undefined
      ? []
      : [{ about: "erase", verdict: "warn" as const, message: `Not measured: ${printable(eraseRefused)}` }]),
  ];
}

function summary(diagnosis: Diagnosis | undefined, findings: readonly Finding[]): string {
  const { advice } = diagnosis ?? {};
  if (advice) {
    const gain =
      advice.uploadRate === undefined ? "" : ` An upload could then reach ${kilobytes(advice.uploadRate)}.`;
    const needs = advice.needs === undefined ? "" : ` It needs ${printable(advice.needs)}.`;
    return `What would help most: ${advice.setting}\n  ${advice.why}${needs}${gain}`;
  }
  return findings.some(({ verdict }) => verdict === "bad")
    ? "This link does not work; see above."
    : "No change would help much.";
}

const TONES: Record<Finding["verdict"], Tone> = { good: "good", warn: "warn", bad: "bad" };

function draw({ about, verdict, message, hint }: Finding): string {
  const tried = hint === undefined ? "" : `\n            try: ${printable(hint)}`;
  return `${tone(TONES[verdict], about.padEnd(11))} ${printable(message)}${tried}`;
}

const ms = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
const kilobytes = (rate: number) =>
  Number.isFinite(rate) ? `${(rate / 1000).toFixed(rate < 10_000 ? 2 : 1)} kB/s` : "any rate";
