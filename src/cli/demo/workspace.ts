import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isSea } from "node:sea";
import { fileURLToPath } from "node:url";
import { environmentWithoutSecrets } from "../../child-environment.js";
import { BootproofError } from "../../errors.js";
import { packageFile } from "../../package-files.js";

/** What one command line came to. */
export interface Ran {
  readonly words: readonly string[];
  readonly status: number | null;
  /** What it printed with `--json`: its result, or its error. */
  readonly value: Record<string, unknown>;
}

/** The demonstration cannot go on: something it needs did not work. */
export class DemoError extends BootproofError {
  declare readonly code: "demo-broken";
}

/** A folder with a memory and a log of its own, in which the program's own command lines are run. */
export class DemoWorkspace {
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly #environment: NodeJS.ProcessEnv;

  constructor(signal: AbortSignal, extra: NodeJS.ProcessEnv = {}) {
    this.folder = mkdtempSync(join(tmpdir(), "bootproof-chain-"));
    this.signal = signal;
    const inherited = Object.entries(environmentWithoutSecrets()).filter(
      ([name]) => !name.startsWith("BOOTPROOF_"),
    );
    this.#environment = {
      ...Object.fromEntries(inherited),
      XDG_STATE_HOME: join(this.folder, "state"),
      XDG_CONFIG_HOME: join(this.folder, "config"),
      ...extra,
    };
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  makeFolder(name: string): string {
    const path = this.path(name);
    if (!existsSync(path)) mkdirSync(path, { mode: 0o700 });
    return path;
  }

  /** Runs this program as a person would, and reads back what it says. */
  run(words: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ran> {
    const [program = "", ...script] = isSea()
      ? [process.execPath]
      : [process.execPath, fileURLToPath(packageFile("dist/cli/main.js"))];
    const child = spawn(program, [...script, ...words, "--json"], {
      cwd: this.folder,
      env: { ...this.#environment, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
      signal: this.signal,
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (status) => {
        try {
          resolve({ words, status, value: JSON.parse(stdout) as Record<string, unknown> });
        } catch (cause) {
          const said = stderr.trim().split("\n").at(-1) ?? "";
          reject(
            new DemoError("demo-broken", `bootproof ${words.join(" ")} printed no result: ${said}`, {
              cause,
            }),
          );
        }
      });
    });
  }

  /** The same for what must succeed. @throws DemoError */
  async must(words: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ran> {
    const ran = await this.run(words, environment);
    if (ran.status === 0) return ran;
    throw new DemoError(
      "demo-broken",
      `bootproof ${words.join(" ")} ended with status ${ran.status}: ${said(ran.value)}`,
    );
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** What a result or an error says in words. */
export function said(value: Record<string, unknown>): string {
  const error = value.error as { message?: unknown } | undefined;
  return String(error?.message ?? value.message ?? "");
}
