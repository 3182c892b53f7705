import { setTimeout as delay } from "node:timers/promises";
import { BootproofError } from "../errors.js";
import { NotDoneError } from "./not-done.js";
import { printable } from "./output.js";
import { UsageError } from "./usage-error.js";

/** What a script of `console` does, line by line. */
type Step =
  | { readonly line: number; readonly do: "type"; readonly bytes: Uint8Array }
  | {
      readonly line: number;
      readonly do: "expect";
      readonly what: string;
      readonly pattern: RegExp;
      readonly withinMs: number;
    }
  | { readonly line: number; readonly do: "wait"; readonly ms: number }
  | { readonly line: number; readonly do: "reset" };

export interface ScriptTarget {
  /** Types to the board. */
  type(bytes: Uint8Array): Promise<void> | void;
  /** Restarts it over SMP. */
  reset(): Promise<void>;
}

const DEFAULT_MS = 10_000;
/** Nothing that a board prints before an answer is longer; what is older is forgotten. */
const KEPT = 1 << 20;
/** Most of what arrived that an error repeats. */
const QUOTE = 300;

/**
 * Reads a script: `send TEXT` types a line, `type TEXT` types it without a line end, `expect TEXT` or `expect /PATTERN/` waits
 * for it, `timeout SECONDS` says how long from here on (default 10), `wait SECONDS` pauses, `reset` restarts the board over
 * SMP. Empty lines and lines that begin with # say nothing. In typed text `\\r`, `\\n`, `\\t`, `\\xNN` and `\\\\` are escapes.
 *
 * @throws UsageError naming the line
 */
export function parseConsoleScript(text: string, name: string): readonly Step[] {
  let withinMs = DEFAULT_MS;
  const steps: Step[] = [];
  for (const [index, raw] of text
    .replace(/^\ufeff/, "")
    .split(/\r?\n/)
    .entries()) {
    const line = index + 1;
    const wrong = (why: string) =>
      new UsageError(`${name}, line ${line}: ${why}.`, "bootproof help links explains scripts.");
    const [, verb = "", rest = ""] = /^\s*(\S+)(?: (.*))?$/.exec(raw) ?? [];
    if (verb === "" || verb.startsWith("#")) continue;
    const seconds = () => {
      const value = Number(rest);
      if (rest.trim() !== "" && value > 0 && value <= 3600) return value * 1000;
      throw wrong(`"${printable(rest)}" is not a number of seconds up to 3600`);
    };
    if (verb === "send") steps.push({ line, do: "type", bytes: typed(`${unescaped(rest, wrong)}\n`) });
    else if (verb === "type") steps.push({ line, do: "type", bytes: typed(unescaped(rest, wrong)) });
    else if (verb === "expect")
      steps.push({ line, do: "expect", what: rest, pattern: patternOf(rest, wrong), withinMs });
    else if (verb === "timeout") withinMs = seconds();
    else if (verb === "wait") steps.push({ line, do: "wait", ms: seconds() });
    else if (verb === "reset") steps.push({ line, do: "reset" });
    else
      throw wrong(
        `"${printable(verb)}" is not a step; steps are send, type, expect, timeout, wait and reset`,
      );
  }
  if (steps.length === 0) throw new UsageError(`${name} contains no steps.`);
  return steps;
}

/** Runs a script on what a board prints. */
export class ConsoleScript {
  readonly #steps: readonly Step[];
  readonly #name: string;
  /** What arrived behind the last thing that was expected. */
  #heard = "";
  #wake: (() => void) | undefined;

  constructor(steps: readonly Step[], name: string) {
    this.#steps = steps;
    this.#name = name;
  }

  /** What the board prints, as it arrives. */
  receive(text: string): void {
    this.#heard = (this.#heard + text).slice(-KEPT);
    this.#wake?.();
  }

  /** @throws NotDoneError when what is expected does not come in time */
  async run(target: ScriptTarget, signal: AbortSignal): Promise<void> {
    for (const step of this.#steps) {
      signal.throwIfAborted();
      if (step.do === "type") await target.type(step.bytes);
      else if (step.do === "wait") await delay(step.ms, undefined, { signal });
      else if (step.do === "expect") await this.#expect(step, signal);
      else
        try {
          await target.reset();
        } catch (error) {
          if (!(error instanceof BootproofError)) throw error;
          throw new NotDoneError(`${this.#name}, line ${step.line}: ${error.message}`, error.hint ?? "");
        }
    }
  }

  async #expect(
    { line, what, pattern, withinMs }: Extract<Step, { do: "expect" }>,
    signal: AbortSignal,
  ): Promise<void> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      const found = pattern.exec(this.#heard);
      if (found) {
        this.#heard = this.#heard.slice(found.index + found[0].length);
        return;
      }
      const left = deadline - performance.now();
      if (left <= 0) {
        const last = printable(this.#heard.slice(-QUOTE).trim());
        throw new NotDoneError(
          `${this.#name}, line ${line}: the board did not print "${printable(what)}" within ${withinMs / 1000} s.`,
          last === "" ? "It printed nothing: is it on, and is this its console?" : `It printed last: ${last}`,
        );
      }
      await this.#pause(left, signal);
    }
  }

  /** Ends early when something arrives. */
  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (work: () => void) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", stop);
        this.#wake = undefined;
        work();
      };
      const stop = () => done(() => reject(signal.reason));
      const timer = setTimeout(() => done(resolve), ms);
      signal.addEventListener("abort", stop, { once: true });
      this.#wake = () => done(resolve);
    });
  }
}

const ESCAPES: Readonly<Record<string, string>> = { r: "\r", n: "\n", t: "\t", "\\": "\\" };

function unescaped(text: string, wrong: (why: string) => Error): string {
  return text.replace(/\\(x[0-9a-fA-F]{2}|.)/g, (_, code: string) => {
    if (code.length === 3) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    const character = ESCAPES[code];
    if (character === undefined) throw wrong(`\\${code} is not an escape sequence`);
    return character;
  });
}

/** Characters up to 255 are bytes; the rest is UTF-8. */
function typed(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, /[^\0-\xff]/.test(text) ? "utf8" : "latin1"));
}

function patternOf(text: string, wrong: (why: string) => Error): RegExp {
  if (text === "") throw wrong("no text to expect");
  const source = /^\/(.+)\/(i?)$/.exec(text);
  if (!source) return new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  try {
    return new RegExp(source[1]!, source[2]);
  } catch {
    throw wrong(`${printable(text)} is not a regular expression`);
  }
}
