import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { FileError, readInput, writeOutput } from "../files.js";
import { makeFolder } from "../make-folder.js";
import { stateFolder } from "../state-folders.js";

/** The folder in which an agent remembers one board at one service, so that it may be stopped at any moment. */
export class AgentStateFolder<State> {
  readonly folder: string;
  readonly #parse: (value: unknown) => State;
  readonly #none: State;

  /**
   * @param service - the folder of all boards of this kind of service
   * @param server - address of the service
   * @param name - the board's, at that service
   * @param parse - reads what the file holds; what it throws means that it holds something else
   * @param none - the state of a board that is new here
   */
  constructor(
    service: string,
    server: string,
    name: string,
    { parse, none }: { parse: (value: unknown) => State; none: State },
  ) {
    const own = createHash("sha256").update(`${server}\n${name}`).digest("hex").slice(0, 32);
    this.folder = join(stateFolder(), service, own);
    this.#parse = parse;
    this.#none = none;
    makeFolder(this.folder);
  }

  get #file(): string {
    return join(this.folder, "state.json");
  }

  /** @throws FileError when the file is not what the agent wrote */
  read(): State {
    if (!existsSync(this.#file)) return this.#none;
    try {
      return this.#parse(JSON.parse(new TextDecoder().decode(readInput(this.#file))));
    } catch (cause) {
      if (cause instanceof FileError) throw cause;
      throw new FileError(
        "file-unreadable",
        this.#file,
        `${this.#file} does not have the content that the agent wrote.`,
        {
          cause,
          hint: "Move the file elsewhere; the agent then reads again what the board runs.",
        },
      );
    }
  }

  write(state: State): void {
    writeOutput(this.#file, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  }
}

/** Throws TypeError for what is no object. */
export function fields(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null) throw new TypeError("not an object");
  return value as Record<string, unknown>;
}

export function text(value: unknown): string {
  if (typeof value !== "string") throw new TypeError("not a text");
  return value;
}

export function texts(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(fields(value)).map(([name, one]) => [name, text(one)]));
}

export function count(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new TypeError("not a number");
  return value as number;
}
