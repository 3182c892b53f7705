import { toHex } from "../bytes.js";
import { printable, table, tone } from "./output.js";

type Map = Readonly<Record<string, unknown>>;

/** Any decoded payload for people: a map as lines, a list of like maps as a table, bytes as hex. */
export function drawValue(value: unknown): string {
  if (isScalar(value)) return drawScalar(value);
  if (Array.isArray(value)) return drawList(value);
  return drawMap(value as Map);
}

function drawMap(map: Map): string {
  const entries = Object.entries(map);
  if (entries.length === 0) return tone("dim", "(nothing)");
  const width = Math.max(...entries.filter(([, entry]) => isScalar(entry)).map(([key]) => key.length), 0);
  return entries
    .map(([key, entry]) => {
      const name = tone("dim", printable(key).padEnd(isScalar(entry) ? width : 0));
      return isScalar(entry) ? `${name}  ${drawScalar(entry)}` : `${name}\n${indent(drawValue(entry))}`;
    })
    .join("\n");
}

function drawList(list: readonly unknown[]): string {
  if (list.length === 0) return tone("dim", "(none)");
  if (list.every(isScalar)) return list.map(drawScalar).join("\n");
  const keys = [...new Set(list.flatMap((entry) => (isMap(entry) ? Object.keys(entry) : [])))];
  const flat = list.every((entry) => isMap(entry) && Object.values(entry).every(isScalar));
  if (!flat) return list.map((entry) => `-\n${indent(drawValue(entry))}`).join("\n");
  const cell = (entry: unknown, key: string) =>
    Object.hasOwn(entry as Map, key) ? drawScalar((entry as Map)[key]) : "";
  return table(
    keys.map((key) => printable(key)),
    list.map((entry) => keys.map((key) => cell(entry, key))),
  );
}

function drawScalar(value: unknown): string {
  return value instanceof Uint8Array ? toHex(value) : printable(String(value));
}

function isScalar(value: unknown): boolean {
  return typeof value !== "object" || value === null || value instanceof Uint8Array;
}

function isMap(value: unknown): value is Map {
  return !isScalar(value) && !Array.isArray(value);
}

function indent(text: string): string {
  return text.replace(/^/gm, "  ");
}
