import type { Command } from "commander";
import { type Difference, diffImages } from "../../image/diff.js";
import { parseImage } from "../../image/image.js";
import { type CommonOptions, commonOptions, inContext } from "../context.js";
import { readFirmware } from "../firmware-file.js";
import { printable, table, tone } from "../output.js";

export function define(command: Command): void {
  commonOptions(
    command.argument("<before>", "an MCUboot image").argument("<after>", "the image to compare it with"),
  ).action((before: string, after: string, options: CommonOptions) =>
    inContext(options, async ({ out }) => {
      const diff = diffImages(parseImage(readFirmware(before).bytes), parseImage(readFirmware(after).bytes));
      const { differences, body } = diff;
      const rows = differences.map(({ what, before: old, after: now }: Difference) => [
        what,
        shown(old),
        shown(now),
      ]);
      const text = [
        differences.length === 0 ? "header and TLVs are the same" : table(["WHAT", "BEFORE", "AFTER"], rows),
        bodyLine(body),
      ];
      out.result({ before, after, ...diff }, text.join("\n"));
    }),
  );
}

/** Enough of a value to tell it from another; all of it is in `--json`. */
const SHOWN = 32;

function shown(value: string | undefined): string {
  if (value === undefined) return tone("dim", "not there");
  return printable(value.length > SHOWN ? `${value.slice(0, SHOWN)}...` : value);
}

function bodyLine({ sizeBefore, sizeAfter, changed, first }: ReturnType<typeof diffImages>["body"]): string {
  const size =
    sizeBefore === sizeAfter ? `${sizeBefore} bytes` : `${sizeBefore} bytes before, ${sizeAfter} after`;
  if (changed === 0)
    return `body: ${size}, no byte changed${sizeBefore === sizeAfter ? "" : " where both have one"}`;
  return `body: ${size}, ${changed} bytes changed, the first at 0x${first!.toString(16)}`;
}
