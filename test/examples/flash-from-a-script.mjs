/**
 * Updates a board from a script, as a CI job does: `node flash-from-a-script.mjs good-b`. Exit status 0: the new image runs and
 * is confirmed. The board is an emulated one; for one on the desk open it by `openStream(parseAddress("serial:/dev/ttyACM0"))`.
 */
import { connect, flash, runWorkflow, Session, startBoard } from "bootproof";
import { boardVariant, fixtureKey, signedFixture } from "bootproof/boards";

const board = await startBoard({ machine: "wasm", variant: "good" });
const session = await Session.open(async (signal) => connect(await board.connect(), { signal }));
const { publicKey } = await fixtureKey("ed25519-1");
const file = await signedFixture(process.argv[2] ?? "good-b", "wasm", boardVariant("good"));

// Ctrl-C, or the CI system's timeout, ends the update where it may be ended.
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort(new Error("the job was stopped")));

const result = await runWorkflow(
  flash(session, file, { keys: [publicKey], signal: stop.signal }),
  (event) => {
    if (event.step !== "upload") process.stderr.write(`${event.step}\n`);
  },
);
process.stdout.write(`${result.outcome}: ${result.message}\n`);
await session.close();
await board.close();
process.exitCode = result.outcome === "confirmed" ? 0 : 1;
