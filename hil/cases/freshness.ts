import { type Case, fails, holds, refusal, unjudged } from "../case.js";
import { imageHashOf } from "../evidence.js";
import type { Harness } from "../harness/harness.js";
import { appendUnprotected, counterAt, flipBit, rehash } from "../images/image-edits.js";
import { describe } from "../snapshot.js";
import { throughRecovery } from "./recovery.js";
import { compareStored, stored } from "./stored-counter.js";

const claim = "anti-rollback-counter";
const needs = ["key", "counter"] as const;
/** To offer an older image there has to be a counter below the board's own. */
const olderNeeds = [...needs, "lower-counter"] as const;

/** Is it not an old one? Anti-rollback, which is not rollback: that is the next file. */
export const freshness: readonly Case[] = [
  refusal({
    id: "freshness/lower-counter",
    claim,
    summary:
      "A validly signed image with a lower security counter does not start, though its version is higher.",
    what: "a higher version with a lower security counter",
    needs: olderNeeds,
    quick: true,
    make: (factory) => factory.make({ counter: lower(factory.counter) }),
  }),
  {
    id: "freshness/missing-counter",
    claim,
    summary: "A validly signed image without a security counter does not start.",
    needs: ["secondary", "key"],
    risk: "secondary slot",
    control: "update",
    expected: "It is refused: the previous image still runs, and the board shows the refusal.",
    quick: true,
    steps: missingCounter,
  },
  {
    id: "freshness/equal-counter",
    supporting: true,
    claim,
    summary: "An equal security counter is accepted and writes nothing.",
    needs: ["secondary", ...needs],
    risk: "secondary slot",
    expected: "It starts; the stored security counter does not change.",
    steps: equalCounter,
  },
  refusal({
    id: "freshness/counter-edited",
    claim,
    summary: "Patching a higher security counter into an old image does not help.",
    what: "a lower security counter, patched to a higher one",
    needs: olderNeeds,
    make: async (factory) =>
      raised(await factory.make({ counter: lower(factory.counter) }), factory.counter! + 1),
  }),
  refusal({
    id: "freshness/counter-edited-rehashed",
    claim: "signature",
    summary: "Patching in a higher security counter and recomputing the hash does not help.",
    what: "a lower security counter, patched to a higher one, the hash recomputed",
    needs: [...olderNeeds, "signature"],
    make: async (factory) =>
      rehash(raised(await factory.make({ counter: lower(factory.counter) }), factory.counter! + 1)),
  }),
  refusal({
    id: "freshness/unprotected-counter",
    claim,
    summary: "A security counter added outside the signature does not count.",
    what: "no security counter in the signed part, a high one appended",
    needs,
    make: async (factory) =>
      appendUnprotected(await factory.make({ counter: null }), 0x50, u32(factory.counter! + 1)),
  }),
  refusal({
    id: "freshness/second-unprotected-counter",
    claim,
    summary: "A high security counter added outside the signature does not outvote the low one inside.",
    what: "a lower security counter in the signed part, a higher one appended",
    needs: olderNeeds,
    make: async (factory) =>
      appendUnprotected(
        await factory.make({ counter: lower(factory.counter) }),
        0x50,
        u32(factory.counter! + 1),
      ),
  }),
  {
    id: "freshness/cold-boot",
    claim,
    summary: "The stored security counter survives a loss of power.",
    needs: ["secondary", "power", ...olderNeeds],
    risk: "secondary slot",
    control: "update",
    expected: "After a power cycle the same value is stored, and an older image is refused.",
    steps: coldBoot,
  },
  {
    id: "freshness/slots-erased",
    claim,
    summary: "With both slots erased, an old image written straight into the primary slot does not start.",
    needs: ["primary-writable", ...olderNeeds],
    risk: "primary slot",
    expected: "It does not start; the stored security counter does not change.",
    quick: true,
    steps: slotsErased,
  },
  {
    id: "freshness/recovery-downgrade",
    claim,
    summary: "Serial recovery does not bring back an old image.",
    needs: ["recovery", ...olderNeeds],
    risk: "primary slot",
    control: "recovery-upload",
    assumes: ["recovery/damaged"],
    expected: "The old image is not started; the stored security counter does not change.",
    steps: recoveryDowngrade,
  },
  {
    id: "freshness/never-back",
    claim,
    summary: "Once raised, nothing moves the stored security counter back.",
    needs: ["secondary", "trial", ...needs],
    risk: "counter step",
    expected: "Older images are refused after the counter has risen, and the counter does not change.",
    steps: neverBack,
  },
  {
    id: "freshness/application-raises",
    claim: "counter-locked",
    summary: "An application cannot raise the stored security counter.",
    needs: ["secondary", "raise-counter", ...needs],
    risk: "counter",
    control: "update",
    expected: "It runs and tries; the stored security counter is as before.",
    quick: true,
    steps: applicationRaises,
  },
  refusal({
    id: "freshness/lower-version",
    claim: "anti-rollback-version",
    summary: "A lower version with an equal security counter does not start.",
    what: "a lower version, the security counter equal",
    needs: ["key", "lower-version"],
    quick: true,
    make: (factory) => factory.make({ version: factory.lowerVersion! }),
  }),
  {
    id: "freshness/equal-version",
    supporting: true,
    claim: "anti-rollback-version",
    summary: "An equal version is accepted.",
    needs: ["secondary", "key"],
    risk: "secondary slot",
    expected: "It is accepted and runs.",
    steps: equalVersion,
  },
  {
    id: "freshness/upgrade-flag",
    claim: "upgrade-flag",
    summary:
      "An upload with the upgrade flag is refused unless the version is higher; a plain upload is not.",
    needs: ["server-upload", "secondary", "key", "lower-version"],
    risk: "secondary slot",
    expected: "With the flag the lower version is refused at its first chunk; without it, it is accepted.",
    steps: upgradeFlag,
  },
];

const withoutCounter = refusal({
  id: "freshness/missing-counter",
  claim,
  summary: "",
  what: "a higher version without a security counter",
  make: (factory) => factory.make({ counter: null }),
});

async function missingCounter(harness: Harness) {
  if (harness.factory.counter === undefined)
    return fails(
      "The running image carries no security counter, and the board starts it: it does not require one.",
    );
  return withoutCounter.steps(harness);
}

/** Cases that make use of it need a counter, and one that is not 0. */
function lower(counter: number | undefined): number {
  return Math.max(0, counter! - 1);
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function raised(file: Uint8Array, counter: number): Uint8Array {
  const edited = flipBit(file, 0, 0);
  edited[0] = file[0]!;
  edited.set(u32(counter), counterAt(file));
  return edited;
}

async function equalCounter(harness: Harness) {
  const { outcome, shows, snapshot } = await harness.offer(await harness.factory.make({}), {
    what: "an equal security counter",
  });
  if (outcome !== "started") return fails(`It was not accepted: ${shows}.`);
  const counter = compareStored(harness.initial, snapshot);
  if (counter.is === "not-reported") return unjudged(`It was accepted; ${counter.message}.`);
  const observed = `It started, and ${counter.message}.`;
  return counter.is === "same" ? holds(observed) : fails(observed);
}

async function coldBoot(harness: Harness) {
  await harness.boot("power");
  const old = await harness.factory.make({ counter: lower(harness.factory.counter) });
  const { outcome, shows, snapshot } = await harness.offer(old, {
    what: "an older image after a loss of power",
  });
  if (outcome === "started") return fails(`The old image was accepted: ${shows}.`);
  if (outcome === "unclear" || outcome === "stopped") return unjudged(shows);
  const counter = compareStored(harness.initial, snapshot);
  const observed = `Refused: ${shows}; ${counter.message}.`;
  return counter.is === "changed" ? fails(observed) : holds(observed);
}

async function slotsErased(harness: Harness) {
  const old = await harness.primaryFactory.make({ counter: lower(harness.factory.counter) });
  const snapshot = await aloneInPrimary(harness, old, "an older image, alone on the board");
  if (snapshot.state === "application") return fails(`The old image started: ${describe(snapshot)}.`);
  const control = await aloneInPrimary(
    harness,
    await harness.primaryFactory.make({}),
    "an image with an equal counter, alone",
  );
  if (control.state !== "application")
    return unjudged(`Not even a good image starts this way: ${describe(control)}.`);
  const counter = compareStored(harness.initial, control);
  if (counter.is === "changed") return fails(`With the slots erased ${counter.message}.`);
  return holds(
    `The old image did not start (${describe(snapshot)}); one with an equal counter did, and ${counter.message}.`,
  );
}

/** Both slots erased, then the image in the primary: by a programmer, else over the wire through serial recovery. */
async function aloneInPrimary(harness: Harness, file: Uint8Array, what: string) {
  if (!harness.traits.canProgram) {
    if (harness.strategy.state !== "recovery") await harness.delivery.eraseSecondary();
    return (await throughRecovery(harness, file, what)).snapshot;
  }
  harness.recorder.offered(what, file, "both slots erased, then programmed into slot 0");
  await harness.flash.eraseSlots(file);
  return harness.boot("power");
}

async function recoveryDowngrade(harness: Harness) {
  const old = await harness.primaryFactory.make({ counter: lower(harness.factory.counter) });
  const { snapshot } = await throughRecovery(harness, old, "an older image");
  if (snapshot.state === "application" && snapshot.running)
    return fails(`The old image started: ${describe(snapshot)}.`);
  const refused = `The old image did not start: ${describe(snapshot)}`;
  // MCUboot's serial recovery tells no counters: whoever tells them has to run again first.
  const teller =
    stored(harness.initial) !== undefined && stored(snapshot) === undefined
      ? (await throughRecovery(harness, harness.factory.baseFile, "the board's own image again")).snapshot
      : snapshot;
  const counter = compareStored(harness.initial, teller);
  return counter.is === "changed"
    ? fails(`${refused}. But ${counter.message}.`)
    : holds(`${refused}; ${counter.message}.`);
}

/**
 * The counter rises by a confirmed image; from then on images below it are refused. A board that reports no stored
 * counter is judged by what it starts alone.
 */
async function neverBack(harness: Harness) {
  const { factory } = harness;
  const start = stored(harness.initial) ?? factory.counter!;
  const newer = await factory.make({ counter: start + 1 });
  const first = await harness.offer(newer, { what: "an update with a higher security counter" });
  if (first.outcome !== "started") return unjudged(`The newer image did not start: ${first.shows}.`);
  await harness.delivery.confirm();
  const raised = await harness.boot();
  const burnt = stored(raised);
  if (burnt !== undefined && burnt !== start + 1)
    return fails(`After the confirmation and a restart ${burnt} is stored, not ${start + 1}.`);
  for (const counter of [start, lower(start)]) {
    const old = await harness.factory.make({ counter, version: factory.version(3) });
    const { outcome, snapshot } = await harness.offer(old, {
      what: `an image with security counter ${counter}`,
    });
    const now = compareStored(raised, snapshot);
    if (now.is === "changed")
      return fails(`After an image with security counter ${counter}: ${now.message}.`);
    if (outcome === "started")
      return fails(`An image with security counter ${counter} started after one with ${start + 1}.`);
    if (snapshot.running?.hash !== imageHashOf(newer))
      return unjudged(`After an image with security counter ${counter}: ${describe(snapshot)}.`);
  }
  const end = compareStored(raised, await harness.boot());
  if (end.is === "changed") return fails(`In the end ${end.message}.`);
  return holds(
    `After an image with security counter ${start + 1} was confirmed, lower ones were refused; ${end.message}.`,
  );
}

/** The image tries at its start; what it answers afterwards, the bootloader's own counter tells. */
async function applicationRaises(harness: Harness) {
  const file = await harness.factory.make({ behaviour: "raise-counter" });
  const { outcome, shows, snapshot } = await harness.offer(file, {
    what: "an image that tries to raise the security counter at its start",
  });
  if (outcome !== "started" || snapshot.running?.hash !== imageHashOf(file))
    return unjudged(`It did not start: ${shows}.`);
  const counter = compareStored(harness.initial, await harness.takeSnapshot("after it has tried"));
  if (counter.is === "not-reported") return unjudged(`It ran; ${counter.message}.`);
  return counter.is === "same"
    ? holds(`It ran and tried, and ${counter.message}.`)
    : fails(`The application moved it: ${counter.message}.`);
}

async function equalVersion(harness: Harness) {
  const file = await harness.factory.make({ version: harness.factory.version(0), grow: 16 });
  const { outcome, shows } = await harness.offer(file, { what: "another build of the same version" });
  if (outcome === "started") return holds(`Accepted: ${shows}.`);
  return harness.traits.picksByVersion
    ? unjudged(
        "It was skipped: of two equal versions a bootloader of this kind starts the one in the primary slot.",
      )
    : fails(`Not accepted: ${shows}.`);
}

async function upgradeFlag(harness: Harness) {
  const lowerVersion = harness.factory.lowerVersion!;
  const old = await harness.factory.make({ version: lowerVersion });
  const flagged = await harness.delivery.send(old, {
    what: `version ${lowerVersion}, with the upgrade flag`,
    upgrade: true,
  });
  if (flagged === undefined)
    return fails("The server accepted a lower version although the upload had the upgrade flag.");
  const plain = await harness.delivery.send(old, { what: `version ${lowerVersion}, plain` });
  return plain === undefined
    ? holds(`With the flag it was refused (${flagged}); without it, it was accepted.`)
    : unjudged(`It was refused either way (${plain}), so the flag made no difference.`);
}
