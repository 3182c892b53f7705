import { toBase64 } from "../../bytes.js";

/** As PyYAML writes it: blocks, lists not indented, bytes as base64 under a binary tag. */
export function yamlOf(value: object): string {
  return yamlMap(value, "");
}

function yamlMap(value: object, indent: string): string {
  return Object.entries(value)
    .map(([name, item]) => `${indent}${name}:${yamlValue(item, indent)}`)
    .join("");
}

function yamlValue(value: unknown, indent: string): string {
  if (value instanceof Uint8Array) return yamlBytes(value, indent);
  if (Array.isArray(value)) {
    if (value.length === 0) return " []\n";
    const items = value.map((item: object) => {
      const map = yamlMap(item, `${indent}  `);
      return `${indent}- ${map.slice(indent.length + 2)}`;
    });
    return `\n${items.join("")}`;
  }
  if (typeof value === "object" && value !== null) {
    const inside = yamlMap(value, `${indent}  `);
    return inside === "" ? " {}\n" : `\n${inside}`;
  }
  return ` ${typeof value === "string" ? yamlText(value) : String(value)}\n`;
}

function yamlBytes(bytes: Uint8Array, indent: string): string {
  if (bytes.length === 0) return ' !!binary ""\n';
  const lines = toBase64(bytes).match(/.{1,76}/g) ?? [];
  return ` !!binary |\n${lines.map((line) => `${indent}  ${line}`).join("\n")}\n`;
}

/** What YAML 1.1 takes for a truth value, nothing, a number or a date. */
const YAML_RESERVED = [
  /^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/,
  /^(?:null|Null|NULL|~|=|<<)$/,
  /^[-+]?(?:0b[01_]+|0x[0-9a-f_]+|[0-9][0-9_]*)$/i,
  /^[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:e[-+][0-9]+)?|\.[0-9][0-9_]*(?:e[-+][0-9]+)?|\.inf)$|^\.nan$/i,
  /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/,
  /^\d{4}-\d\d?-\d\d?(?:[Tt ].*)?$/,
];

/** Plain where YAML lets it be, else in quotes. */
function yamlText(text: string): string {
  if (!/^[\x20-\x7e]*$/.test(text)) return yamlEscaped(text);
  const indicator = /^[,[\]{}#&*!|>'"%@`]|^[-?:](?: |$)|^---|^\.\.\.|^ | $|: |:$| #|^$/.test(text);
  const reserved = YAML_RESERVED.some((pattern) => pattern.test(text));
  return indicator || reserved ? `'${text.replaceAll("'", "''")}'` : text;
}

function yamlEscaped(text: string): string {
  const escaped = [...text].map((character) => {
    const code = character.codePointAt(0)!;
    if (code >= 0x20 && code <= 0x7e)
      return character === '"' || character === "\\" ? `\\${character}` : character;
    const digits = code.toString(16).toUpperCase();
    if (code <= 0xff) return `\\x${digits.padStart(2, "0")}`;
    return code <= 0xffff ? `\\u${digits.padStart(4, "0")}` : `\\U${digits.padStart(8, "0")}`;
  });
  return `"${escaped.join("")}"`;
}
