import { type UpgradeMode, upgradeMode, upgradeModeOfNumber, upgradeModesOfNumber } from "bootproof/mcuboot";
import type { BoardUnderTest } from "../board.js";
import { areaOf, type FlashLayout, type Place } from "../flash-layout.js";
import type { Snapshot } from "../snapshot.js";
import { NotJudged } from "./not-judged.js";
import type { HarnessOptions } from "./options.js";

/** The watchdogs of emulated boards bite after one or two seconds, on a busy host some seconds later. */
const EMULATED_PATIENCE_MS = 10_000;

/** Of what kind a board is: what its test stand says, what it reports, and what it has shown on the way. */
export class Traits {
  readonly #board: BoardUnderTest;
  readonly #options: HarnessOptions;
  #modeNumber: number | undefined;
  #sawTrial = false;
  #last: Snapshot | undefined;
  #knowsNoRequest = false;

  constructor(options: HarnessOptions) {
    this.#board = options.board;
    this.#options = options;
  }

  /** `home`: how it stood at the start. */
  reported(initial: Snapshot): void {
    this.#modeNumber = initial.modeNumber;
  }

  learnFrom(snapshot: Snapshot): void {
    if (snapshot.running?.confirmed === false) this.#sawTrial = true;
    this.#last = snapshot;
  }

  /** Found out by asking for an image: the board knows no such request, and picks by version. */
  sawNoRequest(): void {
    this.#knowsNoRequest = true;
  }

  get mode(): UpgradeMode | undefined {
    return this.#options.mode ?? upgradeModeOfNumber(this.#modeNumber)?.name;
  }

  /** Unconfirmed images are tried once and reverted. Undefined while neither the mode nor a trial boot has told. */
  get hasTrial(): boolean | undefined {
    if (this.#options.mode !== undefined) return upgradeMode(this.#options.mode).reverts;
    const reverting = new Set(upgradeModesOfNumber(this.#modeNumber).map(({ reverts }) => reverts));
    const [reverts] = reverting;
    return reverting.size === 1 ? reverts : this.#sawTrial ? true : undefined;
  }

  get picksByVersion(): boolean {
    return this.#knowsNoRequest || (this.mode && upgradeMode(this.mode).picks) === "version";
  }

  /** Images run from the slot that they were written to, for which they have to be linked. */
  get runsWhereWritten(): boolean {
    return this.mode !== undefined && upgradeMode(this.mode).runsIn === "either";
  }

  /** Updates take the place of what runs: there is no other slot for them. */
  get hasOneSlot(): boolean {
    return this.mode !== undefined && upgradeMode(this.mode).secondary !== "update";
  }

  /** An image needs a trailer to start at all. */
  get needsTrailer(): boolean {
    if (this.mode === undefined) return false;
    const { picks, reverts } = upgradeMode(this.mode);
    return picks === "version" && reverts;
  }

  /** Where the next update of an image goes. */
  placeFor(image: number): Place {
    if (this.hasOneSlot) return { image, slot: 0 };
    if (!this.picksByVersion) return { image, slot: 1 };
    const runs = this.#last?.slots.find((slot) => slot.image === image && slot.flags.includes("active"));
    return { image, slot: runs?.slot === 1 ? 0 : 1 };
  }

  /** An upload starts only after it was asked for. */
  get asksForUpload(): boolean {
    return !this.#knowsNoRequest && (this.mode === undefined || upgradeMode(this.mode).marked);
  }

  get canProgram(): boolean {
    return this.#board.can.has("program") && this.#options.layout !== undefined;
  }

  /** Throws {@link NotJudged} where nobody has told. */
  get layout(): FlashLayout {
    if (!this.#options.layout) throw new NotJudged("The board file does not say how the flash is laid out.");
    return this.#options.layout;
  }

  /** Where a slot of image 0 lies for the processor, as far as the layout tells. */
  addressOf(slot: 0 | 1): number | undefined {
    const { layout } = this.#options;
    return layout?.address === undefined
      ? undefined
      : layout.address + areaOf(layout, { image: 0, slot }).offset;
  }

  /** How long an image may misbehave before something should have been done about it. */
  get patienceMs(): number {
    return this.canProgram ? EMULATED_PATIENCE_MS : this.#board.entry.startsWithinMs;
  }
}
