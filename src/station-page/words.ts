import type { JobKind, JobVerdict } from "../station/job.js";
import type { Tile } from "../station/tile.js";

export const KIND_WORDS: Readonly<Record<JobKind, string>> = {
  flash: "Flash",
  together: "Flash together",
  "prove-quick": "Prove (quick)",
  "prove-full": "Prove (full)",
  recover: "Recover",
  look: "Look",
  follow: "Console",
};

export const VERDICT_WORDS: Readonly<Record<JobVerdict, string>> = {
  pass: "PASS",
  fail: "FAIL",
  stopped: "STOPPED",
  unfinished: "UNFINISHED",
};

/** Told beside the colour, for whoever does not see it. */
export const MARKS: Readonly<Record<string, string>> = {
  pass: "✔",
  fail: "✖",
  stopped: "■",
  unfinished: "!",
  busy: "▶",
  lost: "!",
  away: "○",
  none: "·",
};

/** The step of a job whose board went away. */
const LOST = "link lost";

/** What a tile shows across the room. */
export type TileTone = "busy" | "lost" | "away" | "none" | JobVerdict;

export function toneOf({ state, running, queue, last }: Tile): TileTone {
  if (running && running.job.kind !== "look") return running.step === LOST ? "lost" : "busy";
  if (state === "away") return "away";
  // What came of the job before is not what is asked of this board now.
  if (queue.some(({ kind }) => kind !== "look")) return "none";
  if (state === "failing") return "fail";
  return last?.verdict ?? "none";
}

/** The one word on a tile. */
export function bigWord(tile: Tile): string {
  const tone = toneOf(tile);
  const { running, state } = tile;
  if (tone === "lost") return "LINK LOST";
  if (tone === "busy" && running) {
    const { progress } = running;
    return progress ? `${Math.floor((progress.done * 100) / Math.max(1, progress.total))} %` : "RUNNING";
  }
  if (tone === "away") return "AWAY";
  if (tone === "none") return tile.queue.length > 0 ? "WAITING" : "READY";
  if (state === "failing" && tile.last?.verdict !== "fail") return "NO ANSWER";
  return VERDICT_WORDS[tone as JobVerdict];
}

export function rateWords({
  progress,
  rate,
}: {
  progress?: { done: number; total: number };
  rate?: number;
}): string {
  if (!progress || !rate || progress.done >= progress.total) return "";
  const left = Math.ceil((progress.total - progress.done) / rate);
  const isBytes = progress.total > 1000;
  const speed = isBytes ? `${(rate / 1000).toFixed(1)} kB/s, ` : "";
  return `${speed}${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")} left`;
}

export function dateWords(iso: string): string {
  return new Date(iso).toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" });
}

export function timeWords(from: string, to: string): string {
  return msWords(Date.parse(to) - Date.parse(from));
}

export function msWords(ms: number): string {
  return ms < 60_000
    ? `${(ms / 1000).toFixed(1)} s`
    : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}
