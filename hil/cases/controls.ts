import { type Control, fails, holds, unjudged } from "../case.js";
import { imageHashOf } from "../evidence.js";
import { describe } from "../sight.js";
import type { OfferOptions } from "../stand/desk.js";
import type { Stand } from "../stand.js";
import { largestUpdate } from "./integrity.js";
import { throughRecovery } from "./recovery.js";

/** The good twin of every bad image: without it a board that starts nothing at all would pass. */
export const CONTROLS: readonly Control[] = [
  {
    id: "update",
    says: "A good update, made and delivered as the bad ones are, starts.",
    needs: ["update", "secondary"],
    steps: async (stand) => runs(stand, await stand.forge.update(), { what: "a good update" }),
  },
  {
    id: "update-over-smp",
    says: "A good update, sent over SMP, starts.",
    needs: ["update", "secondary"],
    steps: async (stand) =>
      runs(stand, await stand.forge.update(), { what: "a good update", through: "smp" }),
  },
  {
    id: "largest",
    says: "The largest update that fits starts.",
    needs: ["key", "programmer", "secondary"],
    steps: async (stand) =>
      runs(stand, await largestUpdate(stand, 0), { what: "the largest update that fits" }),
  },
  {
    id: "dependency-met",
    says: "An update whose dependency is there starts.",
    needs: ["key", "two-images", "secondary"],
    steps: async (stand) =>
      runs(
        stand,
        await stand.forge.make({
          options: { dependencies: [{ image: 1, version: { major: 0, minor: 0, revision: 1, build: 0 } }] },
        }),
        { what: "an update that depends on what is there" },
      ),
  },
  {
    id: "recovery-upload",
    says: "A good image, written by serial recovery, starts.",
    needs: ["update", "recovery"],
    async steps(stand) {
      const file = await stand.forge.update();
      const { sight } = await throughRecovery(stand, file, "a good update");
      if (sight.state === "application" && sight.running?.hash === imageHashOf(file))
        return holds(`It runs: version ${sight.running?.version}.`);
      const isOld = sight.running?.hash === stand.home.running?.hash;
      return isOld && stand.board.can.has("forgets")
        ? unjudged(`${describe(sight)}: this emulator writes its files into the primary slot at each reset.`)
        : fails(`It does not run: ${describe(sight)}.`);
    },
  },
];

async function runs(stand: Stand, file: Uint8Array, options: OfferOptions) {
  const { fate, shows } = await stand.offer(file, options);
  return fate === "started" ? holds(`It started: ${shows}.`) : fails(`It did not start: ${shows}.`);
}
