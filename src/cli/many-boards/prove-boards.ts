import type { ProofEnding, ProofEvent, ProofLine, ProofRequest } from "bootproof/prove";
import { formatAddress } from "../../transport/address.js";
import { parseAddress } from "../../transport/parse-address.js";
import type { BoardIdentity } from "../../trust/ratchet.js";
import type { ProofReport } from "../audit/attest-proof.js";
import { type CommonOptions, type Context, chooseDevice } from "../context.js";
import type { ExitStatus } from "../exit.js";
import { identityAt } from "../open-board.js";
import { version } from "../version.js";
import { type BoardLines, boardLines, showStep } from "./board-lines.js";
import { type BoardRow, finishRows } from "./board-rows.js";
import { type BoardsOptions, chooseBoards, mustNameOneWay } from "./choose-boards.js";
import { stepOfProof } from "./steps.js";

type Suite = typeof import("bootproof/prove");

/** What `prove` takes beside the boards, under the names of the command line. */
export interface ProveBoardsOptions
  extends CommonOptions,
    BoardsOptions,
    Omit<ProofRequest, "device" | "devices" | "boards" | "tags" | "cases" | "claims" | "reports"> {
  case?: string[];
  claim?: string[];
  report?: string[];
}

/** Writes the statements of several boards. `identityOf`: of the board of this name, where it shows one. */
export type AttestEach = (
  report: ProofReport,
  identityOf: (board: string) => Promise<BoardIdentity | undefined>,
) => Promise<void>;

/** What `prove` ends with for a board alone. */
export const PROOF_STATUS: Readonly<Record<ProofEnding, ExitStatus>> = {
  passed: 0,
  "claim-broken": 26,
  "claim-open": 27,
  "not-put-back": 28,
  interrupted: 130,
};

/** Proves several boards at once, each a line meanwhile and a row at the end. Reports hold all of them. */
export async function proveBoards(
  suite: Suite,
  options: ProveBoardsOptions,
  context: Context,
  attest?: AttestEach,
): Promise<void> {
  const { out, signal } = context;
  const { board, boards: boardFile, case: cases, claim, report, taken, tag: tags, ...more } = options;
  const { device: _d, all: _a, place: _place, places: _places, ...rest } = more;
  // Those of labgrid have chosen the places already.
  const tag = taken === undefined ? tags : undefined;
  mustNameOneWay(options);
  let lines: BoardLines | undefined;
  const devices = boardFile === undefined ? ((await devicesOf(options, context)) ?? []) : [];
  const outcome = await suite.runProof(
    {
      ...rest,
      ...(boardFile === undefined ? { devices } : { boardFile }),
      boards: board,
      tags: tag,
      cases,
      claims: claim,
      reports: report,
    },
    {
      version: version(),
      signal,
      note: out.note,
      progress() {},
      onBoards(names) {
        lines = boardLines(names, out, options.quiet === true || out.json);
      },
      onEvent(event) {
        if (out.json) out.line({ board: event.board, kind: "event", event: withoutEvidence(event) }, "");
        else out.event(withoutEvidence(event), event.board);
        if (lines) showStep(lines, event.board, stepOfProof(event));
      },
    },
  );
  lines?.settle();
  await attest?.(outcome.report, async (name) => {
    const device = devices.find((one) => one.name === name);
    return device && identityAt(parseAddress(device.address), context);
  });
  const rows = outcome.boards.map(
    ({ board: name, ending, message, version: runs }): BoardRow => ({
      board: name,
      outcome: ending,
      exitStatus: PROOF_STATUS[ending],
      message,
      ...(runs === undefined ? {} : { version: runs }),
    }),
  );
  for (const row of rows) if (out.json) out.line({ board: row.board, kind: "done", result: row }, "");
  // The table has a line a board; claims, comparison and policy are told before it.
  if (!out.json) out.note(outcome.text);
  finishRows(rows, out);
  if (outcome.ending === "interrupted") signal.throwIfAborted();
  if (outcome.ending === "passed" && outcome.unwritten.length > 0) throw outcome.unwritten[0];
}

async function devicesOf(options: ProveBoardsOptions, context: Context): Promise<ProofRequest["devices"]> {
  const chosen = await chooseBoards(options, context);
  return chosen.map(({ name, address, power }) => ({
    name,
    address: formatAddress(address),
    // Without one `prove` looks itself for what the config file says.
    ...(options.taken && power && { power }),
  }));
}

/** The address behind a name of the config file, a serial number, a USB port; an address as it was written. */
export async function addressOf(named: string, context: Context): Promise<string> {
  const isName = Object.hasOwn(context.config.boards, named) || !named.includes(":");
  return isName ? formatAddress(await chooseDevice(named, context)) : named;
}

/** Evidence fills pages; it is in the reports. */
export function withoutEvidence(event: ProofEvent): ProofLine {
  if (event.kind !== "result") return event;
  const { evidence: _long, before: _before, after: _after, ...result } = event.result;
  return { ...event, result };
}
