import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateKey, toPem } from "../../crypto/keys.js";
import { observe } from "./observe.js";
import { approveWords, HARDWARE, type Product, signOffline, signWords, stateProvenance } from "./product.js";
import { type DemoWorkspace, type Ran, said } from "./workspace.js";

/** One attack: which link should refuse it, and what was observed. */
export interface Attack {
  readonly attack: string;
  readonly expected: string;
  /** The first is the one that counts. */
  readonly refusedBy: readonly string[];
  readonly exitStatus: number | null;
  readonly message: string;
  /** What was read back afterwards. */
  readonly board: string;
  readonly asExpected: boolean;
}

/** Tries one attack on each link, and reads back that nothing moved. */
export async function* attacks(workspace: DemoWorkspace, product: Product): AsyncGenerator<Attack> {
  yield* onTheSigner(workspace, product);
  yield* onTheGate(workspace, product);
  yield* onTheBoard(workspace, product);
  yield* onTheMemory(workspace, product);
  yield* onTheLog(workspace, product);
}

/** A flash as the bench does it, under the policy. */
const flashWords = (product: Product, file: string, ...more: string[]): string[] => [
  ...["flash", file, "--key", product.publicKey, "--policy", product.policy, "-d", product.board],
  ...(more.includes("--provenance") ? [] : provenanceWords(product.provenance, product.buildPublicKey)),
  ...["--soak", "300", "--health-shell", "health", "--settle", ...more],
];

const provenanceWords = (statement: string, key: string): string[] => [
  ...["--provenance", statement, "--provenance-key", key],
];

/** Who refused, the first one first: checks and rules of the preflight, the board's cause, or the code of an error. */
function refusers({ value }: Ran): string[] {
  const error = value.error as { code?: string } | undefined;
  const first = String(value.refusedBy ?? error?.code ?? value.cause ?? value.outcome ?? "nobody");
  const checks = (value.preflight ?? []) as { name: string; result: string }[];
  const failed = value.refusedBy === undefined ? [] : checks.filter(({ result }) => result === "fail");
  return [...new Set([first, ...failed.map(({ name }) => name)])];
}

interface Expectation {
  readonly attack: string;
  readonly refusedBy: string;
  readonly status: number;
}

async function report(
  workspace: DemoWorkspace,
  board: string,
  ran: Ran,
  expected: Expectation,
): Promise<Attack> {
  const { version, confirmed, storedCounter } = await observe(board, workspace.signal);
  const refusedBy = refusers(ran);
  const stands = version === "2.0.0" && confirmed;
  return {
    attack: expected.attack,
    expected: expected.refusedBy,
    refusedBy,
    exitStatus: ran.status,
    message: said(ran.value),
    board: `the board runs ${version}${confirmed ? "" : " (not confirmed)"}, stored counter ${storedCounter}`,
    asExpected: stands && refusedBy[0] === expected.refusedBy && ran.status === expected.status,
  };
}

/** Somebody has an older counter signed again. */
async function* onTheSigner(workspace: DemoWorkspace, product: Product): AsyncGenerator<Attack> {
  const wish = { output: workspace.path("lower.bin"), version: "2.1.0", counter: 3 };
  const request = workspace.path("lower.request.json");
  const words = ["--public-key", product.publicKey, "--with-payload", "--request", request];
  await workspace.must([...signWords(product, wish), ...words]);
  const ran = await workspace.run(
    approveWords(product, request, workspace.path("lower.response.json")),
    product.signer.environment,
  );
  yield report(workspace, product.board, ran, {
    attack: "the signer is asked for a lower counter than it signed before",
    refusedBy: "below-ledger",
    status: 46,
  });
}

/** Files that the host must not send. */
async function* onTheGate(workspace: DemoWorkspace, product: Product): AsyncGenerator<Attack> {
  const flash = (file: string, ...more: string[]) => workspace.run(flashWords(product, file, ...more));
  const newer = { version: "2.1.0", counter: 8 } as const;

  const unsigned = workspace.path("unsigned.bin");
  await workspace.must([...signWords(product, { output: unsigned, ...newer }), "--unsigned"]);
  yield report(workspace, product.board, await flash(unsigned), {
    attack: "an image without a signature",
    refusedBy: "signature",
    status: 3,
  });

  const foreignKey = workspace.path("foreign.pem");
  const foreignPublic = workspace.path("foreign-public.pem");
  const key = await generateKey("ecdsa-p256");
  writeFileSync(foreignKey, await toPem(key, "private"), { mode: 0o600 });
  writeFileSync(foreignPublic, await toPem(key.publicKey, "public"));
  const foreign = workspace.path("foreign.bin");
  await workspace.must([...signWords(product, { output: foreign, ...newer }), "-k", foreignKey]);
  yield report(workspace, product.board, await flash(foreign, "--key", foreignPublic), {
    attack: "an image of a foreign key that slipped among the bench's keys",
    refusedBy: "trusted-key",
    status: 3,
  });

  const preConfirmed = workspace.path("pre-confirmed.bin");
  await workspace.must([
    ...signWords(product, { output: preConfirmed, version: "2.0.0", counter: 7 }),
    ...[
      "--public-key",
      product.publicKey,
      "--attach",
      `${product.update}.response.json`,
      "--pad",
      "--confirm",
    ],
  ]);
  yield report(workspace, product.board, await flash(preConfirmed), {
    attack: "a trailer in the file that would skip the trial boot",
    refusedBy: "policy/pre-confirmed",
    status: 48,
  });

  const otherProduct = workspace.path("other-product.bin");
  await signOffline(workspace, product, { output: otherProduct, ...newer, hardware: HARDWARE.other });
  yield report(workspace, product.board, await flash(otherProduct), {
    attack: "validly signed firmware for other hardware",
    refusedBy: "policy/hardware",
    status: 48,
  });

  const unbuilt = workspace.path("unbuilt.bin");
  await signOffline(workspace, product, { output: unbuilt, ...newer });
  yield report(workspace, product.board, await flash(unbuilt), {
    attack: "validly signed firmware with the provenance of another build",
    refusedBy: "policy/provenance",
    status: 48,
  });

  const forged = workspace.path("forged.intoto.jsonl");
  await stateProvenance(unbuilt, forged, { body: product.body, buildKey: key });
  const ran = await flash(unbuilt, ...provenanceWords(forged, foreignPublic));
  yield report(workspace, product.board, ran, {
    attack: "the same with a provenance of its own, signed by a foreign key",
    refusedBy: "policy/provenance",
    status: 48,
  });
}

/** The host looks away: the board is the only judge. */
async function* onTheBoard(workspace: DemoWorkspace, product: Product): AsyncGenerator<Attack> {
  const { board } = product;
  const ran = await workspace.run(["flash", workspace.path("foreign.bin"), "--no-preflight", "-d", board]);
  yield report(workspace, board, ran, {
    attack: "the foreign image again, with every check of the host off",
    refusedBy: "signature",
    status: 31,
  });
}

/** A board that keeps no counter is offered an older release that was once good. */
async function* onTheMemory(
  workspace: DemoWorkspace,
  { update, older, publicKey, ...product }: Product,
): AsyncGenerator<Attack> {
  const board = product.boardWithoutCounter;
  const on = ["--key", publicKey, "-d", board, "--soak", "300"];
  await workspace.must(["flash", update, ...on]);
  // The board reports the counter of what runs; the memory is asked without that help.
  const ran = await workspace.run(["flash", older, ...on, "--skip", "security-counter,version"]);
  yield report(workspace, board, ran, {
    attack: "an older, validly signed release for a board that stores no counter",
    refusedBy: "ratchet",
    status: 46,
  });
}

/** Somebody with write access to the log's folder. */
async function* onTheLog(workspace: DemoWorkspace, { board, witness }: Product): AsyncGenerator<Attack> {
  const folder = workspace.path("state/bootproof/audit");
  const edited = workspace.path("edited-log");
  cpSync(folder, edited, { recursive: true });
  const bundles = join(edited, "log-000001/tile/entries");
  const file = readdirSync(bundles, { recursive: true, encoding: "utf8" })
    .map((name) => join(bundles, name))
    .find((path) => /\d+$/.test(path) && !path.endsWith(".p"))!;
  const text = readFileSync(file, "latin1");
  writeFileSync(file, text.replace('"result":"refused"', '"result":"allowed"'), "latin1");
  yield logReport(
    workspace,
    board,
    await workspace.run(["log", "verify", "--folder", edited, "--against", witness]),
    {
      attack: "one word of one entry of the audit log is edited",
      refusedBy: "edited",
      status: 44,
    },
  );

  const cut = workspace.path("cut-log");
  cpSync(workspace.path("early-log"), cut, { recursive: true });
  yield logReport(
    workspace,
    board,
    await workspace.run(["log", "verify", "--folder", cut, "--against", witness]),
    {
      attack: "the log is put back to what it was before the update, validly signed",
      refusedBy: "truncated",
      status: 44,
    },
  );
}

async function logReport(
  workspace: DemoWorkspace,
  board: string,
  ran: Ran,
  expected: Expectation,
): Promise<Attack> {
  interface Problem {
    kind: string;
    index?: number;
    message: string;
  }
  const [verdict] = ran.value as unknown as { problems?: Problem[] }[];
  const problem = verdict?.problems?.[0];
  const value = { refusedBy: problem?.kind ?? "nobody", message: problem?.message ?? "" };
  return report(workspace, board, { ...ran, value }, expected);
}
