import { stripVTControlCharacters } from "node:util";

/** Narrower than this, a text in columns becomes one word a line. */
const LEAST_ROOM = 24;

/**
 * Lines for a terminal of `columns`, broken between words. What follows is indented to the column where the last of
 * several columns begins, else as the line itself. Words that are longer than a line, such as hashes, stay whole.
 */
export function wrapLines(text: string, columns: number): string {
  return text
    .split("\n")
    .map((line) => wrapLine(line, columns))
    .join("\n");
}

function wrapLine(line: string, columns: number): string {
  const plain = stripVTControlCharacters(line);
  if (plain.length < columns) return line;
  const indent = hangingIndent(plain, columns);
  // Blanks before the text of the last column are its alignment, and no place for a break.
  const words = line.split(/(?<=\S) +(?=\S)/);
  const gaps = [...line.matchAll(/(?<=\S) +(?=\S)/g)].map(([gap]) => gap);
  let wrapped = "";
  let width = 0;
  for (const [index, word] of words.entries()) {
    const wordWidth = stripVTControlCharacters(word).length;
    const gap = index === 0 ? "" : gaps[index - 1]!;
    const mayBreak = index > 0 && width > indent && gap.length === 1;
    if (mayBreak && width + gap.length + wordWidth >= columns) {
      wrapped += `\n${" ".repeat(indent)}${word}`;
      width = indent + wordWidth;
    } else {
      wrapped += gap + word;
      width += gap.length + wordWidth;
    }
  }
  return wrapped;
}

/** Where the last column begins; the line's own indentation where that would leave too little room. */
function hangingIndent(plain: string, columns: number): number {
  const own = /^ */.exec(plain)![0].length;
  const last = [...plain.matchAll(/\S {2,}(?=\S)/g)].at(-1);
  const at = last === undefined ? own : last.index + last[0].length;
  return columns - at >= LEAST_ROOM ? at : Math.min(own + 2, columns - LEAST_ROOM > 0 ? own + 2 : 0);
}
