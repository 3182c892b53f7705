import { BytesError } from "../bytes.js";
import { settingsRead } from "../smp/groups/settings.js";
import { shellExec } from "../smp/groups/shell.js";
import { DeviceError } from "../smp/message.js";
import { ShapeError } from "../smp/schema.js";
import type { Session } from "./session.js";

/** What a board is asked for its own serial number or chip id: a setting, or a command of its shell. */
export type AskedIdentity = { readonly setting: string } | { readonly shell: string };

/** Serial numbers that nobody chose: too short, or one character over and over. */
const NO_IDENTITY = /^(.)\1*$|^.{0,3}$|^0123456789/;
const LONGEST = 100;

/**
 * The identity that a board tells of itself over SMP. Zephyr's `hwinfo devid` is understood; of other commands the one line
 * that they print.
 *
 * @param session - the board
 * @param asked - a setting's name, or a shell command
 * @param how - `signal` aborts with its own reason
 * @returns `id`, or `reason` why it tells none, as a sentence
 * @throws RequestTimeout, TransportError when the board does not answer
 */
export async function readIdentity(
  { client }: Session,
  asked: AskedIdentity,
  how: { readonly signal?: AbortSignal | undefined },
): Promise<{ readonly id: string } | { readonly reason: string }> {
  const name = "setting" in asked ? `the setting ${asked.setting}` : `"${asked.shell}"`;
  let text: string;
  try {
    text =
      "setting" in asked
        ? new TextDecoder("utf-8", { fatal: true }).decode(
            (await client.send(settingsRead, { name: asked.setting }, how)).val,
          )
        : shellLine((await client.send(shellExec, { argv: asked.shell.split(/\s+/) }, how)).o);
  } catch (error) {
    if (
      !(
        error instanceof DeviceError ||
        error instanceof ShapeError ||
        error instanceof BytesError ||
        error instanceof TypeError
      )
    )
      throw error;
    return { reason: `the board does not report its identity (${name}): ${error.message}` };
  }
  const id = text.replace(/\0+$/, "").trim();
  if (NO_IDENTITY.test(id) || id.length > LONGEST || !/^[\x21-\x7e]+$/.test(id))
    return { reason: `the identity that ${name} reports is not that of a single board.` };
  return { id: `smp-${id}` };
}

/** `ID: 0x1122...` of `hwinfo devid`, else all that was printed. */
function shellLine(output: string): string {
  return /^\s*ID:\s*(0x[0-9a-f]+)\s*$/im.exec(output)?.[1] ?? output;
}
