import { parseVerificationKey } from "../../crypto/verification-key.js";
import { type NamedKey, rehearseKeyList } from "../../mender/rehearse.js";
import { decompressors } from "../../sources/decompress.js";
import type { AddVerb } from "../add-verb.js";
import { readAs } from "../files.js";
import { type Output, printable, table, tone } from "../output.js";
import { several } from "../several.js";
import { UsageError } from "../usage-error.js";
import { type CommonOptions, inContext } from "../verb-context.js";

interface RehearseOptions extends CommonOptions {
  before?: string[];
  after?: string[];
}

export function defineRehearse(verb: AddVerb): void {
  verb("rehearse", "show what a change of trusted keys does to devices, before you make it")
    .option("--before <file>", "a public key that devices trust now (repeatable)", several)
    .option("--after <file>", "a public key that devices will trust (repeatable)", several)
    .action((options: RehearseOptions) => inContext(options, ({ out }) => rehearse(options, out)));
}

async function rehearse({ before = [], after = [] }: RehearseOptions, out: Output): Promise<void> {
  if (before.length === 0 || after.length === 0)
    throw new UsageError("Name the keys before and after.", "With --before FILE and --after FILE.");
  const read = (files: readonly string[]): Promise<NamedKey[]> =>
    Promise.all(files.map(async (name) => ({ name, key: await readAs(name, parseVerificationKey) })));
  const result = await rehearseKeyList(await read(before), await read(after), decompressors);
  const rows = result.outcomes.map(({ device, signedBy, change, accepted }) => [
    `a device with the ${device}`,
    `${printable(signedBy)} (${change})`,
    accepted ? tone("good", "accepted") : tone("bad", "refused"),
  ]);
  const names = (list: readonly string[]) => printable(list.join(", "));
  const advice =
    result.acceptedByAll.length > 0
      ? `Every device accepts what ${names(result.acceptedByAll)} signs: sign with it until all have the new list.`
      : `No key is in both lists: the update that brings the new list must be signed by ${names(result.mustSignNewList)}, and a device that misses it accepts nothing from the new keys.`;
  out.result(result, `${table(["device", "artifact signed by", ""], rows)}\n${advice}`);
}
