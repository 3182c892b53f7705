import type { Command } from "commander";
import { toHex } from "../../bytes.js";
import { CborError, encodeCbor } from "../../smp/cbor.js";
import { commandByNumber } from "../../smp/command.js";
import { commandOf } from "../../smp/groups/all.js";
import { toJson } from "../../smp/json.js";
import { decodePayload } from "../../smp/message.js";
import { ShapeError } from "../../smp/schema.js";
import { type BoardOptions, boardOptions, wholeNumber, withBoard } from "../context.js";
import { drawValue } from "../draw-value.js";
import { UsageError } from "../exit.js";
import { readHex, readPayload } from "../words.js";

interface RawOptions extends BoardOptions {
  hex?: string;
}

const group = wholeNumber("group", { max: 0xffff });
const id = wholeNumber("command", { max: 0xff });

export function define(command: Command): void {
  boardOptions(command)
    .argument("<group>", "number of the management group: 0 OS, 1 image, ..., 64 and above a user's", group)
    .argument("<id>", "number of the command in the group", id)
    .argument("<op>", "read or write")
    .argument("[json]", 'the request as JSON; bytes as {"hex": "cafe01"}. Default: an empty map')
    .option("--hex <bytes>", "the request's payload as it is, which need not be CBOR")
    .addHelpText(
      "after",
      `
The answer is shown as it is: a CBOR map by its keys, anything else in hex.
  bootproof raw 0 0 write '{"d": "hello"}'
  bootproof raw 200 0 read --json`,
    )
    .action((groupId: number, commandId: number, op: string, json: string | undefined, options: RawOptions) =>
      withBoard(options, async ({ client }, { out, signal }) => {
        const request = requestOf(json, options.hex);
        const answer = await client.send(commandFor(groupId, commandId, op), request, { signal });
        const fields = fieldsIn(answer);
        const hex = toHex(answer);
        out.result(
          { group: groupId, id: commandId, op, hex, ...(fields ? { payload: toJson(fields) } : {}) },
          fields ? drawValue(fields) : hex,
        );
      }),
    );
}

function commandFor(groupId: number, commandId: number, op: string) {
  if (op !== "read" && op !== "write") throw new UsageError(`"${op}" is neither read nor write.`);
  const numbers = { group: groupId, id: commandId, op } as const;
  return commandByNumber({ ...numbers, resultBeside: commandOf(numbers)?.resultBeside });
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
