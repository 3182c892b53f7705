import { toHex } from "../../bytes.js";
import type { AnyCommand } from "../../smp/command.js";
import { DeviceError } from "../../smp/message.js";
import type { EventDetail, EventType } from "../../trust/events.js";
import type { EventSink, Recorded } from "./recorder.js";

/**
 * What a board was asked to change, taken where its commands are sent: whatever verb sends them, single steps and `raw`
 * included, the log has them with what the board answered.
 */

type Request = Readonly<Record<string, unknown>>;
type SentCommand = Pick<AnyCommand, "group" | "id" | "op" | "name">;

/** Commands that are sent as writes and change nothing. Group and id. */
const HARMLESS: ReadonlySet<string> = new Set(["0/0", "0/1", "0/6", "0/7", "8/1", "8/2", "8/4"]);

const KINDS: Readonly<Record<string, (request: Request) => Omit<Recorded, "result">>> = {
  "0/4": () => ({ type: "settings.write", detail: { what: "clock" } }),
  "0/5": ({ boot_mode }) => ({ type: "reset", ...detail({ boot_mode }) }),
  "1/0": ({ hash, confirm }) => ({
    type: confirm === true ? "confirm" : "mark.test",
    ...(hash instanceof Uint8Array ? { image: { hash: toHex(hash) } } : {}),
  }),
  "1/5": ({ slot }) => ({ type: "erase", ...(typeof slot === "number" ? { image: { slot } } : {}) }),
  // Values of settings and words of commands may be secrets.
  "3/0": ({ name }) => ({ type: "settings.write", ...detail({ name }) }),
  "3/1": ({ name }) => ({ type: "settings.write", ...detail({ name, what: "delete" }) }),
  "9/0": ({ argv }) => ({ type: "shell", ...detail({ command: firstWord(argv) }) }),
  "63/0": () => ({ type: "erase", detail: { what: "storage" } }),
};

/** A whole line may stand in the first of them. */
function firstWord(argv: unknown): string | undefined {
  return Array.isArray(argv) ? `${argv[0]}`.trim().split(/\s/)[0] : undefined;
}

function detail(fields: Request): { detail?: EventDetail } {
  const known = Object.entries(fields).filter(
    (field): field is [string, string | number] =>
      typeof field[1] === "string" || typeof field[1] === "number",
  );
  return known.length === 0 ? {} : { detail: Object.fromEntries(known) };
}

/** Image uploads and files: one event when they begin, one when the board has everything. */
const UPLOADS: Readonly<Record<string, { start: EventType; done: EventType; named: readonly string[] }>> = {
  "1/1": { start: "upload.start", done: "upload.done", named: ["image", "len"] },
  "8/0": { start: "file.write", done: "file.write", named: ["name", "len"] },
};

/** Watches the commands of one board. */
export function observeCommands(to: EventSink) {
  const lengths = new Map<string, number>();
  return (command: SentCommand, request: unknown, answer: Promise<unknown>): void => {
    const key = `${command.group}/${command.id}`;
    if (command.op !== "write" || HARMLESS.has(key)) return;
    const fields = (request ?? {}) as Request;
    const upload = UPLOADS[key];
    if (upload === undefined) {
      const event = KINDS[key]?.(fields) ?? { type: "command" as const, detail: { command: command.name } };
      settle(answer, (ending) =>
        to.record({ ...event, ...ending, detail: { ...event.detail, ...ending.detail } }),
      );
      return;
    }
    if (fields.off === 0 && typeof fields.len === "number") {
      lengths.set(key, fields.len);
      const about = Object.fromEntries(upload.named.map((name) => [name, fields[name]]));
      to.record({ type: upload.start, ...detail({ ...about, what: "begin" }) });
    }
    answer.then(
      (response) => {
        const length = lengths.get(key);
        if (length === undefined || (response as Request).off !== length) return;
        lengths.delete(key);
        to.record({ type: upload.done, result: "ok", detail: { bytes: length } });
      },
      // Lost chunks are sent again, and what the board refuses the verb itself reports.
      () => undefined,
    );
  };
}

function settle(
  answer: Promise<unknown>,
  record: (ending: { result: "ok" | "refused" | "failed"; detail?: EventDetail }) => void,
): void {
  answer.then(
    () => record({ result: "ok" }),
    (error: unknown) => {
      const result = error instanceof DeviceError ? "refused" : "failed";
      record({ result, detail: { error: error instanceof Error ? error.message : String(error) } });
    },
  );
}
