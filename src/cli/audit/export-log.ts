import type { LogEvent } from "../../trust/events.js";

/** Events in the forms that a customer's record takes. */

const COLUMNS: readonly (readonly [name: string, value: (event: LogEvent) => unknown])[] = [
  ["index", ({ seq }) => seq],
  ["time", ({ time }) => time],
  ["type", ({ type }) => type],
  ["result", ({ result }) => result],
  ["rule", ({ rule }) => rule],
  ["job", ({ job }) => job],
  ["user", ({ actor }) => actor?.user],
  ["host", ({ actor }) => actor?.host],
  ["board", ({ board }) => board?.id],
  ["address", ({ board }) => board?.address],
  ["image_number", ({ image }) => image?.number],
  ["slot", ({ image }) => image?.slot],
  ["image_hash", ({ image }) => image?.hash],
  ["version", ({ image }) => image?.version],
  ["security_counter", ({ image }) => image?.counter],
  ["tool", ({ tool }) => tool],
  ["detail", ({ detail }) => detail && JSON.stringify(detail)],
];

/** RFC 4180, with a header line. */
export function toCsv(events: readonly LogEvent[]): string {
  const rows = events.map((event) => COLUMNS.map(([, value]) => cell(value(event))).join(","));
  return [COLUMNS.map(([name]) => name).join(","), ...rows].map((row) => `${row}\r\n`).join("");
}

function cell(value: unknown): string {
  const text = value === undefined ? "" : String(value);
  // Text that a board or a file chose must not become a formula in somebody's spreadsheet.
  const harmless = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}

/** One JSON object a line, as they stand in the log. */
export function toJsonLines(events: readonly LogEvent[]): string {
  return events.map((event) => `${JSON.stringify(event)}\n`).join("");
}
