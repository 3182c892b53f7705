/**
 * Where our bootloader knowingly behaves otherwise than the recorded MCUboot, and why. The replay fails on a difference
 * that is not here, and on an entry that no longer happens.
 */
import type { Difference } from "./mcuboot-replay.js";

export interface Deviation {
  reason: string;
  recordings: RegExp;
  scenarios: RegExp;
  /** Quantities that may differ; anything else is a failure. */
  what: RegExp;
  /** Only at these places of the scenario. */
  where?: RegExp;
  /** In so many scenarios, over all recordings. */
  count: number;
}

const WHOLE_BOOT = /^(result|image|counter|primary|secondary|ops|state)$/;

export const DEVIATIONS: readonly Deviation[] = [
  {
    reason:
      "MCUboot compares a KEYHASH over the TLV's own length, so that 16 bytes or none at all pick a key. Ours " +
      "compares all 32 bytes: the image is refused.",
    recordings: /ed25519-2key-w4$|^move-.*hw-w[48]$|^overwrite-ed25519-hw-w4$/,
    scenarios: /^(TEST|primary) keyhash-(prefix16|len0)$/,
    what: WHOLE_BOOT,
    count: 14,
  },
  {
    reason:
      "A revert is due and the backup is gone. MCUboot clears the primary's trailer, which makes the test image count " +
      "as confirmed: it burns the security counter in the same boot. Ours leaves the trailer: the image stays " +
      "unconfirmed until it confirms itself, and the counter stays.",
    recordings: /^move-/,
    scenarios: new RegExp(
      "^(" +
        [
          "invalid primary, valid secondary, TEST",
          "backup becomes corrupt before revert",
          "backup erased before revert",
          "R7 same, with B still in the secondary, TEST requested",
          "primary without counter, B TEST, stored 0",
          "primary too old, B TEST, stored 2",
          "counter raised by hand to 2 while B is on test; then revert is due",
          "TEST B running, A \\(backup\\) requested TEST",
        ].join("|") +
        ")$",
    ),
    what: /^(counter|primary|ops|state)$/,
    count: 28,
  },
  {
    reason:
      "With BOOTSTRAP and nothing to install, MCUboot erases the erased trailer of the empty secondary at every boot. " +
      "Ours leaves an erased sector alone: wear, nothing else.",
    recordings: /^move-.*-boot-/,
    scenarios:
      /^(empty both|invalid primary alone|foreign key primary|invalid primary, invalid secondary, nothing requested|primary becomes corrupt after confirmed update|empty primary, invalid secondary)$/,
    what: /^ops$/,
    count: 7,
  },
  {
    reason:
      "Overwriting, MCUboot copies one write unit more than the image has, beyond the erased sectors when the image " +
      "ends with one. Ours copies the image, rounded up to whole units.",
    recordings: /^overwrite-|^move-.*-boot-/,
    scenarios:
      /^(TEST trailing-.*|TEST payload-sector-exact|B over .*|TEST|PERM|TEST, shorter image|TEST \(large\)|first boot after confirm \(large\)|TEST, shorter image \(large\)|both TEST, cut|(empty|invalid) primary, valid secondary, cut)$/,
    what: /^(trace|ops|primary)$/,
    count: 20,
  },
  {
    reason:
      "Without the allow-list MCUboot takes a security counter from the unprotected TLVs, which nobody signed. Ours " +
      "takes it from the protected ones only: the image is refused.",
    recordings: /-noallow-/,
    scenarios: /^TEST counter-unprotected-only$/,
    what: WHOLE_BOOT,
    count: 1,
  },
  {
    reason:
      "An old image larger than swap-move can hold, and a permanent request: MCUboot skips the swap, writes the flags " +
      "all the same and stops at an assertion at every boot. Ours leaves both slots alone and goes to recovery; with a " +
      "size field beyond the slot it takes the primary for unreadable and installs the new image.",
    recordings: /^move-ed25519-hw-w4$/,
    scenarios: /^primary of 0x(1e001|1e008|1e040|1ffc0|1fff0|1ffff|20000|20010) bytes, update to B PERM$/,
    what: WHOLE_BOOT,
    count: 8,
  },
  {
    reason:
      "With downgrade prevention, MCUboot refuses a revert that lost power in its first operations: it is resumed as a " +
      "permanent request for an older image, so the backup is erased and the unconfirmed image stays. Ours marks a " +
      "revert in the counters' sectors while it lasts: two operations more. (test/board/mcuboot-policies.test.ts)",
    recordings: /^move-ed25519-(dp|dpsc)-/,
    scenarios:
      /^(TEST (version|counter)-.*|TEST Abuild5 over A|TEST B0 over A0|TEST, no confirm|TEST requested, then PERM requested)$/,
    what: /^ops$/,
    count: 20,
  },
  {
    reason: "A swap type that is none of MCUboot's (0) is told as none.",
    recordings: /hw-w[48]$/,
    scenarios: /^slot filled with zeros$/,
    what: /^state$/,
    count: 3,
  },
  {
    reason:
      "Our flash tears a write in the middle of a unit, the recorded one only between units. So half of the last write " +
      "of a swap is copy_done itself here, and nothing there: the swap is done, one boot earlier.",
    recordings: /^move-ed25519-hw-w4$/,
    scenarios: /, operation half done$/,
    what: /^cut: (image|number of boots)$/,
    where: /cut at (42|44|47)$/,
    count: 3,
  },
];

/** The entry that explains a difference. */
export function explain(recording: string, scenario: string, difference: Difference): Deviation | undefined {
  return DEVIATIONS.find(
    ({ recordings, scenarios, what, where }) =>
      recordings.test(recording) &&
      scenarios.test(scenario) &&
      what.test(difference.what) &&
      (where === undefined || where.test(difference.where)),
  );
}
