import { isMap, isSeq, parse, parseDocument } from "yaml";
import { FactsError } from "./yaml-facts.js";

/**
 * Zephyr twister's hardware map as a bench file: a board per row that is connected and names a serial port. What
 * twister does not know (image, keys, layout, claims) is left for a person to fill in.
 */
export function importHardwareMap(file: string, text: string): string {
  const document = parseDocument(text, { schema: "core", uniqueKeys: true });
  if (
    document.errors[0] ||
    !isSeq(document.contents) ||
    !document.contents.items.every((item) => isMap(item))
  )
    throw new FactsError(file, 1, "this is no hardware map of twister: it should be a list of boards.");
  const rows = (parse(text, { schema: "core", maxAliasCount: 0 }) as Row[]).filter(isUsable);
  if (rows.length === 0) throw new FactsError(file, 1, "it names no connected board with a serial port.");
  const names = new Set<string>();
  return [
    "# Made from twister's hardware map. Add to each board: image (what runs on it), keys, layout, claims.",
    "boards:",
    ...rows.flatMap((row) => boardLines(row, names)),
    "",
  ].join("\n");
}

interface Row {
  readonly id?: unknown;
  readonly platform?: unknown;
  readonly product?: unknown;
  readonly connected?: unknown;
  readonly serial?: unknown;
  readonly baud?: unknown;
}

function isUsable({ connected, serial }: Row): boolean {
  return connected === true && typeof serial === "string" && serial.startsWith("/dev/");
}

function boardLines({ id, platform, product, serial, baud }: Row, names: Set<string>): string[] {
  const wanted = `${plain(platform ?? product ?? "board")}-${plain(id ?? names.size + 1)}`.slice(0, 60);
  const name = names.has(wanted) ? `${wanted}-${names.size}` : wanted;
  names.add(name);
  const rate = typeof baud === "number" && baud !== 115200 ? `?baud=${baud}` : "";
  return [
    `  - name: ${name}`,
    "    kind: attached",
    `    address: ${JSON.stringify(`serial:${serial}${rate}`)}`,
  ];
}

function plain(value: unknown): string {
  return String(value).replace(/[^\w.-]+/g, "-");
}
