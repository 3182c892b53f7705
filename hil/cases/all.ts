import type { Case } from "../case.js";
import { authenticity } from "./authenticity.js";
import { compatibility } from "./compatibility.js";
import { decompression } from "./decompression.js";
import { freshness } from "./freshness.js";
import { integrity } from "./integrity.js";
import { lengths } from "./lengths.js";
import { link } from "./link.js";
import { powerCut } from "./power-cut.js";
import { recovery } from "./recovery.js";
import { rotation } from "./rotation.js";
import { trial } from "./trial.js";

/** Every case there is, in the order they run: what others assume comes first. */
export const CASES: readonly Case[] = [
  ...authenticity,
  ...integrity,
  ...lengths,
  ...compatibility,
  ...decompression,
  ...rotation,
  ...trial,
  ...recovery,
  ...freshness,
  ...link,
  ...powerCut,
];
