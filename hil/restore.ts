import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BootproofError } from "bootproof";
import { assemble } from "./assemble.js";
import type { JournalRecord } from "./journal.js";
import { describe } from "./sight.js";
import { Stand } from "./stand.js";

/** Gives a board its own image back after a run that died, by the journal of that run. */
export async function restoreBoard(
  { entry, base, flash }: JournalRecord,
  signal: AbortSignal,
): Promise<{ ok: boolean; says: string }> {
  const folder = mkdtempSync(join(tmpdir(), "bootproof-restore-"));
  const image = join(folder, "base.bin");
  writeFileSync(image, base);
  try {
    const { board, forge, layout, keys } = await assemble(entry, { image });
    const stand = new Stand({
      board,
      forge,
      layout,
      keys,
      mode: entry.mode,
      through: "programmer",
      seed: 0,
      cuts: 0,
      randomCuts: 0,
      bootMs: 0,
      signal,
    });
    try {
      const sight = await stand.restore(flash);
      return { ok: true, says: `The board's own image runs again, hash checked: ${describe(sight)}.` };
    } finally {
      await stand.close();
    }
  } catch (error) {
    if (!(error instanceof BootproofError)) throw error;
    return { ok: false, says: error.message };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
