import { BootproofError, imageErase, run, upload } from "bootproof";
import { imageHashOf } from "../evidence.js";
import type { Stand } from "../stand.js";
import { NotJudged } from "./desk.js";

const ERASE_WITHIN_MS = 40_000;

/** Without a programmer: the old image is reverted to, or sent again and confirmed. */
export async function walkHome(stand: Stand): Promise<void> {
  const { signal, forge } = stand;
  let sight = await stand.look("before putting back");
  const own = imageHashOf(forge.baseFile);
  if (sight.state === "recovery") {
    await run(upload(stand.session, forge.baseFile, { signal }));
    sight = await stand.boot("reset", "own image sent through recovery");
  }
  if (sight.running?.hash === own && !sight.running?.confirmed) await stand.confirm();
  else if (sight.running && !sight.running.confirmed) sight = await stand.boot("reset", "reverted");
  if (sight.running?.hash !== own) {
    const refusal = await stand.send(forge.baseFile, { what: "the board's own image" });
    if (refusal !== undefined)
      throw new NotJudged(`The board's own image could not be sent back: ${refusal}`);
    sight = await stand.boot("reset", "own image on trial");
    if (sight.running?.hash === own && !sight.running?.confirmed) await stand.confirm();
  }
  await stand.client.send(imageErase, {}, { signal, timeoutMs: ERASE_WITHIN_MS }).catch((error: unknown) => {
    // Slots that are pending, or boards without this command: harmless, the next upload erases.
    if (!(error instanceof BootproofError)) throw error;
  });
}
