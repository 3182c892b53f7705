import { BootproofError, DeviceError, runWorkflow, upload } from "bootproof";
import { upgradeMode } from "bootproof/mcuboot";
import { imageErase, imageList, imageMark } from "bootproof/smp";
import { imageHashOf } from "../evidence.js";
import { areaOf, firstSector, type Place, slotBytes } from "../flash-layout.js";
import { mentionsSwap, newEvents, offerOutcome, type Reaction, type Snapshot } from "../snapshot.js";
import { type HarnessContext, isUnreachable, type OfferOptions } from "./context.js";
import type { Line } from "./link.js";
import type { Power } from "./power.js";

/** Erasing waits for the flash. */
const ERASE_WITHIN_MS = 40_000;

/** How images get onto a board, how they are asked for, and what the board makes of them. */
export class Delivery {
  readonly #context: HarnessContext;
  readonly #line: Line;
  readonly #power: Power;
  #logMentionsSwaps = false;

  constructor(context: HarnessContext, line: Line, power: Power) {
    this.#context = context;
    this.#line = line;
    this.#power = power;
  }

  /** Puts an image where updates go, asks for it, restarts, and tells what became of it. */
  async offer(file: Uint8Array, options: OfferOptions): Promise<Reaction> {
    const { initial, traits } = this.#context;
    const place = traits.placeFor(options.image ?? 0);
    const refusal = await this.ask(file, options);
    if (refusal !== undefined) {
      const snapshot = await this.#context.takeSnapshot("after the refusal");
      return { outcome: "refused-by-server", shows: refusal, snapshot };
    }
    const after = await this.#context.boot(undefined, undefined, options.starts);
    return this.#react(initial, after, file, place);
  }

  /** Puts an image where updates go and asks for it. Returns why the board's server refused, when it did. */
  async ask(file: Uint8Array, options: OfferOptions): Promise<string | undefined> {
    const through = options.through ?? this.#context.options.through;
    if (through === "smp" || !this.#context.traits.canProgram) return this.send(file, options);
    await this.program(file, options);
    return undefined;
  }

  /** Puts an image where updates go and asks for nothing. */
  async leave(file: Uint8Array, what: string): Promise<void> {
    const { options, traits, signal, recorder } = this.#context;
    if (options.through !== "smp" && traits.canProgram) return this.program(file, { what, noRequest: true });
    this.#context.touch();
    recorder.offered(what, file, "uploaded over SMP");
    await runWorkflow(upload(this.#line.session, file, { signal, reconnectWithinMs: 20_000 }));
  }

  /** Leaves the board off, with the image where updates go and a request for it in the trailer. */
  async program(file: Uint8Array, options: OfferOptions): Promise<void> {
    const { what, image = 0, permanent = false, noRequest = false } = options;
    const { board, recorder, traits } = this.#context;
    const { layout, mode } = traits;
    const place = traits.placeFor(image);
    const area = areaOf(layout, place);
    const updateSector = place.slot === 1 && mode !== undefined ? upgradeMode(mode).swap?.updateSector : 0;
    const isAsked = !noRequest && (mode === undefined || upgradeMode(mode).marked);
    recorder.offered(what, file, `programmed into slot ${place.slot} of image ${image}`);
    const bytes = slotBytes(layout, place, file, {
      begins: updateSector === 1 ? firstSector(area) : 0,
      request: !isAsked ? "none" : permanent ? "permanent" : "test",
    });
    await this.#power.off();
    board.writeFlash(area.offset, bytes);
  }

  /**
   * Uploads over SMP, and marks where that is what starts it; where updates replace what runs, through serial recovery.
   * Returns why the board's server refused, or undefined when it took all.
   */
  async send(file: Uint8Array, options: OfferOptions): Promise<string | undefined> {
    if (this.#context.traits.hasOneSlot) {
      await this.sendThroughRecovery(file, options.what);
      return undefined;
    }
    const { what, image, permanent = false, upgrade } = options;
    const { signal, recorder, traits } = this.#context;
    const isMarked = traits.asksForUpload;
    this.#context.touch();
    recorder.offered(what, file, "uploaded over SMP");
    try {
      await runWorkflow(
        upload(this.#line.session, file, { signal, image, upgrade, reconnectWithinMs: 20_000 }),
      );
      return isMarked ? await this.#mark(file, permanent, image) : undefined;
    } catch (error) {
      if (!(error instanceof BootproofError) || isUnreachable(error)) throw error;
      this.#context.note(`the board's server refused: ${error.message}`);
      return error.message.replace(/\.$/, "");
    }
  }

  /** Uploads in serial recovery, and leaves the board there. Where nothing starts without a trailer, one goes with it. */
  async sendThroughRecovery(file: Uint8Array, what: string): Promise<void> {
    const { signal, recorder, traits } = this.#context;
    await this.#context.toRecovery();
    recorder.offered(what, file, "uploaded through serial recovery");
    const whole = traits.needsTrailer
      ? slotBytes(traits.layout, { image: 0, slot: 0 }, file, { begins: 0, request: "permanent" })
      : file;
    await runWorkflow(upload(this.#line.session, whole, { signal, reconnectWithinMs: 20_000 }));
  }

  /** Asks for an image that lies in the secondary, on boards that have such a request. */
  async mark(file: Uint8Array, permanent: boolean): Promise<void> {
    if (this.#context.traits.asksForUpload) await this.#mark(file, permanent);
  }

  /** Returns why it cannot be asked for, when it cannot. */
  async #mark(file: Uint8Array, permanent: boolean, image = 0): Promise<string | undefined> {
    const { client } = this.#line;
    const { signal } = this.#context;
    const hash = imageHashOf(file) ?? (await this.#listedHash(image));
    if (hash === undefined) return "it lists no image with a hash in that slot, so none can be requested";
    const request = { hash: Uint8Array.from(Buffer.from(hash, "hex")), confirm: permanent };
    try {
      await client.send(imageMark, request, { signal });
    } catch (error) {
      if (!(error instanceof DeviceError && error.rcName === "ENOTSUP")) throw error;
      this.#context.traits.sawNoRequest();
      this.#context.note("the board has no such request: it decides by version what to start");
      return undefined;
    }
    this.#context.note(permanent ? "requested it permanently" : "requested one trial boot");
    return undefined;
  }

  /** Over SMP, by the application that runs. In serial recovery nothing has been put there since. */
  async eraseSecondary(): Promise<void> {
    this.#context.touch();
    await this.#line.client.send(
      imageErase,
      {},
      { signal: this.#context.signal, timeoutMs: ERASE_WITHIN_MS },
    );
    this.#context.note("secondary slot erased");
  }

  /** What became of an image that was offered before the last boot. */
  #react(before: Snapshot, after: Snapshot, file: Uint8Array, place: Place): Reaction {
    const { board, beforeBoot, traits } = this.#context;
    const lines = board.log.since(this.#power.bootFrom);
    const outcome = offerOutcome({
      before,
      lately: beforeBoot,
      after,
      hash: imageHashOf(file),
      place,
      isOnlySlot: traits.hasOneSlot,
      events: newEvents(beforeBoot ?? before, after),
      lines,
      picksByVersion: traits.picksByVersion,
      logMentionsSwaps: this.#logMentionsSwaps,
      hasLog: board.can.has("log"),
    });
    if (outcome.outcome === "started" && mentionsSwap(lines)) this.#logMentionsSwaps = true;
    this.#context.note(`${outcome.outcome}: ${outcome.shows}`);
    return { ...outcome, snapshot: after };
  }

  /** What the board takes for the hash of a file in which we find none. */
  async #listedHash(image: number): Promise<string | undefined> {
    const { images } = await this.#line.client.send(imageList, {}, { signal: this.#context.signal });
    const held = images.find((entry) => entry.active !== true && (entry.image ?? 0) === image);
    return held?.hash && Buffer.from(held.hash).toString("hex");
  }

  /** Confirms what runs. */
  async confirm(): Promise<void> {
    this.#context.touch();
    await this.#line.client.send(imageMark, { confirm: true }, { signal: this.#context.signal });
    this.#context.note("confirmed the running image");
  }
}
