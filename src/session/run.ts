/**
 * Drives a workflow to its end: every event goes to `onEvent`, the result comes back. Public as `runWorkflow`.
 *
 * @param workflow - `flash`, `recover`, `upload`, a file transfer
 * @param onEvent - told of each event as it happens
 * @returns what the workflow ends with
 * @throws what the workflow throws
 *
 * @example
 * ```ts
 * import { connect, runWorkflow, Session, startBoard, upload } from "bootproof";
 * import { boardVariant, signedFixture } from "bootproof/boards";
 * const board = await startBoard({ machine: "wasm", variant: "good" });
 * const session = await Session.open(async (signal) => connect(await board.connect(), { signal }));
 * let steps = 0;
 * await runWorkflow(upload(session, await signedFixture("good-b", "wasm", boardVariant("good"))), () => steps++);
 * if (steps === 0) throw new Error("nothing was told");
 * await session.close();
 * await board.close();
 * ```
 */
export async function run<Event, Result>(
  workflow: AsyncGenerator<Event, Result, void>,
  onEvent: (event: Event) => void = () => {},
): Promise<Result> {
  for (;;) {
    const step = await workflow.next();
    if (step.done) return step.value;
    onEvent(step.value);
  }
}
