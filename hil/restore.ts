import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BootproofError } from "bootproof";
import { assemble } from "./assemble.js";
import { Harness } from "./harness/harness.js";
import type { JournalRecord } from "./journal.js";
import { describe } from "./snapshot.js";

/** Gives a board its own image back after a run that died, by the journal of that run. */
export async function restoreBoard(
  { entry, base, flash }: JournalRecord,
  signal: AbortSignal,
): Promise<{ ok: boolean; message: string }> {
  const folder = mkdtempSync(join(tmpdir(), "bootproof-restore-"));
  const image = join(folder, "base.bin");
  writeFileSync(image, base);
  try {
    const { board, factory, layout, keys } = await assemble(entry, { image });
    const harness = new Harness({
      board,
      factory,
      layout,
      keys,
      mode: entry.mode,
      through: "programmer",
      seed: 0,
      cuts: 0,
      randomCuts: 0,
      decompresses: false,
      bootMs: 0,
      signal,
    });
    try {
      const snapshot = await harness.base.restore(flash);
      return { ok: true, message: `The board's own image runs again, hash checked: ${describe(snapshot)}.` };
    } finally {
      await harness.close();
    }
  } catch (error) {
    if (!(error instanceof BootproofError)) throw error;
    return { ok: false, message: error.message };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
