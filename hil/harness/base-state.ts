import { BootproofError, runWorkflow, upload } from "bootproof";
import { imageHashOf } from "../evidence.js";
import type { ImageFactory } from "../images/image-factory.js";
import { describe, type Snapshot } from "../snapshot.js";
import type { Strategy } from "../state-machine.js";
import { type HarnessContext, unlessUnable } from "./context.js";
import type { Delivery } from "./delivery.js";
import type { Flash } from "./flash.js";
import type { Line } from "./link.js";
import { NotJudged } from "./not-judged.js";
import type { Power } from "./power.js";
import { restoreWithoutProgrammer } from "./put-back.js";

/** The parts by which a board is brought back. */
interface Parts {
  readonly line: Line;
  readonly power: Power;
  readonly delivery: Delivery;
  readonly flash: Flash;
  readonly strategy: Strategy;
}

/** How a board stood at the start, and the way back to that. */
export class BaseState {
  readonly #context: HarnessContext;
  readonly #parts: Parts;
  #factory: ImageFactory;
  #snapshot: Snapshot | undefined;
  /** The whole flash as it stood at the start. */
  #flash: Uint8Array | undefined;
  #adopted: string | undefined;
  #recoveryProblem: string | undefined = "Serial recovery was not tried.";
  #dirty = true;

  constructor(context: HarnessContext, parts: Parts) {
    this.#context = context;
    this.#parts = parts;
    this.#factory = context.options.factory;
  }

  /** Only after {@link open}. */
  get snapshot(): Snapshot {
    return this.#snapshot!;
  }

  /** Makes images from the one that the board is put back to. */
  get factory(): ImageFactory {
    return this.#factory;
  }

  /** Why the board's own image is another one than at the start; undefined while it is not. */
  get adopted(): string | undefined {
    return this.#adopted;
  }

  /** Why serial recovery cannot be used; undefined when it was entered and left at the start. */
  get recoveryProblem(): string | undefined {
    return this.#recoveryProblem;
  }

  /** The board is no longer as it stood at the start. */
  touch(): void {
    this.#dirty = true;
  }

  /** Switches on, reaches the board, remembers how it stands: that is what {@link goHome} comes back to. */
  async open(): Promise<Snapshot> {
    const { board } = this.#context;
    const { power, line, strategy, flash } = this.#parts;
    await board.powerOff().catch(unlessUnable);
    const start = await power.on();
    await line.open();
    const initial = await this.#context.takeSnapshot("at the start");
    this.#isAt(initial);
    strategy.arrived(initial.state === "recovery" ? "recovery" : "app");
    if (start !== "unknown" && start !== initial.state)
      throw new NotJudged(`Its log says "${start}", its answers say "${initial.state}".`);
    if (board.can.has("program")) this.#flash = flash.readAll();
    this.#dirty = false;
    return initial;
  }

  /** Enters serial recovery and leaves it again: from then on it is known to be a way back. */
  async tryRecovery(): Promise<void> {
    const { strategy } = this.#parts;
    try {
      await strategy.to("recovery");
      const snapshot = await this.#context.boot("reset", "after leaving recovery");
      this.#recoveryProblem = this.#isOwn(snapshot)
        ? undefined
        : `Recovery was entered, but afterwards ${describe(snapshot)}.`;
    } catch (error) {
      if (!(error instanceof BootproofError)) throw error;
      this.#recoveryProblem = error.message;
      strategy.mended(strategy.state);
    }
  }

  /** As {@link goBack}, for a board that another run has left: to this flash, or to the image it was given. */
  async restore(flash: Uint8Array | undefined): Promise<Snapshot> {
    if (flash) await this.#parts.flash.writeAll(flash);
    await this.open();
    this.#flash = undefined;
    if (!flash) await this.#walk();
    const snapshot = await this.#context.takeSnapshot("restored");
    if (
      snapshot.running?.hash !== imageHashOf(this.factory.baseFile) ||
      snapshot.running?.confirmed === false
    )
      throw new NotJudged(`The board's own image could not be put back: now ${describe(snapshot)}.`);
    return snapshot;
  }

  /** As it stood at the start, whatever happened since. Throws when that cannot be brought about. */
  async goBack(): Promise<Snapshot> {
    if (!this.#dirty) return this.snapshot;
    const { board } = this.#context;
    const { line, power, strategy } = this.#parts;
    line.mend();
    if (this.#flash) {
      await board.powerOff();
      board.writeFlash(0, this.#flash);
      strategy.mended("off");
      const { hash } = await power.quickCheck();
      if (hash === this.snapshot.running?.hash) return this.#isBack(this.snapshot);
    } else if (board.can.has("forgets")) {
      strategy.mended("off");
      await this.#anew();
    } else {
      await this.#walk();
    }
    let snapshot = await this.#context.takeSnapshot("put back");
    if (!this.#isOwn(snapshot) && board.can.has("forgets")) {
      this.#keepsFlash();
      await this.#walk();
      snapshot = await this.#context.takeSnapshot("put back");
    }
    if (!this.#isOwn(snapshot))
      throw new NotJudged(`The board's own image could not be put back: now ${describe(snapshot)}.`);
    return this.#isBack(snapshot);
  }

  /**
   * The board's own image cannot run any more, because a security counter was raised above its own: from now on the same
   * firmware, signed again above it, is what the board is put back to.
   */
  async adopt(file: Uint8Array, why: string): Promise<void> {
    this.#factory = this.#factory.withBase(file);
    this.#isAt(await this.#context.takeSnapshot("with its own firmware signed again"));
    this.#adopted = why;
    this.#context.note(why);
  }

  /**
   * Whether a machine keeps its flash while its power is off, where its board file does not say: an image that lies in the
   * secondary slot, not asked for, is still listed afterwards. Changes nothing that runs.
   */
  async findOutWhatItKeeps(): Promise<void> {
    const { board, signal } = this.#context;
    const { line, delivery, strategy } = this.#parts;
    const { reach } = board.entry;
    const isReported = reach.kind === "machine" && reach.keepsFlash !== undefined;
    if (isReported || !board.can.has("forgets") || !this.#factory.canUpdate) return;
    const file = await this.#factory.update();
    const hash = imageHashOf(file);
    const isListed = (snapshot: Snapshot) =>
      this.#isOwn(snapshot) && snapshot.slots.some((slot) => slot.slot === 1 && slot.hash === hash);
    await runWorkflow(upload(line.session, file, { signal }));
    if (!isListed(await this.#context.takeSnapshot("with an unrequested image in the secondary slot")))
      return;
    await this.#anew();
    if (!isListed(await this.#context.takeSnapshot("after power off and on"))) return;
    this.#keepsFlash();
    if (strategy.state !== "recovery") await delivery.eraseSecondary();
  }

  #isAt(initial: Snapshot): void {
    this.#snapshot = initial;
    this.#context.traits.reported(initial);
  }

  #isOwn({ running }: Snapshot): boolean {
    return running?.hash === this.snapshot.running?.hash;
  }

  #isBack(snapshot: Snapshot): Snapshot {
    this.#parts.strategy.arrived("app");
    this.#dirty = false;
    return snapshot;
  }

  #keepsFlash(): void {
    this.#context.board.keepsFlash?.();
    this.#context.note("this machine keeps its flash with its power off");
  }

  #walk(): Promise<void> {
    const { recoveryProblem } = this;
    const adopt = (file: Uint8Array, why: string) => this.adopt(file, why);
    return restoreWithoutProgrammer({ ...this.#parts, context: this.#context, recoveryProblem, adopt });
  }

  /** Off and on, and reached again, for boards that forget everything meanwhile. */
  async #anew(): Promise<void> {
    const { board } = this.#context;
    const { line } = this.#parts;
    await board.powerOff();
    await board.powerOn();
    await line.close();
    await line.open();
  }
}
