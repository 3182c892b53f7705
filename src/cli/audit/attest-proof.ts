import { createHash } from "node:crypto";
import { basename } from "node:path";
import { toHex } from "../../bytes.js";
import { signEnvelope } from "../../trust/dsse.js";
import { type ProvenBoard, proofStatement } from "../../trust/proof-statement.js";
import type { BoardIdentity } from "../../trust/ratchet.js";
import { IN_TOTO } from "../../trust/statement.js";
import { readInput, writeOutput } from "../files.js";
import type { ChosenSigner } from "../signing/choose.js";
import { UsageError } from "../usage-error.js";
import { recorder } from "./recorder.js";

type Verdict = ProvenBoard["claims"][string];

/** As much of a report of `prove` as a statement is made of. */
export interface ProofReport {
  readonly tool: { readonly version: string; readonly sha256?: string };
  readonly startedAt: string;
  readonly seed: number;
  readonly boards: readonly {
    readonly board: string;
    readonly mode?: string;
    readonly image?: { readonly imageHash: string; readonly sha256: string };
    readonly initial?: { readonly trustedKeys?: readonly string[] };
    readonly claims: readonly { readonly claim: string; readonly verdict: Verdict }[];
    readonly cases: readonly { readonly id: string; readonly verdict: Verdict }[];
  }[];
}

/** Writes the signed statement of a run of `prove`. `identity`: of the board, where there is one board that shows it. */
export async function attestProof(
  output: string,
  { signer }: ChosenSigner,
  report: ProofReport,
  about: { readonly identity?: BoardIdentity | undefined; readonly bootloader?: string | undefined },
): Promise<void> {
  const { identity, bootloader } = about;
  const [id] = report.boards.length === 1 ? [identity?.id] : [];
  const boards = report.boards.map((board): ProvenBoard => {
    const { image, initial, mode, claims, cases } = board;
    return {
      name: board.board,
      ...(id !== undefined && { id }),
      ...(image && { imageHash: image.imageHash, imageSha256: image.sha256 }),
      ...(mode !== undefined && { upgradeMode: mode }),
      ...(initial?.trustedKeys && { trustedKeys: initial.trustedKeys }),
      claims: Object.fromEntries(claims.map(({ claim, verdict }) => [claim, verdict])),
      cases: Object.fromEntries(cases.map((one) => [one.id, one.verdict])),
    };
  });
  const build = bootloader === undefined ? undefined : bootloaderBuild(bootloader);
  if (boards.every(({ imageSha256 }) => imageSha256 === undefined) && build === undefined)
    throw new UsageError(
      "A statement has no subject: no board could be used.",
      "Name the bootloader's build with --bootloader FILE.",
    );
  const { version, sha256 } = report.tool;
  const body = proofStatement({
    boards,
    ...(build && { bootloader: build }),
    tool: { version, ...(sha256 !== undefined && { sha256 }) },
    startedAt: report.startedAt,
    seed: report.seed,
  });
  writeOutput(output, await signEnvelope(IN_TOTO, body, [signer]));
  const keyHash = toHex(signer.publicKey.keyHash);
  recorder()?.record({ type: "attest", result: "ok", detail: { keyHash, what: "prove" } });
}

function bootloaderBuild(file: string): { name: string; sha256: string } {
  return { name: basename(file), sha256: createHash("sha256").update(readInput(file)).digest("hex") };
}
