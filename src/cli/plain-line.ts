import { type PlainLine, readPlain } from "./plain-command.js";
import { SPEAKS_FOR_ITSELF, TELLS_OF_ALL, verbs } from "./verbs.js";

/** Verbs whose actions look at their command again, as only commander's lets them. */
const LOOK_AT_COMMAND: readonly string[] = ["mender-interface"];

/** What a plain line of a verb of ours asks for; undefined for a line that commander has to read. */
export async function plainLine(argv: readonly string[]): Promise<PlainLine | undefined> {
  const [first = "", ...rest] = argv;
  if ([...TELLS_OF_ALL, ...SPEAKS_FOR_ITSELF, ...LOOK_AT_COMMAND].includes(first)) return undefined;
  const load = verbs.find(([name]) => name === first)?.[2];
  if (load === undefined) return undefined;
  const { define } = await load();
  return readPlain(define, rest);
}
