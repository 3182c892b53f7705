import { type Case, type Finding, fails, holds, unjudged } from "../case.js";
import { imageHashOf } from "../evidence.js";
import type { Harness } from "../harness/harness.js";
import { describe, type Snapshot } from "../snapshot.js";
import { confirmBurns, testBurnsNothing } from "./trial-counter.js";
import { misbehaves, SAYS } from "./trial-misbehaves.js";
import { brokenSlot, slotsUntouched } from "./trial-slots.js";
import { isBack, isRewritten, onTrial, REWRITTEN } from "./trial-state.js";

const claim = "rollback";

/** Firmware that confirms itself leaves nothing to be seen of what happens to an image that nobody confirms. */
const WAITS = "trial/waits-for-confirmation";

/** Trial boot and revert (rollback). Images keep the board's own security counter, so that no counter is in play. */
export const trial: readonly Case[] = [
  {
    id: WAITS,
    claim: "host-confirms",
    summary: "A new image of this firmware stays unconfirmed until it is confirmed from outside.",
    needs: ["secondary", "trial", "update"],
    risk: "secondary slot",
    expected: "A second after its start it runs, unconfirmed.",
    quick: true,
    steps: waitsForConfirmation,
  },
  {
    id: "trial/never-confirmed",
    claim,
    summary: "An image that is not confirmed is reverted at the next reset.",
    needs: ["secondary", "trial", "update"],
    risk: "secondary slot",
    assumes: [WAITS],
    expected: "It runs once, unconfirmed; after a reset the old image runs, confirmed.",
    quick: true,
    steps: neverConfirmed,
  },
  ...(["hang", "crash", "no-confirm", "fail-health"] as const).map(
    (behaviour): Case => ({
      id: `trial/${behaviour}`,
      claim,
      summary: SAYS[behaviour],
      needs: ["secondary", "trial", "key", behaviour],
      risk: "secondary slot",
      expected: "It runs once; the old image comes back and stays.",
      steps: (harness) => misbehaves(harness, behaviour),
    }),
  ),
  {
    id: "trial/confirmed-stays",
    claim,
    summary: "A confirmed image stays through several resets.",
    needs: ["secondary", "trial", "update"],
    risk: "counter",
    expected: "After the confirmation it runs after each of three resets.",
    steps: confirmedStays,
  },
  {
    id: "trial/upload-while-unconfirmed",
    claim,
    summary: "While an image is on trial, an upload cannot destroy the image to revert to.",
    needs: ["secondary", "trial", "key"],
    risk: "secondary slot",
    assumes: [WAITS],
    expected: "The upload is refused, and after a reset the old image runs.",
    steps: uploadWhileUnconfirmed,
  },
  {
    id: "trial/test-then-permanent",
    claim,
    summary: "A request for one trial boot is not silently made permanent.",
    needs: ["secondary", "trial", "key"],
    risk: "counter",
    assumes: [WAITS],
    expected:
      "Either the second request is refused or has no effect: the image runs unconfirmed and is reverted.",
    steps: testThenPermanent,
  },
  {
    id: "trial/one-of-two",
    claim,
    summary: "Of two images on trial the confirmed one stays, and the other is reverted at the next reset.",
    needs: ["secondary", "trial", "key", "two-images", "programmer"],
    risk: "primary slot",
    assumes: [WAITS],
    expected: "Both run once; after a reset image 0 is the new one and image 1 the old one.",
    quick: true,
    steps: oneOfTwo,
  },
  {
    id: "trial/slots-untouched",
    claim: "slots-untouched",
    summary: "An unrequested image in the other slot is still there after this firmware has started.",
    needs: ["secondary", "request", "update"],
    risk: "secondary slot",
    expected: "After a restart the old image runs, and the other slot still contains the unrequested image.",
    quick: true,
    steps: slotsUntouched,
  },
  {
    id: "trial/broken-slot",
    claim: "broken-slot",
    summary: "While the other slot cannot be read, the running image starts.",
    needs: ["secondary", "server-upload", "breakable-flash"],
    risk: "secondary slot",
    expected: "The old image runs.",
    quick: true,
    steps: brokenSlot,
  },
  {
    id: "trial/test-burns-nothing",
    claim: "counter-after-confirm",
    summary: "A trial boot of an image with a higher security counter does not raise the stored one.",
    needs: ["secondary", "trial", "key", "counter"],
    risk: "counter",
    expected: "It runs on trial and the stored security counter is as before.",
    quick: true,
    steps: testBurnsNothing,
  },
  {
    id: "trial/confirm-burns",
    claim: "counter-after-confirm",
    summary: "After a confirmation the stored security counter rises, at the next boot at the latest.",
    needs: ["secondary", "trial", "key", "counter"],
    risk: "counter step",
    expected: "Before the confirmation it is as before; after the next boot it is the image's.",
    quick: true,
    steps: confirmBurns,
  },
];

async function neverConfirmed(harness: Harness): Promise<Finding> {
  const problem = await onTrial(harness, await harness.factory.update(), "a good update, for one trial boot");
  return problem ? unjudged(problem) : isBack(harness, "after a reset without confirmation");
}

async function confirmedStays(harness: Harness): Promise<Finding> {
  const file = await harness.factory.update();
  const problem = await onTrial(harness, file, "a good update");
  if (problem) return unjudged(problem);
  await harness.delivery.confirm();
  for (let count = 1; count <= 3; count++) {
    const snapshot = await harness.boot("reset", `after reset ${count}`);
    if (isRewritten(harness, snapshot, imageHashOf(file))) return unjudged(REWRITTEN);
    if (snapshot.running?.hash !== imageHashOf(file))
      return fails(`After reset ${count} ${describe(snapshot)}.`);
    if (snapshot.running?.confirmed === undefined)
      return unjudged(`After reset ${count} it runs; the board does not report whether it is confirmed.`);
    if (!snapshot.running.confirmed) return fails(`After reset ${count} it runs and is not confirmed.`);
  }
  return holds("It ran, confirmed, after each of three resets.");
}

async function uploadWhileUnconfirmed(harness: Harness): Promise<Finding> {
  const problem = await onTrial(harness, await harness.factory.update(), "a good update, for one trial boot");
  if (problem) return unjudged(problem);
  const another = await harness.factory.make({ version: harness.factory.version(2) });
  const refusal = await harness.delivery.send(another, {
    what: "another update, while the first is on trial",
  });
  const back = await isBack(harness, "after a reset");
  if (refusal === undefined && back.verdict === "does-not-hold")
    return fails(`The server accepted the upload, and the image to revert to is lost. ${back.observed}`);
  if (back.verdict !== "holds") return back;
  return holds(
    refusal === undefined
      ? `The server accepted the upload, and the old image came back nevertheless. ${back.observed}`
      : `The upload was refused (${refusal}). ${back.observed}`,
  );
}

async function testThenPermanent(harness: Harness): Promise<Finding> {
  const file = await harness.factory.update();
  const refusal = await harness.delivery.send(file, { what: "a good update, for one trial boot" });
  if (refusal !== undefined) return unjudged(`The server did not accept it: ${refusal}`);
  const second = await harness.delivery.mark(file, true).then(
    () => "accepted",
    (error: Error) => `refused (${error.message})`,
  );
  harness.note(`the permanent request was ${second}`);
  const snapshot = await harness.boot();
  if (snapshot.running?.hash !== imageHashOf(file))
    return unjudged(`It did not start: ${describe(snapshot)}.`);
  if (snapshot.running?.confirmed)
    return second === "accepted"
      ? holds(
          "The second request was accepted and honoured: the image runs, confirmed, as the last request said.",
        )
      : fails(`The second request was ${second}, and yet the image runs confirmed.`);
  const back = await isBack(harness, "after a reset");
  return back.verdict === "holds" ? holds(`The second request was ${second}. ${back.observed}`) : back;
}

const SOAK_MS = 300;

async function waitsForConfirmation(harness: Harness): Promise<Finding> {
  const offered = await harness.factory.update();
  const problem = await onTrial(harness, offered, "a good update, for one trial boot");
  if (problem) return unjudged(problem);
  await new Promise((resolve) => setTimeout(resolve, SOAK_MS));
  const snapshot = await harness.takeSnapshot("a moment later, untouched");
  if (snapshot.running?.hash !== imageHashOf(offered))
    return unjudged(`It did not keep running: ${describe(snapshot)}.`);
  if (snapshot.running?.confirmed === undefined)
    return unjudged("It runs; the board does not report whether it is confirmed.");
  return snapshot.running.confirmed
    ? fails("It was confirmed without a request: it confirms itself before it could be judged.")
    : holds("It runs and is not confirmed.");
}

/** Confirming without a hash confirms the application, which is image 0. */
async function oneOfTwo(harness: Harness): Promise<Finding> {
  const own = await harness.factory.update();
  const second = await harness.factory.withBase(harness.flash.imageIn({ image: 1, slot: 0 })).update();
  const hashOf = (snapshot: Snapshot, image: number) =>
    snapshot.slots.find((slot) => slot.image === image && slot.slot === 0)?.hash;
  const before = hashOf(harness.initial, 1);
  await harness.delivery.program(own, { what: "an update of image 0, for one trial boot" });
  await harness.delivery.program(second, { what: "an update of image 1, for one trial boot", image: 1 });
  const onTrial = await harness.boot("power", "both on trial");
  if (hashOf(onTrial, 0) !== imageHashOf(own) || hashOf(onTrial, 1) !== imageHashOf(second))
    return unjudged(`They did not start on trial together: ${describe(onTrial)}.`);
  await harness.delivery.confirm();
  const after = await harness.boot("power", "image 0 confirmed, image 1 not");
  if (after.running?.hash !== imageHashOf(own))
    return fails(`Image 0 was confirmed, and yet ${describe(after)}.`);
  const now = hashOf(after, 1);
  if (now === imageHashOf(second)) return fails("Image 1 stays although nobody confirmed it.");
  return now !== undefined && now === before
    ? holds("Image 0, which was confirmed, stays; image 1, which was not, is the old one again.")
    : unjudged("Image 0 stays; the board does not report what image 1 is now.");
}
