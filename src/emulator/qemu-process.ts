import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { environmentWithoutSecrets } from "../child-environment.js";
import { BoardError } from "./board.js";

/** How a run of QEMU ended. */
export interface QemuEnd {
  exitCode: number | null;
  /** The last of what it wrote to stderr. */
  said: string;
}

const KEPT_STDERR = 4096;

/** One run of QEMU, which is one power cycle of the board. */
export class QemuProcess {
  readonly ended: Promise<QemuEnd>;
  readonly #child: ChildProcess;

  /** Throws {@link BoardError} `qemu-missing`. */
  constructor(words: readonly string[]) {
    const [program, ...args] = mustBeInstalled(words);
    this.#child = spawn(program!, args, {
      env: environmentWithoutSecrets(),
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    this.#child.stderr!.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString("utf8")).slice(-KEPT_STDERR);
    });
    this.ended = new Promise((resolve) => {
      this.#child.once("error", (error) => resolve({ exitCode: null, said: error.message }));
      this.#child.once("exit", (exitCode) => resolve({ exitCode, said: said.trim() }));
    });
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** No farewell: what the board was doing stops between two instructions. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended;
  }
}

/** How QEMU for ARM is installed, where it is known. */
const INSTALL: Partial<Record<NodeJS.Platform, string>> = {
  linux: "On Debian or Ubuntu: sudo apt-get install qemu-system-arm. Elsewhere, install QEMU for ARM.",
  darwin: "With Homebrew: brew install qemu.",
};

function mustBeInstalled(words: readonly string[]): string[] {
  const program = words[0]!;
  if (!find(program)) {
    throw new BoardError("qemu-missing", `${program} is not installed; the QEMU board needs it.`, {
      hint: `${INSTALL[process.platform] ?? `Install ${program} with your system's package manager.`} The wasm board needs nothing.`,
    });
  }
  // The kernel ends the board when this process ends, however that happens.
  return find("setpriv") ? ["setpriv", "--pdeathsig", "KILL", ...words] : [...words];
}

function find(program: string): string | undefined {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Not there, or not for us: the next folder may have it.
    return false;
  }
}

/** Can the QEMU board be started on this machine? */
export function isQemuInstalled(): boolean {
  return process.platform !== "win32" && find("qemu-system-arm") !== undefined;
}
