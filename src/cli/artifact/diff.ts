import { diffArtifacts } from "../../mender/facts.js";
import { type Output, printable, table, tone } from "../output.js";
import { artifactIn } from "./read.js";

export async function diff(before: string, after: string, out: Output): Promise<void> {
  const differences = diffArtifacts(await artifactIn(before), await artifactIn(after));
  const shown = (value: string | undefined) =>
    value === undefined ? tone("dim", "not there") : printable(value);
  const rows = differences.map((one) => [printable(one.what), shown(one.before), shown(one.after)]);
  out.result(
    { before, after, differences },
    rows.length === 0
      ? "The two artifacts have the same contents."
      : table(["WHAT", "BEFORE", "AFTER"], rows),
  );
}
