import type { Command } from "commander";
import { connect } from "../../client/connect.js";
import type { Board, Machine } from "../../emulator/board.js";
import { boardVariant, fixtureKey } from "../../emulator/catalog.js";
import { type SignFixtureOptions, signedFixture } from "../../emulator/signed-fixture.js";
import { startBoard } from "../../emulator/start.js";
import { readFacts, runningSlot } from "../../session/board-facts.js";
import { restart } from "../../session/restart.js";
import { run } from "../../session/run.js";
import { Session } from "../../session/session.js";
import { type FlashOptions, type FlashOutcome, flash } from "../../update/flash.js";
import { drawFlash } from "../flash/draw-flash.js";
import { type Output, printable, tone } from "../output.js";
import { UsageError } from "../usage-error.js";
import { type CommonOptions, type Context, commonOptions, inContext } from "../verb-context.js";

interface DemoOptions extends CommonOptions {
  machine: string;
}

export function define(command: Command): void {
  commonOptions(command)
    .argument(
      "[scenario]",
      "updates, or chain: from the signer to the log, and an attack on each link",
      "updates",
    )
    .option("--machine <name>", "wasm (in this process) or qemu", "wasm")
    .addHelpText(
      "after",
      "\nEverything it prints was observed on the board. Exit status 0: every scene ended as it should on a secure board.",
    )
    .action((scenario: string, options: DemoOptions) =>
      inContext(options, async (context) => {
        if (scenario === "updates") return demo(options.machine, context);
        if (scenario !== "chain")
          throw new UsageError(`There is no demo "${scenario}".`, "The demos are updates and chain.");
        if (options.machine !== "wasm")
          throw new UsageError("The demo chain runs on the wasm board only.", "Omit --machine.");
        const { demoChain } = await import("../demo/chain.js");
        await demoChain(context);
      }),
    );
}

/** What the board shows at one moment. */
interface Observed {
  version: string | undefined;
  confirmed: boolean | undefined;
  storedCounter: number | undefined;
}

/** One scene: what is tried, what a careful board does, what this one did. */
interface SceneReport {
  scene: string;
  expected: string;
  outcome: FlashOutcome;
  message: string;
  before: Observed;
  after: Observed;
  asExpected: boolean;
}

interface Scene {
  name: string;
  /** What comes out on a board that keeps its promises. */
  expected: string;
  outcome: FlashOutcome;
  image: SignFixtureOptions & { body: string };
  /** Done to the signed file before it is sent. */
  spoil?: (file: Uint8Array) => Uint8Array;
  options?: FlashOptions;
  /** Resets the board once more at the end: an unconfirmed image is reverted, a confirmed one burns its counter. */
  resetAfter?: boolean;
  /** How the board must stand at the end. */
  end: Observed;
}

const SCENES: readonly Scene[] = [
  {
    name: "a good update",
    expected: "it runs, is confirmed, and the next reset raises the stored security counter",
    outcome: "confirmed",
    image: { body: "good-b", version: "2.0.0", counter: 2 },
    resetAfter: true,
    end: { version: "2.0.0", confirmed: true, storedCounter: 2 },
  },
  {
    name: "an update that is not confirmed",
    expected: "it runs on trial and the next reset reverts it; its counter is not stored (rollback)",
    outcome: "on-trial",
    image: { body: "good-a", version: "3.0.0", counter: 3 },
    options: { confirm: false },
    resetAfter: true,
    end: { version: "2.0.0", confirmed: true, storedCounter: 2 },
  },
  {
    name: "a tampered image",
    expected: "the preflight refuses it before a byte is sent",
    outcome: "refused-by-preflight",
    image: { body: "good-a", version: "3.0.0", counter: 3 },
    spoil: flipBodyBit,
    end: { version: "2.0.0", confirmed: true, storedCounter: 2 },
  },
  {
    name: "the tampered image with the preflight off",
    expected: "the board itself refuses it",
    outcome: "not-running",
    image: { body: "good-a", version: "3.0.0", counter: 3 },
    spoil: flipBodyBit,
    options: { skip: "all" },
    end: { version: "2.0.0", confirmed: true, storedCounter: 2 },
  },
  {
    name: "an older build, validly signed",
    expected: "the preflight refuses it: its security counter is too low (anti-rollback)",
    outcome: "refused-by-preflight",
    image: { body: "good-a", version: "4.0.0", counter: 1 },
    end: { version: "2.0.0", confirmed: true, storedCounter: 2 },
  },
  {
    name: "the older build with the preflight off",
    expected: "the board itself refuses it (anti-rollback)",
    outcome: "not-running",
    image: { body: "good-a", version: "4.0.0", counter: 1 },
    options: { skip: "all" },
    end: { version: "2.0.0", confirmed: true, storedCounter: 2 },
  },
];

async function demo(machine: string, { out, signal }: Context): Promise<void> {
  if (machine !== "wasm" && machine !== "qemu")
    throw new UsageError(`There is no machine "${machine}".`, "There are wasm and qemu.");
  const board = await startBoard({ machine, variant: "good" });
  try {
    const session = await Session.open(
      async (how) => connect(await board.connect(), { signal: how }),
      signal,
    );
    const reports: SceneReport[] = [];
    for (const [index, scene] of SCENES.entries()) {
      out.note(tone("strong", `\n${index + 1}. ${scene.name}`));
      const report = await play(scene, board, session, out, signal);
      reports.push(report);
      const verdict = report.asExpected ? tone("good", "as expected") : tone("bad", "NOT as expected");
      out.note(
        `expected: ${scene.expected}\nobserved: ${report.outcome}: ${printable(report.message)}\n${drawChange(report)}\n=> ${verdict}`,
      );
    }
    await session.close();
    const good = reports.filter((report) => report.asExpected).length;
    out.result(
      { machine, scenes: reports },
      `\n${good} of ${reports.length} scenes ended as expected on the ${machine} board.`,
    );
    if (good < reports.length) process.exitCode = 1;
  } finally {
    await board.close();
  }
}

async function play(
  scene: Scene,
  board: Board,
  session: Session,
  out: Output,
  signal: AbortSignal,
): Promise<SceneReport> {
  const { body, ...signing } = scene.image;
  const file = await signedFixture(body, board.machine as Machine, boardVariant(board.id), signing);
  const key = await fixtureKey("ed25519-1");
  const options = { ...scene.options, keys: [key.publicKey], signal };
  const before = await observe(session, signal);
  const result = await run(flash(session, scene.spoil?.(file) ?? file, options), drawFlash(out));
  if (scene.resetAfter) {
    out.note("One more reset.");
    await run(restart(session, { signal }));
  }
  const after = await observe(session, signal);
  const asExpected = result.outcome === scene.outcome && JSON.stringify(after) === JSON.stringify(scene.end);
  const { name, expected } = scene;
  return {
    scene: name,
    expected,
    outcome: result.outcome,
    message: result.message,
    before,
    after,
    asExpected,
  };
}

async function observe(session: Session, signal: AbortSignal): Promise<Observed> {
  const facts = await readFacts(session, { signal });
  const content = runningSlot(facts)?.content;
  return {
    version: content?.version,
    confirmed: content?.confirmed,
    storedCounter: facts.images[0]?.storedCounter?.value,
  };
}

function drawChange({ before, after }: SceneReport): string {
  const draw = ({ version, confirmed, storedCounter }: Observed) =>
    `runs ${version ?? "nothing"}${confirmed ? "" : " (not confirmed)"}, stored security counter ${storedCounter ?? "not reported"}`;
  return `before:   ${draw(before)}\nafter:    ${draw(after)}`;
}

/** The smallest change there is: one bit in the middle of what the hash covers. */
function flipBodyBit(file: Uint8Array): Uint8Array {
  const spoilt = Uint8Array.from(file);
  const middle = Math.floor(spoilt.length / 2);
  spoilt[middle] = spoilt[middle]! ^ 0x01;
  return spoilt;
}
