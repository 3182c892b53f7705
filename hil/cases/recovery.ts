import { DeviceError, imageUpload, osEcho, run, upload } from "bootproof";
import { type Case, type Finding, fails, holds, unjudged } from "../case.js";
import { imageHashOf } from "../evidence.js";
import { flipBit } from "../forge.js";
import { describe, type Sight } from "../sight.js";
import type { Stand } from "../stand.js";

/** The bootloader's own SMP server: a way back in that must be no back door. */
export const recovery: readonly Case[] = [
  {
    id: "recovery/enter-and-leave",
    claim: "recovery-entry",
    says: "Serial recovery can be entered by a reset with boot mode, and left by a reset.",
    needs: ["recovery"],
    risk: "nothing",
    expected: "The bootloader answers; after a reset the board's own image runs again.",
    quick: true,
    steps: enterAndLeave,
  },
  {
    id: "recovery/nothing-valid",
    claim: "recovery-entry",
    says: "With no valid image the board comes up in serial recovery.",
    needs: ["programmer", "recovery"],
    risk: "primary slot",
    expected: "The bootloader's SMP server answers.",
    steps: nothingValid,
  },
  {
    id: "recovery/interrupted",
    claim: "recovery-entry",
    says: "An interrupted recovery upload can be done again.",
    needs: ["recovery", "update"],
    risk: "primary slot",
    control: "recovery-upload",
    expected: "After half an upload and a restart the board is in recovery; the second upload starts.",
    steps: interrupted,
  },
  {
    id: "recovery/damaged",
    claim: "recovery-checked",
    says: "A damaged image written by serial recovery does not start.",
    needs: ["recovery", "update"],
    risk: "primary slot",
    control: "recovery-upload",
    expected: "It does not start; the board stays in recovery.",
    quick: true,
    steps: async (stand) => {
      const good = await stand.forge.update();
      const { headerSize, bodySize } = stand.forge.base.header;
      return refusedByRecovery(
        stand,
        flipBit(good, headerSize + bodySize - 1),
        "the last byte of the body changed",
      );
    },
  },
  {
    id: "recovery/unsigned",
    claim: "recovery-checked",
    says: "An unsigned image written by serial recovery does not start.",
    needs: ["recovery", "key", "signature"],
    risk: "primary slot",
    control: "recovery-upload",
    assumes: ["authenticity/unsigned"],
    expected: "It does not start; the board stays in recovery.",
    steps: async (stand) =>
      refusedByRecovery(stand, await stand.forge.make({ key: "none" }), "an unsigned image"),
  },
  {
    id: "recovery/foreign-key",
    claim: "recovery-checked",
    says: "An image signed with a foreign key and written by serial recovery does not start.",
    needs: ["recovery", "key", "signature"],
    risk: "primary slot",
    control: "recovery-upload",
    assumes: ["authenticity/foreign-key"],
    expected: "It does not start; the board stays in recovery.",
    steps: async (stand) =>
      refusedByRecovery(
        stand,
        await stand.forge.make({ key: await stand.forge.foreignKey() }),
        "a foreign signature",
      ),
  },
  {
    id: "recovery/image-number",
    claim: "recovery-checked",
    says: "Serial recovery refuses uploads for image numbers that the board does not have.",
    needs: ["recovery", "emulated"],
    risk: "bootloader",
    expected: "The first chunk is refused for every number but the board's own; the bootloader is unharmed.",
    steps: imageNumbers,
  },
];

/** Enters recovery, uploads there, restarts. */
export async function throughRecovery(
  stand: Stand,
  file: Uint8Array,
  what: string,
): Promise<{ sight: Sight }> {
  await stand.strategy.to("recovery");
  stand.recorder.offered(what, file, "uploaded in serial recovery");
  await run(upload(stand.session, file, { signal: stand.signal, reconnectWithinMs: 20_000 }));
  const sight = await stand.boot("reset", "after recovery");
  return { sight };
}

async function refusedByRecovery(stand: Stand, file: Uint8Array, what: string): Promise<Finding> {
  const { sight } = await throughRecovery(stand, file, what);
  const started =
    sight.events.some(({ type }) => type === "started") && sight.events.at(-1)?.type === "started";
  if (sight.state === "application" && sight.running?.hash === imageHashOf(file))
    return fails(`It started: ${describe(sight)}.`);
  if (started) return fails("The bootloader reports that it started it.");
  if (sight.state === "recovery") return holds(`It did not start: ${describe(sight)}.`);
  return unjudged(`Whether it was started cannot be told: ${describe(sight)}.`);
}

async function enterAndLeave(stand: Stand): Promise<Finding> {
  await stand.strategy.to("recovery");
  const { r } = await stand.client
    .send(osEcho, { d: "recovery" }, { signal: stand.signal })
    .catch((error: unknown) => {
      // Echo is an option of MCUboot's recovery; that it answers at all is what counts.
      if (error instanceof DeviceError) return { r: "(no echo)" };
      throw error;
    });
  const sight = await stand.boot("reset", "after leaving recovery");
  return sight.state === "application" && sight.running?.hash === stand.home.running?.hash
    ? holds(`Recovery answered "${r}"; after the reset ${describe(sight)}.`)
    : fails(`Recovery could not be left: ${describe(sight)}.`);
}

async function nothingValid(stand: Stand): Promise<Finding> {
  const { slotSize } = stand.layout;
  await stand.powerOff();
  stand.note("both slots erased");
  for (const slot of [0, 1]) stand.board.writeFlash(slot * slotSize, new Uint8Array(slotSize).fill(0xff));
  const sight = await stand.boot("power");
  return sight.state === "recovery"
    ? holds(describe(sight))
    : fails(`Recovery did not come: ${describe(sight)}.`);
}

async function interrupted(stand: Stand): Promise<Finding> {
  const file = await stand.forge.update();
  await stand.strategy.to("recovery");
  stand.recorder.offered("half of a good update", file, "uploaded in serial recovery");
  for await (const event of upload(stand.session, file, { signal: stand.signal }))
    if (event.step === "sent" && event.sent > file.length / 2) break;
  const half = await stand.boot("reset", "after half an upload");
  if (half.state !== "recovery") return fails(`After half an upload ${describe(half)}.`);
  const { sight } = await throughRecovery(stand, file, "the same again, whole");
  return sight.running?.hash === imageHashOf(file)
    ? holds(`After half an upload the board came up in recovery, and the second upload runs.`)
    : fails(`The second upload does not run: ${describe(sight)}.`);
}

async function imageNumbers(stand: Stand): Promise<Finding> {
  const own = new Set(stand.home.slots.map(({ image }) => image)).size || 1;
  await stand.strategy.to("recovery");
  const taken: number[] = [];
  for (let image = own; image <= own + 8; image++) {
    try {
      const chunk = { off: 0, len: 64, data: new Uint8Array(64), image };
      await stand.client.send(imageUpload, chunk, { signal: stand.signal, timeoutMs: 5000, retries: 0 });
      taken.push(image);
      stand.note(`image number ${image}: accepted`);
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      stand.note(`image number ${image}: refused, ${error.message}`);
    }
  }
  const sight = await stand.boot(stand.board.can.has("forgets") ? "reset" : undefined);
  if (taken.length > 0)
    return fails(
      `Accepted for image number ${taken.join(", ")}; the board has ${own}. Afterwards ${describe(sight)}.`,
    );
  return sight.running?.hash === stand.home.running?.hash
    ? holds(`Image numbers ${own} to ${own + 8} were all refused, and the board's own image runs.`)
    : fails(`All were refused, but afterwards ${describe(sight)}.`);
}
