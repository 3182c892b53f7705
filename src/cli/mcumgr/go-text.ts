/** How Go's standard library says what is wrong; scripts that call mcumgr know these texts. */

const quoted = (text: string) => JSON.stringify(text);

/** A whole number, decimal, 0x, 0o or 0b, in `[least, most]`; else the text of Go's strconv error. */
export function goInteger(
  text: string,
  call: "ParseInt" | "ParseUint",
  [least, most]: readonly [bigint, bigint],
): bigint | string {
  const match = /^([+-]?)(0x[0-9a-f]+|0b[01]+|0o?[0-7]*|[1-9][0-9]*)$/i.exec(text);
  if (!match || (call === "ParseUint" && match[1] !== "")) return syntax(call, text);
  const digits = match[2]!;
  const octal = /^0o?[0-7]+$/i.test(digits);
  if (/^0o$/i.test(digits)) return syntax(call, text);
  const size = BigInt(octal ? `0o${digits.replace(/^0o?/i, "")}` : digits);
  const value = match[1] === "-" ? -size : size;
  if (value < least || value > most) return `strconv.${call}: parsing ${quoted(text)}: value out of range`;
  return value;
}

const syntax = (call: string, text: string) => `strconv.${call}: parsing ${quoted(text)}: invalid syntax`;

/** A number; else the text of Go's strconv error. */
export function goFloat(text: string): number | string {
  if (/^[+-]?(inf|infinity)$/i.test(text))
    return text.startsWith("-") ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return syntax("ParseFloat", text);
  return Number(text);
}

/** The bytes of hex digits; else the text of Go's encoding/hex error. */
export function goHex(text: string): Uint8Array | string {
  for (const character of text)
    if (!/^[0-9a-f]$/i.test(character)) {
      const code = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0");
      return `encoding/hex: invalid byte: U+${code} '${character}'`;
    }
  if (text.length % 2 === 1) return "encoding/hex: odd length hex string";
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** What Go says of a text that is no JSON; `undefined` when only its shape can be wrong. */
export function goJsonProblem(text: string): string | undefined {
  const start = text.trimStart();
  if (start === "") return "unexpected end of JSON input";
  const literal = ["null", "true", "false"].find((word) => word[0] === start[0]);
  if (literal !== undefined && !start.startsWith(literal)) {
    const at = [...literal].findIndex((letter, index) => start[index] !== letter);
    if (start[at] === undefined) return "unexpected end of JSON input";
    return `invalid character '${start[at]}' in literal ${literal} (expecting '${literal[at]}')`;
  }
  if (!/^[[{"0-9\-ntf]/.test(start)) return `invalid character '${start[0]}' looking for beginning of value`;
  return undefined;
}

/** A system error as Go words it: `open FILE: no such file or directory`. */
export function goSystemError(call: string, path: string, cause: unknown): string {
  const code = cause instanceof Error ? (cause as NodeJS.ErrnoException).code : undefined;
  const known = SYSTEM_ERRORS[code ?? ""];
  const reason = known ?? (cause instanceof Error ? cause.message : String(cause));
  return `${call} ${path}: ${reason}`;
}

const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  EISDIR: "is a directory",
  ENOTDIR: "not a directory",
  ENOSPC: "no space left on device",
  EROFS: "read-only file system",
};
