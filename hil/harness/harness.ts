import type { Client, Session } from "bootproof";
import type { BoardUnderTest } from "../board.js";
import type { Recorder } from "../evidence.js";
import type { ImageFactory } from "../images/image-factory.js";
import { describe, type Reaction, type Snapshot } from "../snapshot.js";
import { Strategy } from "../state-machine.js";
import { BaseState } from "./base-state.js";
import { CaseRecord } from "./case-record.js";
import type { HarnessContext, OfferOptions, Restart } from "./context.js";
import { Delivery } from "./delivery.js";
import { Flash } from "./flash.js";
import { Line } from "./link.js";
import { NotJudged } from "./not-judged.js";
import type { HarnessOptions } from "./options.js";
import { Power } from "./power.js";
import { Traits } from "./traits.js";

/** A board on its test stand, in parts, and what the steps of every case call. Everything done and seen becomes evidence. */
export class Harness implements HarnessContext {
  readonly board: BoardUnderTest;
  readonly options: HarnessOptions;
  readonly traits: Traits;
  readonly record: CaseRecord;
  readonly strategy: Strategy;
  readonly line = new Line(this);
  readonly power = new Power(this, this.line);
  readonly flash = new Flash(this, this.power);
  readonly delivery = new Delivery(this, this.line, this.power);
  readonly base: BaseState;
  #signal: AbortSignal;
  #last: Snapshot | undefined;
  #beforeBoot: Snapshot | undefined;

  constructor(options: HarnessOptions) {
    this.options = options;
    this.#signal = options.signal;
    this.board = options.board;
    this.traits = new Traits(options);
    this.record = new CaseRecord(options.board.log, options.record);
    this.strategy = new Strategy({
      "power-on": async () => void (await this.power.on()),
      "power-off": () => this.power.off(),
      "ask-recovery": () => this.#enterRecovery(),
      "ask-restart": async () => void (await this.boot("reset")),
    });
    const { line, power, flash, delivery, strategy } = this;
    this.base = new BaseState(this, { line, power, flash, delivery, strategy });
  }

  get signal(): AbortSignal {
    return this.#signal;
  }

  /** From now on the run is over, and what is left to do is done in any case. */
  ignoreAbort(): void {
    this.#signal = new AbortController().signal;
  }

  get session(): Session {
    return this.line.session;
  }

  get client(): Client {
    return this.line.client;
  }

  /** Its images are linked for the slot that the next update goes into. */
  get factory(): ImageFactory {
    const { traits, base } = this;
    const isElsewhere = traits.runsWhereWritten && traits.placeFor(0).slot === 1;
    return isElsewhere ? base.factory.forSecondSlot() : base.factory.forUpdates();
  }

  /** The flash address of a slot of image 0, where images run in place and somebody knows it. */
  readonly addressOf = (slot: 0 | 1): number | undefined =>
    this.traits.addressOf(slot) ?? this.base.factory.addressOf(slot);

  /** Its images are linked for the primary slot, where recovery and programmers put them. */
  get primaryFactory(): ImageFactory {
    return this.base.factory;
  }

  /** How the board stood at the start. */
  get initial(): Snapshot {
    return this.base.snapshot;
  }

  get beforeBoot(): Snapshot | undefined {
    return this.#beforeBoot;
  }

  get recorder(): Recorder {
    return this.record.recorder;
  }

  note(message: string): void {
    this.recorder.note(message);
  }

  touch(): void {
    this.base.touch();
  }

  /** As it stood at the start, whatever happened since. Throws when that cannot be brought about. */
  async restoreBase(): Promise<Snapshot> {
    this.#last = await this.base.goBack();
    this.traits.learnFrom(this.#last);
    return this.#last;
  }

  toRecovery(): Promise<void> {
    return this.strategy.to("recovery");
  }

  /** One boot and what the board is afterwards; by power where that changes nothing else. */
  async boot(how: Restart = this.power.usual, label = "after the restart", starts = 1): Promise<Snapshot> {
    this.#beforeBoot = this.#last;
    await this.power.restart(how, starts);
    return this.takeSnapshot(label);
  }

  /** What the board shows now. A board that restarts meanwhile is waited for; one that stays away is `silent`. */
  takeSnapshot(label: string): Promise<Snapshot> {
    return this.#look(label, () => true);
  }

  /** As {@link takeSnapshot}; written down only when the board shows something else than before: for when it is watched. */
  lookAgain(label: string): Promise<Snapshot> {
    return this.#look(
      label,
      (snapshot, before) => before === undefined || describe(before) !== describe(snapshot),
    );
  }

  async #look(
    label: string,
    isNews: (snapshot: Snapshot, before: Snapshot | undefined) => boolean,
  ): Promise<Snapshot> {
    const before = this.#last;
    const snapshot = await this.line.read(label);
    this.strategy.arrived(
      snapshot.state === "recovery" ? "recovery" : snapshot.state === "silent" ? "silent" : "app",
    );
    this.#last = snapshot;
    this.traits.learnFrom(snapshot);
    if (!isNews(snapshot, before)) return snapshot;
    this.recorder.addSnapshot(snapshot);
    this.note(`${label}: ${describe(snapshot)}`);
    return snapshot;
  }

  /** Puts an image where updates go, asks for it, restarts, and tells what became of it. */
  offer(file: Uint8Array, options: OfferOptions): Promise<Reaction> {
    return this.delivery.offer(file, options);
  }

  async close(): Promise<void> {
    await this.line.close();
    await this.board.close();
  }

  async #enterRecovery(): Promise<void> {
    await this.power.askRecovery();
    const snapshot = await this.takeSnapshot("after asking for recovery");
    if (snapshot.state !== "recovery")
      throw new NotJudged(`Serial recovery did not answer: ${describe(snapshot)}.`);
  }
}
