import type { BoardResult, CaseResult, ProofReport } from "../result.js";
import { printable } from "./words.js";

/** JUnit XML as CI systems read it: a suite per board, a test per case. What could not be judged is an error. */
export function toJunit(report: ProofReport): string {
  const suites = report.boards.map(suite);
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="bootproof prove" time="${time(report.elapsedMs)}">\n${suites.join("")}</testsuites>\n`;
}

function suite(board: BoardResult): string {
  const count = (verdict: CaseResult["verdict"]) =>
    board.cases.filter((one) => one.verdict === verdict).length;
  const unusable = board.unusable === undefined ? [] : [problem("board", "usable", "error", board.unusable)];
  const putBack = board.putBack.ok ? [] : [problem("board", "put back", "error", board.putBack.says)];
  const own = [...unusable, ...putBack];
  const tests = board.cases.length + own.length;
  const errors = count("not-judged") + own.length;
  const head = `<testsuite name="${escaped(board.board)}" tests="${tests}" failures="${count("does-not-hold")}" errors="${errors}" skipped="${count("not-supported")}" time="${time(board.elapsedMs)}">`;
  return `${head}\n${own.join("")}${board.cases.map(testcase).join("")}</testsuite>\n`;
}

const ELEMENTS = {
  holds: undefined,
  "does-not-hold": "failure",
  "not-judged": "error",
  "not-supported": "skipped",
} as const;

function testcase(one: CaseResult): string {
  const element = ELEMENTS[one.verdict];
  const head = `<testcase classname="${escaped(one.claim)}" name="${escaped(one.id)}" time="${time(one.elapsedMs)}">`;
  const body = element === undefined ? "" : `<${element} message="${escaped(one.seen)}"/>`;
  const out = `<system-out>${escaped(`${one.says}\nexpected: ${one.expected}\nseen: ${one.seen}`)}</system-out>`;
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
