import { type Case, fails, holds, refusal, unjudged } from "../case.js";
import { appendUnprotected, counterAt, flipBit, rehash } from "../forge.js";
import { describe } from "../sight.js";
import type { Stand } from "../stand.js";
import { throughRecovery } from "./recovery.js";

const claim = "anti-rollback-counter";
const needs = ["key", "counter"] as const;

/** Is it not an old one? Anti-rollback, which is not rollback: that is the next file. */
export const freshness: readonly Case[] = [
  refusal({
    id: "freshness/lower-counter",
    claim,
    says: "A validly signed image with a lower security counter does not start, though its version is higher.",
    what: "a higher version with a lower security counter",
    needs,
    quick: true,
    make: (forge) => forge.make({ counter: lower(forge.counter) }),
  }),
  {
    id: "freshness/missing-counter",
    claim,
    says: "A validly signed image without a security counter does not start.",
    needs: ["secondary", "key"],
    risk: "secondary slot",
    control: "update",
    expected: "It is refused: the image that ran before still runs, and the board shows the refusal.",
    quick: true,
    steps: missingCounter,
  },
  {
    id: "freshness/equal-counter",
    supporting: true,
    claim,
    says: "An equal security counter is accepted and writes nothing.",
    needs: ["secondary", ...needs],
    risk: "secondary slot",
    expected: "It starts; the stored security counter stays.",
    steps: equalCounter,
  },
  refusal({
    id: "freshness/counter-edited",
    claim,
    says: "Raising the security counter of an old image by hand does not help.",
    what: "a lower security counter, raised by hand",
    needs,
    make: async (forge) => raised(await forge.make({ counter: lower(forge.counter) }), forge.counter! + 1),
  }),
  refusal({
    id: "freshness/counter-edited-rehashed",
    claim: "signature",
    says: "Raising the security counter by hand and making the hash right again does not help.",
    what: "a lower security counter, raised by hand, the hash made right again",
    needs: ["key", "counter", "signature"],
    make: async (forge) =>
      rehash(raised(await forge.make({ counter: lower(forge.counter) }), forge.counter! + 1)),
  }),
  refusal({
    id: "freshness/unprotected-counter",
    claim,
    says: "A security counter added outside the signature does not count.",
    what: "no security counter in the signed part, a high one appended",
    needs,
    make: async (forge) =>
      appendUnprotected(await forge.make({ counter: null }), 0x50, u32(forge.counter! + 1)),
  }),
  refusal({
    id: "freshness/second-unprotected-counter",
    claim,
    says: "A high security counter added outside the signature does not outvote the low one inside.",
    what: "a lower security counter in the signed part, a higher one appended",
    needs,
    make: async (forge) =>
      appendUnprotected(await forge.make({ counter: lower(forge.counter) }), 0x50, u32(forge.counter! + 1)),
  }),
  {
    id: "freshness/cold-boot",
    claim,
    says: "The stored security counter outlives a loss of power.",
    needs: ["secondary", "power", ...needs],
    risk: "secondary slot",
    control: "update",
    expected: "After power off and on the same value is stored, and an older image is refused.",
    steps: coldBoot,
  },
  {
    id: "freshness/slots-erased",
    claim,
    says: "With both slots erased, an old image written straight into the primary slot does not start.",
    needs: ["programmer", ...needs],
    risk: "primary slot",
    expected: "It does not start; the stored security counter stays.",
    quick: true,
    steps: slotsErased,
  },
  {
    id: "freshness/recovery-downgrade",
    claim,
    says: "Serial recovery does not bring an old image back.",
    needs: ["recovery", ...needs],
    risk: "primary slot",
    control: "recovery-upload",
    assumes: ["recovery/damaged"],
    expected: "The old image is not started; the stored security counter stays.",
    steps: recoveryDowngrade,
  },
  {
    id: "freshness/never-back",
    claim,
    says: "Once raised, nothing moves the stored security counter back.",
    needs: ["secondary", "trial", ...needs],
    risk: "counter",
    expected: "Older images are refused after the counter has risen, and it stays where it is.",
    steps: neverBack,
  },
  refusal({
    id: "freshness/lower-version",
    claim: "anti-rollback-version",
    says: "A lower version with an equal security counter does not start.",
    what: "a lower version, the security counter equal",
    needs: ["key", "lower-version"],
    quick: true,
    make: (forge) => forge.make({ version: forge.lowerVersion! }),
  }),
  {
    id: "freshness/equal-version",
    supporting: true,
    claim: "anti-rollback-version",
    says: "An equal version is accepted.",
    needs: ["secondary", "key"],
    risk: "secondary slot",
    expected: "It is accepted and runs.",
    steps: equalVersion,
  },
  {
    id: "freshness/upgrade-flag",
    claim: "upgrade-flag",
    says: "An upload with the upgrade flag is refused unless the version is higher; a plain upload is not.",
    needs: ["secondary", "key", "lower-version"],
    risk: "secondary slot",
    expected: "With the flag the lower version is refused at its first chunk, without it taken.",
    steps: upgradeFlag,
  },
];

const withoutCounter = refusal({
  id: "freshness/missing-counter",
  claim,
  says: "",
  what: "a higher version without a security counter",
  make: (forge) => forge.make({ counter: null }),
});

async function missingCounter(stand: Stand) {
  if (stand.forge.counter === undefined)
    return fails(
      "The image that runs carries no security counter itself, and the board starts it: it asks for none.",
    );
  return withoutCounter.steps(stand);
}

function lower(counter: number | undefined): number {
  return Math.max(0, (counter ?? 0) - 1);
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

/** The stored counter; a board that reports none cannot show what these cases ask. */
function stored(sight: { counters: Readonly<Record<number, number>> }): number | undefined {
  return sight.counters[0];
}

async function equalCounter(stand: Stand) {
  const before = stored(stand.home);
  const { fate, shows, sight } = await stand.offer(await stand.forge.make({}), {
    what: "an equal security counter",
  });
  if (fate !== "started") return fails(`It was not accepted: ${shows}.`);
  if (before === undefined)
    return unjudged("It was accepted; the board does not report its stored security counter.");
  return stored(sight) === before
    ? holds(`It started, and the stored security counter is ${before} as before.`)
    : fails(`It started, and the stored security counter went from ${before} to ${stored(sight)}.`);
}

async function coldBoot(stand: Stand) {
  const before = stored(stand.home);
  await stand.boot("power");
  const old = await stand.forge.make({ counter: lower(stand.forge.counter) });
  const { fate, shows, sight } = await stand.offer(old, { what: "an older image after a loss of power" });
  if (fate === "started") return fails(`The old image was let through: ${shows}.`);
  if (fate === "unclear" || fate === "stopped") return unjudged(shows);
  if (before === undefined)
    return holds(`Refused: ${shows}. (The board does not report the stored counter.)`);
  return stored(sight) === before
    ? holds(`Refused: ${shows}; the stored security counter is ${before} as before.`)
    : fails(`The stored security counter went from ${before} to ${stored(sight)}.`);
}

async function slotsErased(stand: Stand) {
  const before = stored(stand.home);
  const old = await stand.forge.make({ counter: lower(stand.forge.counter) });
  const sight = await inPrimary(stand, old, "an older image, alone on the board");
  if (sight.state === "application") return fails(`The old image started: ${describe(sight)}.`);
  const control = await inPrimary(stand, await stand.forge.make({}), "an image with an equal counter, alone");
  if (control.state !== "application")
    return unjudged(`Not even a good image starts this way: ${describe(control)}.`);
  if (before !== undefined && stored(control) !== before)
    return fails(`The stored security counter went from ${before} to ${stored(control)}.`);
  return holds(`The old image did not start (${describe(sight)}); one with an equal counter did.`);
}

/** Both slots erased, then the image in the primary, as with a programmer. */
async function inPrimary(stand: Stand, file: Uint8Array, what: string) {
  const { slotSize } = stand.layout;
  await stand.powerOff();
  stand.recorder.offered(what, file, "both slots erased, then programmed into slot 0");
  const primary = new Uint8Array(slotSize).fill(0xff);
  primary.set(file);
  stand.board.writeFlash(0, primary);
  stand.board.writeFlash(slotSize, new Uint8Array(slotSize).fill(0xff));
  return stand.boot("power");
}

async function recoveryDowngrade(stand: Stand) {
  const before = stored(stand.home);
  const old = await stand.forge.make({ counter: lower(stand.forge.counter) });
  const { sight } = await throughRecovery(stand, old, "an older image");
  if (sight.state === "application" && sight.running)
    return fails(`The old image started: ${describe(sight)}.`);
  if (before !== undefined && stored(sight) !== before)
    return fails(`The stored security counter went from ${before} to ${stored(sight)}.`);
  return holds(`The old image did not start: ${describe(sight)}.`);
}

async function neverBack(stand: Stand) {
  const { forge } = stand;
  const start = stored(stand.home);
  if (start === undefined)
    return stand.home.reportsTrust
      ? fails("The board reports no stored security counter: there is nothing that could rise.")
      : unjudged("The board does not report its stored security counter.");
  const newer = await forge.make({ counter: start + 1 });
  const first = await stand.offer(newer, { what: "an update with a higher security counter" });
  if (first.fate !== "started") return unjudged(`The newer image did not start: ${first.shows}.`);
  await stand.confirm();
  const burnt = stored(await stand.boot());
  if (burnt !== start + 1)
    return fails(`After the confirmation and a restart ${burnt} is stored, not ${start + 1}.`);
  for (const counter of [start, lower(start)]) {
    const old = await forge.make({ counter, version: forge.version(3) });
    const { fate, sight } = await stand.offer(old, { what: `an image with security counter ${counter}` });
    if ((stored(sight) ?? 0) < burnt)
      return fails(`The stored security counter went back to ${stored(sight)}.`);
    if (fate === "started")
      return fails(`An image with security counter ${counter} started; ${burnt} is stored.`);
  }
  const end = stored(await stand.boot());
  return end === burnt
    ? holds(`It rose to ${burnt} and stayed there.`)
    : fails(`It ended as ${end}, not ${burnt}.`);
}

async function equalVersion(stand: Stand) {
  const file = await stand.forge.make({ version: stand.forge.version(0), grow: 16 });
  const { fate, shows } = await stand.offer(file, { what: "the same version built anew" });
  if (fate === "started") return holds(`Accepted: ${shows}.`);
  return stand.picksByVersion
    ? unjudged(
        "It was passed over: of two equal versions a bootloader of this kind starts the one in the primary slot.",
      )
    : fails(`Not accepted: ${shows}.`);
}

async function upgradeFlag(stand: Stand) {
  const lowerVersion = stand.forge.lowerVersion!;
  const old = await stand.forge.make({ version: lowerVersion });
  const flagged = await stand.send(old, {
    what: `version ${lowerVersion}, with the upgrade flag`,
    upgrade: true,
  });
  if (flagged === undefined)
    return fails("The server took a lower version although the upload had the upgrade flag.");
  const plain = await stand.send(old, { what: `version ${lowerVersion}, plain` });
  return plain === undefined
    ? holds(`With the flag it was refused (${flagged}), without it taken.`)
    : unjudged(`It was refused either way (${plain}), so the flag decided nothing.`);
}
