import { mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { writeOutput } from "../files.js";
import { askLine } from "../secrets.js";
import { stateFolder } from "../state-folders.js";
import { UsageError } from "../usage-error.js";

/** What no tool can measure of a unit. Asked once; what was answered is stated, not measured, and says so. */
export const QUESTIONS_FOR_PEOPLE = [
  {
    name: "root-of-trust",
    asks: "Where is the root of trust: OTP or fuses, write-protected flash, plain flash?",
  },
  { name: "key-injection", asks: "Where and by whom are keys put on the unit?" },
  { name: "debug-port", asks: "Is the debug port open or locked, and how?" },
] as const;

export interface StatedAnswer {
  readonly answer: string;
  /** RFC 3339, UTC. */
  readonly statedOn: string;
}

const LONGEST = 300;

/** `question=answer` of the command line. @throws UsageError */
export function readStated(texts: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    texts.map((text) => {
      const at = text.indexOf("=");
      const [name, answer] = [text.slice(0, at), text.slice(at + 1).trim()];
      const isKnown = at > 0 && QUESTIONS_FOR_PEOPLE.some((one) => one.name === name);
      if (isKnown && answer !== "" && answer.length <= LONGEST) return [name, answer] as const;
      throw new UsageError(
        `--state "${text.slice(0, 80)}": write it as QUESTION=ANSWER.`,
        `Questions: ${QUESTIONS_FOR_PEOPLE.map((one) => one.name).join(", ")}.`,
      );
    }),
  );
}

/** All answers: of the command line, of earlier, of the person at the terminal. Nobody there and nothing said: left out. */
export async function askedOnce(
  given: ReadonlyMap<string, string>,
): Promise<Readonly<Record<string, StatedAnswer>>> {
  const file = join(stateFolder(), "provision-answers.json");
  const answers = new Map(Object.entries(readAnswers(file)));
  const now = new Date().toISOString();
  let isNew = false;
  for (const { name, asks } of QUESTIONS_FOR_PEOPLE) {
    const stated =
      given.get(name) ?? (answers.has(name) ? undefined : await askLine(`${asks} (Enter: not known) `));
    if (stated === undefined || stated.trim() === "") continue;
    answers.set(name, { answer: stated.trim().slice(0, LONGEST), statedOn: now });
    isNew = true;
  }
  const all = Object.fromEntries(answers);
  if (isNew) {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeOutput(file, `${JSON.stringify(all, undefined, 1)}\n`);
  }
  return all;
}

/** What does not read back is asked again. */
function readAnswers(file: string): Record<string, StatedAnswer> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, "utf8"));
  } catch {
    // Not there yet, or damaged: the answers are people's, and can be given again.
    return {};
  }
  const entries = Object.entries(typeof value === "object" && value !== null ? value : {}).filter(
    ([name, one]) => {
      const { answer, statedOn } = (one ?? {}) as Record<string, unknown>;
      const isKnown = QUESTIONS_FOR_PEOPLE.some((question) => question.name === name);
      return (
        isKnown && typeof answer === "string" && answer.length <= LONGEST && typeof statedOn === "string"
      );
    },
  );
  return Object.fromEntries(entries) as Record<string, StatedAnswer>;
}
