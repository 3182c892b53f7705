import { onTestFinished } from "vitest";
import { connect } from "../../src/client/connect.js";
import type { TraceRecord } from "../../src/client/trace.js";
import type { Board, Machine } from "../../src/emulator/board.js";
import { boardVariant, fixtureKey } from "../../src/emulator/catalog.js";
import { type SignFixtureOptions, signedFixture } from "../../src/emulator/signed-fixture.js";
import { type StartOptions, startBoard } from "../../src/emulator/start.js";
import { readFacts, runningSlot } from "../../src/session/board-facts.js";
import { run } from "../../src/session/run.js";
import { Session } from "../../src/session/session.js";
import type { ByteStream } from "../../src/transport/transport.js";
import { type FlashEvent, type FlashOptions, type FlashResult, flash } from "../../src/update/flash.js";
import { BadCable, type Fault } from "./workflow-wire.js";

export interface BenchOptions extends Partial<StartOptions> {
  /** What goes wrong on the cable, see {@link BadCable}. */
  fault?: Fault;
  /** How long the client waits for each answer. */
  timeoutMs?: number;
}

/** A board, a session to it over a cable that may be bad, and everything that was said. */
export interface Bench {
  readonly board: Board;
  readonly session: Session;
  readonly trace: TraceRecord[];
  /** A new host program: nothing remembered but the address. The old one lets go. */
  anotherSession(): Promise<Session>;
}

/** Puts both together; they are put away when the test ends. */
export async function bench(options: BenchOptions = {}): Promise<Bench> {
  const { fault, timeoutMs, ...start } = options;
  const board = await startBoard({ machine: "wasm", variant: "good", ...start });
  const trace: TraceRecord[] = [];
  const dial = async (): Promise<ByteStream> =>
    fault ? new BadCable(await board.connect(), fault) : board.connect();
  const open = async (signal: AbortSignal | undefined) =>
    connect(await dial(), { signal, timeoutMs, trace: (record) => trace.push(record) });
  let session = await Session.open(open);
  onTestFinished(async () => {
    await session.close();
    await board.close();
  });
  return {
    board,
    trace,
    get session() {
      return session;
    },
    anotherSession: async () => {
      await session.close();
      session = await Session.open(open);
      return session;
    },
  };
}

/** The public key that images of the variants are signed with. */
export const trustedKey = async (variant = "good") =>
  (await fixtureKey(boardVariant(variant).keys[0]!)).publicKey;

/** A fixture image signed for a variant of a machine, `good` on wasm unless said otherwise. */
export function image(
  id: string,
  options: SignFixtureOptions & { variant?: string; machine?: Machine } = {},
): Promise<Uint8Array> {
  const { variant = "good", machine = "wasm", ...signing } = options;
  return signedFixture(id, machine, boardVariant(variant), signing);
}

export interface Told {
  result: FlashResult;
  events: FlashEvent[];
  /** The steps in order, repeats of a step left out. */
  steps: string[];
}

/** Runs the update with the variant's key and a short soak, and keeps what it told. */
export async function tell(session: Session, file: Uint8Array, options: FlashOptions = {}): Promise<Told> {
  const events: FlashEvent[] = [];
  const keys = options.keys ?? [await trustedKey()];
  const result = await run(flash(session, file, { ...options, keys }), (event) => events.push(event));
  const steps = events.map(({ step }) => step).filter((step, index, all) => step !== all[index - 1]);
  return { result, events, steps };
}

/** What the board says that it is, in the figures that an update changes. */
export async function stands(session: Session, imageNumber = 0) {
  const facts = await readFacts(session);
  const running = runningSlot(facts, imageNumber)?.content;
  return {
    version: running?.version,
    confirmed: running?.confirmed,
    counter: facts.images.find((entry) => entry.image === imageNumber)?.storedCounter?.value,
  };
}
