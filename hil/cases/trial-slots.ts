import { type Finding, fails, holds, unjudged } from "../case.js";
import { imageHashOf } from "../evidence.js";
import { areaOf } from "../flash-layout.js";
import type { Harness } from "../harness/harness.js";
import { describe, newEvents, type Snapshot, wordsOf } from "../snapshot.js";

export async function slotsUntouched(harness: Harness): Promise<Finding> {
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

export async function brokenSlot(harness: Harness): Promise<Finding> {
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
