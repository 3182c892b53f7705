import { type ChildProcess, spawn } from "node:child_process";
import { type AddressInfo, createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { type ByteStream, openStream, TransportError } from "bootproof";
import type { BoardEntry, Reach } from "../bench.js";
import { type Ability, AbilityError, type BenchBoard, type Start, UnusableBoard } from "../board.js";
import { LogBook } from "../log-book.js";

const OPEN_WITHIN_MS = 10_000;
const SAID_LENGTH = 500;

/** Firmware of the user's in an emulator of the user's: power is the life of its process, its UART a TCP port. */
export function openMachine(entry: BoardEntry, reach: Extract<Reach, { kind: "machine" }>): BenchBoard {
  return new MachineBoard(entry, reach);
}

class MachineBoard implements BenchBoard {
  readonly can: ReadonlySet<Ability> = new Set(["power", "forgets"]);
  readonly log = new LogBook();
  readonly #reach: Extract<Reach, { kind: "machine" }>;
  #run: { child: ChildProcess; port: number; gone: Promise<void>; said: string } | undefined;

  constructor(
    readonly entry: BoardEntry,
    reach: Extract<Reach, { kind: "machine" }>,
  ) {
    this.#reach = reach;
  }

  get says(): string {
    return `emulated machine: ${this.#reach.launch}`;
  }

  async powerOn(): Promise<void> {
    if (this.#run) return;
    const port = await freePort();
    const [program = "", ...words] = this.#reach.launch.replaceAll("{port}", String(port)).split(/\s+/);
    const child = spawn(program, words, { cwd: this.#reach.folder, stdio: ["ignore", "ignore", "pipe"] });
    const gone = new Promise<void>((resolve) => {
      child.once("exit", () => resolve());
      child.once("error", (error) => {
        run.said = error.message;
        resolve();
      });
    });
    const run = { child, port, gone, said: "" };
    child.stderr!.on("data", (chunk: Buffer) => {
      run.said = (run.said + chunk.toString("latin1")).slice(-SAID_LENGTH);
    });
    this.#run = run;
  }

  async powerOff(): Promise<void> {
    const run = this.#run;
    this.#run = undefined;
    if (!run) return;
    run.child.kill("SIGKILL");
    await run.gone;
  }

  /** The emulator's socket listens some time after its start. */
  async open(signal: AbortSignal | undefined): Promise<ByteStream> {
    const start = performance.now();
    for (;;) {
      const run = this.#run;
      if (!run || run.child.exitCode !== null) {
        const said = run?.said.trim() || "it said nothing";
        throw new UnusableBoard(
          "board-unusable",
          `The emulator of ${this.entry.name} does not run: ${said}.`,
          {
            hint: "Try its launch line by hand.",
          },
        );
      }
      try {
        return await openStream({ kind: "tcp", host: "127.0.0.1", port: run.port }, { signal });
      } catch (error) {
        const early = error instanceof TransportError && error.code === "refused";
        if (!early || performance.now() - start > OPEN_WITHIN_MS) throw error;
        await delay(20, undefined, { signal });
      }
    }
  }

  reset(): Promise<void> {
    throw new AbilityError(this.entry, "reset");
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

  close(): Promise<void> {
    return this.powerOff();
  }
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
