import type { BoardProfile } from "../profiles/profile.js";

/** What has to be known before anything may write flash past MCUboot, in words for who can tell it. */
export const WHICH_BOARD =
  "It is not known which board this is: name it with --profile (bootproof devices --profiles lists them).";

export const slotUnknown = ({ name }: BoardProfile) =>
  `Where the primary slot of ${name} lies is not known (field \`slots\` of a profile).`;
