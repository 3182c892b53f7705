import { type Case, type Finding, fails, holds } from "../case.js";
import { imageHashOf } from "../evidence.js";
import { type Fault, FaultyLine } from "../faulty-line.js";
import type { Stand } from "../stand.js";

const FAULTS: readonly { fault: Fault; says: string; quick?: boolean }[] = [
  { fault: "garbled", says: "Garbled bytes during an upload do not end up in the slot." },
  { fault: "lost", says: "Lost lines during an upload do not leave holes in the slot.", quick: true },
  { fault: "pulled", says: "A cable pulled during an upload, several times, does no harm." },
  { fault: "two-hosts", says: "Requests of another program on the same line do not get into an upload." },
];

/** The line is bad. A wrong image must not come of it. */
export const link: readonly Case[] = FAULTS.map(({ fault, says, quick }) => ({
  id: `link/${fault}`,
  claim: "link",
  says,
  needs: ["secondary", "update"],
  risk: "secondary slot",
  control: "update-over-smp",
  expected: "The upload is completed in the end, and what starts has the hash of what was sent.",
  ...(quick ? { quick } : {}),
  steps: (stand) => overFaultyLine(stand, fault),
}));

async function overFaultyLine(stand: Stand, fault: Fault): Promise<Finding> {
  const file = await stand.forge.update();
  const line = new FaultyLine(fault, stand.options.seed);
  await stand.tamperWith((stream) => line.wrap(stream));
  const refusal = await stand.send(file, { what: `a good update, over a line that is "${fault}"` });
  const struck = line.strikes;
  await stand.tamperWith(undefined);
  stand.note(`the line struck ${struck} times`);
  if (struck === 0) return { verdict: "not-judged", seen: "The upload was over before the line could fail." };
  if (refusal !== undefined) return fails(`The upload could not be completed: ${refusal}`);
  const sight = await stand.boot();
  return sight.running?.hash === imageHashOf(file)
    ? holds(`After ${struck} faults the upload was complete, and what runs has the hash of what was sent.`)
    : fails(`After ${struck} faults something else runs: ${sight.running?.version ?? "nothing"}.`);
}
