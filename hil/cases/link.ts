import { type Case, type Finding, fails, holds, unjudged } from "../case.js";
import { imageHashOf } from "../evidence.js";
import { type Fault, FaultyLine } from "../faulty-line.js";
import type { Harness } from "../harness/harness.js";
import { describe } from "../snapshot.js";

const FAULTS: readonly { fault: Fault; summary: string; quick?: boolean }[] = [
  { fault: "garbled", summary: "Corrupted bytes during an upload do not end up in the slot." },
  { fault: "lost", summary: "Lost lines during an upload do not leave holes in the slot.", quick: true },
  { fault: "pulled", summary: "A cable pulled during an upload, several times, does no harm." },
  { fault: "two-hosts", summary: "Requests of another program on the same line do not get into an upload." },
];

/** The line is bad. A wrong image must not come of it. */
export const link: readonly Case[] = FAULTS.map(({ fault, summary, quick }) => ({
  id: `link/${fault}`,
  claim: "link",
  summary,
  needs: ["server-upload", "secondary", "update"],
  risk: "secondary slot",
  control: "update-over-smp",
  expected: "The upload is completed in the end, and what starts has the hash of what was sent.",
  ...(quick ? { quick } : {}),
  steps: (harness) => overFaultyLine(harness, fault),
}));

async function overFaultyLine(harness: Harness, fault: Fault): Promise<Finding> {
  const file = await harness.factory.update();
  const line = new FaultyLine(fault, harness.options.seed);
  await harness.line.tamperWith((stream) => line.wrap(stream));
  const refusal = await harness.delivery.send(file, {
    what: `a good update, over a line that is "${fault}"`,
  });
  const struck = line.strikes;
  await harness.line.tamperWith(undefined);
  harness.note(`the line struck ${struck} times`);
  if (struck === 0)
    return { verdict: "not-judged", observed: "The upload was complete before the line failed." };
  if (refusal !== undefined) return fails(`The upload could not be completed: ${refusal}`);
  const snapshot = await harness.boot();
  if (snapshot.state === "silent" && harness.board.can.has("forgets"))
    return unjudged(
      `After ${struck} faults the upload was complete, and the board is silent: this emulator loses its flash contents with its power, so they cannot be checked.`,
    );
  return snapshot.running?.hash === imageHashOf(file)
    ? holds(`After ${struck} faults the upload was complete, and what runs has the hash of what was sent.`)
    : fails(`After ${struck} faults what was sent does not run: ${describe(snapshot)}.`);
}
