import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The Go packages golang.org/x/mod/sumdb/note and tlog as judge of our logs. */
export interface LogJudge {
  /** Judges every entry of a log's folder, and that an old checkpoint is of its past. Number of entries, or the complaint. */
  log(folder: string, verifierKey: string, oldCheckpoint?: string): number | string;
  /** Judges a proof file. Index of the entry, or the complaint. */
  proof(file: string, verifierKey: string): number | string;
  remove(): void;
}

const sources = fileURLToPath(new URL("log-judge", import.meta.url));

/**
 * Builds the judge. Where it cannot be built: undefined after a line that says why, and in CI a failure, since nobody
 * would notice that the logs were judged by their maker alone.
 */
export function buildLogJudge(): LogJudge | undefined {
  const folder = mkdtempSync(join(tmpdir(), "bootproof-judge-"));
  const program = join(folder, "judge");
  const built = spawnSync("go", ["build", "-o", program, "."], { cwd: sources, encoding: "utf8" });
  if (built.status !== 0) {
    rmSync(folder, { recursive: true, force: true });
    const why = built.error?.message ?? built.stderr.trim();
    if (process.env.CI) throw new Error(`The Go judge of the audit log cannot be built: ${why}`);
    process.stderr.write(`Skipped: the Go judge of the audit log cannot be built (${why}).\n`);
    return undefined;
  }
  const judge = (...words: string[]): number | string => {
    const { status, stdout, stderr } = spawnSync(program, words, { encoding: "utf8" });
    return status === 0 ? Number(stdout) : stderr.trim();
  };
  return {
    log: (path, key, old) => judge("log", path, key, ...(old === undefined ? [] : [old])),
    proof: (file, key) => judge("proof", file, key),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
