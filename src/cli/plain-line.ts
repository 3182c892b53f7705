import { type PlainLine, readPlain } from "./plain-command.js";
import { SPEAKS_FOR_ITSELF, TELLS_OF_ALL, verbs } from "./verbs.js";

/** What a plain line of a verb of ours asks for; undefined for a line that commander has to read. */
export async function plainLine(argv: readonly string[]): Promise<PlainLine | undefined> {
  const [first = "", ...rest] = argv;
  if (TELLS_OF_ALL.includes(first) || SPEAKS_FOR_ITSELF.includes(first)) return undefined;
  const load = verbs.find(([name]) => name === first)?.[2];
  if (load === undefined) return undefined;
  const { define } = await load();
  return readPlain(define, rest);
}
