import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { type ByteStream, environmentWithoutSecrets, openStream, TransportError } from "bootproof";
import { type Ability, AbilityError, type BoardUnderTest, type Start, UnusableBoard } from "../board.js";
import type { BoardEntry, Reach } from "../board-files/board-entry.js";
import { LogBuffer } from "../log-buffer.js";
import { freePort } from "./free-port.js";

const OPEN_WITHIN_MS = 10_000;
const SAID_LENGTH = 500;

/** Firmware of the user's in an emulator of the user's: power is the life of its process, its UART a TCP port. */
export function openMachine(entry: BoardEntry, reach: Extract<Reach, { kind: "machine" }>): BoardUnderTest {
  return new MachineBoard(entry, reach);
}

class MachineBoard implements BoardUnderTest {
  readonly #can: Set<Ability>;
  readonly log = new LogBuffer();
  readonly #reach: Extract<Reach, { kind: "machine" }>;
  #run: { child: ChildProcess; port: number; gone: Promise<void>; said: string } | undefined;

  constructor(
    readonly entry: BoardEntry,
    reach: Extract<Reach, { kind: "machine" }>,
  ) {
    this.#reach = reach;
    this.#can = new Set(reach.keepsFlash ? ["power"] : ["power", "forgets"]);
  }

  get can(): ReadonlySet<Ability> {
    return this.#can;
  }

  keepsFlash(): void {
    this.#can.delete("forgets");
  }

  get summary(): string {
    return `emulated machine: ${this.#reach.launch}`;
  }

  async powerOn(): Promise<void> {
    if (this.#run) return;
    const port = await freePort();
    if (port === undefined)
      throw new UnusableBoard("board-unusable", `No port of 127.0.0.1 is free for ${this.#reach.launch}.`, {
        hint: "Close programs that listen on many ports, or allow this program to listen on 127.0.0.1.",
      });
    const [program = "", ...words] = wordsOf(this.#reach.launch.replaceAll("{port}", String(port)));
    const child = this.#start(program, words);
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

  /** Node itself refuses some, such as batch files on Windows, before anything is started. */
  #start(program: string, words: readonly string[]) {
    try {
      return spawn(program, words, {
        cwd: this.#reach.folder,
        env: environmentWithoutSecrets(),
        stdio: ["ignore", "ignore", "pipe"],
      });
    } catch (cause) {
      const { message } = cause as Error;
      throw new UnusableBoard(
        "board-unusable",
        `The emulator of ${this.entry.name} cannot be started: ${message}.`,
        {
          cause,
          hint: "Its launch line begins with a program; on Windows not with a batch file (.cmd, .bat).",
        },
      );
    }
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
        const said = run?.said.trim() || "it printed nothing";
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

/** The words of a launch line. Double quotes hold a word together, as a folder with blanks in its name needs. */
export function wordsOf(line: string): string[] {
  return (line.match(/(?:[^\s"]|"[^"]*")+/g) ?? []).map((word) => word.replaceAll('"', ""));
}
