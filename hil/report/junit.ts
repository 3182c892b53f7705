import { type Policy, shortfalls } from "../policy.js";
import type { BoardResult, CaseResult, ProofReport } from "../result.js";
import { printable } from "./labels.js";

/**
 * JUnit XML as CI systems read it: a suite per board, a test per case. What could not be judged is an error. With a policy
 * only what it names can fail, as with the exit status: other cases that did not hold are skipped, with what was seen.
 */
export function toJunit(report: ProofReport, policy?: Policy): string {
  const suites = report.boards.map((board) => suite(board, report, policy));
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="bootproof prove" time="${time(report.elapsedMs)}">\n${suites.join("")}</testsuites>\n`;
}

function suite(board: BoardResult, report: ProofReport, policy: Policy | undefined): string {
  const unusable = board.unusable === undefined ? [] : [problem("board", "usable", "error", board.unusable)];
  const putBack = board.putBack.ok ? [] : [problem("board", "put back", "error", board.putBack.message)];
  const missing = policy ? missingCases(board, report, policy) : [];
  const own = [...unusable, ...putBack, ...missing];
  const cases = board.cases.map((one) => ({ one, element: elementOf(one, policy) }));
  const count = (element: Element) => cases.filter((one) => one.element === element).length;
  const tests = board.cases.length + own.length;
  const errors = count("error") + own.length;
  const head = `<testsuite name="${escaped(board.board)}" tests="${tests}" failures="${count("failure")}" errors="${errors}" skipped="${count("skipped")}" time="${time(board.elapsedMs)}">`;
  const body = cases.map(({ one, element }) => testcase(one, element));
  return `${head}\n${own.join("")}${body.join("")}</testsuite>\n`;
}

/** What the policy names and no case of this board stands for: not run, or not supported. */
function missingCases(board: BoardResult, report: ProofReport, policy: Policy): string[] {
  return shortfalls({ ...report, boards: [board] }, policy)
    .filter(({ verdict }) => verdict === "not-run" || verdict === "not-supported")
    .filter(() => board.unusable === undefined)
    .map(({ what, verdict }) => problem("policy", what, "error", `The policy asks for it: ${verdict}.`));
}

type Element = "failure" | "error" | "skipped" | undefined;

function elementOf({ id, claim, verdict }: CaseResult, policy: Policy | undefined): Element {
  const element = ELEMENTS[verdict];
  if (element === undefined || policy === undefined) return element;
  return policy.mustHold.includes(claim) || policy.mustHold.includes(id) ? element : "skipped";
}

const ELEMENTS = {
  holds: undefined,
  "does-not-hold": "failure",
  "not-judged": "error",
  "not-supported": "skipped",
} as const;

function testcase(one: CaseResult, element: Element): string {
  const head = `<testcase classname="${escaped(one.claim)}" name="${escaped(one.id)}" time="${time(one.elapsedMs)}">`;
  const body = element === undefined ? "" : `<${element} message="${escaped(one.observed)}"/>`;
  const out = `<system-out>${escaped(`${one.summary}\nexpected: ${one.expected}\nseen: ${one.observed}`)}</system-out>`;
  return `${head}${body}${out}</testcase>\n`;
}

function problem(classname: string, name: string, element: string, message: string): string {
  return `<testcase classname="${classname}" name="${name}"><${element} message="${escaped(message)}"/></testcase>\n`;
}

function time(ms: number): string {
  return (ms / 1000).toFixed(3);
}

/** XML has no way to write most control characters at all, and half a surrogate pair makes a file unreadable. */
function escaped(text: string): string {
  const plain = text.split("\n").map(printable).join("\n");
  // Through UTF-8, which has no half surrogate pairs.
  return Buffer.from(plain, "utf8")
    .toString("utf8")
    .replace(/[\ufffe\uffff]/g, "\ufffd")
    .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
