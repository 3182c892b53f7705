import { DeviceError } from "bootproof";
import { imageList, osReset, trustCounters } from "bootproof/smp";
import type { CutPlan, Start } from "../board.js";
import { type HarnessContext, type QuickCheck, type Restart, silenceMs, unlessUnable } from "./context.js";
import type { Line } from "./link.js";

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

  /** One boot. `power`: off and on; `reset`: by the button or by asking. */
  async restart(how: Restart): Promise<void> {
    const { board } = this.#context;
    this.#context.touch();
    this.#context.note(how === "power" ? "power off and on" : "reset");
    this.forgetBoot();
    if (how === "power") {
      await board.powerOff();
      await board.powerOn();
      await this.#untilStarted();
    } else if (board.can.has("reset")) {
      await board.reset();
      await this.#untilStarted();
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
    return board.started(this.#bootFrom, silenceMs(this.#context));
  }

  /** Off and on, and a glance at what runs then. */
  async quickCheck(): Promise<QuickCheck> {
    await this.off();
    const start = await this.on();
    if (start !== "application") return { start };
    await this.#line.identifyUnlessKnown();
    const { client } = this.#line;
    const how = { signal: this.#context.signal, timeoutMs: 500, retries: 3 };
    const { images } = await client.send(imageList, {}, how);
    const hash = images.find(({ active, image = 0 }) => active && image === 0)?.hash;
    const reported = this.#context.initial.reportsTrust
      ? await client.send(trustCounters, {}, how).catch(unlessUnreported)
      : undefined;
    return {
      start,
      hash: hash && Buffer.from(hash).toString("hex"),
      counter: reported?.images.find(({ image }) => image === 0)?.counter,
    };
  }

  async #untilStarted(from = this.#bootFrom): Promise<Start> {
    const start = await this.#context.board.started(from, silenceMs(this.#context));
    this.#line.noteStart(start);
    return start;
  }
}

/** A trust group need not tell counters. */
function unlessUnreported(error: unknown): undefined {
  if (!(error instanceof DeviceError)) throw error;
}
