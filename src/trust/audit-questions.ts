/** The five questions about a board, and what answers them. Pure: what is known comes in, verdicts come out. */

export type Verdict = "holds" | "does-not-hold" | "not-supported" | "not-judged";

/** A claim that `prove` judged, and where that stands. */
export interface KnownClaim {
  readonly claim: string;
  readonly verdict: Verdict;
  /** RFC 3339, UTC. */
  readonly at: string;
  /** `statement of FILE`, `audit log entry 37`. */
  readonly from: string;
}

/** What is known of a board. Absent is not known. */
export interface KnownOfBoard {
  readonly claims: readonly KnownClaim[];
  readonly trustedKeys?: readonly string[];
  readonly policyKeys?: readonly string[];
  readonly policyNamesHardware?: boolean;
  readonly storedCounter?: number;
  /** Security counter that this host remembers of the board. */
  readonly rememberedCounter?: number;
  readonly reverts?: boolean;
}

export const QUESTIONS = ["authenticity", "integrity", "compatibility", "freshness", "recovery"] as const;
export type Question = (typeof QUESTIONS)[number];

export interface Answer {
  readonly question: Question;
  /** `proven`: bad images were tried on it. `stated`: the board, the policy or this host says so. */
  readonly answer: "proven" | "broken" | "stated" | "open";
  readonly reasons: readonly string[];
  /** Claims that would make it proven. */
  readonly missing: readonly string[];
}

/** Claims that a question hangs on: all of them, or one of them. */
const CLAIMS: Readonly<
  Record<Question, { readonly all: readonly string[]; readonly oneOf?: readonly string[] }>
> = {
  authenticity: { all: ["signature"] },
  integrity: { all: ["integrity"] },
  compatibility: { all: ["compatibility"] },
  freshness: { all: [], oneOf: ["anti-rollback-counter", "anti-rollback-version"] },
  recovery: { all: ["rollback", "recovery-checked"] },
};

/**
 * Answers the five questions. A claim that does not hold is never made up for by what somebody states.
 *
 * @param known - what was proven and stated of a board
 * @returns one answer for each question, with what it rests on
 */
export function answerQuestions(known: KnownOfBoard): Answer[] {
  return QUESTIONS.map((question) => {
    const { all, oneOf = [] } = CLAIMS[question];
    const judged = known.claims.filter(({ claim }) => [...all, ...oneOf].includes(claim));
    const reasons = judged
      .filter(({ verdict }) => verdict !== "not-supported")
      .map(
        ({ claim, verdict, at, from }) =>
          `${claim}: ${verdict.replaceAll("-", " ")} (${at.slice(0, 10)}, ${from})`,
      );
    const holds = (claim: string) => judged.some((one) => one.claim === claim && one.verdict === "holds");
    const isBroken = judged.some(({ verdict }) => verdict === "does-not-hold");
    const missing = [...all.filter((claim) => !holds(claim)), ...(oneOf.some(holds) ? [] : oneOf)];
    const stated = whatIsStated(question, known);
    const answer = isBroken
      ? "broken"
      : missing.length === 0
        ? "proven"
        : stated.length > 0
          ? "stated"
          : "open";
    return { question, answer, reasons: [...reasons, ...stated], missing };
  });
}

function whatIsStated(question: Question, known: KnownOfBoard): string[] {
  const { trustedKeys, policyKeys, policyNamesHardware, storedCounter, rememberedCounter, reverts } = known;
  const message: Readonly<Record<Question, readonly (string | false | undefined)[]>> = {
    authenticity: [
      trustedKeys &&
        `the board reports that it accepts ${trustedKeys.length} key(s): ${trustedKeys.map((key) => key.slice(0, 16)).join(", ")}`,
      trustedKeys &&
        policyKeys &&
        (trustedKeys.every((hash) => policyKeys.some((key) => hash.startsWith(key)))
          ? "the policy names all of them"
          : "the policy does NOT name all of them"),
    ],
    integrity: [],
    compatibility: [policyNamesHardware && "the policy states for which hardware an image must be made"],
    freshness: [
      storedCounter !== undefined && `the board reports stored security counter ${storedCounter}`,
      rememberedCounter !== undefined &&
        `this host refuses images below security counter ${rememberedCounter} on it`,
    ],
    recovery: [
      reverts !== undefined &&
        `the board reports an upgrade mode that ${reverts ? "reverts" : "cannot revert"} an image that is not confirmed`,
    ],
  };
  return message[question].filter((one): one is string => typeof one === "string");
}
