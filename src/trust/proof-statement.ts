import { formatStatement, parseStatement, type Statement, type Subject, TEST_RESULT } from "./statement.js";

/** What a statement of `prove` says of one board: the predicate is in-toto's test-result v0.1. */
export interface ProvenBoard {
  readonly name: string;
  /** The board's own identity, where it shows one. */
  readonly id?: string;
  /** Hex: hash of the image that ran when it began, and SHA-256 of its file. */
  readonly imageHash?: string;
  readonly imageSha256?: string;
  readonly upgradeMode?: string;
  /** Hashes of the keys that the board accepts, hex. */
  readonly trustedKeys?: readonly string[];
  /** Claims by verdict. */
  readonly claims: Readonly<Record<string, "holds" | "does-not-hold" | "not-supported" | "not-judged">>;
  /** Cases by verdict. */
  readonly cases: Readonly<Record<string, "holds" | "does-not-hold" | "not-supported" | "not-judged">>;
}

/** What a run of `prove` found out. */
export interface ProvenRun {
  readonly boards: readonly ProvenBoard[];
  /** The bootloader build that is on the boards, as whoever ran it states. */
  readonly bootloader?: { readonly name: string; readonly sha256: string };
  readonly tool: { readonly version: string; readonly sha256?: string };
  /** RFC 3339, UTC. */
  readonly startedAt: string;
  readonly seed: number;
}

/**
 * The statement of a run. Subjects: the boards' images, and the bootloader build where it was named. A claim that could not be
 * judged is a warning, never a pass.
 *
 * @param run - what was proven of which images, SHA-256 in hex; time as RFC 3339, UTC
 * @returns JSON, in-toto Statement v1
 */
export function proofStatement(run: ProvenRun): Uint8Array {
  const { boards, bootloader, tool, startedAt, seed } = run;
  const subject: Subject[] = [
    ...boards.flatMap(({ name, imageSha256 }) =>
      imageSha256 === undefined ? [] : [{ name: `image of ${name}`, digest: { sha256: imageSha256 } }],
    ),
    ...(bootloader ? [{ name: bootloader.name, digest: { sha256: bootloader.sha256 } }] : []),
  ];
  const tests = (...verdicts: readonly string[]) =>
    boards.flatMap(({ name, claims, cases }) =>
      [...Object.entries(claims), ...Object.entries(cases)]
        .filter(([, verdict]) => verdicts.includes(verdict))
        .map(([test]) => (boards.length > 1 ? `${name}: ${test}` : test)),
    );
  const failedTests = tests("does-not-hold");
  const warnedTests = tests("not-judged");
  const passed = warnedTests.length > 0 ? "WARNED" : "PASSED";
  return formatStatement(subject, TEST_RESULT, {
    result: failedTests.length > 0 ? "FAILED" : passed,
    configuration: [
      ...boards.map(({ name, id, imageHash, upgradeMode, trustedKeys, claims }) => ({
        name,
        ...(imageHash !== undefined && { digest: { mcubootImageHash: imageHash } }),
        annotations: {
          ...(id !== undefined && { boardId: id }),
          ...(upgradeMode !== undefined && { upgradeMode }),
          ...(trustedKeys && { trustedKeys }),
          claims,
          startedAt,
          seed,
        },
      })),
      ...(bootloader ? [{ name: bootloader.name, digest: { sha256: bootloader.sha256 } }] : []),
      { name: `bootproof ${tool.version}`, ...(tool.sha256 && { digest: { sha256: tool.sha256 } }) },
    ],
    passedTests: tests("holds"),
    warnedTests,
    failedTests,
  });
}

/** What a policy asks of a statement of `prove`. */
export interface ProofFacts {
  readonly result: string;
  /** Identities of the boards that it is about. */
  readonly boardIds: readonly string[];
  readonly startedAt?: string;
  /** Claims of all its boards. */
  readonly claims: readonly { readonly claim: string; readonly verdict: ClaimVerdict }[];
  readonly statement: Statement;
}

type ClaimVerdict = ProvenBoard["claims"][string];
const VERDICTS: readonly string[] = ["holds", "does-not-hold", "not-supported", "not-judged"];

/**
 * Reads such a statement. Undefined when it is of another type.
 *
 * @param payload - JSON in UTF-8
 * @returns what was proven; nothing is judged
 * @throws EnvelopeError when it is no statement
 */
export function readProofStatement(payload: Uint8Array): ProofFacts | undefined {
  const statement = parseStatement(payload);
  if (statement.predicateType !== TEST_RESULT) return undefined;
  const { result, configuration } = statement.predicate;
  const annotations = (Array.isArray(configuration) ? configuration : []).flatMap((one: unknown) => {
    const found = (one as { annotations?: unknown } | null)?.annotations;
    return typeof found === "object" && found !== null ? [found as Record<string, unknown>] : [];
  });
  const boardIds = annotations.flatMap(({ boardId }) => (typeof boardId === "string" ? [boardId] : []));
  const startedAt = annotations
    .map((one) => one.startedAt)
    .find((at) => typeof at === "string" && !Number.isNaN(Date.parse(at)));
  return {
    result: typeof result === "string" ? result : "",
    boardIds,
    claims: annotations.flatMap(({ claims }) =>
      Object.entries(typeof claims === "object" && claims !== null ? claims : {}).flatMap(
        ([claim, verdict]) =>
          VERDICTS.includes(verdict as string) ? [{ claim, verdict: verdict as ClaimVerdict }] : [],
      ),
    ),
    ...(typeof startedAt === "string" && { startedAt }),
    statement,
  };
}
