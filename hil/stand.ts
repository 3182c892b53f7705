import { type BootMode, BootproofError, type Client, LAYOUT, type Session } from "bootproof";
import type { LayoutFacts } from "./bench.js";
import type { BenchBoard, CutPlan, Start } from "./board.js";
import type { Need } from "./case.js";
import { type Evidence, imageHashOf, Recorder } from "./evidence.js";
import type { Forge } from "./forge.js";
import { NEEDS } from "./needs.js";
import {
  describe,
  fateOf,
  newEvents,
  pictureOf,
  type Reaction,
  type Sight,
  type SlotPicture,
  tellsOfSwap,
} from "./sight.js";
import { Delivery } from "./stand/delivery.js";
import {
  type Desk,
  type Glance,
  NotJudged,
  type OfferOptions,
  type StandOptions,
  unlessUnable,
} from "./stand/desk.js";
import { Line, type Tamper } from "./stand/line.js";
import { Power, type Restart } from "./stand/power.js";
import { walkHome } from "./stand/way-home.js";
import { Strategy } from "./strategy.js";

/** The watchdogs of emulated boards bite after one or two seconds. */
const EMULATED_PATIENCE_MS = 3000;
const MODE_NAMES: Readonly<Record<string, BootMode>> = {
  "single slot": "single-slot",
  "swap using scratch": "swap-scratch",
  "overwrite only": "overwrite-only",
  "swap using move": "swap-move",
  "direct-XIP without revert": "direct-xip",
  "direct-XIP with revert": "direct-xip",
  "RAM load": "ram-load",
  "firmware loader": "firmware-loader",
  "swap using offset": "swap-offset",
};

/** A board on its test stand: what the steps of a case call. Everything done and seen here becomes evidence. */
export class Stand implements Desk {
  readonly board: BenchBoard;
  readonly forge: Forge;
  readonly options: StandOptions;
  readonly strategy: Strategy;
  readonly #line = new Line(this);
  readonly #power = new Power(this, this.#line);
  readonly #delivery = new Delivery(this, this.#line, this.#power);
  #signal: AbortSignal;
  #recorder = new Recorder();
  #logFrom = 0;
  #home: Sight | undefined;
  #last: Sight | undefined;
  /** What was seen last before the last boot. */
  #beforeBoot: Sight | undefined;
  #recoveryProblem: string | undefined = "Serial recovery was not tried.";
  #factory: Uint8Array | undefined;
  #dirty = true;
  #logTellsSwaps = false;

  constructor(options: StandOptions) {
    this.options = options;
    this.#signal = options.signal;
    this.board = options.board;
    this.forge = options.forge;
    this.strategy = new Strategy({
      "power-on": async () => void (await this.#power.on()),
      "power-off": () => this.#power.off(),
      "ask-recovery": () => this.#enterRecovery(),
      "ask-restart": async () => void (await this.boot("reset")),
    });
  }

  get signal(): AbortSignal {
    return this.#signal;
  }

  /** From now on the run is over, and what is left to do is done in any case. */
  ignoreAbort(): void {
    this.#signal = new AbortController().signal;
  }

  get session(): Session {
    return this.#line.session;
  }

  get client(): Client {
    return this.#line.client;
  }

  // --- what is known of the board --------------------------------------------------------------------------------

  /** How the board stood at the start. */
  get home(): Sight {
    return this.#home!;
  }

  get mode(): BootMode | undefined {
    return this.options.mode ?? MODE_NAMES[this.#home?.mode ?? ""];
  }

  /** Unconfirmed images are tried once and reverted. */
  get hasTrial(): boolean {
    return this.mode === "swap-move" || this.mode === "swap-offset" || this.mode === "swap-scratch";
  }

  get picksByVersion(): boolean {
    return this.#delivery.knowsNoRequest || this.mode === "direct-xip" || this.mode === "ram-load";
  }

  get canProgram(): boolean {
    return this.board.can.has("program") && this.options.layout !== undefined;
  }

  get layout(): LayoutFacts {
    if (!this.options.layout) throw new NotJudged("The bench file does not say how the flash is laid out.");
    return this.options.layout;
  }

  /** Why this board does not have what a case needs; undefined when it does. */
  lacks(need: Need): string | undefined {
    return NEEDS[need](this);
  }

  /** Why serial recovery cannot be used; undefined when it was entered and left at the start. */
  get recoveryProblem(): string | undefined {
    return this.#recoveryProblem;
  }

  /** How long an image may misbehave before something should have been done about it. */
  get patienceMs(): number {
    return this.canProgram ? EMULATED_PATIENCE_MS : this.board.entry.startsWithinMs;
  }

  // --- evidence --------------------------------------------------------------------------------------------------

  get recorder(): Recorder {
    return this.#recorder;
  }

  note(says: string): void {
    this.#recorder.note(says);
  }

  notJudged(why: string): NotJudged {
    return new NotJudged(why);
  }

  touch(): void {
    this.#dirty = true;
  }

  /** A new case begins: its evidence is collected from here on. */
  begin(): void {
    this.#recorder = new Recorder();
    this.#logFrom = this.board.log.end;
    this.#power.forgetBoot();
  }

  /** The evidence since {@link begin}. */
  finish(): Evidence {
    return this.#recorder.finish(this.board.log.since(this.#logFrom));
  }

  // --- at the start and between cases ----------------------------------------------------------------------------

  /** Switches on, reaches the board, remembers how it stands: that is what {@link goHome} comes back to. */
  async open(): Promise<Sight> {
    await this.board.powerOff().catch(unlessUnable);
    const start = await this.#power.on();
    await this.#line.open();
    this.#home = await this.look("at the start");
    this.strategy.arrived(this.#home.state === "recovery" ? "recovery" : "app");
    if (start !== "unknown" && start !== this.#home.state)
      throw new NotJudged(`Its log says "${start}", its answers say "${this.#home.state}".`);
    if (this.board.can.has("program")) this.#factory = this.readAll();
    this.#dirty = false;
    return this.#home;
  }

  /** Enters serial recovery and leaves it again: from then on it is known to be a way back. */
  async tryRecovery(): Promise<void> {
    try {
      await this.strategy.to("recovery");
      const sight = await this.boot("reset", "after leaving recovery");
      this.#recoveryProblem =
        sight.running?.hash === this.home.running?.hash
          ? undefined
          : `Recovery was entered, but afterwards ${describe(sight)}.`;
    } catch (error) {
      if (!(error instanceof BootproofError)) throw error;
      this.#recoveryProblem = error.message;
      this.strategy.mended(this.strategy.state);
    }
  }

  /** As {@link goHome}, for a board that another run has left: to this flash, or to the image it was given. */
  async restore(flash: Uint8Array | undefined): Promise<Sight> {
    if (flash) await this.writeAll(flash);
    await this.open();
    this.#factory = undefined;
    if (!flash) await walkHome(this);
    const sight = await this.look("restored");
    if (sight.running?.hash !== imageHashOf(this.forge.baseFile) || !sight.running?.confirmed)
      throw new NotJudged(`The board's own image could not be put back: now ${describe(sight)}.`);
    return sight;
  }

  /** As it stood at the start, whatever happened since. Throws when that cannot be brought about. */
  async goHome(): Promise<Sight> {
    if (!this.#dirty) return this.home;
    this.#line.mend();
    if (this.#factory) {
      await this.board.powerOff();
      this.board.writeFlash(0, this.#factory);
      this.strategy.mended("off");
      const glance = await this.bootAndGlance();
      if (glance.hash === this.home.running?.hash) return this.#isHome(this.home);
    } else if (this.board.can.has("forgets")) {
      this.strategy.mended("off");
      await this.#anew();
    } else {
      await walkHome(this);
    }
    const sight = await this.look("put back");
    if (sight.running?.hash !== this.home.running?.hash)
      throw new NotJudged(`The board's own image could not be put back: now ${describe(sight)}.`);
    return this.#isHome(sight);
  }

  #isHome(sight: Sight): Sight {
    this.strategy.arrived("app");
    this.#last = sight;
    this.#dirty = false;
    return sight;
  }

  /** Off and on, and reached again, for boards that forget everything meanwhile. */
  async #anew(): Promise<void> {
    await this.board.powerOff();
    await this.board.powerOn();
    await this.#line.close();
    await this.#line.open();
  }

  async close(): Promise<void> {
    await this.#line.close();
    await this.board.close();
  }

  // --- power and boots -------------------------------------------------------------------------------------------

  powerOff(): Promise<void> {
    return this.#power.off();
  }

  /** One boot and what the board is afterwards; by power where that changes nothing else. */
  async boot(how: Restart = this.#power.usual, label = "after the restart"): Promise<Sight> {
    this.#beforeBoot = this.#last;
    await this.#power.restart(how);
    return this.look(label);
  }

  /** Switches on with a power cut planned. `cut` when it happened, else what started. The board may be off afterwards. */
  bootWithCut(cut: CutPlan): Promise<Start> {
    return this.#power.onWithCut(cut);
  }

  /** Off and on, and a glance at what runs then. */
  bootAndGlance(): Promise<Glance> {
    return this.#power.glance(this.home.reportsTrust);
  }

  async #enterRecovery(): Promise<void> {
    await this.#power.askRecovery();
    const sight = await this.look("after asking for recovery");
    if (sight.state !== "recovery") throw new NotJudged(`Serial recovery did not come: ${describe(sight)}.`);
  }

  /** The whole flash. */
  readAll(): Uint8Array {
    return this.board.readFlash(0, LAYOUT.flashSize);
  }

  /** Leaves the board off, with this flash. */
  async writeAll(flash: Uint8Array): Promise<void> {
    await this.#power.off();
    this.board.writeFlash(0, flash);
  }

  // --- what it shows ---------------------------------------------------------------------------------------------

  /** What the board shows now. A board that restarts meanwhile is waited for; one that stays away is `silent`. */
  async look(label: string): Promise<Sight> {
    const sight = await this.#line.read(label);
    this.strategy.arrived(
      sight.state === "recovery" ? "recovery" : sight.state === "silent" ? "silent" : "app",
    );
    this.#last = sight;
    this.#recorder.saw(sight);
    this.note(`${label}: ${describe(sight)}`);
    return sight;
  }

  /** Slots as their flash reads; nothing where flash cannot be read. */
  pictures(): SlotPicture[] {
    if (!this.canProgram) return [];
    const { slotSize, sector, writeUnit, maxSectors } = this.layout;
    const geometry = { primarySize: slotSize, sectorSize: sector, writeSize: writeUnit, maxSectors };
    const slots = this.home.slots.length > 2 ? 4 : 2;
    return Array.from({ length: slots }, (_, index) =>
      pictureOf(
        this.board.readFlash(index * slotSize, slotSize),
        { image: index >> 1, slot: index & 1 },
        geometry,
        this.mode ? { mode: this.mode } : {},
      ),
    );
  }

  // --- images ----------------------------------------------------------------------------------------------------

  /** Puts an image where updates go, asks for it, restarts, and tells what became of it. */
  async offer(file: Uint8Array, options: OfferOptions): Promise<Reaction> {
    const before = this.home;
    const refusal = await this.ask(file, options);
    if (refusal !== undefined)
      return { fate: "refused-by-server", shows: refusal, sight: await this.look("after the refusal") };
    return this.#react(before, await this.boot(), file, options.image ?? 0);
  }

  /** Puts an image where updates go and asks for it. Returns why the board's server refused, when it did. */
  async ask(file: Uint8Array, options: OfferOptions): Promise<string | undefined> {
    const through = options.through ?? this.options.through;
    if (through === "smp" || !this.canProgram) return this.send(file, options);
    await this.program(file, options);
    return undefined;
  }

  /** What became of an image that was offered before the last boot. */
  #react(before: Sight, after: Sight, file: Uint8Array, image: number): Reaction {
    const lines = this.board.log.since(this.#power.bootFrom);
    const fate = fateOf({
      before,
      after,
      hash: imageHashOf(file),
      image,
      events: newEvents(this.#beforeBoot ?? before, after),
      lines,
      picksByVersion: this.picksByVersion,
      logTellsSwaps: this.#logTellsSwaps,
    });
    if (fate.fate === "started" && tellsOfSwap(lines)) this.#logTellsSwaps = true;
    this.note(`${fate.fate}: ${fate.shows}`);
    return { ...fate, sight: after };
  }

  /** Leaves the board off, with the image in the secondary slot and a request for it in the trailer. */
  program(file: Uint8Array, options: OfferOptions): Promise<void> {
    return this.#delivery.program(file, this.layout, options);
  }

  /** Uploads and marks over SMP. Returns why the board's server refused, or undefined when it took all. */
  send(file: Uint8Array, options: OfferOptions): Promise<string | undefined> {
    return this.#delivery.send(file, options, this.picksByVersion);
  }

  /** Asks for an image that lies in the secondary. Boards that pick by version have no such request. */
  async mark(file: Uint8Array, permanent: boolean): Promise<void> {
    if (!this.picksByVersion) await this.#delivery.mark(file, permanent);
  }

  /** Confirms what runs. */
  confirm(): Promise<void> {
    return this.#delivery.confirm();
  }

  /** The SMP line from now on goes through `tamper`; undefined ends that. */
  tamperWith(tamper: Tamper | undefined): Promise<void> {
    return this.#line.tamperWith(tamper);
  }
}
