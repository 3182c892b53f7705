import { shellExec } from "bootproof";
import type { Behaviour } from "../bench.js";
import { type Case, type Finding, fails, holds, type Need, unjudged } from "../case.js";
import { imageHashOf } from "../evidence.js";
import { describe, type Sight } from "../sight.js";
import type { Stand } from "../stand.js";

const claim = "rollback";

const SAYS = {
  hang: "An image that hangs is gone after the watchdog has bitten.",
  crash: "An image that crashes is gone after its crash.",
  "no-confirm": "An image that refuses its confirmation is gone after the next reset.",
  "fail-health": "An image that fails its health check is not confirmed, and gone after the next reset.",
} satisfies Partial<Record<Behaviour & Need, string>>;

/** Trial boot and revert (rollback). Images keep the board's own security counter, so that no counter is in play. */
export const trial: readonly Case[] = [
  {
    id: "trial/never-confirmed",
    claim,
    says: "An image that nobody confirms is gone after the next reset.",
    needs: ["secondary", "trial", "update"],
    risk: "secondary slot",
    expected: "It runs once, unconfirmed; after a reset the old image runs, confirmed.",
    quick: true,
    steps: neverConfirmed,
  },
  ...(["hang", "crash", "no-confirm", "fail-health"] as const).map(
    (behaviour): Case => ({
      id: `trial/${behaviour}`,
      claim,
      says: SAYS[behaviour],
      needs: ["secondary", "trial", "key", behaviour],
      risk: "secondary slot",
      expected: "It runs once; the old image comes back and stays.",
      steps: (stand) => misbehaves(stand, behaviour),
    }),
  ),
  {
    id: "trial/confirmed-stays",
    claim,
    says: "A confirmed image stays over several resets.",
    needs: ["secondary", "trial", "update"],
    risk: "counter",
    expected: "After the confirmation it runs after each of three resets.",
    steps: confirmedStays,
  },
  {
    id: "trial/upload-while-unconfirmed",
    claim,
    says: "While an image is on trial, an upload cannot destroy the way back.",
    needs: ["secondary", "trial", "key"],
    risk: "secondary slot",
    expected: "The upload is refused, and after a reset the old image runs.",
    steps: uploadWhileUnconfirmed,
  },
  {
    id: "trial/test-then-permanent",
    claim,
    says: "A request for one trial boot is not silently turned into one for good.",
    needs: ["secondary", "trial", "key"],
    risk: "counter",
    expected:
      "Either the second request is refused or has no effect: the image runs unconfirmed and is reverted.",
    steps: testThenPermanent,
  },
  {
    id: "trial/waits-for-confirmation",
    claim: "host-confirms",
    says: "A new image of this firmware stays unconfirmed until somebody outside has judged it.",
    needs: ["secondary", "trial", "update"],
    risk: "secondary slot",
    expected: "A second after its start it runs, unconfirmed.",
    quick: true,
    steps: waitsForConfirmation,
  },
  {
    id: "trial/test-burns-nothing",
    claim: "counter-after-confirm",
    says: "A trial boot of an image with a higher security counter does not raise the stored one.",
    needs: ["secondary", "trial", "key", "counter"],
    risk: "counter",
    expected: "It runs on trial and the stored security counter is as before.",
    quick: true,
    steps: testBurnsNothing,
  },
  {
    id: "trial/confirm-burns",
    claim: "counter-after-confirm",
    says: "After a confirmation the stored security counter rises, at the next boot at the latest.",
    needs: ["secondary", "trial", "key", "counter"],
    risk: "counter",
    expected: "Before the confirmation it is as before; after the next boot it is the image's.",
    quick: true,
    steps: confirmBurns,
  },
];

/** Offers a trial image and makes sure that it runs; the reason why not otherwise. */
async function onTrial(stand: Stand, file: Uint8Array, what: string): Promise<string | undefined> {
  const { fate, shows, sight } = await stand.offer(file, { what });
  if (fate !== "started" || sight.running?.hash !== imageHashOf(file))
    return `It did not start on trial: ${shows}.`;
  return undefined;
}

/**
 * Emulators that load their files anew at each reset write the primary slot behind the bootloader's back: then the old
 * image is in both slots, where a revert would have put the new one into the other.
 */
function isRewritten(stand: Stand, sight: Sight, candidate?: string): boolean {
  const hashes = sight.slots.filter(({ image }) => image === 0).map(({ hash }) => hash);
  const own = stand.home.running?.hash;
  if (candidate !== undefined && sight.running?.hash === own && !hashes.includes(candidate)) return true;
  return hashes.length > 1 && hashes.every((hash) => hash === own);
}

const REWRITTEN =
  "The old image runs, but not because of the bootloader: something writes it into the primary slot at each reset, as emulators do that load their files anew.";

async function isBack(stand: Stand, how: string): Promise<Finding> {
  const sight = await stand.boot("reset", how);
  if (isRewritten(stand, sight)) return unjudged(REWRITTEN);
  if (sight.running?.hash !== stand.home.running?.hash)
    return fails(`The old image did not come back: ${describe(sight)}.`);
  if (!sight.running?.confirmed) return fails("The old image came back and is not confirmed.");
  return holds(`The old image came back and is confirmed: ${describe(sight)}.`);
}

async function neverConfirmed(stand: Stand): Promise<Finding> {
  const problem = await onTrial(stand, await stand.forge.update(), "a good update, for one trial boot");
  return problem ? unjudged(problem) : isBack(stand, "after a reset without confirmation");
}

/** Hangs and crashes end by themselves; the others by a reset. */
async function misbehaves(stand: Stand, behaviour: keyof typeof SAYS): Promise<Finding> {
  const file = await stand.forge.make({ behaviour });
  const own = stand.home.running?.hash;
  const { fate, shows, sight } = await stand.offer(file, { what: `an image that behaves as "${behaviour}"` });
  if (fate !== "started") return unjudged(`It did not start: ${shows}.`);
  if (behaviour === "hang" || behaviour === "crash") {
    const start = performance.now();
    let now = sight;
    while (now.running?.hash !== own && performance.now() - start < stand.patienceMs)
      now = await stand.look("while it misbehaves");
    return now.running?.hash === own && now.running?.confirmed
      ? holds(`It started (${shows}), and the board went back by itself: ${describe(now)}.`)
      : fails(`The old image did not come back within ${stand.patienceMs} ms: ${describe(now)}.`);
  }
  if (sight.running?.hash !== imageHashOf(file))
    return unjudged(`It was gone before it could be asked: ${shows}.`);
  const trouble = behaviour === "no-confirm" ? await refusesConfirm(stand) : await isSick(stand);
  if (trouble !== undefined) return unjudged(trouble);
  return isBack(stand, "after a reset");
}

async function refusesConfirm(stand: Stand): Promise<string | undefined> {
  try {
    await stand.confirm();
    return "The image took the confirmation that it should refuse.";
  } catch (error) {
    stand.note(`the confirmation was refused: ${(error as Error).message}`);
    return undefined;
  }
}

async function isSick(stand: Stand): Promise<string | undefined> {
  const { ret, o } = await stand.client.send(shellExec, { argv: ["health"] }, { signal: stand.signal });
  stand.note(`health check: returned ${ret}, said "${o.trim()}"`);
  return ret === 0 ? "The image says that it is well." : undefined;
}

async function confirmedStays(stand: Stand): Promise<Finding> {
  const file = await stand.forge.update();
  const problem = await onTrial(stand, file, "a good update");
  if (problem) return unjudged(problem);
  await stand.confirm();
  for (let count = 1; count <= 3; count++) {
    const sight = await stand.boot("reset", `after reset ${count}`);
    if (isRewritten(stand, sight, imageHashOf(file))) return unjudged(REWRITTEN);
    if (sight.running?.hash !== imageHashOf(file)) return fails(`After reset ${count} ${describe(sight)}.`);
    if (!sight.running?.confirmed) return fails(`After reset ${count} it runs and is not confirmed.`);
  }
  return holds("It ran, confirmed, after each of three resets.");
}

async function uploadWhileUnconfirmed(stand: Stand): Promise<Finding> {
  const problem = await onTrial(stand, await stand.forge.update(), "a good update, for one trial boot");
  if (problem) return unjudged(problem);
  const another = await stand.forge.make({ version: stand.forge.version(2) });
  const refusal = await stand.send(another, { what: "another update, while the first is on trial" });
  const back = await isBack(stand, "after a reset");
  if (refusal === undefined && back.verdict === "does-not-hold")
    return fails(`The server took the upload, and the way back is gone. ${back.seen}`);
  if (back.verdict !== "holds") return back;
  return holds(
    refusal === undefined
      ? `The server took the upload, and the old image came back all the same. ${back.seen}`
      : `The upload was refused (${refusal}). ${back.seen}`,
  );
}

async function testThenPermanent(stand: Stand): Promise<Finding> {
  const file = await stand.forge.update();
  const refusal = await stand.send(file, { what: "a good update, for one trial boot" });
  if (refusal !== undefined) return unjudged(`The server did not take it: ${refusal}`);
  const second = await stand.mark(file, true).then(
    () => "accepted",
    (error: Error) => `refused (${error.message})`,
  );
  stand.note(`the request for good was ${second}`);
  const sight = await stand.boot();
  if (sight.running?.hash !== imageHashOf(file)) return unjudged(`It did not start: ${describe(sight)}.`);
  if (sight.running?.confirmed)
    return second === "accepted"
      ? holds(
          "The second request was accepted and honoured: the image runs, confirmed, as was asked for last.",
        )
      : fails(`The second request was ${second}, and yet the image runs confirmed.`);
  const back = await isBack(stand, "after a reset");
  return back.verdict === "holds" ? holds(`The second request was ${second}. ${back.seen}`) : back;
}

const SOAK_MS = 300;

async function waitsForConfirmation(stand: Stand): Promise<Finding> {
  const offered = await stand.forge.update();
  const problem = await onTrial(stand, offered, "a good update, for one trial boot");
  if (problem) return unjudged(problem);
  await new Promise((resolve) => setTimeout(resolve, SOAK_MS));
  const sight = await stand.look("a moment later, untouched");
  if (sight.running?.hash !== imageHashOf(offered))
    return unjudged(`It did not keep running: ${describe(sight)}.`);
  return sight.running?.confirmed
    ? fails("It is confirmed although nobody confirmed it: it confirms itself, before it could be judged.")
    : holds("It runs and is not confirmed.");
}

async function higher(stand: Stand) {
  const start = stand.home.counters[0];
  if (start === undefined) {
    return stand.home.reportsTrust
      ? fails("The board reports no stored security counter at all.")
      : unjudged("The board does not report its stored security counter.");
  }
  const file = await stand.forge.make({ counter: start + 1 });
  const problem = await onTrial(
    stand,
    file,
    `an update with security counter ${start + 1}, for one trial boot`,
  );
  return problem ? unjudged(problem) : { start, file };
}

async function testBurnsNothing(stand: Stand): Promise<Finding> {
  const prepared = await higher(stand);
  if ("verdict" in prepared) return prepared;
  const { start } = prepared;
  const now = (await stand.look("on trial")).counters[0];
  return now === start
    ? holds(`On trial, the stored security counter is ${start} as before.`)
    : fails(`The trial boot alone moved the stored security counter from ${start} to ${now}.`);
}

async function confirmBurns(stand: Stand): Promise<Finding> {
  const prepared = await higher(stand);
  if ("verdict" in prepared) return prepared;
  const { start, file } = prepared;
  const trialValue = (await stand.look("on trial")).counters[0];
  await stand.confirm();
  const sight = await stand.boot("reset", "after the confirmation and a reset");
  const now = sight.counters[0];
  if (sight.running?.hash !== imageHashOf(file))
    return fails(`The confirmed image does not run: ${describe(sight)}.`);
  if (now !== start + 1) return fails(`After confirmation and reset ${now} is stored, not ${start + 1}.`);
  if (trialValue !== start) return fails(`It had risen to ${trialValue} before the confirmation.`);
  return holds(`${start} before the confirmation, ${now} after the next boot.`);
}
