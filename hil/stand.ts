import { setTimeout as delay } from "node:timers/promises";
import {
  type BootMode,
  BootproofError,
  type ByteStream,
  type Client,
  connect,
  DeviceError,
  identify,
  imageErase,
  imageList,
  imageMark,
  type Key,
  LAYOUT,
  osReset,
  RequestTimeout,
  readFacts,
  restart,
  run,
  Session,
  signImage,
  TransportError,
  trustCounters,
  upload,
} from "bootproof";
import type { LayoutFacts } from "./bench.js";
import type { BenchBoard, CutPlan, Start } from "./board.js";
import type { Need } from "./case.js";
import { type Evidence, imageHashOf, Recorder } from "./evidence.js";
import type { Forge } from "./forge.js";
import { NEEDS } from "./needs.js";
import {
  fateOf,
  newEvents,
  pictureOf,
  type Reaction,
  type Sight,
  type SlotPicture,
  sightOf,
  silentSight,
  tellsOfSwap,
} from "./sight.js";
import { Strategy } from "./strategy.js";

/** A case cannot be judged: something it takes for granted is not so. The message says what. */
export class NotJudged extends BootproofError {
  declare readonly code: "not-judged";

  constructor(why: string) {
    super("not-judged", why);
  }
}

export interface StandOptions {
  readonly board: BenchBoard;
  readonly forge: Forge;
  readonly layout: LayoutFacts | undefined;
  /** From the bench; else what the board reports. */
  readonly mode: BootMode | undefined;
  /** How images get into the secondary slot where there is a choice. */
  readonly through: "smp" | "programmer";
  readonly seed: number;
  /** Power cuts per story and kind; random ones altogether. */
  readonly cuts: number;
  readonly randomCuts: number;
  /** How long a boot takes, about: moments of power cuts are chosen within it. */
  readonly bootMs: number;
  readonly keys: { readonly accepted: readonly NamedKey[]; readonly refused: readonly NamedKey[] };
  readonly onCut?: ((done: number, total: number) => void) | undefined;
  readonly signal: AbortSignal;
}

export interface NamedKey {
  readonly name: string;
  readonly key: Key;
}

/** The least that tells how a board is, for when it is looked at a thousand times. */
export interface Glance {
  readonly start: Start;
  readonly hash?: string | undefined;
  /** Stored security counter. */
  readonly counter?: number | undefined;
}

export interface OfferOptions {
  readonly what: string;
  /** Image number. */
  readonly image?: number;
  /** Ask for it for good instead of once. */
  readonly permanent?: boolean;
  readonly through?: "smp" | "programmer";
  readonly upgrade?: boolean;
  /** Leave it in the slot, not asked for. */
  readonly noRequest?: boolean;
}

/** Emulated boards answer in a moment or never. */
const EMULATED_SILENCE_MS = 5000;
/** How long a machine that was just started is left alone, and how often it is started anew when it is deaf. */
const FIRST_WORD_MS = 800;
const MOST_STARTS = 4;
/** An emulated machine restarts at once: when it looks as before by then, nothing has changed. */
const MACHINE_RESTARTS_MS = 1500;
/** Their watchdogs bite after one or two seconds. */
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
export class Stand {
  readonly board: BenchBoard;
  readonly forge: Forge;
  readonly options: StandOptions;
  readonly strategy: Strategy;
  #signal: AbortSignal;
  #session: Session | undefined;
  #recorder = new Recorder();
  #logFrom = 0;
  #bootFrom = 0;
  #home: Sight | undefined;
  #last: Sight | undefined;
  /** Who has started, by the log. */
  #told: Start = "unknown";
  /** What was seen last before the last boot. */
  #beforeBoot: Sight | undefined;
  #recoveryProblem: string | undefined = "Serial recovery was not tried.";
  #factory: Uint8Array | undefined;
  #dirty = true;
  /** Found out by asking for an image: the board knows no such request. */
  #picksByVersion = false;
  #logTellsSwaps = false;
  /** Wraps the SMP line: how link trouble is made. */
  #tamper: ((stream: ByteStream) => ByteStream) | undefined;

  constructor(options: StandOptions) {
    this.options = options;
    this.#signal = options.signal;
    this.board = options.board;
    this.forge = options.forge;
    this.strategy = new Strategy({
      "power-on": async () => void (await this.#switchOn()),
      "power-off": () => this.powerOff(),
      "ask-recovery": async () => void (await this.#askRecovery()),
      "ask-restart": async () => void (await this.boot("reset")),
    });
  }

  /** Aborted by Ctrl-C, until the board is put back. */
  get signal(): AbortSignal {
    return this.#signal;
  }

  /** From now on the run is over, and what is left to do is done in any case. */
  ignoreAbort(): void {
    this.#signal = new AbortController().signal;
  }

  get session(): Session {
    if (!this.#session) throw new NotJudged("The board was not reached.");
    return this.#session;
  }

  get client(): Client {
    return this.session.client;
  }

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
    return this.#picksByVersion || this.mode === "direct-xip" || this.mode === "ram-load";
  }

  get canProgram(): boolean {
    return this.board.can.has("program") && this.options.layout !== undefined;
  }

  get layout(): LayoutFacts {
    if (!this.options.layout) throw new NotJudged("The bench file does not say how the flash is laid out.");
    return this.options.layout;
  }

  note(says: string): void {
    this.#recorder.note(says);
  }

  /** Why this board does not have what a case needs; undefined when it does. */
  lacks(need: Need): string | undefined {
    return NEEDS[need](this);
  }

  /** Why serial recovery cannot be used; undefined when it was entered and left at the start. */
  get recoveryProblem(): string | undefined {
    return this.#recoveryProblem;
  }

  notJudged(why: string): NotJudged {
    return new NotJudged(why);
  }

  /** Says that the board is no longer as it stood at the start. */
  touch(): void {
    this.#dirty = true;
  }

  get recorder(): Recorder {
    return this.#recorder;
  }

  // --- at the start and between cases ---------------------------------------------------------------------------

  /** Switches on, reaches the board, remembers how it stands: that is what {@link goHome} comes back to. */
  async open(): Promise<Sight> {
    await this.board.powerOff().catch(unlessUnable);
    const start = await this.#switchOn();
    this.#session = await this.#firstSession();
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
    if (!flash) await this.#walkHome();
    const sight = await this.look("restored");
    if (sight.running?.hash !== imageHashOf(this.forge.baseFile) || !sight.running?.confirmed)
      throw new NotJudged(`The board's own image could not be put back: now ${describe(sight)}.`);
    return sight;
  }

  /** A new case begins: its evidence is collected from here on. */
  begin(): void {
    this.#recorder = new Recorder();
    this.#logFrom = this.board.log.end;
    this.#bootFrom = this.#logFrom;
  }

  /** The evidence since {@link begin}. */
  finish(): Evidence {
    return this.#recorder.finish(this.board.log.since(this.#logFrom));
  }

  /** As it stood at the start, whatever happened since. Throws when that cannot be brought about. */
  async goHome(): Promise<Sight> {
    if (!this.#dirty) return this.home;
    this.#tamper = undefined;
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
      await this.#walkHome();
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

  async close(): Promise<void> {
    await this.#session?.close();
    await this.board.close();
  }

  // --- power and boots -------------------------------------------------------------------------------------------

  async powerOff(): Promise<void> {
    this.#dirty = true;
    await this.board.powerOff();
  }

  /**
   * One boot and what the board is afterwards. `power`: off and on; `reset`: a reset, by the button or by asking.
   * Default: by power where that changes nothing else.
   */
  async boot(how: "power" | "reset" = this.#usualBoot, label = "after the restart"): Promise<Sight> {
    this.#dirty = true;
    this.#beforeBoot = this.#last;
    this.#bootFrom = this.board.log.end;
    this.note(how === "power" ? "power off and on" : "reset");
    if (how === "power") {
      await this.board.powerOff();
      await this.board.powerOn();
      await this.#untilStarted(this.#bootFrom);
    } else if (this.board.can.has("reset")) {
      await this.board.reset();
      await this.#untilStarted(this.#bootFrom);
    } else {
      await this.#askRestart({});
    }
    return this.look(label);
  }

  /** Switches on with a power cut planned. `cut` when it happened, else what started. The board may be off afterwards. */
  async bootWithCut(cut: CutPlan): Promise<Start> {
    this.#dirty = true;
    await this.board.powerOff();
    const from = this.board.log.end;
    this.#bootFrom = from;
    await this.board.powerOn(cut);
    return this.board.started(from, this.#silenceMs);
  }

  /** Off and on, and a glance at what runs then. */
  async bootAndGlance(): Promise<Glance> {
    this.#dirty = true;
    await this.board.powerOff();
    const start = await this.#switchOn();
    if (start !== "application") return { start };
    if (this.client.server.mode !== "application") await this.#reidentify();
    const how = { signal: this.signal, timeoutMs: 500, retries: 3 };
    const { images } = await this.client.send(imageList, {}, how);
    const hash = images.find(({ active, image = 0 }) => active && image === 0)?.hash;
    const told = this.home.reportsTrust ? await this.client.send(trustCounters, {}, how) : undefined;
    return {
      start,
      hash: hash && Buffer.from(hash).toString("hex"),
      counter: told?.images.find(({ image }) => image === 0)?.counter,
    };
  }

  /** The whole flash. */
  readAll(): Uint8Array {
    return this.board.readFlash(0, LAYOUT.flashSize);
  }

  /** Leaves the board off, with this flash. */
  writeAll(flash: Uint8Array): Promise<void> {
    return this.#program(() => this.board.writeFlash(0, flash));
  }

  /** What the board shows now. A board that restarts meanwhile is waited for; one that stays away is `silent`. */
  async look(label: string): Promise<Sight> {
    const sight = await this.#read(label);
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
    const { slotSize } = this.layout;
    const slots = this.home.slots.length > 2 ? 4 : 2;
    return Array.from({ length: slots }, (_, index) =>
      pictureOf(
        this.board.readFlash(index * slotSize, slotSize),
        { image: index >> 1, slot: index & 1 },
        this.#geometry(),
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
    return this.react(before, await this.boot(), file, options.image ?? 0);
  }

  /** Puts an image where updates go and asks for it. Returns why the board's server refused, when it did. */
  async ask(file: Uint8Array, options: OfferOptions): Promise<string | undefined> {
    const through = options.through ?? this.options.through;
    if (through === "smp" || !this.canProgram) return this.send(file, options);
    await this.program(file, options);
    return undefined;
  }

  /** What became of an image that was offered before the last boot. */
  react(before: Sight, after: Sight, file: Uint8Array, image = 0): Reaction {
    const lines = this.board.log.since(this.#bootFrom);
    const events = newEvents(this.#beforeBoot ?? before, after);
    const { picksByVersion } = this;
    const logTellsSwaps = this.#logTellsSwaps;
    const offer = {
      before,
      after,
      hash: imageHashOf(file),
      image,
      events,
      lines,
      picksByVersion,
      logTellsSwaps,
    };
    const fate = fateOf(offer);
    if (fate.fate === "started" && tellsOfSwap(lines)) this.#logTellsSwaps = true;
    this.note(`${fate.fate}: ${fate.shows}`);
    return { ...fate, sight: after };
  }

  /** Leaves the board off, with the image in the secondary slot and a request for it in the trailer. */
  async program(file: Uint8Array, options: OfferOptions): Promise<void> {
    const { what, image = 0, permanent = false, noRequest = false } = options;
    const { slotSize } = this.layout;
    this.#recorder.offered(what, file, `programmed into slot 1 of image ${image}`);
    const slot = new Uint8Array(slotSize).fill(0xff);
    slot.set(file.subarray(0, slotSize));
    const tail = noRequest ? new Uint8Array(0) : await requestTail(permanent);
    slot.set(tail, slotSize - tail.length);
    await this.#program(() => this.board.writeFlash((image * 2 + 1) * slotSize, slot));
  }

  /** Uploads and marks over SMP. Returns why the board's server refused, or undefined when it took all. */
  async send(file: Uint8Array, options: OfferOptions): Promise<string | undefined> {
    const { what, image, permanent = false, upgrade } = options;
    this.#dirty = true;
    this.#recorder.offered(what, file, "uploaded over SMP");
    try {
      await run(
        upload(this.session, file, { signal: this.signal, image, upgrade, reconnectWithinMs: 20_000 }),
      );
      await this.mark(file, permanent);
      return undefined;
    } catch (error) {
      if (!(error instanceof BootproofError) || isLost(error)) throw error;
      this.note(`the board's server refused: ${error.message}`);
      return error.message.replace(/\.$/, "");
    }
  }

  /** Asks for an image that lies in the secondary. Boards that pick by version have no such request. */
  async mark(file: Uint8Array, permanent: boolean): Promise<void> {
    if (this.picksByVersion) return;
    const hash = imageHashOf(file);
    if (hash === undefined) throw new NotJudged("The image has no hash by which it could be asked for.");
    const request = { hash: Uint8Array.from(Buffer.from(hash, "hex")), confirm: permanent };
    try {
      await this.client.send(imageMark, request, { signal: this.signal });
    } catch (error) {
      if (!(error instanceof DeviceError && error.rcName === "ENOTSUP")) throw error;
      this.#picksByVersion = true;
      this.note("the board has no such request: it decides by version what to start");
      return;
    }
    this.note(permanent ? "asked for it for good" : "asked for one trial boot");
  }

  /** Confirms what runs. */
  async confirm(): Promise<void> {
    this.#dirty = true;
    await this.client.send(imageMark, { confirm: true }, { signal: this.signal });
    this.note("confirmed what runs");
  }

  /** The SMP line from now on goes through `tamper`; undefined ends that. */
  async tamperWith(tamper: ((stream: ByteStream) => ByteStream) | undefined): Promise<void> {
    this.#tamper = tamper;
    await this.session.reopen(this.signal);
  }

  // --- inside ----------------------------------------------------------------------------------------------------

  get #usualBoot(): "power" | "reset" {
    return this.board.can.has("power") && !this.board.can.has("forgets") ? "power" : "reset";
  }

  /** How long an image may misbehave before something should have been done about it. */
  get patienceMs(): number {
    return this.canProgram ? EMULATED_PATIENCE_MS : this.board.entry.startsWithinMs;
  }

  get #silenceMs(): number {
    return this.canProgram ? EMULATED_SILENCE_MS : this.board.entry.startsWithinMs;
  }

  async #switchOn(): Promise<Start> {
    const from = this.board.log.end;
    this.#bootFrom = from;
    await this.board.powerOn().catch(unlessUnable);
    return this.#untilStarted(from);
  }

  async #program(write: () => void): Promise<void> {
    await this.powerOff();
    write();
  }

  async #untilStarted(from: number): Promise<Start> {
    this.#told = await this.board.started(from, this.#silenceMs);
    return this.#told;
  }

  /** An emulated machine that was asked too early may be deaf until its next start; it gets some. */
  async #firstSession(): Promise<Session> {
    for (let tries = 1; ; tries++) {
      try {
        return await Session.open((signal) => this.#connect(signal), this.signal);
      } catch (error) {
        if (!this.board.can.has("forgets") || tries === MOST_STARTS || !(error instanceof RequestTimeout))
          throw error;
        await this.board.powerOff();
        await this.board.powerOn();
      }
    }
  }

  /** Off and on, and reached again, for boards that forget everything meanwhile. */
  async #anew(): Promise<void> {
    await this.board.powerOff();
    await this.board.powerOn();
    await this.#session?.close();
    this.#session = await this.#firstSession();
  }

  /** A restart that is asked for over SMP, and waited for. */
  async #askRestart(how: { bootMode?: number }): Promise<void> {
    try {
      const unchangedMs = this.board.can.has("forgets") ? MACHINE_RESTARTS_MS : undefined;
      const within = { withinMs: this.#silenceMs, unchangedMs };
      await run(restart(this.session, { signal: this.signal, ...within, ...how }));
    } catch (error) {
      // A board that stays away is a finding for whoever looks next.
      if (!(error instanceof BootproofError) || !isLost(error)) throw error;
    }
  }

  async #askRecovery(): Promise<void> {
    this.#dirty = true;
    this.note("asked to restart into serial recovery");
    const from = this.board.log.end;
    if (!this.board.can.has("log")) await this.#askRestart({ bootMode: 1 });
    else {
      await this.client.send(osReset, { boot_mode: 1 }, { signal: this.signal });
      await this.#untilStarted(from);
    }
    const sight = await this.look("after asking for recovery");
    if (sight.state !== "recovery") throw new NotJudged(`Serial recovery did not come: ${describe(sight)}.`);
  }

  async #connect(signal: AbortSignal | undefined): Promise<Client> {
    const stream = await this.board.open(signal);
    // Bytes that reach a UART while its driver sets it up can make it deaf until the next reset (emulated nRF51).
    if (this.board.can.has("forgets")) await delay(FIRST_WORD_MS, undefined, { signal });
    return connect(this.#tamper?.(stream) ?? stream, {
      signal,
      ...(this.canProgram ? { timeoutMs: this.#tamper ? 250 : 1000, probeTimeoutMs: 300, probes: 8 } : {}),
      trace: (record) => this.#recorder.heard(record),
      onText: (line) => this.board.log.add("console", line),
    });
  }

  async #read(label: string): Promise<Sight> {
    const deadline = performance.now() + this.#silenceMs;
    for (;;) {
      this.signal.throwIfAborted();
      try {
        if (this.#told !== this.client.server.mode) await this.#reidentify();
        return sightOf(await readFacts(this.session, { signal: this.signal }), label);
      } catch (error) {
        if (!(error instanceof BootproofError) || !isLost(error)) throw error;
        if (performance.now() > deadline) return silentSight(label);
        this.#told = "unknown";
        if (error instanceof TransportError) await this.#reopen();
      }
    }
  }

  /** Unless the log has told that it is the same as before, whoever answers now may be another server than before, with other buffers. */
  async #reidentify(): Promise<void> {
    await identify(this.client, {
      signal: this.signal,
      probeTimeoutMs: this.canProgram ? 250 : 1000,
      probes: 3,
    });
  }

  async #reopen(): Promise<void> {
    await this.session.reopen(this.signal).catch(async (error: unknown) => {
      if (!(error instanceof BootproofError)) throw error;
      await delay(100, undefined, { signal: this.signal });
    });
  }

  /** Without a programmer: the old image is reverted to, or sent again and confirmed. */
  async #walkHome(): Promise<void> {
    let sight = await this.look("before putting back");
    const own = imageHashOf(this.forge.baseFile);
    if (sight.state === "recovery") {
      await run(upload(this.session, this.forge.baseFile, { signal: this.signal }));
      sight = await this.boot("reset", "own image sent through recovery");
    }
    if (sight.running?.hash === own && !sight.running?.confirmed) await this.confirm();
    else if (sight.running && !sight.running.confirmed) sight = await this.boot("reset", "reverted");
    if (sight.running?.hash !== own) {
      const refusal = await this.send(this.forge.baseFile, { what: "the board's own image" });
      if (refusal !== undefined)
        throw new NotJudged(`The board's own image could not be sent back: ${refusal}`);
      sight = await this.boot("reset", "own image on trial");
      if (sight.running?.hash === own && !sight.running?.confirmed) await this.confirm();
    }
    await this.client
      .send(imageErase, {}, { signal: this.signal, timeoutMs: 40_000 })
      .catch((error: unknown) => {
        // Slots that are pending, or boards without this command: harmless, the next upload erases.
        if (!(error instanceof BootproofError)) throw error;
      });
  }

  #geometry() {
    const { slotSize, sector, writeUnit, maxSectors } = this.layout;
    return { primarySize: slotSize, sectorSize: sector, writeSize: writeUnit, maxSectors };
  }
}

/** What a person would say of a board that looks like this. */
export function describe(sight: Sight): string {
  const counter = sight.counters[0];
  const stored = counter === undefined ? "" : `, stored security counter ${counter}`;
  if (sight.state === "silent") return "the board is silent";
  if (sight.state === "recovery") return `the board is in serial recovery${stored}`;
  if (!sight.running) return `the board answers and lists no image${stored}`;
  const { version, hash = "", confirmed } = sight.running;
  return `version ${version} (${hash.slice(0, 12)}) runs${confirmed ? "" : " unconfirmed"}${stored}`;
}

function isLost(error: BootproofError): boolean {
  return error instanceof RequestTimeout || error instanceof TransportError || error.code === "away";
}

/** A board whose power nobody can switch is on. */
function unlessUnable(error: unknown): void {
  if (!(error instanceof BootproofError) || error.code !== "unable") throw error;
}

/** The magic at the end of a slot; a request for good has image_ok before it (trailer fields, A = 8). */
const TEST_TAIL = 16;
const PERMANENT_TAIL = 24;

/** The end of a slot with a request in it, as imgtool pads one. */
async function requestTail(permanent: boolean): Promise<Uint8Array> {
  const { bytes } = await signImage(new Uint8Array(64), {
    version: "0.0.0",
    headerSize: 32,
    padHeader: true,
    slotSize: 0x4000,
    align: 4,
    maxSectors: 32,
    trailer: permanent ? "confirmed" : "test",
  });
  return bytes.slice(permanent ? -PERMANENT_TAIL : -TEST_TAIL);
}
