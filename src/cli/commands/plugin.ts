import { type Command, Option } from "commander";
import type { Session } from "../../session/session.js";
import type { AnyCommand } from "../../smp/command.js";
import { toJson } from "../../smp/json.js";
import type { Kind } from "../../smp/schema.js";
import { describeKind, readWord } from "../argument-values.js";
import type { StepGuard } from "../audit/ratchet-guard.js";
import { guardFor, guardMark, guardOptions, isMark, type StepOptions } from "../audit/step-options.js";
import { boardOptions } from "../board-options.js";
import { type Context, inContext, onBoard } from "../context.js";
import { drawValue } from "../draw-value.js";
import type { Plugin } from "../plugins.js";

/** One field of a request, and where on the command line its value stands. */
interface Slot {
  readonly key: string;
  readonly kind: Kind<unknown>;
  /** The name of the option, or of the argument. */
  readonly word: string;
  readonly place: "argument" | "option";
  /** A list, written entry by entry. */
  readonly many: boolean;
}

/** Gives a plug-in's commands their verbs: arguments from the required fields, options from the optional ones. */
export function definePlugin(verb: Command, plugin: Plugin): void {
  for (const declared of plugin.commands) {
    const command = boardOptions(verb.command(subverb(plugin, declared)).description(declared.does));
    // Declared by a plug-in or by us: what marks an image is guarded.
    if (isMark(declared)) guardOptions(command);
    const taken = new Set(command.options.map((option) => option.attributeName()));
    const slots = slotsOf(declared, taken);
    for (const slot of slots) addSlot(command, slot);
    command.action((...given: unknown[]) => {
      const options = command.opts<StepOptions & Record<string, unknown>>();
      const request = readRequest(slots, given, options);
      return inContext(options, async (context) => {
        const guard = isMark(declared) ? await guardFor(options, context) : undefined;
        await onBoard(options, context, (session, identity) =>
          send(declared, request, { session, context, guard: guard?.(identity) }),
        );
      });
    });
  }
}

async function send(
  command: AnyCommand,
  request: Record<string, unknown>,
  { session, context, guard }: { session: Session; context: Context; guard: StepGuard | undefined },
): Promise<void> {
  const { out, signal } = context;
  const settlement = guard && (await guardMark(session, request, guard, context));
  const answer = await session.client.send(command, request, { signal });
  await settlement?.confirmed();
  const quietly = typeof answer === "object" && answer !== null && Object.keys(answer).length === 0;
  out.result(toJson(answer), quietly ? "done" : drawValue(answer));
}

/** `lamp set level` of the plug-in `lamp` is the verb `lamp set-level`. */
function subverb(plugin: Plugin, { name }: AnyCommand): string {
  const own = name.startsWith(`${plugin.name} `) ? name.slice(plugin.name.length + 1) : name;
  return own.trim().replace(/ +/g, "-");
}

function slotsOf({ request }: AnyCommand, taken: ReadonlySet<string>): Slot[] {
  const fields = Object.entries(request.fields);
  const required = fields.filter(([, kind]) => !("optional" in kind));
  return fields.map(([key, kind]) => {
    const isOption = "optional" in kind;
    const plain = key.replaceAll("_", "-");
    const isLast = required.at(-1)?.[0] === key;
    const many = kind.form === "list" && (isOption || isLast);
    const place = isOption ? "option" : "argument";
    const clashes = isOption && taken.has(new Option(`--${plain}`).attributeName());
    return { key, kind, place, many, word: clashes ? `${plain}-field` : plain };
  });
}

function addSlot(command: Command, { kind, word, place, many }: Slot): void {
  const notation = many && kind.item ? describeKind(kind.item) : describeKind(kind);
  if (place === "argument") command.argument(many ? `<${word}...>` : `<${word}>`, notation);
  else if (many) command.option(`--${word} <${notation}...>`);
  else if (kind.form === "bool") command.option(`--${word} [true|false]`);
  else command.option(`--${word} <${notation}>`);
}

function readRequest(
  slots: readonly Slot[],
  given: readonly unknown[],
  options: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const values = slots
    .filter(({ place }) => place === "argument")
    .map((slot, index) => [slot, given[index]] as const)
    .concat(
      slots
        .filter(({ place }) => place === "option")
        .map((slot) => [slot, options[new Option(`--${slot.word}`).attributeName()]] as const),
    )
    .filter(([, value]) => value !== undefined);
  const read = new Map(values.map(([slot, value]) => [slot.key, readSlot(slot, value)]));
  // The order of the keys stays the declaration's.
  return Object.fromEntries(slots.filter(({ key }) => read.has(key)).map(({ key }) => [key, read.get(key)]));
}

function readSlot({ kind, word, many }: Slot, value: unknown): unknown {
  // An option of the form `--force` without a word.
  if (value === true) return true;
  if (!many) return readWord(kind, String(value), word);
  const item = kind.item;
  return (value as string[]).map((entry) => (item ? readWord(item, entry, word) : entry));
}
