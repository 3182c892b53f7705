/**
 * Where our bootloader knowingly behaves otherwise than the recorded MCUboot, and why. Each is a rule over what was seen,
 * so that it holds for recordings that nobody has looked at too. The replay fails on a difference that no rule explains,
 * and on a rule that explains nothing any more.
 */
import type { Provision } from "../../src/emulator/provision.js";
import { imageBytes, isImage, type Recording, type Scenario } from "./mcuboot-recordings.js";
import type { Difference } from "./mcuboot-replay.js";

export interface Seen extends Difference {
  config: Recording["config"];
  provision: Provision;
  scenario: Scenario;
}

export interface Deviation {
  id: string;
  reason: string;
  /** Quantities that may differ; anything else is a failure. */
  what: RegExp;
  because(seen: Seen): boolean;
  /** The two boards are in different states from there on: later differences of the scenario follow from it. */
  lasts?: boolean;
  /** Is only seen at single power cuts, of which a sample may have none. */
  onlyAtCuts?: boolean;
}

const OUTCOME = /^(result|image|counter|primary|secondary|scratch|slot|ops|state|rc|loaded_at|ram_sha256)$/;

const isSwap = ({ provision }: Seen) => provision.mode.startsWith("swap-");
const isMode = (seen: Seen, ...modes: Provision["mode"][]) => modes.includes(seen.provision.mode);
const hasPolicy = (seen: Seen, ...names: Provision["policy"]) =>
  names.some((name) => seen.provision.policy.includes(name));

/** Images that the steps put into a slot. */
function images({ scenario }: Seen): Uint8Array[] {
  return scenario.steps.flatMap((step) =>
    step.do === "write" && isImage(step.image) ? [imageBytes(step.image)] : [],
  );
}

interface Tlv {
  type: number;
  length: number;
  isProtected: boolean;
}

/** The TLVs of an image, as far as they can be read. */
const tlvs = (image: Uint8Array) => walk(image).tlvs;
/** Where the last TLV ends; bytes may follow. */
const endOf = (image: Uint8Array) => walk(image).end;

function walk(image: Uint8Array): { tlvs: Tlv[]; end: number } {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const found: Tlv[] = [];
  if (image.length < 32) return { tlvs: found, end: image.length };
  let at = view.getUint16(8, true) + view.getUint32(12, true);
  for (const magic of [0x6908, 0x6907]) {
    if (at + 4 > image.length || view.getUint16(at, true) !== magic) continue;
    const end = Math.min(at + view.getUint16(at + 2, true), image.length);
    for (at += 4; at + 4 <= end; at += 4 + view.getUint16(at + 2, true))
      found.push({
        type: view.getUint16(at, true),
        length: view.getUint16(at + 2, true),
        isProtected: magic === 0x6908,
      });
    at = end;
  }
  return { tlvs: found, end: at };
}

const flags = (image: Uint8Array) =>
  image.length < 32 ? 0 : new DataView(image.buffer, image.byteOffset).getUint32(16, true);

/** The image says that it is larger than the slot. */
const isBeyond =
  ({ config }: Seen) =>
  (image: Uint8Array) =>
    endOf(image) > config.slots.primary!.size;

/** How many more operations MCUboot made. */
const moreOperations = ({ expected, got }: Seen) => Number(expected) - Number(got);

/** Sectors of a slot that hold a part of the trailer. */
function trailerSectors({ provision, config }: Seen): number {
  const states = { "swap-move": 3, "swap-scratch": 3, "swap-offset": 2 }[provision.mode as string] ?? 0;
  return Math.ceil((states * provision.maxSectors * provision.writeUnit + 48) / config.sector_size);
}

export const DEVIATIONS: readonly Deviation[] = [
  {
    id: "short-keyhash",
    reason:
      "MCUboot compares a KEYHASH over the TLV's own length, so that 16 bytes or none at all pick a key. Ours " +
      "compares all 32 bytes: the image is refused.",
    what: OUTCOME,
    because: (seen) =>
      seen.log.includes("unknown-key") &&
      images(seen).some((image) => tlvs(image).some(({ type, length }) => type === 1 && length < 32)),
    lasts: true,
  },
  {
    id: "backup-gone",
    reason:
      "A revert is due and the backup is gone. Swap using move clears the primary's trailer, which makes the test image " +
      "count as confirmed: it burns the security counter in the same boot. Ours leaves the trailer: the image stays " +
      "unconfirmed until it confirms itself, and the counter stays.",
    what: /^(counter|primary|ops|state|counter|result|image)$/,
    because: (seen) => isMode(seen, "swap-move") && seen.log.includes("there is nothing to go back to"),
    lasts: true,
  },
  {
    id: "wear",
    reason:
      "With nothing to install, MCUboot erases the erased trailer of an empty secondary at every boot. Ours leaves an " +
      "erased sector alone: wear, nothing else.",
    what: /^ops$/,
    because: (seen) =>
      isSwap(seen) && moreOperations(seen) === trailerSectors(seen) && !/swapped|reverted/.test(seen.log),
  },
  {
    id: "one-unit-more",
    reason:
      "Overwriting, MCUboot copies one write unit more than the image has, beyond the erased sectors when the image " +
      "ends with one. Ours copies the image, rounded up to whole units.",
    what: /^(trace|ops|primary|cut: primary|resume: primary|second cut: primary)$/,
    because: (seen) =>
      (isMode(seen, "overwrite-only") || hasPolicy(seen, "bootstrap")) &&
      seen.log.includes("swapped") &&
      images(seen).some((image) => endOf(image) % seen.provision.writeUnit === 0),
    lasts: true,
  },
  {
    id: "unsigned-counter",
    reason:
      "Without the allow-list MCUboot takes a security counter from the unprotected TLVs, which nobody signed. Ours " +
      "takes it from the protected ones only: the image is refused.",
    what: OUTCOME,
    because: (seen) =>
      hasPolicy(seen, "no-allow-list") &&
      seen.log.includes("counter-missing") &&
      images(seen).some(
        (image) =>
          tlvs(image).some(({ type, isProtected }) => type === 0x50 && !isProtected) &&
          !tlvs(image).some(({ type, isProtected }) => type === 0x50 && isProtected),
      ),
    lasts: true,
  },
  {
    id: "too-large-to-move",
    reason:
      "An old image larger than the mode can move: MCUboot skips the swap, writes the flags all the same, and stops at an " +
      "assertion or starts nothing at every boot. Ours leaves both slots alone and goes to recovery; with a size field " +
      "beyond the slot it takes the primary for unreadable and installs the new image.",
    what: OUTCOME,
    because: (seen) =>
      isSwap(seen) &&
      (seen.results.includes("assert") ||
        seen.log.includes("no room to swap") ||
        images(seen).some(isBeyond(seen))),
    lasts: true,
  },
  {
    id: "revert-marker",
    reason:
      "With downgrade prevention, swap using move refuses a revert that lost power in its first operations: it is resumed " +
      "as a permanent request for an older image, so the backup is erased and the unconfirmed image stays. Ours marks a " +
      "revert in the counters' sectors while it lasts: two operations more. (test/emulator/mcuboot-policies.test.ts)",
    what: /^ops$/,
    because: (seen) =>
      isMode(seen, "swap-move") &&
      hasPolicy(seen, "downgrade-version", "downgrade-counter") &&
      seen.log.includes("reverted") &&
      moreOperations(seen) === -2,
  },
  {
    id: "unknown-swap-type",
    reason: "A swap type that is none of MCUboot's is told as none.",
    what: /^state$/,
    because: ({ expected, got }) =>
      JSON.stringify(expected).replaceAll(/ (?!none|test|perm|revert)\w+"/g, ' none"') ===
      JSON.stringify(got),
  },
  {
    id: "torn-flag",
    reason:
      "Our flash tears a write in the middle of a unit, that of the first recordings only between units. So half of a " +
      "flag is the flag itself here, and nothing there: what it notes is done, one boot earlier.",
    what: /^cut: (image|number of boots|primary|secondary|result|counter)$/,
    because: ({ tornBytes, provision }) => tornBytes !== undefined && tornBytes <= provision.writeUnit,
    onlyAtCuts: true,
  },
  {
    id: "resumed-right",
    reason:
      "Resuming a swap, MCUboot looks for the images' headers where its progress counter takes them to be, which is not " +
      "always where they are: it goes on with wrong sizes, or fails for good. Ours ends, byte for byte, as the update " +
      "ends without the power cut.",
    what: /^(cut|second cut|resume): /,
    because: (seen) => isSwap(seen) && seen.asUncut === true,
    onlyAtCuts: true,
  },
  {
    id: "revert-cut-twice",
    reason:
      "A revert by offset that loses power twice, first while the first sector is copied back, begins anew. MCUboot takes " +
      "the half-copied image's size for true, or stops at an assertion. Ours takes it for an image without a size: the " +
      "image that is returned to runs, the swap's notes in the trailer differ.",
    what: /^second cut: (result|primary|secondary)$/,
    because: (seen) =>
      isMode(seen, "swap-offset") && seen.sameImages === true && seen.log.includes("swap type revert"),
    onlyAtCuts: true,
  },
  {
    id: "scratch-knows",
    reason:
      "Power fails after the scratch area was told of a swap and before the primary is. MCUboot begins again by erasing " +
      "the only place that knows: a second cut there forgets a revert. Ours goes on from the scratch area, in fewer " +
      "operations.",
    what: /^recovery ops$/,
    because: (seen) => isMode(seen, "swap-scratch") && moreOperations(seen) > 0,
    onlyAtCuts: true,
  },
  {
    id: "counter-of-unconfirmed",
    reason:
      "RAM load with revert: MCUboot raises the stored counter at the first boot of a new image, so that there is no way " +
      "back when nobody confirms it. Ours waits for the confirmation, as direct-XIP does.",
    what: /^(counter|ops|image|slot|result|primary|secondary|state|ram_sha256|loaded_at|rc|trace|uncut: .*|cut: .*|resume: .*)$/,
    because: (seen) =>
      isMode(seen, "ram-load-revert") &&
      (seen.what !== "counter" || Number(seen.expected) > Number(seen.got)) &&
      (seen.what !== "ops" || moreOperations(seen) === 1) &&
      /^(counter|ops)$/.test(seen.what),
    lasts: true,
  },
  {
    id: "not-bootable-started",
    reason:
      "Without validation of the primary MCUboot starts an image that is flagged as not bootable. Ours refuses it in every " +
      "mode. (test/emulator/mcuboot-policies.test.ts)",
    what: OUTCOME,
    because: (seen) => hasPolicy(seen, "skip-primary") && seen.log.includes("reason not-bootable"),
    lasts: true,
  },
  {
    id: "not-bootable-swapped",
    reason:
      "With bootstrap MCUboot takes a primary that is flagged as not bootable for a broken one: a test request is copied " +
      "over it for good, and the counter burnt at once. Ours swaps, so that there is a way back. " +
      "(test/emulator/mcuboot-policies.test.ts)",
    what: OUTCOME,
    because: (seen) =>
      hasPolicy(seen, "bootstrap") &&
      /swapped|reverted/.test(seen.log) &&
      images(seen).some((image) => (flags(image) & 0x10) !== 0),
    lasts: true,
  },
  {
    id: "left-in-ram",
    reason:
      "RAM load: what cannot be decrypted stays in RAM beside the image that is started. Ours wipes all that it does not " +
      "start.",
    what: /^ram_sha256$/,
    because: (seen) => isMode(seen, "ram-load") && seen.log.includes("decryption-key"),
  },
  {
    id: "single-slot-counter",
    reason:
      "With one slot MCUboot checks the stored counter and never raises it, so that it protects from nothing. Ours raises " +
      "it to that of the image it starts.",
    what: OUTCOME,
    because: (seen) => isMode(seen, "single-slot") && seen.log.includes("counter-advanced"),
    lasts: true,
  },
  {
    id: "compressed-flag",
    reason:
      "The loaders for one slot do not look at the flags of compressed images, whose bodies nobody can run. Ours refuses " +
      "them in every mode.",
    what: OUTCOME,
    because: (seen) =>
      isMode(seen, "single-slot", "firmware-loader") &&
      seen.log.includes("reason flags") &&
      images(seen).some((image) => (flags(image) & 0xe00) !== 0),
    lasts: true,
  },
];

/** The rule that explains each difference of a scenario, in order. */
export function explain(
  recording: Recording,
  provision: Provision,
  scenario: Scenario,
  differences: readonly Difference[],
): { difference: Difference; deviation: Deviation | undefined }[] {
  const lasting: Deviation[] = [];
  return differences.map((difference) => {
    const seen: Seen = { ...difference, config: recording.config, provision, scenario };
    const deviation =
      DEVIATIONS.find((rule) => rule.what.test(difference.what) && rule.because(seen)) ??
      lasting.find((rule) => rule.what.test(difference.what));
    if (deviation?.lasts && !lasting.includes(deviation)) lasting.push(deviation);
    return { difference, deviation };
  });
}
