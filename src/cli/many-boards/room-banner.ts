import { styleText } from "node:util";

/** What is to be seen across a room. `DONE`: done before. */
export type RoomWord = "PASS" | "FAIL" | "DONE";

const LETTERS: Readonly<Record<string, readonly string[]>> = {
  P: ["#### ", "#   #", "#### ", "#    ", "#    "],
  A: [" ### ", "#   #", "#####", "#   #", "#   #"],
  S: [" ####", "#    ", " ### ", "    #", "#### "],
  F: ["#####", "#    ", "###  ", "#    ", "#    "],
  I: ["#####", "  #  ", "  #  ", "  #  ", "#####"],
  L: ["#    ", "#    ", "#    ", "#    ", "#####"],
  D: ["#### ", "#   #", "#   #", "#   #", "#### "],
  O: [" ### ", "#   #", "#   #", "#   #", " ### "],
  N: ["#   #", "##  #", "# # #", "#  ##", "#   #"],
  E: ["#####", "#    ", "###  ", "#    ", "#####"],
};

const STYLES = {
  PASS: ["bgGreen", "black"],
  FAIL: ["bgRed", "white"],
  DONE: ["bgYellow", "black"],
} as const;

/** No terminal is wider, whatever it says of itself. */
const WIDEST = 500;

/**
 * A word over the full width of the terminal, in large letters on its colour; where there is no terminal one plain line.
 *
 * @param columns - of the terminal; undefined: there is none
 */
export function roomBanner(word: RoomWord, columns: number | undefined): string {
  if (columns === undefined) return `======== ${word} ========`;
  const width = Math.min(WIDEST, Math.max(1, columns));
  const letters = [...word].map((letter) => LETTERS[letter]!);
  const rows = [0, 1, 2, 3, 4].map((row) => letters.map((letter) => letter[row]).join("  "));
  const isNarrow = rows[0]!.length > width;
  // A letter's cell is twice as high as it is wide.
  const isWide = rows[0]!.length * 2 <= width;
  const large = isWide ? rows.map((row) => row.replace(/./g, "$&$&")) : rows;
  const lines = isNarrow ? ["", word.slice(0, width), ""] : ["", ...large, ""];
  const centred = lines.map((line) => {
    const left = Math.floor((width - line.length) / 2);
    return `${" ".repeat(left)}${line.replaceAll("#", "█")}`.padEnd(width);
  });
  const paint = (line: string) => (process.env.NO_COLOR ? line : styleText([...STYLES[word]], line));
  return centred.map(paint).join("\n");
}
