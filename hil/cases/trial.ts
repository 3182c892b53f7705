import { shellExec } from "bootproof/smp";
import type { Behaviour } from "../board-file.js";
import { type Case, type Finding, fails, holds, type Need, unjudged } from "../case.js";
import { imageHashOf } from "../evidence.js";
import { areaOf } from "../flash-layout.js";
import type { Harness } from "../harness/harness.js";
import { describe, newEvents, type Snapshot, wordsOf } from "../snapshot.js";
import { compareStored, stored } from "./stored-counter.js";

const claim = "rollback";

/** Firmware that confirms itself leaves nothing to be seen of what happens to an image that nobody confirms. */
const WAITS = "trial/waits-for-confirmation";

const SAYS = {
  hang: "An image that hangs is reverted after the watchdog reset.",
  crash: "An image that crashes is reverted after its crash.",
  "no-confirm": "An image that refuses its confirmation is reverted at the next reset.",
  "fail-health": "An image that fails its health check is not confirmed, and is reverted at the next reset.",
} satisfies Partial<Record<Behaviour & Need, string>>;

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

/** Offers a trial image and makes sure that it runs; the reason why not otherwise. */
async function onTrial(harness: Harness, file: Uint8Array, what: string): Promise<string | undefined> {
  const { outcome, shows, snapshot } = await harness.offer(file, { what });
  if (outcome !== "started" || snapshot.running?.hash !== imageHashOf(file))
    return `It did not start on trial: ${shows}.`;
  return undefined;
}

/**
 * Emulators that load their files anew at each reset write the primary slot behind the bootloader's back: then the old
 * image is in both slots, where a revert would have put the new one into the other.
 */
function isRewritten(harness: Harness, snapshot: Snapshot, candidate?: string): boolean {
  const hashes = snapshot.slots.filter(({ image }) => image === 0).map(({ hash }) => hash);
  const own = harness.initial.running?.hash;
  if (candidate !== undefined && snapshot.running?.hash === own && !hashes.includes(candidate)) return true;
  return hashes.length > 1 && hashes.every((hash) => hash === own);
}

const REWRITTEN =
  "The old image runs, but not because of the bootloader: something writes it into the primary slot at each reset, as emulators that reload their files do.";

async function isBack(harness: Harness, how: string): Promise<Finding> {
  const snapshot = await harness.boot("reset", how);
  if (isRewritten(harness, snapshot)) return unjudged(REWRITTEN);
  if (snapshot.running?.hash !== harness.initial.running?.hash)
    return fails(`The old image did not come back: ${describe(snapshot)}.`);
  if (snapshot.running?.confirmed === undefined)
    return unjudged("The old image came back; the board does not report whether it is confirmed.");
  if (!snapshot.running.confirmed) return fails("The old image came back and is not confirmed.");
  return holds(`The old image came back and is confirmed: ${describe(snapshot)}.`);
}

async function neverConfirmed(harness: Harness): Promise<Finding> {
  const problem = await onTrial(harness, await harness.factory.update(), "a good update, for one trial boot");
  return problem ? unjudged(problem) : isBack(harness, "after a reset without confirmation");
}

/** Hangs and crashes end by themselves; the others by a reset. */
async function misbehaves(harness: Harness, behaviour: keyof typeof SAYS): Promise<Finding> {
  const file = await harness.factory.make({ behaviour });
  const own = harness.initial.running?.hash;
  const { outcome, shows, snapshot } = await harness.offer(file, {
    what: `an image that behaves as "${behaviour}"`,
  });
  if (outcome !== "started") return unjudged(`It did not start: ${shows}.`);
  if (behaviour === "hang" || behaviour === "crash") {
    const now = await afterItself(harness, snapshot);
    return now.running?.hash === own && now.running?.confirmed !== false
      ? holds(`It started (${shows}), and the board went back by itself: ${describe(now)}.`)
      : fails(`The old image did not come back: ${describe(now)}.`);
  }
  if (snapshot.running?.hash !== imageHashOf(file))
    return unjudged(`It was reverted before it could be checked: ${shows}.`);
  const trouble = behaviour === "no-confirm" ? await refusesConfirm(harness) : await isSick(harness);
  if (trouble !== undefined) return unjudged(trouble);
  return isBack(harness, "after a reset");
}

/** More than a sound board needs: at the first start after a trial image failed, the old one runs. */
const STARTS = 3;

/**
 * What runs when a trial image has had its chance to fail. Boards that tell their starts are given some, however long a busy
 * host takes for them; others the time in which they start.
 */
async function afterItself(harness: Harness, trial: Snapshot): Promise<Snapshot> {
  const { board, traits } = harness;
  const own = harness.initial.running?.hash;
  const begun = performance.now();
  let from = board.log.end;
  let now = trial;
  for (let starts = 0; now.running?.hash !== own; ) {
    now = await harness.lookAgain("while it misbehaves");
    if (board.can.has("tells-start")) {
      if (starts++ === STARTS || now.running?.hash === own) break;
      // Silent for so long, it is asked once more.
      if ((await board.started(from, traits.patienceMs)) === "unknown") starts = STARTS;
      from = board.log.end;
    } else if (performance.now() - begun >= traits.patienceMs) break;
  }
  return now;
}

async function refusesConfirm(harness: Harness): Promise<string | undefined> {
  try {
    await harness.delivery.confirm();
    return "The image took the confirmation that it should refuse.";
  } catch (error) {
    harness.note(`the confirmation was refused: ${(error as Error).message}`);
    return undefined;
  }
}

async function isSick(harness: Harness): Promise<string | undefined> {
  const { ret, o } = await harness.client.send(shellExec, { argv: ["health"] }, { signal: harness.signal });
  harness.note(`health check: returned ${ret}, said "${o.trim()}"`);
  return ret === 0 ? "The image reports that it is healthy." : undefined;
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

async function slotsUntouched(harness: Harness): Promise<Finding> {
  const { mode, needsTrailer } = harness.traits;
  if (needsTrailer)
    return {
      verdict: "not-supported",
      observed: `A bootloader in mode ${mode} itself erases an image that was not requested.`,
    };
  const file = await harness.factory.update();
  await harness.delivery.leave(file, "a good update, not requested");
  const snapshot = await harness.boot();
  const { slot } = harness.traits.placeFor(0);
  const held = snapshot.slots.find((one) => one.image === 0 && one.slot === slot);
  if (snapshot.running?.hash === imageHashOf(file))
    return fails(`It runs although it was not requested: ${describe(snapshot)}.`);
  if (snapshot.running?.hash !== harness.initial.running?.hash) return unjudged(`${describe(snapshot)}.`);
  if (held?.hash !== imageHashOf(file)) return whoEmptied(harness, snapshot);
  if (held?.flags.includes("pending"))
    return fails("It is pending for the next boot although it was not requested.");
  return holds(`After the start slot ${slot} still contains it, unrequested.`);
}

function whoEmptied(harness: Harness, snapshot: Snapshot): Finding {
  const erased = newEvents(harness.beforeBoot ?? harness.initial, snapshot).find(
    ({ type }) => type === "erased",
  );
  if (erased) return unjudged(`The bootloader itself erased it: "${wordsOf(erased)}".`);
  if (harness.traits.mode === undefined)
    return unjudged(
      "The board no longer lists it, and does not report its mode: some bootloaders erase an image that was not requested.",
    );
  return fails("The board no longer lists it: something erased the slot after the start.");
}

async function brokenSlot(harness: Harness): Promise<Finding> {
  const { board, traits } = harness;
  const place = traits.placeFor(0);
  const { offset, size } = areaOf(traits.layout, place);
  harness.note(`slot ${place.slot} of image 0 cannot be read from the next start on`);
  board.breakFlash!(offset, size);
  try {
    const snapshot = await harness.boot("power");
    return snapshot.state === "application" && snapshot.running?.hash === harness.initial.running?.hash
      ? holds(`With slot ${place.slot} unreadable ${describe(snapshot)}.`)
      : fails(`With slot ${place.slot} unreadable ${describe(snapshot)}.`);
  } finally {
    board.breakFlash!(0, 0);
  }
}

/** An image one step above what the board asks for, on trial. */
async function higher(harness: Harness) {
  const start = stored(harness.initial) ?? harness.factory.counter!;
  const file = await harness.factory.make({ counter: start + 1 });
  const problem = await onTrial(
    harness,
    file,
    `an update with security counter ${start + 1}, for one trial boot`,
  );
  return problem ? unjudged(problem) : { start, file };
}

/** A counter that the trial boot had raised would keep the old image from coming back. */
async function testBurnsNothing(harness: Harness): Promise<Finding> {
  const prepared = await higher(harness);
  if ("verdict" in prepared) return prepared;
  const trial = compareStored(harness.initial, await harness.takeSnapshot("on trial"));
  if (trial.is === "changed") return fails(`The trial boot alone moved it: ${trial.message}.`);
  if (trial.is === "same") return holds(`On trial, ${trial.message}.`);
  const back = await isBack(harness, "after a reset without confirmation");
  return back.verdict === "holds"
    ? holds(`After the trial the old image, with its lower security counter, starts again. ${back.observed}`)
    : back;
}

async function confirmBurns(harness: Harness): Promise<Finding> {
  const prepared = await higher(harness);
  if ("verdict" in prepared) return prepared;
  const { start, file } = prepared;
  const trial = compareStored(harness.initial, await harness.takeSnapshot("on trial"));
  await harness.delivery.confirm();
  const snapshot = await harness.boot("reset", "after the confirmation and a reset");
  if (snapshot.running?.hash !== imageHashOf(file))
    return fails(`The confirmed image does not run: ${describe(snapshot)}.`);
  const now = stored(snapshot);
  if (now === undefined) return refusesBelow(harness, start);
  if (now !== start + 1) return fails(`After confirmation and reset ${now} is stored, not ${start + 1}.`);
  if (trial.is === "changed") return fails(`Before the confirmation ${trial.message}.`);
  return holds(`${start} before the confirmation, ${now} after the next boot.`);
}

/** The board does not report its counter: whether it has risen shows by what it starts. */
async function refusesBelow(harness: Harness, counter: number): Promise<Finding> {
  const { factory } = harness;
  const running = (await harness.takeSnapshot("before the older image")).running?.hash;
  const old = await factory.make({ counter, version: factory.version(3) });
  const { outcome, shows, snapshot } = await harness.offer(old, {
    what: `a higher version with security counter ${counter}`,
  });
  if (outcome === "started")
    return fails(`After the confirmation an image with security counter ${counter} still started: ${shows}.`);
  return snapshot.running?.hash === running
    ? holds(`After the confirmation an image with security counter ${counter} does not start any more.`)
    : unjudged(`After an image with security counter ${counter}: ${describe(snapshot)}.`);
}
