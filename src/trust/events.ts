import { LogError } from "./log-error.js";
import { LARGEST_ENTRY } from "./tiles.js";

/** What the audit log keeps, one event an entry: JSON, UTF-8, fields in the order of {@link LogEvent}. */

/** Kinds of events. What is read and changes nothing is none. */
export const EVENT_TYPES = [
  /** A verb that changes something begins, and how it ended. */
  "tool.start",
  "tool.stop",
  "plan",
  "image.verify",
  "policy.decision",
  "policy.override",
  "ratchet.intent",
  "ratchet.advance",
  "ratchet.change",
  "refusal",
  "sign.request",
  "sign.response",
  "key.change",
  "board.identify",
  "upload.start",
  "upload.done",
  "file.write",
  "mark.test",
  "reset",
  "install",
  "boot.observed",
  "boot.refused",
  "revert.observed",
  "health.result",
  "confirm",
  /** `detail.how` says `observed` (the board reports its counter) or `inferred`. */
  "counter.advance",
  "erase",
  "settings.write",
  "shell",
  "command",
  "power",
  "prove.result",
  "provision.record",
  "attest",
  "error",
  /** First entry of a log that follows a closed one: `detail.checkpoint` is the closed one's. */
  "log.open",
  /** Last entry of a log. */
  "log.close",
] as const;

export type EventType = (typeof EVENT_TYPES)[number];

export type EventDetail = Readonly<Record<string, string | number | boolean>>;

/** What a caller says of an event; index, time and the hash of the entry before are the log's to add. */
export interface EventInput {
  readonly type: EventType;
  /** One run of the tool. */
  readonly job: string;
  readonly actor?: { readonly user?: string; readonly host?: string };
  /** Name and version of the tool. */
  readonly tool: string;
  readonly board?: {
    /** What the board itself is known by: never the port it was reached through. */
    readonly id?: string;
    readonly address?: string;
  };
  readonly image?: {
    readonly number?: number;
    readonly slot?: number;
    /** Image hash, hex. */
    readonly hash?: string;
    readonly version?: string;
    readonly counter?: number;
  };
  /** The check or policy rule that decided. */
  readonly rule?: string;
  readonly result?: "ok" | "refused" | "failed";
  readonly detail?: EventDetail;
}

/** An event as it stands in the log. */
export interface LogEvent extends EventInput {
  readonly v: 1;
  /** Index in the log, from 0. */
  readonly seq: number;
  /** Leaf hash of the entry before, hex; absent in the first. */
  readonly prev?: string;
  /** Wall clock, RFC 3339, UTC. */
  readonly time: string;
  /** Milliseconds of a clock that is never set, since the start of the machine that `boot` names. */
  readonly monotonicMs: number;
  readonly boot?: string;
}

/** Where and when an event is written. */
export type EventStamp = Pick<LogEvent, "seq" | "prev" | "time" | "monotonicMs" | "boot">;

const ORDER = [
  "v",
  "seq",
  "prev",
  "time",
  "monotonicMs",
  "boot",
  "type",
  "job",
  "tool",
  "actor",
  "board",
  "image",
  "rule",
  "result",
  "detail",
] as const;

/** Longest text in an event; what a board or a file says may be longer and is cut. */
export const LONGEST_TEXT = 2048;
const MOST_DETAILS = 24;

/**
 * The entry's bytes. Texts that are too long are cut and end in `…`; undefined fields are left out.
 *
 * @throws LogError `bad-event` when it is too large for an entry all the same
 */
export function formatEvent(input: EventInput, stamp: EventStamp): Uint8Array {
  const all: Record<string, unknown> = { v: 1, ...stamp, ...input };
  const ordered = Object.fromEntries(ORDER.map((name) => [name, cut(all[name])]));
  const bytes = new TextEncoder().encode(JSON.stringify(ordered));
  if (bytes.length > LARGEST_ENTRY)
    throw new LogError("bad-event", `An event of ${bytes.length} bytes is too large for the log.`);
  return bytes;
}

function cut(value: unknown): unknown {
  if (typeof value === "string")
    return value.length > LONGEST_TEXT ? `${value.slice(0, LONGEST_TEXT - 1)}…` : value;
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, MOST_DETAILS)
      .map(([name, part]) => [name, cut(part)]),
  );
}

/**
 * Reads an entry. Every field is checked; unknown ones are refused, since nobody of this project wrote them.
 *
 * @throws LogError `bad-event`
 */
export function parseEvent(entry: Uint8Array): LogEvent {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(entry));
  } catch (cause) {
    throw new LogError("bad-event", "An entry of the log is not JSON in UTF-8.", { cause });
  }
  const wrong = fieldProblem(value);
  if (wrong !== undefined) throw new LogError("bad-event", `An entry of the log is not an event: ${wrong}.`);
  return value as LogEvent;
}

type Test = (value: unknown) => boolean;

const text: Test = (value) => typeof value === "string" && value.length <= LONGEST_TEXT;
const count: Test = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const optional =
  (test: Test): Test =>
  (value) =>
    value === undefined || test(value);
const hex =
  (length?: number): Test =>
  (value) =>
    typeof value === "string" && /^([0-9a-f]{2}){1,64}$/.test(value) && (value.length === length || !length);
const oneOf =
  (values: readonly unknown[]): Test =>
  (value) =>
    values.includes(value);
const fields =
  (tests: Readonly<Record<string, Test>>): Test =>
  (value) =>
    isObject(value) &&
    Object.keys(value).every((name) => Object.hasOwn(tests, name)) &&
    Object.entries(tests).every(([name, test]) => test(value[name]));
const details: Test = (value) =>
  isObject(value) &&
  Object.keys(value).length <= MOST_DETAILS &&
  Object.values(value).every(
    (part) => text(part) || typeof part === "boolean" || (typeof part === "number" && Number.isFinite(part)),
  );

const FIELDS: Readonly<Record<(typeof ORDER)[number], Test>> = {
  v: oneOf([1]),
  seq: count,
  prev: optional(hex(64)),
  time: (value) => typeof value === "string" && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(value),
  monotonicMs: count,
  boot: optional(text),
  type: oneOf(EVENT_TYPES),
  job: text,
  tool: text,
  actor: optional(fields({ user: optional(text), host: optional(text) })),
  board: optional(fields({ id: optional(text), address: optional(text) })),
  image: optional(
    fields({
      number: optional(count),
      slot: optional(count),
      hash: optional(hex()),
      version: optional(text),
      counter: optional(count),
    }),
  ),
  rule: optional(text),
  result: optional(oneOf(["ok", "refused", "failed"])),
  detail: optional(details),
};

function fieldProblem(value: unknown): string | undefined {
  if (!isObject(value)) return "it is not an object";
  const unknown = Object.keys(value).find((name) => !Object.hasOwn(FIELDS, name));
  if (unknown !== undefined) return `it has an unknown field "${unknown.slice(0, 40)}"`;
  const bad = ORDER.find((name) => !FIELDS[name](value[name]));
  return bad === undefined ? undefined : `its field "${bad}" has a wrong value`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
