import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateKey, toPem } from "../../crypto/keys.js";
import { type Desk, type Ran, said } from "./desk.js";
import { observe } from "./observe.js";
import { approveWords, HARDWARE, type Product, signOffline, signWords, stateProvenance } from "./product.js";

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
export async function* attacks(desk: Desk, product: Product): AsyncGenerator<Attack> {
  yield* onTheSigner(desk, product);
  yield* onTheGate(desk, product);
  yield* onTheBoard(desk, product);
  yield* onTheMemory(desk, product);
  yield* onTheLog(desk, product);
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

async function report(desk: Desk, board: string, ran: Ran, expected: Expectation): Promise<Attack> {
  const { version, confirmed, storedCounter } = await observe(board, desk.signal);
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
async function* onTheSigner(desk: Desk, product: Product): AsyncGenerator<Attack> {
  const wish = { output: desk.path("lower.bin"), version: "2.1.0", counter: 3 };
  const request = desk.path("lower.request.json");
  const words = ["--public-key", product.publicKey, "--with-payload", "--request", request];
  await desk.must([...signWords(product, wish), ...words]);
  const ran = await desk.run(
    approveWords(product, request, desk.path("lower.response.json")),
    product.signer.environment,
  );
  yield report(desk, product.board, ran, {
    attack: "the signer is asked for a lower counter than it signed before",
    refusedBy: "below-ledger",
    status: 46,
  });
}

/** Files that the host must not send. */
async function* onTheGate(desk: Desk, product: Product): AsyncGenerator<Attack> {
  const flash = (file: string, ...more: string[]) => desk.run(flashWords(product, file, ...more));
  const newer = { version: "2.1.0", counter: 8 } as const;

  const unsigned = desk.path("unsigned.bin");
  await desk.must([...signWords(product, { output: unsigned, ...newer }), "--unsigned"]);
  yield report(desk, product.board, await flash(unsigned), {
    attack: "an image without a signature",
    refusedBy: "signature",
    status: 3,
  });

  const foreignKey = desk.path("foreign.pem");
  const foreignPublic = desk.path("foreign-public.pem");
  const key = await generateKey("ecdsa-p256");
  writeFileSync(foreignKey, await toPem(key, "private"), { mode: 0o600 });
  writeFileSync(foreignPublic, await toPem(key.publicKey, "public"));
  const foreign = desk.path("foreign.bin");
  await desk.must([...signWords(product, { output: foreign, ...newer }), "-k", foreignKey]);
  yield report(desk, product.board, await flash(foreign, "--key", foreignPublic), {
    attack: "an image of a foreign key that slipped among the bench's keys",
    refusedBy: "trusted-key",
    status: 3,
  });

  const preConfirmed = desk.path("pre-confirmed.bin");
  await desk.must([
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
  yield report(desk, product.board, await flash(preConfirmed), {
    attack: "a trailer in the file that would skip the trial boot",
    refusedBy: "policy/pre-confirmed",
    status: 48,
  });

  const otherProduct = desk.path("other-product.bin");
  await signOffline(desk, product, { output: otherProduct, ...newer, hardware: HARDWARE.other });
  yield report(desk, product.board, await flash(otherProduct), {
    attack: "validly signed firmware for other hardware",
    refusedBy: "policy/hardware",
    status: 48,
  });

  const unbuilt = desk.path("unbuilt.bin");
  await signOffline(desk, product, { output: unbuilt, ...newer });
  yield report(desk, product.board, await flash(unbuilt), {
    attack: "validly signed firmware with the provenance of another build",
    refusedBy: "policy/provenance",
    status: 48,
  });

  const forged = desk.path("forged.intoto.jsonl");
  await stateProvenance(unbuilt, forged, { body: product.body, buildKey: key });
  const ran = await flash(unbuilt, ...provenanceWords(forged, foreignPublic));
  yield report(desk, product.board, ran, {
    attack: "the same with a provenance of its own, signed by a foreign key",
    refusedBy: "policy/provenance",
    status: 48,
  });
}

/** The host looks away: the board is the only judge. */
async function* onTheBoard(desk: Desk, product: Product): AsyncGenerator<Attack> {
  const { board } = product;
  const ran = await desk.run(["flash", desk.path("foreign.bin"), "--no-preflight", "-d", board]);
  yield report(desk, board, ran, {
    attack: "the foreign image again, with every check of the host off",
    refusedBy: "signature",
    status: 31,
  });
}

/** A board that keeps no counter is offered an older release that was once good. */
async function* onTheMemory(
  desk: Desk,
  { update, older, publicKey, ...product }: Product,
): AsyncGenerator<Attack> {
  const board = product.boardWithoutCounter;
  const on = ["--key", publicKey, "-d", board, "--soak", "300"];
  await desk.must(["flash", update, ...on]);
  // The board reports the counter of what runs; the memory is asked without that help.
  const ran = await desk.run(["flash", older, ...on, "--skip", "security-counter,version"]);
  yield report(desk, board, ran, {
    attack: "an older, validly signed release for a board that stores no counter",
    refusedBy: "ratchet",
    status: 46,
  });
}

/** Somebody with write access to the log's folder. */
async function* onTheLog(desk: Desk, { board, witness }: Product): AsyncGenerator<Attack> {
  const folder = desk.path("state/bootproof/audit");
  const edited = desk.path("edited-log");
  cpSync(folder, edited, { recursive: true });
  const bundles = join(edited, "log-000001/tile/entries");
  const file = readdirSync(bundles, { recursive: true, encoding: "utf8" })
    .map((name) => join(bundles, name))
    .find((path) => /\d+$/.test(path) && !path.endsWith(".p"))!;
  const text = readFileSync(file, "latin1");
  writeFileSync(file, text.replace('"result":"refused"', '"result":"allowed"'), "latin1");
  yield logReport(desk, board, await desk.run(["log", "verify", "--folder", edited, "--against", witness]), {
    attack: "one word of one entry of the audit log is edited",
    refusedBy: "edited",
    status: 44,
  });

  const cut = desk.path("cut-log");
  cpSync(desk.path("early-log"), cut, { recursive: true });
  yield logReport(desk, board, await desk.run(["log", "verify", "--folder", cut, "--against", witness]), {
    attack: "the log is put back to what it was before the update, validly signed",
    refusedBy: "truncated",
    status: 44,
  });
}

async function logReport(desk: Desk, board: string, ran: Ran, expected: Expectation): Promise<Attack> {
  interface Problem {
    kind: string;
    index?: number;
    message: string;
  }
  const [verdict] = ran.value as unknown as { problems?: Problem[] }[];
  const problem = verdict?.problems?.[0];
  const value = { refusedBy: problem?.kind ?? "nobody", message: problem?.message ?? "" };
  return report(desk, board, { ...ran, value }, expected);
}
