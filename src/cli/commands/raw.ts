import type { Command } from "commander";
import { toHex } from "../../bytes.js";
import { CborError, encodeCbor } from "../../smp/cbor.js";
import { commandByNumber } from "../../smp/command.js";
import { allCommands, commandOf } from "../../smp/groups/all.js";
import { toJson } from "../../smp/json.js";
import { decodePayload } from "../../smp/message.js";
import { ShapeError } from "../../smp/schema.js";
import { readHex, readPayload } from "../argument-values.js";
import type { StepGuard } from "../audit/ratchet-guard.js";
import { guardFor, guardMark, guardOptions, isMark, type StepOptions } from "../audit/step-options.js";
import { boardOptions } from "../board-options.js";
import { type Context, inContext, onBoard, wholeNumber } from "../context.js";
import { drawValue } from "../draw-value.js";
import { table } from "../output.js";
import { UsageError } from "../usage-error.js";

interface RawOptions extends StepOptions {
  hex?: string;
  list?: boolean;
}

const group = wholeNumber("group", { max: 0xffff });
const id = wholeNumber("command", { max: 0xff });

export function define(command: Command): void {
  guardOptions(boardOptions(command))
    .usage("[options] <group> <id> <op> [json]\n       bootproof raw [options] <name> [json]")
    .argument("[what...]", "group, id and op (read or write), or the name of a command (--list)")
    .option("--list", "show the commands that have a name")
    .option("--hex <bytes>", "the request's payload in hex; it need not be CBOR")
    .addHelpText(
      "after",
      `
The request is JSON, bytes in it as {"hex": "cafe01"}; without one it is an empty map. The answer is shown as it is: a CBOR
map by its keys, anything else in hex. Groups 0 to 63 are SMP's own, 64 and above a user's.
  bootproof raw 0 0 write '{"d": "hello"}'
  bootproof raw log show '{"log_name": "reboot_log"}'`,
    )
    .action((what: string[], options: RawOptions) =>
      options.list ? inContext(options, listCommands) : ask(what, options),
    );
}

async function ask(what: readonly string[], options: RawOptions): Promise<void> {
  const { command, json } = readWords(what);
  const request = requestOf(json, options.hex);
  await inContext(options, async (context) => {
    const guard = await guardFor(options, context);
    await onBoard(options, context, async (session, identity) => {
      const { out, signal } = context;
      const settlement = isMark(command)
        ? await guardMark(session, readMark(request, guard(identity)), guard(identity), context)
        : undefined;
      const answer = await session.client.send(command, request, { signal });
      await settlement?.confirmed();
      const fields = fieldsIn(answer);
      const hex = toHex(answer);
      const { group, id, op } = command;
      out.result(
        { group, id, op, hex, ...(fields ? { payload: toJson(fields) } : {}) },
        fields ? drawValue(fields) : hex,
      );
    });
  });
}

/** What cannot be read here may be read on the board, and would be judged as something else. @throws UsageError */
function readMark(request: Uint8Array, guard: StepGuard): Record<string, unknown> {
  const fields = fieldsIn(request);
  if (fields !== undefined || !guard.isNeeded) return fields ?? {};
  throw new UsageError(
    "This payload cannot be decoded, so it cannot be checked whether the board may run the image that it marks.",
    "Give the request as JSON.",
  );
}

async function listCommands({ out }: Context): Promise<void> {
  const rows = allCommands.map(({ does: summary, name, group, id, op }) => ({
    name,
    group,
    id,
    op,
    summary,
  }));
  const drawn = rows.map(({ name, group, id, op, summary }) => [name, `${group}`, `${id}`, op, summary]);
  out.result({ commands: rows }, table(["NAME", "GROUP", "ID", "OP", "SUMMARY"], drawn));
}

/** Numbers, or as many words as the name of a command has; then perhaps the request. */
function readWords(what: readonly string[]) {
  const named = allCommands.find(({ name }) => what.slice(0, name.split(" ").length).join(" ") === name);
  const length = named ? named.name.split(" ").length : NUMBERS;
  if (!named && !/^[\d]/.test(what[0] ?? ""))
    throw new UsageError(
      what.length === 0 ? "Which command?" : `No command has the name "${what.join(" ")}".`,
      "bootproof raw --list shows the names; others go by group, id and op: bootproof raw 64 0 read",
    );
  if (what.length < length) throw new UsageError("A command is its group, its id, and read or write.");
  if (what.length > length + 1)
    throw new UsageError(
      `"${what[length + 1]}" is one argument too many.`,
      "The request is one word: quote it.",
    );
  const [groupId = "", commandId = "", op = ""] = what;
  const command = named
    ? commandFor(named.group, named.id, named.op)
    : commandFor(group(groupId), id(commandId), op);
  return { command, json: what[length] };
}

const NUMBERS = 3;

function commandFor(groupId: number, commandId: number, op: string) {
  if (op !== "read" && op !== "write") throw new UsageError(`"${op}" is neither read nor write.`);
  const numbers = { group: groupId, id: commandId, op } as const;
  const declared = commandOf(numbers);
  const command = commandByNumber({ ...numbers, resultBeside: declared?.resultBeside });
  return declared ? { ...command, name: declared.name } : command;
}

function requestOf(json: string | undefined, hex: string | undefined): Uint8Array {
  if (json !== undefined && hex !== undefined)
    throw new UsageError("The request is given twice.", "Give it as JSON or with --hex, not both.");
  if (hex !== undefined) return readHex(hex);
  return encodeCbor(json === undefined ? {} : readPayload(json));
}

/** Undefined for a payload that is no CBOR map. */
function fieldsIn(payload: Uint8Array): Record<string, unknown> | undefined {
  try {
    return decodePayload(payload);
  } catch (error) {
    if (error instanceof CborError || error instanceof ShapeError) return undefined;
    throw error;
  }
}
