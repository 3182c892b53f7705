import type { Command } from "commander";
import { CborError } from "../../smp/cbor.js";
import { commandOf, GROUP_NAMES } from "../../smp/groups/all.js";
import { type Header, MessageError, readMessage } from "../../smp/header.js";
import { type Json, toJson } from "../../smp/json.js";
import { decodePayload } from "../../smp/message.js";
import { ShapeError } from "../../smp/schema.js";
import { printable, table, tone } from "../output.js";
import { type KeptRecord, readTrace } from "../trace-file.js";
import { type CommonOptions, commonOptions, inContext, wholeNumber } from "../verb-context.js";

interface ServeOptions extends CommonOptions {
  port: number;
}

interface ShowOptions extends CommonOptions {
  full?: boolean;
}

export function define(command: Command): void {
  command.addHelpText(
    "after",
    `
Every command that speaks to a board keeps a trace with --trace FILE: one JSON object a line, for each message.
  bootproof info -d BOARD --trace bug.jsonl
  bootproof trace serve bug.jsonl       answers as that board did, to reproduce a problem`,
  );

  commonOptions(command.command("show <file>").description("show the messages of a trace"))
    .option("--full", "payloads in full")
    .action((file: string, options: ShowOptions) =>
      inContext(options, async ({ out }) => {
        const shown = readTrace(file).map(readable);
        const first = shown[0]?.at ?? 0;
        out.result(
          shown,
          table(
            HEADER,
            shown.map((entry) => row(entry, first, options.full ?? false)),
          ),
        );
      }),
    );

  commonOptions(command.command("serve <file>").description("answer from a trace, on a TCP port"))
    .option(
      "--port <number>",
      "TCP port on 127.0.0.1; 0 chooses a free one",
      wholeNumber("--port", { max: 65535 }),
      0,
    )
    .addHelpText(
      "after",
      "\nRequests in the trace get their recorded answers, silence included; others are unknown commands. Ctrl-C ends it.",
    )
    .action((file: string, options: ServeOptions) =>
      inContext(options, async ({ out, signal }) => {
        const { serveTrace } = await import("../serve-trace.js");
        const records = readTrace(file);
        const server = await serveTrace(records, {
          port: options.port,
          onRequest: (message, { from, messages }) => {
            const asked = readable({ bytes: message, direction: "sent", at: 0, hex: "" });
            const did = from === "unknown" ? "not in the trace" : `${messages.length} answered`;
            out.note(`${asked.command ?? "?"}: ${did}`);
          },
        });
        try {
          const address = `tcp:127.0.0.1:${server.port}`;
          out.result({ file, address, messages: records.length }, address);
          out.note(`In another terminal: bootproof info -d ${address}`);
          await new Promise<void>((resolve) => {
            if (signal.aborted) resolve();
            signal.addEventListener("abort", () => resolve(), { once: true });
          });
        } finally {
          await server.close();
        }
      }),
    );
}

/** A record with its contents decoded anew: what the file says of them is not needed. */
interface Readable {
  at: number;
  direction: "sent" | "received";
  command?: string;
  header?: Header;
  payload?: Json;
  bytes: number;
  hex: string;
}

function readable({ at, direction, command, bytes, hex }: KeptRecord): Readable {
  const plain = { at, direction, bytes: bytes.length, hex };
  try {
    const { header, payload } = readMessage(bytes);
    const name = command ?? commandOf(header)?.name ?? `group ${header.group} command ${header.id}`;
    return { ...plain, command: name, header, ...decoded(payload) };
  } catch (error) {
    // Broken messages are what traces are read for: `hex` has them.
    if (error instanceof MessageError) return command === undefined ? plain : { ...plain, command };
    throw error;
  }
}

function decoded(payload: Uint8Array): { payload?: Json } {
  try {
    return { payload: toJson(decodePayload(payload)) };
  } catch (error) {
    // Payloads of user groups need not be CBOR.
    if (error instanceof CborError || error instanceof ShapeError) return {};
    throw error;
  }
}

const HEADER = ["SECONDS", "", "SEQ", "GROUP", "COMMAND", "BYTES", "PAYLOAD"];
/** Enough to recognise a payload by; uploads would fill the screen. */
const SHORT = 100;

function row(
  { at, direction, command, header, payload, bytes, hex }: Readable,
  first: number,
  full: boolean,
) {
  const text = printable(payload === undefined ? hex : JSON.stringify(payload));
  const group = header === undefined ? "" : (GROUP_NAMES[header.group] ?? `${header.group}`);
  return [
    ((at - first) / 1000).toFixed(3),
    direction === "sent" ? "->" : tone("strong", "<-"),
    header === undefined ? "" : `${header.seq}`,
    group,
    printable(command ?? tone("bad", "no message")),
    `${bytes}`,
    full || text.length <= SHORT ? text : `${text.slice(0, SHORT)}...`,
  ];
}
