import type { Command } from "commander";
import { toHex } from "../../bytes.js";
import {
  settingsCommit,
  settingsDelete,
  settingsLoad,
  settingsRead,
  settingsSave,
  settingsWrite,
} from "../../smp/groups/settings.js";
import {
  asText,
  decodeSetting,
  encodeSetting,
  SETTING_TYPES,
  type SettingType,
} from "../../smp/setting-value.js";
import { type BoardOptions, boardOptions } from "../board-options.js";
import { withBoard } from "../context.js";
import { drawValue } from "../draw-value.js";
import { printable } from "../output.js";
import { UsageError } from "../usage-error.js";

interface ValueOptions extends BoardOptions {
  as?: string;
  bigEndian?: boolean;
  save?: boolean;
}

/** Storage on slow flash may have to be tidied up first. */
const STORAGE_TIMEOUT_MS = 20_000;

export function define(command: Command): void {
  command.addHelpText(
    "after",
    `
The board stores bytes without a type; give it with --as. Types: ${SETTING_TYPES.join(" ")}.
A changed setting is lost at the next restart unless it is saved.`,
  );

  typed(command.command("get <name>").description("read a setting")).action(
    (name: string, options: ValueOptions) =>
      withBoard(options, async ({ client }, { out, signal }) => {
        const type = typeOf(options.as);
        const { val } = await client.send(settingsRead, { name }, { signal });
        if (type === undefined) return out.result({ name, ...guesses(val) }, drawValue(guesses(val)));
        const value = decodeSetting(type, val, options);
        out.result({ name, type, value, hex: toHex(val) }, printable(String(value)));
      }),
  );

  typed(command.command("set <name> <value>").description("change a setting"))
    .option("--save", "and save it to storage")
    .action((name: string, word: string, options: ValueOptions) =>
      withBoard(options, async ({ client }, { out, signal }) => {
        const type = typeOf(options.as) ?? "text";
        const val = encodeSetting(type, word, options);
        await client.send(settingsWrite, { name, val }, { signal });
        if (options.save)
          await client.send(settingsSave, {}, { signal, timeoutMs: options.timeout ?? STORAGE_TIMEOUT_MS });
        const saved = options.save ?? false;
        out.result(
          { name, type, hex: toHex(val), saved },
          `${name} is set${saved ? " and saved" : "; it lasts until the next restart unless it is saved"}.`,
        );
      }),
    );

  boardOptions(command.command("delete <name>").description("delete a setting")).action(
    (name: string, options: BoardOptions) =>
      withBoard(options, async ({ client }, { out, signal }) => {
        await client.send(settingsDelete, { name }, { signal });
        out.result({ name, deleted: true }, `${name} is deleted.`);
      }),
  );

  boardOptions(command.command("commit").description("apply changed settings")).action(
    (options: BoardOptions) =>
      withBoard(options, async ({ client }, { out, signal }) => {
        await client.send(settingsCommit, {}, { signal });
        out.result({ committed: true }, "The changed settings are in effect.");
      }),
  );

  boardOptions(command.command("load").description("read all settings from storage again")).action(
    (options: BoardOptions) =>
      withBoard(options, async ({ client }, { out, signal }) => {
        await client.send(settingsLoad, {}, { signal, timeoutMs: options.timeout ?? STORAGE_TIMEOUT_MS });
        out.result({ loaded: true }, "The saved settings are loaded.");
      }),
  );

  boardOptions(command.command("save").description("write changed settings to storage"))
    .argument("[subtree]", "only the settings below this name; newer servers")
    .action((subtree: string | undefined, options: BoardOptions) =>
      withBoard(options, async ({ client }, { out, signal }) => {
        const request = subtree === undefined ? {} : { name: subtree };
        await client.send(settingsSave, request, {
          signal,
          timeoutMs: options.timeout ?? STORAGE_TIMEOUT_MS,
        });
        out.result({ saved: true, ...(subtree === undefined ? {} : { subtree }) }, "The settings are saved.");
      }),
    );
}

function typed(command: Command): Command {
  return boardOptions(command)
    .option("--as <type>", `one of ${SETTING_TYPES.join(", ")}`)
    .option("--big-endian", "numbers have their high byte first");
}

function typeOf(word: string | undefined): SettingType | undefined {
  if (word === undefined) return undefined;
  const type = SETTING_TYPES.find((known) => known === word);
  if (type === undefined)
    throw new UsageError(`There is no type "${word}".`, `There are: ${SETTING_TYPES.join(", ")}.`);
  return type;
}

/** What bytes of an unknown type could be: always their hex, and text or a number when they have the shape. */
function guesses(val: Uint8Array): { hex: string; text?: string; number?: number | bigint } {
  const text = val.length > 0 ? asText(val) : undefined;
  const width = ({ 1: "u8", 2: "u16", 4: "u32", 8: "u64" } as const)[val.length];
  return {
    hex: toHex(val),
    ...(text === undefined ? {} : { text }),
    ...(width === undefined ? {} : { number: decodeSetting(width, val) as number | bigint }),
  };
}
