import type { Command } from "commander";
import { type Difference, diffImages } from "../../mcuboot/diff.js";
import { parseImage } from "../../mcuboot/image.js";
import { readImageAs } from "../firmware-file.js";
import { printable, table, tone } from "../output.js";
import { type CommonOptions, commonOptions, inContext } from "../verb-context.js";

export function define(command: Command): void {
  commonOptions(
    command.argument("<before>", "an MCUboot image").argument("<after>", "the image to compare it with"),
  ).action((before: string, after: string, options: CommonOptions) =>
    inContext(options, async ({ out }) => {
      const [old, now] = await Promise.all([before, after].map((file) => readImageAs(file, out, parseImage)));
      const diff = diffImages(old!, now!);
      const { differences, body } = diff;
      const rows = differences.map((one: Difference) => [one.what, shown(one.before), shown(one.after)]);
      if (old!.encrypted && now!.encrypted)
        out.note(
          "Note: both bodies are encrypted; under different content keys even the same firmware differs.",
        );
      const text = [
        differences.length === 0 ? "header and TLVs are the same" : table(["WHAT", "BEFORE", "AFTER"], rows),
        bodyLine(body),
      ];
      out.result({ before, after, ...diff }, text.join("\n"));
    }),
  );
}

/** Enough of a value to tell it from another, and two of them side by side on a line; all of it is in `--json`. */
const SHOWN = 20;

function shown(value: string | undefined): string {
  if (value === undefined) return tone("dim", "not there");
  return printable(value.length > SHOWN ? `${value.slice(0, SHOWN)}...` : value);
}

function bodyLine({ sizeBefore, sizeAfter, changed, first }: ReturnType<typeof diffImages>["body"]): string {
  const size =
    sizeBefore === sizeAfter ? `${sizeBefore} bytes` : `${sizeBefore} bytes before, ${sizeAfter} after`;
  if (changed === 0)
    return `body: ${size}, no byte changed${sizeBefore === sizeAfter ? "" : " where both have one"}`;
  const share = ((100 * changed) / Math.min(sizeBefore, sizeAfter)).toFixed(1);
  return `body: ${size}, ${changed} bytes (${share} %) changed, the first at 0x${first!.toString(16)}`;
}
