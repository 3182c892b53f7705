import { BootproofError } from "../../errors.js";
import type { EventInput, EventType } from "../../trust/events.js";
import type { AuditLog, Logged } from "../../trust-store/audit-log.js";

// Every run begins with this file: the log itself is loaded when there is something to write.

/** What is said of an event where it happens; who, when and which run are added here. */
export type Recorded = Omit<EventInput, "job" | "tool" | "actor">;

/** How long events are held back so that one write takes several of them, milliseconds. */
const GATHER_MS = 250;

/**
 * Verbs that change a board, a key or a policy: logged whatever comes of them, but for a wrong command line. All others
 * are logged once something on a board was changed, or something was refused.
 */
const CHANGING = [
  /^(flash|recover|prove|sign|provision|evidence|station)\b/,
  /^dfu (download|leave)/,
  /^power (on|off|cycle|test)/,
  /^keys (generate|sign-request|resign|private)/,
  /^ratchet (import|permit|allow|bind|unbind)/,
  /^tuf (trust|init|key|add|delegate|publish|sign|rotate|resign)/,
  /^artifact (write|sign)/,
  /^(allow|setup-udev)\b/,
  /^imgtool (sign|keygen)/,
];

/** Exit statuses that are refusals: by the preflight, the board, a verification, a key, a log, a policy. */
const REFUSALS: ReadonlySet<number> = new Set([
  3, 4, 5, 6, 7, 8, 18, 24, 44, 45, 46, 47, 48, 51, 52, 53, 54, 56,
]);

/** Where events of a board go. */
export type EventSink = Pick<Recorder, "record">;

/** Gathers the events of one run and writes them to the audit log. Never a reason for the run to fail. */
export class Recorder {
  /** Names this run in the log. */
  readonly job: string;
  #verb: string;
  readonly #options: readonly string[];
  readonly #open: () => AuditLog | Promise<AuditLog>;
  readonly #warn: (text: string) => void;
  readonly #waiting: Recorded[] = [];
  readonly #logged: { type: EventType; at: Logged }[] = [];
  #board: EventInput["board"];
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #hasBegun = false;
  #isBroken = false;

  constructor(words: readonly string[], warn: (text: string) => void, open = openThisHosts) {
    this.job = `${new Date().toISOString().replace(/[-:]|\.\d+/g, "")}-${process.pid}`;
    this.#verb = words
      .filter((word) => !word.startsWith("-"))
      .slice(0, 2)
      .filter((word) => /^[a-z][a-z-]*$/.test(word))
      .join(" ");
    // Values of options may be secrets; their names are not.
    this.#options = words.filter((word) => word.startsWith("--")).map((word) => word.split("=")[0]!);
    this.#warn = warn;
    this.#open = open;
  }

  /** What runs, where the words of the command line do not say it. */
  set verb(verb: string) {
    this.#verb = verb;
  }

  /** The board that the events from here on are about. */
  set board(board: EventInput["board"]) {
    this.#board = board;
  }

  /** Notes an event. It is written within a quarter of a second, together with its neighbours. */
  record(event: Recorded): void {
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      this.#waiting.push({ type: "tool.start", detail: this.#about() });
    }
    const board = { ...this.#board, ...event.board };
    this.#waiting.push(Object.keys(board).length === 0 ? event : { ...event, board });
    this.#timer ??= setTimeout(() => void this.flush(), GATHER_MS).unref();
  }

  /** Returns once everything that was noted is on the disk. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  /** Where the last event of a kind went, once it is on the disk. */
  async find(type: EventType): Promise<Logged | undefined> {
    await this.flush();
    return this.#logged.findLast((one) => one.type === type)?.at;
  }

  /** The run is over. */
  async end(status: number, error?: unknown): Promise<void> {
    const isChanging = status !== 2 && CHANGING.some((verb) => verb.test(this.#verb));
    const isRefusal = REFUSALS.has(status) && !this.#verb.startsWith("log");
    if (!this.#hasBegun && !isChanging && !isRefusal) return;
    const why = error instanceof Error ? { error: error.name, message: error.message } : {};
    const wasTold = this.#logged.some(({ type }) => type === "refusal") || this.#isWaiting("refusal");
    if (isRefusal && !wasTold)
      this.record({ type: "refusal", result: "refused", detail: { status, ...why } });
    const result = status === 0 ? "ok" : isRefusal ? "refused" : "failed";
    this.record({ type: "tool.stop", result, detail: { status, ...why } });
    await this.flush();
  }

  #isWaiting(type: EventType): boolean {
    return this.#waiting.some((event) => event.type === type);
  }

  #about(): Record<string, string> {
    const options = this.#options.length > 0 ? { options: this.#options.join(" ") } : {};
    return { verb: this.#verb, ...options };
  }

  async #write(): Promise<void> {
    const events = this.#waiting.splice(0);
    if (events.length === 0 || this.#isBroken) return;
    try {
      const [{ version }, { thisActor }, log] = await Promise.all([
        import("../version.js"),
        import("../../trust-store/audit-log.js"),
        this.#open(),
      ]);
      const whose = { job: this.job, tool: `bootproof ${version()}`, actor: thisActor() };
      const places = await log.append(events.map((event) => ({ ...event, ...whose })));
      for (const [at, place] of places.entries()) this.#logged.push({ type: events[at]!.type, at: place });
    } catch (error) {
      // Nobody could write the log: the run goes on, and says so once.
      this.#isBroken = true;
      const why = error instanceof BootproofError ? `${error.message} ${error.hint ?? ""}` : String(error);
      this.#warn(`This run is not in the audit log. ${why.trim()}`);
    }
  }
}

async function openThisHosts(): Promise<AuditLog> {
  return (await import("./open-log.js")).openAuditLog();
}

let current: Recorder | undefined;

/** The recorder of this run; undefined with `--no-log` and in tests of single commands. */
export function recorder(): Recorder | undefined {
  return current;
}

/** From here on what happens is recorded. */
export function beginRecording(words: readonly string[], warn: (text: string) => void): Recorder {
  current = new Recorder(words, warn);
  return current;
}

/** The run is over; another one in this process begins without a recorder. */
export function endRecording(): void {
  current = undefined;
}
