import type { Verdict } from "../case.js";

/** Verdicts as people read them, in the order of their weight. */
export const VERDICT_WORDS: Readonly<Record<Verdict, { mark: string; label: string; means: string }>> = {
  "does-not-hold": {
    mark: "✗",
    label: "does not hold",
    means: "The board did what it must not do.",
  },
  holds: { mark: "✓", label: "holds", means: "The board was tested and did what it should." },
  "not-judged": {
    mark: "?",
    label: "could not be judged",
    means: "It could not be determined; the reason is given. This is not a pass.",
  },
  "not-supported": {
    mark: "–",
    label: "not supported",
    means: "This board does not claim it, or cannot have it.",
  },
};

export const VERDICT_ORDER = Object.keys(VERDICT_WORDS) as readonly Verdict[];

/** Text that came from a device, safe to print: control characters show as escapes. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (character) => {
    return `\\x${character.codePointAt(0)!.toString(16).padStart(2, "0")}`;
  });
}

export function seconds(ms: number): string {
  return ms < 950 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
