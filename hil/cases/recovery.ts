import { DeviceError, upload } from "bootproof";
import { imageUpload, osEcho } from "bootproof/smp";
import { type Case, type Finding, fails, holds, unjudged } from "../case.js";
import { imageHashOf } from "../evidence.js";
import type { Harness } from "../harness/harness.js";
import { flipBit } from "../images/image-edits.js";
import { describe, type Snapshot } from "../snapshot.js";
import { foreignNumbers, judgeNumbers, uploadNumbers } from "./upload-numbers.js";

/** The bootloader's own SMP server: a way back in that must be no back door. */
export const recovery: readonly Case[] = [
  {
    id: "recovery/enter-and-leave",
    claim: "recovery-entry",
    summary: "Serial recovery can be entered by a reset with boot mode, and left by a reset.",
    needs: ["recovery"],
    risk: "nothing",
    expected: "The bootloader answers; after a reset the board's own image runs again.",
    quick: true,
    steps: enterAndLeave,
  },
  {
    id: "recovery/nothing-valid",
    claim: "recovery-entry",
    summary: "Without a valid image the board starts serial recovery.",
    needs: ["programmer", "recovery"],
    risk: "primary slot",
    expected: "The bootloader's SMP server answers.",
    steps: nothingValid,
  },
  {
    id: "recovery/interrupted",
    claim: "recovery-entry",
    summary: "An interrupted recovery upload can be repeated.",
    needs: ["recovery", "update"],
    risk: "primary slot",
    control: "recovery-upload",
    expected: "After half an upload and a restart the board is in recovery; the second upload starts.",
    steps: interrupted,
  },
  {
    id: "recovery/damaged",
    claim: "recovery-checked",
    summary: "A damaged image written by serial recovery does not start.",
    needs: ["recovery", "update"],
    risk: "primary slot",
    control: "recovery-upload",
    expected: "It does not start; the board stays in recovery.",
    quick: true,
    steps: async (harness) => {
      const good = await harness.primaryFactory.update();
      const { headerSize, bodySize } = harness.factory.base.header;
      return refusedByRecovery(
        harness,
        flipBit(good, headerSize + bodySize - 1),
        "the last byte of the body changed",
      );
    },
  },
  {
    id: "recovery/unsigned",
    claim: "recovery-checked",
    summary: "An unsigned image written by serial recovery does not start.",
    needs: ["recovery", "key", "signature"],
    risk: "primary slot",
    control: "recovery-upload",
    assumes: ["authenticity/unsigned"],
    expected: "It does not start; the board stays in recovery.",
    steps: async (harness) =>
      refusedByRecovery(harness, await harness.primaryFactory.make({ key: "none" }), "an unsigned image"),
  },
  {
    id: "recovery/foreign-key",
    claim: "recovery-checked",
    summary: "An image signed with a foreign key and written by serial recovery does not start.",
    needs: ["recovery", "key", "signature"],
    risk: "primary slot",
    control: "recovery-upload",
    assumes: ["authenticity/foreign-key"],
    expected: "It does not start; the board stays in recovery.",
    steps: async (harness) =>
      refusedByRecovery(
        harness,
        await harness.primaryFactory.make({ key: await harness.primaryFactory.foreignKey() }),
        "a foreign signature",
      ),
  },
  {
    id: "recovery/image-number",
    claim: "recovery-checked",
    summary: "Serial recovery refuses uploads for image numbers that the board does not have.",
    needs: ["recovery", "emulated"],
    risk: "bootloader",
    expected: "The first chunk is refused for every number but the board's own; the bootloader is unharmed.",
    steps: imageNumbers,
  },
];

/** Enters recovery, uploads there, restarts. */
export async function throughRecovery(
  harness: Harness,
  file: Uint8Array,
  what: string,
): Promise<{ snapshot: Snapshot }> {
  await harness.delivery.sendThroughRecovery(file, what);
  const snapshot = await harness.boot("reset", "after recovery");
  return { snapshot };
}

async function refusedByRecovery(harness: Harness, file: Uint8Array, what: string): Promise<Finding> {
  const { snapshot } = await throughRecovery(harness, file, what);
  const started =
    snapshot.events.some(({ type }) => type === "started") && snapshot.events.at(-1)?.type === "started";
  if (snapshot.state === "application" && snapshot.running?.hash === imageHashOf(file))
    return fails(`It started: ${describe(snapshot)}.`);
  if (started) return fails("The bootloader reports that it started it.");
  if (snapshot.state === "recovery") return holds(`It did not start: ${describe(snapshot)}.`);
  return unjudged(`Whether it was started is not known: ${describe(snapshot)}.`);
}

async function enterAndLeave(harness: Harness): Promise<Finding> {
  await harness.strategy.to("recovery");
  const answered = await harness.client.send(osEcho, { d: "recovery" }, { signal: harness.signal }).then(
    ({ r }) => `Recovery answered "${r}"`,
    (error: unknown) => {
      // Echo is an option of MCUboot's recovery; that it answers at all is what counts.
      if (error instanceof DeviceError) return "Recovery answered (it has no echo)";
      throw error;
    },
  );
  const snapshot = await harness.boot("reset", "after leaving recovery");
  return snapshot.state === "application" && snapshot.running?.hash === harness.initial.running?.hash
    ? holds(`${answered}; after the reset ${describe(snapshot)}.`)
    : fails(`Recovery could not be left: ${describe(snapshot)}.`);
}

async function nothingValid(harness: Harness): Promise<Finding> {
  harness.note("both slots erased");
  await harness.flash.eraseSlots();
  const snapshot = await harness.boot("power");
  return snapshot.state === "recovery"
    ? holds(describe(snapshot))
    : fails(`Recovery did not answer: ${describe(snapshot)}.`);
}

async function interrupted(harness: Harness): Promise<Finding> {
  const file = await harness.primaryFactory.update();
  await harness.strategy.to("recovery");
  harness.recorder.offered("half of a good update", file, "uploaded through serial recovery");
  for await (const event of upload(harness.session, file, { signal: harness.signal }))
    if (event.step === "sent" && event.sent > file.length / 2) break;
  const half = await harness.boot("reset", "after half an upload");
  if (half.state !== "recovery") return fails(`After half an upload ${describe(half)}.`);
  const { snapshot } = await throughRecovery(harness, file, "the same again, whole");
  return snapshot.running?.hash === imageHashOf(file)
    ? holds(`After half an upload the board came up in recovery, and the second upload runs.`)
    : fails(`The second upload does not run: ${describe(snapshot)}.`);
}

async function imageNumbers(harness: Harness): Promise<Finding> {
  await harness.strategy.to("recovery");
  const own = await uploadNumbers(harness);
  const tried = foreignNumbers(own.numbers, 9);
  const taken: number[] = [];
  for (const image of tried) {
    try {
      const chunk = { off: 0, len: 64, data: new Uint8Array(64), image };
      await harness.client.send(imageUpload, chunk, { signal: harness.signal, timeoutMs: 5000, retries: 0 });
      taken.push(image);
      harness.note(`image number ${image}: accepted`);
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      harness.note(`image number ${image}: refused, ${error.message}`);
    }
  }
  const snapshot = await harness.boot(harness.board.can.has("forgets") ? "reset" : undefined);
  return (
    judgeNumbers(taken, tried, own) ??
    (snapshot.running?.hash === harness.initial.running?.hash
      ? holds(
          `Image numbers ${tried.join(", ")} were all refused, and the board's own image runs. ${own.message}`,
        )
      : fails(`All were refused, but afterwards ${describe(snapshot)}.`))
  );
}
