import { type Control, fails, holds, unjudged } from "../case.js";
import { compressedUpdate } from "../compressed-image.js";
import { imageHashOf } from "../evidence.js";
import type { OfferOptions } from "../harness/context.js";
import type { Harness } from "../harness/harness.js";
import { fixedTo } from "../images/malformed-lengths.js";
import { describe } from "../snapshot.js";
import { largestUpdate } from "./integrity.js";
import { throughRecovery } from "./recovery.js";

/** The good twin of every bad image: without it a board that starts nothing at all would pass. */
export const CONTROLS: readonly Control[] = [
  {
    id: "update",
    summary: "A good update, made and delivered like the bad ones, starts.",
    needs: ["update", "secondary"],
    steps: async (harness) => runs(harness, await harness.factory.update(), { what: "a good update" }),
  },
  {
    id: "update-over-smp",
    summary: "A good update, sent over SMP, starts.",
    needs: ["update", "server-upload", "secondary"],
    steps: async (harness) =>
      runs(harness, await harness.factory.update(), { what: "a good update", through: "smp" }),
  },
  {
    id: "largest",
    summary: "The largest update that fits starts.",
    needs: ["key", "programmer", "secondary"],
    steps: async (harness) =>
      runs(harness, await largestUpdate(harness, 0), { what: "the largest update that fits" }),
  },
  {
    id: "dependency-met",
    summary: "An update whose dependency is present starts.",
    needs: ["key", "two-images", "secondary"],
    steps: async (harness) =>
      runs(
        harness,
        await harness.factory.make({
          options: { dependencies: [{ image: 1, version: { major: 0, minor: 0, revision: 1, build: 0 } }] },
        }),
        { what: "an update whose dependency is present" },
      ),
  },
  {
    id: "encrypted-update",
    summary: "A good update that is encrypted for the board starts.",
    needs: ["key", "encryption", "secondary"],
    steps: async (harness) =>
      runs(harness, await harness.factory.make({ encrypted: true }), { what: "a good update, encrypted" }),
  },
  {
    id: "own-address",
    summary: "A good update whose header names the address of its slot starts.",
    needs: ["key", "slot-addresses", "secondary"],
    steps: async (harness) => {
      const { slot } = harness.traits.placeFor(0);
      const file = await fixedTo(harness.factory, harness.addressOf(slot)!);
      return runs(harness, file, { what: `a good update, fixed to the address of slot ${slot}` });
    },
  },
  {
    id: "compressed",
    summary: "A good update, compressed, starts.",
    needs: ["key", "secondary", "decompresses"],
    steps: async (harness) =>
      runs(harness, await compressedUpdate(harness.factory), { what: "a good update, compressed" }),
  },
  {
    id: "recovery-upload",
    summary: "A good image, written by serial recovery, starts.",
    needs: ["update", "recovery"],
    async steps(harness) {
      const file = await harness.primaryFactory.update();
      const { snapshot } = await throughRecovery(harness, file, "a good update");
      if (snapshot.state === "application" && snapshot.running?.hash === imageHashOf(file))
        return holds(`It runs: version ${snapshot.running?.version}.`);
      const isOld = snapshot.running?.hash === harness.initial.running?.hash;
      return isOld && harness.board.can.has("forgets")
        ? unjudged(
            `${describe(snapshot)}: this emulator writes its files into the primary slot at each reset.`,
          )
        : fails(`It does not run: ${describe(snapshot)}.`);
    },
  },
];

async function runs(harness: Harness, file: Uint8Array, options: OfferOptions) {
  const { outcome, shows } = await harness.offer(file, options);
  return outcome === "started" ? holds(`It started: ${shows}.`) : fails(`It did not start: ${shows}.`);
}
