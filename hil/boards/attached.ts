import { setTimeout as delay } from "node:timers/promises";
import { type Address, BootproofError, type ByteStream, openStream, parseAddress } from "bootproof";
import {
  commandSwitch,
  type Followed,
  type FollowedUsb,
  follow,
  followUsb,
  listDevices,
  loadConfig,
  type PowerSwitch,
  powerSwitch,
} from "bootproof/boards";
import { type Ability, AbilityError, type BoardUnderTest, type Start, UnusableBoard } from "../board.js";
import type { BoardEntry, Reach } from "../board-files/board-entry.js";
import { LogBuffer } from "../log-buffer.js";

type Attached = Extract<Reach, { kind: "attached" }>;
type Pipe = Exclude<Address, { kind: "wasm" | "qemu" }>;

const LONGEST_LOG_LINE = 1000;

/** How a board is called, and what is left to do when it is let go. */
export interface Holding {
  readonly summary?: string;
  release?(): Promise<void>;
}

/** A board behind an address, with command lines for what a desk can do: switch a hub port, pull a reset line. */
export async function openAttached(
  entry: BoardEntry,
  reach: Attached,
  holding: Holding = {},
): Promise<BoardUnderTest> {
  const board = new AttachedBoard(entry, reach, holding);
  await board.listen();
  return board;
}

class AttachedBoard implements BoardUnderTest {
  readonly can: ReadonlySet<Ability>;
  readonly log = new LogBuffer();
  readonly #reach: Attached;
  readonly #holding: Holding;
  #logStream: ByteStream | undefined;
  #followed: FollowedUsb | undefined;
  #port: Followed | undefined;

  constructor(
    readonly entry: BoardEntry,
    reach: Attached,
    holding: Holding,
  ) {
    this.#reach = reach;
    this.#holding = holding;
    const can = new Set<Ability>();
    if (reach.power) can.add("power");
    if (reach.reset !== undefined) can.add("reset");
    if (reach.log !== undefined) can.add("log");
    this.can = can;
  }

  get summary(): string {
    return this.#holding.summary ?? `board at ${this.#reach.address}`;
  }

  async open(signal: AbortSignal | undefined): Promise<ByteStream> {
    const address = parseAddress(this.#reach.address) as Pipe;
    if (address.kind === "port") {
      this.#port ??= await follow(address, loadConfig(), signal);
      return openStream(await this.#port.address(signal), { signal });
    }
    if (address.kind !== "usb") return openStream(address, { signal });
    const list = (how: AbortSignal | undefined) => listDevices({ signal: how });
    // In serial recovery it is another device on the bus; it is followed from its first appearance on.
    this.#followed ??= followUsb(address, await list(signal), list);
    return openStream((await this.#followed?.address(signal)) ?? address, { signal });
  }

  async powerOn(): Promise<void> {
    await this.#act("power on", this.#power, "on");
  }

  async powerOff(): Promise<void> {
    await this.#act("power off", this.#power, "off");
    // Capacitors keep a board alive for a moment, and a cut that is no cut proves nothing.
    await delay(this.#reach.power?.settleMs);
  }

  async reset(): Promise<void> {
    const { reset } = this.#reach;
    if (reset === undefined) throw new AbilityError(this.entry, "reset");
    await this.#act("reset", commandSwitch({ on: reset, off: reset }), "on");
  }

  get #power(): PowerSwitch {
    const { power } = this.#reach;
    if (!power) throw new AbilityError(this.entry, "power");
    return powerSwitch(power.config, undefined);
  }

  async #act(what: string, by: PowerSwitch, action: "on" | "off"): Promise<void> {
    try {
      await by[action]();
    } catch (cause) {
      if (!(cause instanceof BootproofError)) throw cause;
      throw new UnusableBoard("board-unusable", `${this.entry.name}, ${what}: ${cause.message}`, {
        cause,
        hint: `Try it by hand. ${by.describe(action)}`,
      });
    }
  }

  readFlash(): Uint8Array {
    throw new AbilityError(this.entry, "program");
  }

  writeFlash(): void {
    throw new AbilityError(this.entry, "program");
  }

  async started(): Promise<Start> {
    return "unknown";
  }

  onPowerLost(): () => void {
    return () => {};
  }

  async close(): Promise<void> {
    await this.#logStream?.close();
    await this.#holding.release?.();
  }

  /** Follows the log port, if there is one, until closed. */
  async listen(): Promise<void> {
    if (this.#reach.log === undefined) return;
    const stream = await openStream(parseAddress(this.#reach.log) as Pipe);
    this.#logStream = stream;
    void this.#follow(stream);
  }

  async #follow(stream: ByteStream): Promise<void> {
    let partial = "";
    try {
      for await (const chunk of stream.chunks) {
        const parts = (partial + Buffer.from(chunk).toString("latin1")).split("\n");
        partial = parts.pop()!.slice(0, LONGEST_LOG_LINE);
        for (const part of parts) this.log.add("log", part.replace(/\r$/, ""));
      }
    } catch (error) {
      // A log port that goes away takes evidence with it, not the run.
      this.log.add(
        "log",
        `(the log port is gone: ${error instanceof Error ? error.message : String(error)})`,
      );
    }
  }
}
