import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type YAMLMap,
} from "yaml";
import { FactsError, notYaml } from "./yaml-facts.js";

/** No lab has more boards in one map. */
const MOST_ROWS = 1000;
const LONGEST_MAP = 1024 * 1024;

/**
 * Zephyr twister's hardware map as a board file: a board per row that is connected and names a serial port; every other
 * row is named in a comment with the reason. What twister does not know (image, keys, layout, claims) is left for a
 * person to fill in. Identifiers are taken as they are written: `000683` and `12345678E5` are serial numbers, although
 * YAML takes them for numbers. Throws `FactsError`.
 */
export function importHardwareMap(file: string, text: string): string {
  const rows = readRows(file, text).map(judge);
  const usable = rows.filter((row) => row.why === undefined);
  const leftOut = rows.flatMap(({ label, why }, index) =>
    why === undefined ? [] : [`# Left out: row ${index + 1}, ${label}: ${why}.`],
  );
  if (usable.length === 0)
    throw new FactsError(
      file,
      1,
      "it lists no connected board with a serial port.",
      leftOut
        .slice(0, 5)
        .map((line) => line.slice("# Left out: ".length))
        .join(" ") || undefined,
    );
  const names = new Set<string>();
  return [
    "# Made from twister's hardware map. Add to each board: image (what runs on it), keys, layout, claims.",
    ...leftOut,
    "boards:",
    ...usable.flatMap(({ row }) => boardLines(row, names)),
    "",
  ].join("\n");
}

/** The fields of a row as they are written; a field that is empty or null is not there. */
type Row = ReadonlyMap<string, string>;

/** Schema "failsafe" has only texts: whatever looks like a number stays what was written. */
function readRows(file: string, text: string): Row[] {
  if (text.length > LONGEST_MAP)
    throw new FactsError(file, 1, `it has ${text.length} characters, more than a hardware map may have.`);
  const lines = new LineCounter();
  const document = parseDocument(text, { schema: "failsafe", uniqueKeys: true, lineCounter: lines });
  const broken = document.errors[0];
  if (broken) throw notYaml(file, lines.linePos(broken.pos[0]).line, broken);
  const list = document.contents;
  if (!isSeq(list)) throw noMap(file, 1);
  if (list.items.length > MOST_ROWS)
    throw new FactsError(file, 1, `it has ${list.items.length} rows; at most ${MOST_ROWS} are read.`);
  return list.items.map((item) => {
    const map = resolved(item, document);
    if (!isMap(map)) throw noMap(file, lines.linePos((item as Node | null)?.range?.[0] ?? 0).line);
    return new Map([...mergedFields(map, document), ...fieldsOf(map, document)]);
  });
}

function noMap(file: string, line: number): FactsError {
  return new FactsError(file, line, "this is not a hardware map of twister: that is a list of boards.");
}

/** What an alias stands for; one step only, so that aliases of aliases grow nothing. */
function resolved(node: unknown, document: Document): unknown {
  return isAlias(node) ? node.resolve(document as Document<Node, boolean>) : node;
}

/** The fields that `<<: *anchor` brings in. */
function mergedFields(map: YAMLMap, document: Document): [string, string][] {
  const sources = map.items
    .filter(({ key }) => isScalar(key) && key.value === "<<")
    .map(({ value }) => value);
  return sources
    .flatMap((source) => (isSeq(source) ? source.items.toReversed() : [source]))
    .map((source) => resolved(source, document))
    .flatMap((source) => (isMap(source) ? fieldsOf(source, document) : []));
}

/** Fields with a text; of a list of texts the first one. */
function fieldsOf(map: YAMLMap, document: Document): [string, string][] {
  return map.items.flatMap(({ key, value }): [string, string][] => {
    const whole = resolved(value, document);
    const node = isSeq(whole) ? resolved(whole.items[0], document) : whole;
    if (!isScalar(key) || !isScalar(node)) return [];
    const text = String(node.value ?? "");
    const absent = text === "" || (node.type === "PLAIN" && /^(?:null|Null|NULL|~)$/.test(text));
    return absent ? [] : [[String(key.value), text]];
  });
}

interface Judged {
  readonly row: Row;
  /** What to call it in a comment. */
  readonly label: string;
  /** Why it cannot be used; absent when it can. */
  readonly why?: string;
}

function judge(row: Row): Judged {
  const label = [row.get("platform") ?? row.get("product") ?? "a board", row.get("id")]
    .filter((part) => part !== undefined)
    .map((part) => printable(part!))
    .join(" ");
  const why = /^(?:true|yes|on)$/i.test(row.get("connected") ?? "") ? whyNoPort(row) : "it is not connected";
  return { row, label, ...(why !== undefined && { why }) };
}

function whyNoPort(row: Row): string | undefined {
  const serial = row.get("serial");
  if (serial !== undefined)
    return /^(?:\/dev\/.|COM\d+$)/i.test(serial)
      ? undefined
      : `its serial port "${printable(serial)}" is not a device`;
  const program = row.get("serial_pty");
  if (program === undefined) return "it has no serial port";
  if (/^[\w./+-]+$/.test(program)) return undefined;
  return "the program that makes its serial port (serial_pty) takes arguments: put them into a script";
}

const LONGEST_NAME = 60;

function boardLines(row: Row, names: Set<string>): string[] {
  const id = plain(row.get("id") ?? String(names.size + 1));
  const platform = plain(row.get("platform") ?? row.get("product") ?? "board");
  // The id tells boards apart: where both are too long, the platform gives way.
  const wanted = `${platform.slice(0, Math.max(8, LONGEST_NAME - 1 - id.length))}-${id}`.slice(
    0,
    LONGEST_NAME,
  );
  let name = wanted;
  for (let count = 2; names.has(name); count++) name = `${wanted}-${count}`;
  names.add(name);
  const baud = row.get("baud");
  const rate = baud !== undefined && /^[1-9]\d{0,8}$/.test(baud) && baud !== "115200" ? `?baud=${baud}` : "";
  const known = TWISTER_FIELDS.flatMap((field) => {
    const value = row.get(field);
    return value === undefined ? [] : [`${field}: ${JSON.stringify(value)}`];
  });
  const board = row.get("platform");
  return [
    `  - name: ${name}`,
    ...(board === undefined ? [] : [`    tags: [${JSON.stringify(board)}]`]),
    ...wayTo(row, rate),
    ...(known.length > 0 ? [`    twister: { ${known.join(", ")} }`] : []),
  ];
}

/** A program that makes a serial port is started by socat, which offers it as a TCP port. */
function wayTo(row: Row, rate: string): string[] {
  const serial = row.get("serial");
  if (serial !== undefined)
    return ["    kind: attached", `    address: ${JSON.stringify(`serial:${serial}${rate}`)}`];
  const launch = `${SOCAT}${row.get("serial_pty")},pty,rawer`;
  return ["    kind: machine", `    launch: ${JSON.stringify(launch)}`];
}

const SOCAT = "socat TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr EXEC:";

/** What twister knows of a board beside its port, and reads again. */
export const TWISTER_FIELDS = [
  "id",
  "probe_id",
  "platform",
  "product",
  "runner",
  "baud",
  "serial_pty",
  "notes",
  "pre_script",
  "post_script",
  "post_flash_script",
] as const;

/** A board of a board file, as far as twister is concerned. */
export interface MappedBoard {
  readonly name: string;
  readonly tags?: readonly string[] | undefined;
  readonly reach: { readonly kind: string; readonly address?: string };
  readonly twister?: Readonly<Record<string, string>> | undefined;
}

/**
 * Twister's hardware map of boards: those with a serial port of this machine, or with a program that makes one. The others
 * are named in comments.
 */
export function exportHardwareMap(boards: readonly MappedBoard[]): string {
  const rows = boards.flatMap(({ name, tags = [], reach, twister = {} }) => {
    const serial = /^serial:([^?]+)/.exec(reach.address ?? "")?.[1];
    if (serial === undefined && twister.serial_pty === undefined)
      return [`# Left out: ${name}: it has no serial port of this machine.`];
    const fields = {
      id: name,
      product: "unknown",
      ...(tags[0] !== undefined && { platform: tags[0] }),
      ...twister,
      ...(serial !== undefined && { serial }),
    };
    const lines = Object.entries(fields).map(([field, value]) => `${field}: ${JSON.stringify(value)}`);
    return [["- connected: true", ...lines].join("\n  ")];
  });
  return `${rows.join("\n")}\n`;
}

function plain(value: string): string {
  return value.replace(/[^\w.-]+/g, "-");
}

/** On one line of a comment. */
function printable(value: string): string {
  return value.replace(/[^\x20-\x7e]+/g, "?").slice(0, 120);
}
