import type { ClaimId } from "../claims.js";

/** One point of what the field asks of a secure update, and what of a proof speaks to it. */
export interface ChecklistPoint {
  readonly summary: string;
  readonly claims: readonly ClaimId[];
  /** Where no board can show it: what does. */
  readonly elsewhere?: string;
}

/** The points by which secure updates with MCUboot and TUF are reviewed, in their usual order. */
export const CHECKLIST: readonly ChecklistPoint[] = [
  {
    summary: "Signing keys are kept off the build server",
    claims: [],
    elsewhere: "no test of a board shows this: bootproof help keys",
  },
  { summary: "The root of trust is provisioned on the device", claims: ["signature"] },
  {
    summary: "The device itself verifies, not only the server",
    claims: ["signature", "integrity", "tlv-allow-list", "lengths", "recovery-checked"],
  },
  {
    summary: "A second slot or another fallback",
    claims: ["rollback", "recovery-entry", "power-loss", "broken-slot", "link"],
  },
  {
    summary: "Rollback (revert) and anti-rollback are separate",
    claims: ["rollback", "anti-rollback-counter", "anti-rollback-version", "upgrade-flag"],
  },
  {
    summary: "Anti-rollback state is stored where an update cannot reach it",
    claims: ["anti-rollback-counter", "counter-after-confirm", "counter-locked"],
  },
  { summary: "Key rotation is possible before it is needed", claims: ["signature"] },
  {
    summary: "Firmware is bound to product, revision and layout",
    claims: [
      "compatibility",
      "decompression",
      "image-number",
      "load-address",
      "encrypted-only",
      "vendor-id",
      "dependencies",
    ],
  },
  {
    summary: "It is defined what confirms an update",
    claims: ["host-confirms", "counter-after-confirm", "slots-untouched"],
  },
  {
    summary: "Install, boot, revert and counter changes are logged",
    claims: [],
    elsewhere: "not on the board: bootproof help log",
  },
];
