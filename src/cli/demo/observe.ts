import { connect } from "../../client/connect.js";
import { startBoard } from "../../emulator/start.js";
import { readFacts, runningSlot } from "../../session/board-facts.js";
import { Session } from "../../session/session.js";
import { parseAddress } from "../../transport/parse-address.js";

/** What a board shows, asked anew. */
export interface Observed {
  readonly version: string;
  readonly confirmed: boolean;
  readonly storedCounter: number | "-";
}

/** Switches an emulated board on, asks it, and switches it off. */
export async function observe(board: string, signal: AbortSignal): Promise<Observed> {
  const address = parseAddress(board);
  if (address.kind !== "wasm") throw new TypeError(`${board} is not an emulated board of this process`);
  const started = await startBoard({ machine: "wasm", variant: address.variant, flashFile: address.flash });
  try {
    const session = await Session.open(
      async (how) => connect(await started.connect(), { signal: how }),
      signal,
    );
    const facts = await readFacts(session, { signal });
    await session.close();
    const running = runningSlot(facts)?.content;
    return {
      version: running?.version ?? "-",
      confirmed: running?.confirmed ?? false,
      storedCounter: facts.images[0]?.storedCounter?.value ?? "-",
    };
  } finally {
    await started.close();
  }
}
