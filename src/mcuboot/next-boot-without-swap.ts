import {
  type BootPolicy,
  type CheckedSlot,
  isCompressed,
  type NextBoot,
  openVerdicts,
} from "./boot-prediction.js";
import { IMAGE_F } from "./header.js";
import { type UpgradeMode, upgradeMode } from "./upgrade-modes.js";
import { compareVersions, formatVersion } from "./version.js";

type Role = "primary" | "secondary";
type Candidate = CheckedSlot & { readonly role: Role };

/**
 * What MCUboot does at the next boot in modes that exchange no slots (loader.c: boot_load_and_validate_images, and Zephyr's
 * single_loader.c and firmware_loader.c).
 */
export function nextBootWithoutSwap(
  mode: UpgradeMode,
  primary: CheckedSlot,
  secondary: CheckedSlot,
  policy: BootPolicy,
): NextBoot {
  const { picks, marked } = upgradeMode(mode);
  if (picks === "version")
    return pickByVersion(
      mode,
      marked,
      [
        { ...primary, role: "primary" },
        { ...secondary, role: "secondary" },
      ],
      policy,
    );
  return picks === "entrance" ? application(primary, secondary, policy) : onlySlot(primary, policy);
}

function pickByVersion(
  mode: UpgradeMode,
  marked: boolean,
  slots: readonly Candidate[],
  policy: BootPolicy,
): NextBoot {
  const steps: string[] = [];
  let isErased = false;
  const erase = ({ role }: Candidate, why: string) => {
    isErased = true;
    steps.push(`The ${role} is erased: ${why}.`);
  };
  const started = inOrder(slots).find((one) => {
    const { image, trailer } = one.slot;
    if (!image) return false;
    if (isNonBootable(one)) {
      steps.push(`The ${one.role} is skipped: its image is flagged NON_BOOTABLE.`);
      return false;
    }
    if (isCompressed(one)) {
      steps.push(
        `The ${one.role} is passed over: its image is compressed, and no bootloader of this mode unpacks.`,
      );
      return false;
    }
    if (marked && trailer.magic !== "good") {
      erase(one, "in this mode an image needs a trailer with a good magic (imgtool --pad or --confirm)");
      return false;
    }
    if (marked && trailer.copyDone === "set" && trailer.imageOk !== "set") {
      erase(one, "its image was started once and never confirmed");
      return false;
    }
    const failed = one.verdict?.checks.find(({ result }) => result === "fail");
    if (failed) erase(one, `its image is refused (${failed.sentence.replace(/\.$/, "")})`);
    return failed === undefined;
  });
  if (started) steps.push(...startSteps(started, marked));
  else steps.push("No image starts.");
  return {
    swapType: "none",
    resumed: false,
    reason: marked
      ? "of the images whose trailer allows it the highest version is started, and of equal ones the primary's"
      : "the highest version is started, and of equal ones the primary's; trailers are not read",
    outcome: started ? (isErased ? "erase" : "keep") : "stuck",
    steps,
    starts: started?.role ?? "none",
    dependsOn: openQuestions(mode, slots, policy),
  };
}

/** As the bootloader tries them: the higher version first, without build numbers. */
function inOrder(slots: readonly Candidate[]): Candidate[] {
  return slots.toSorted((a, b) =>
    a.slot.image && b.slot.image ? compareVersions(b.slot.image.version, a.slot.image.version) : 0,
  );
}

function isNonBootable({ slot }: CheckedSlot): boolean {
  return slot.image !== undefined && (slot.image.header.flags & IMAGE_F.NON_BOOTABLE) !== 0;
}

function startSteps({ role, slot }: Candidate, marked: boolean): string[] {
  const starts = `Version ${formatVersion(slot.image!.version)} in the ${role} is started.`;
  if (!marked || slot.trailer.imageOk === "set") return [starts];
  return [starts, "Unless it is confirmed, the next boot erases it and starts the other one."];
}

function openQuestions(mode: UpgradeMode, slots: readonly Candidate[], policy: BootPolicy): string[] {
  const images = slots.flatMap(({ slot }) => slot.image ?? []);
  const isFixed = images.some(({ header }) => (header.flags & IMAGE_F.ROM_FIXED) !== 0);
  return [
    ...openVerdicts(slots),
    ...(images.some(({ securityCounter }) => securityCounter !== undefined) && !policy.knowsStoredCounter
      ? ["the stored security counter (--stored-counter)"]
      : []),
    ...(isFixed && upgradeMode(mode).runsIn === "either"
      ? ["where the slots are: an image that is fixed to another address is skipped"]
      : []),
    ...(images.length > 0 && upgradeMode(mode).runsIn === "ram"
      ? ["which RAM the bootloader loads to: an image for another address is erased"]
      : []),
  ];
}

function onlySlot(primary: CheckedSlot, policy: BootPolicy): NextBoot {
  return started(primary, policy, "there is one slot, and no trailer is read", [
    "There is no other image to fall back to.",
  ]);
}

function application(primary: CheckedSlot, secondary: CheckedSlot, policy: BootPolicy): NextBoot {
  const loader = secondary.slot.image
    ? `The loader ${formatVersion(secondary.slot.image.version)} in the secondary is started instead when its entrance asks for it (a pin, a boot mode).`
    : "The secondary holds no loader that could be started instead.";
  const next = started(primary, policy, "the application is started unless the loader is asked for", [
    "The loader does not take its place, except in a build that starts it where there is no application.",
  ]);
  return {
    ...next,
    steps: [...next.steps, loader],
    dependsOn: [...next.dependsOn, "whether the loader's entrance is asked for at that boot"],
  };
}

function started(
  primary: CheckedSlot,
  policy: BootPolicy,
  reason: string,
  otherwise: readonly string[],
): NextBoot {
  const problem = problemOf(primary, policy);
  const { image } = primary.slot;
  return {
    swapType: "none",
    resumed: false,
    reason,
    outcome: problem ? "stuck" : "keep",
    steps: problem
      ? [`The application does not start: ${problem}.`, ...otherwise]
      : [`Version ${formatVersion(image!.version)} in the primary is started.`],
    starts: problem ? "none" : "primary",
    dependsOn: [
      ...(policy.validatesPrimary === false ? [] : openVerdicts([primary])),
      // As recorded: no flag of compression is looked at.
      ...(!problem && isCompressed(primary)
        ? ["whether the bootloader refuses a compressed image: MCUboot itself starts it here as it is"]
        : []),
      ...(image?.securityCounter !== undefined && !policy.knowsStoredCounter
        ? ["the stored security counter (--stored-counter)"]
        : []),
      ...(problem && image && policy.validatesPrimary === undefined
        ? ["whether the bootloader checks the primary (--validate-primary, or --no-validate-primary)"]
        : []),
    ],
  };
}

function problemOf({ slot, verdict }: CheckedSlot, policy: BootPolicy): string | undefined {
  if (!slot.image) return slot.empty ? "the primary is empty" : "the primary holds no readable image";
  if (policy.validatesPrimary === false) return undefined;
  if (isNonBootable({ slot })) return "its image is flagged NON_BOOTABLE";
  const failed = verdict?.checks.find(({ result }) => result === "fail");
  return failed && `its image is refused (${failed.sentence.replace(/\.$/, "")})`;
}
