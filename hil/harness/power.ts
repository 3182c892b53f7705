import { DeviceError, RequestTimeout } from "bootproof";
import { imageList, osReset, trustCounters } from "bootproof/smp";
import type { CutPlan, Start } from "../board.js";
import { type HarnessContext, type QuickCheck, type Restart, silenceMs, unlessUnable } from "./context.js";
import type { Line } from "./link.js";
import { Patience } from "./patience.js";

/** How often it is asked whether a silent board has had its time. */
const LOOKS_EVERY_MS = 1000;

/** Power and restarts of a board. What it is afterwards somebody else looks at. */
export class Power {
  readonly #context: HarnessContext;
  readonly #line: Line;
  #bootFrom = 0;

  constructor(context: HarnessContext, line: Line) {
    this.#context = context;
    this.#line = line;
  }

  /** Number of the first log line of the last boot. */
  get bootFrom(): number {
    return this.#bootFrom;
  }

  /** What the log has said until now belongs to no boot. */
  forgetBoot(): void {
    this.#bootFrom = this.#context.board.log.end;
  }

  /** By power where that changes nothing else. */
  get usual(): Restart {
    const { can } = this.#context.board;
    return can.has("power") && !can.has("forgets") ? "power" : "reset";
  }

  async off(): Promise<void> {
    this.#context.touch();
    await this.#context.board.powerOff();
  }

  async on(): Promise<Start> {
    this.forgetBoot();
    await this.#context.board.powerOn().catch(unlessUnable);
    return this.#untilStarted();
  }

  /**
   * One boot, or `starts` of them where the board restarts by itself and its log tells. `power`: off and on; `reset`: by the
   * button or by asking.
   */
  async restart(how: Restart, starts = 1): Promise<void> {
    const { board } = this.#context;
    this.#context.touch();
    this.#context.note(how === "power" ? "power off and on" : "reset");
    this.forgetBoot();
    if (how === "power") {
      await board.powerOff();
      await board.powerOn();
      await this.#untilStarted(this.#bootFrom, starts);
    } else if (board.can.has("reset")) {
      await board.reset();
      await this.#untilStarted(this.#bootFrom, starts);
    } else {
      await this.#line.askRestart({});
    }
  }

  async askRecovery(): Promise<void> {
    const { board, signal } = this.#context;
    this.#context.touch();
    this.#context.note("asked to restart into serial recovery");
    if (!board.can.has("tells-start")) return this.#line.askRestart({ bootMode: 1 });
    const from = board.log.end;
    await this.#line.client.send(osReset, { boot_mode: 1 }, { signal });
    await this.#untilStarted(from);
  }

  /** Switches on with a power cut planned. `cut` when it happened, else what started. The board may be off afterwards. */
  async onWithCut(cut: CutPlan): Promise<Start> {
    const { board } = this.#context;
    await this.off();
    this.forgetBoot();
    await board.powerOn(cut);
    return this.started(this.#bootFrom);
  }

  /** Waits for the end of a boot that began after log line `from`, where the log tells: no longer than for a silent board. */
  async started(from: number, withinMs: number = silenceMs(this.#context), count = 1): Promise<Start> {
    const { board } = this.#context;
    const patience = new Patience(withinMs);
    for (;;) {
      const start = await board.started(from, Math.min(withinMs, LOOKS_EVERY_MS), count);
      if (start !== "unknown" || !board.can.has("tells-start") || patience.isOver) return start;
    }
  }

  /** Off and on, and a glance at what runs then. */
  async quickCheck(): Promise<QuickCheck> {
    await this.off();
    const start = await this.on();
    if (start !== "application") return { start };
    await this.#line.identifyUnlessKnown();
    const { client } = this.#line;
    const how = { signal: this.#context.signal, timeoutMs: 500, retries: 3 };
    const { images } = await this.#patiently(() => client.send(imageList, {}, how));
    const hash = images.find(({ active, image = 0 }) => active && image === 0)?.hash;
    const reported = this.#context.initial.reportsTrust
      ? await this.#patiently(() => client.send(trustCounters, {}, how)).catch(unlessUnreported)
      : undefined;
    return {
      start,
      hash: hash && Buffer.from(hash).toString("hex"),
      counter: reported?.images.find(({ image }) => image === 0)?.counter,
    };
  }

  /** Asks again while the board may only be slow. */
  async #patiently<T>(ask: () => Promise<T>): Promise<T> {
    const patience = new Patience(silenceMs(this.#context));
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof RequestTimeout) || patience.isOver) throw error;
      }
    }
  }

  async #untilStarted(from = this.#bootFrom, starts = 1): Promise<Start> {
    const { traits } = this.#context;
    const start = await this.started(from, starts > 1 ? traits.patienceMs : undefined, starts);
    this.#line.noteStart(start);
    return start;
  }
}

/** A trust group need not tell counters. */
function unlessUnreported(error: unknown): undefined {
  if (!(error instanceof DeviceError)) throw error;
}
