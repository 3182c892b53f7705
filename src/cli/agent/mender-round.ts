import { existsSync } from "node:fs";
import { deploy } from "../../agents/deployment.js";
import { MenderServer, MenderServerError, type MenderServerOptions } from "../../agents/mender-server.js";
import { toHex } from "../../bytes.js";
import type { Key } from "../../crypto/keys.js";
import { BootproofError } from "../../errors.js";
import { parseImage } from "../../mcuboot/image.js";
import { readArtifact } from "../../mender/artifact.js";
import { providesAfter } from "../../mender/verify.js";
import { readFacts, runningSlot } from "../../session/board-facts.js";
import { run } from "../../session/run.js";
import { decompressors } from "../../sources/decompress.js";
import type { FlashOptions } from "../../update/flash.js";
import { describeImage, recordFlash, recordFlashResult } from "../audit/flash-events.js";
import { ratchetOf } from "../audit/ratchet-memory.js";
import type { BoardOptions } from "../board-options.js";
import type { Context } from "../context.js";
import { readInput, writeOutput } from "../files.js";
import type { ChosenBoard } from "../many-boards/choose-boards.js";
import { type OpenBoard, openBoard } from "../open-board.js";
import { partialDownload } from "../partial-download.js";
import { confirmationOf, policyHook } from "../policy/policy-judge.js";
import type { ChosenPolicy } from "../policy/policy-options.js";
import type { SourceOptions } from "../source-options.js";
import { fetchOptions, mustBeVouched, onePayload, openUpdate } from "../update-source.js";
import { UsageError } from "../usage-error.js";
import type { MenderOutcome, MenderState } from "./mender-state.js";
import { type DeviceKeyType, MenderStateFolder } from "./mender-state.js";

/** What one round with the server came to for one board. */
export interface RoundResult {
  readonly board: string;
  /** `pending`: the next round goes on with the deployment. */
  readonly outcome: "nothing" | "success" | "failure" | "aborted" | "pending";
  readonly message: string;
  readonly artifact?: string;
}

export interface MenderAgentOptions extends Omit<BoardOptions, "device">, Omit<SourceOptions, "deviceType"> {
  readonly server: string;
  readonly deviceType: string;
  readonly idByName?: boolean;
  readonly deviceKeyType?: DeviceKeyType;
  readonly image?: number;
  readonly wait?: number;
}

export interface RoundSetup {
  readonly options: MenderAgentOptions;
  readonly keys: readonly Key[];
  readonly policy: ChosenPolicy | undefined;
  readonly flash: Pick<FlashOptions, "health" | "soakMs">;
  readonly connection: MenderServerOptions;
  readonly tenantToken: string | undefined;
}

/** A board that cannot be reached is tried so often before the deployment has failed. */
const MOST_TRIES = 5;

/** Asks the server once for one board and does what it wants, or goes on with what was begun. */
export async function menderRound(
  board: ChosenBoard,
  setup: RoundSetup,
  context: Context,
): Promise<RoundResult> {
  const { options } = setup;
  const open = await openBoard(board.address, options, context, { withinMs: options.wait });
  try {
    const id = open.identity.id ?? (options.idByName ? board.name : undefined);
    if (id === undefined)
      throw new UsageError(
        `${board.name} cannot be told apart from others: ${open.identity.id === undefined ? open.identity.reason : ""}`,
        "Use --id-by-name to identify the board by its name; the cabling must then never change.",
      );
    const folder = new MenderStateFolder(options.server, id);
    const identity = folder.identity({ id }, setup.tenantToken, options.deviceKeyType);
    const server = new MenderServer(options.server, identity, {
      ...setup.connection,
      signal: context.signal,
    });
    return await new Round(board.name, open, folder, server, setup, context).run();
  } finally {
    await open.close();
  }
}

class Round {
  readonly #board: string;
  readonly #open: OpenBoard;
  readonly #folder: MenderStateFolder;
  readonly #server: MenderServer;
  readonly #setup: RoundSetup;
  readonly #context: Context;
  #state: MenderState;

  constructor(
    board: string,
    open: OpenBoard,
    folder: MenderStateFolder,
    server: MenderServer,
    setup: RoundSetup,
    context: Context,
  ) {
    this.#board = board;
    this.#open = open;
    this.#folder = folder;
    this.#server = server;
    this.#setup = setup;
    this.#context = context;
    this.#state = folder.read();
  }

  async run(): Promise<RoundResult> {
    if (this.#state.deployment === undefined) {
      const provides = await this.#introduce();
      const next = await this.#server.next(provides);
      if (next === undefined) return this.#ended("nothing", "The server has nothing to install.");
      this.#change({ deployment: { ...next, tries: 0 } });
    }
    if (this.#deployment.outcome === undefined) {
      const given = await this.#install();
      if (given) return given;
    }
    return this.#report();
  }

  get #deployment(): NonNullable<MenderState["deployment"]> {
    return this.#state.deployment!;
  }

  #change(change: Partial<MenderState>): void {
    this.#state = { ...this.#state, ...change };
    this.#folder.write(this.#state);
  }

  #update(change: Partial<NonNullable<MenderState["deployment"]>>): void {
    this.#change({ deployment: { ...this.#deployment, ...change } });
  }

  #forget(): void {
    const { deployment: _done, ...state } = this.#state;
    this.#state = state;
    this.#folder.write(state);
  }

  #ended(outcome: RoundResult["outcome"], message: string, artifact?: string): RoundResult {
    return { board: this.#board, outcome, message, ...(artifact === undefined ? {} : { artifact }) };
  }

  /** Tells the server what the board is; returns what it provides. */
  async #introduce(): Promise<Record<string, string>> {
    const { options } = this.#setup;
    const facts = await readFacts(this.#open.session, { signal: this.#context.signal });
    const number = options.image ?? 0;
    const running = runningSlot(facts, number)?.content;
    const counter = facts.images.find(({ image }) => image === number)?.storedCounter?.value;
    const attributes = {
      device_type: options.deviceType,
      ...this.#state.provides,
      ...(running && { mcuboot_version: running.version }),
      ...(running?.hash && { mcuboot_image_hash: toHex(running.hash) }),
      ...(facts.bootloader?.modeName !== undefined && { mcuboot_mode: facts.bootloader.modeName }),
      ...(counter !== undefined && { mcuboot_security_counter: String(counter) }),
    };
    await this.#server.inventory(attributes);
    return {
      artifact_name: running ? `mcuboot-${running.version}` : "unknown",
      ...this.#state.provides,
      device_type: options.deviceType,
    };
  }

  /** Undefined once the deployment has an outcome to report. */
  async #install(): Promise<RoundResult | undefined> {
    const { options, keys, policy, flash } = this.#setup;
    const { id, artifactName } = this.#deployment;
    let image: Uint8Array;
    let about: ReturnType<typeof describeImage>;
    let provides: Record<string, string>;
    let madeFor: readonly string[] | undefined;
    try {
      const file = await this.#download();
      const update = {
        ...options,
        provides: Object.entries(this.#state.provides).map((pair) => pair.join("=")),
      };
      const source = await openUpdate(file, update, this.#context);
      mustBeVouched(source);
      image = onePayload(source, options.image).bytes;
      about = describeImage(parseImage(image), options.image);
      madeFor = source.binding.boards;
      const artifact = await readArtifact(readInput(file), { decompressors });
      provides = providesAfter(artifact, this.#state.provides);
    } catch (error) {
      return this.#stopped(error, "The board was not touched.");
    }
    const { session, identity, audit } = this.#open;
    const record = recordFlash(audit, [], about);
    const how: FlashOptions = {
      ...flash,
      keys,
      imageNumber: options.image,
      withinMs: options.wait,
      signal: this.#context.signal,
      ratchet: ratchetOf(identity),
      policy: policyHook(policy, "flash", {
        file: image,
        identity,
        audit,
        imageNumber: options.image,
        madeFor,
        confirmation: confirmationOf(flash),
      }),
    };
    const ending = await run(
      deploy(session, image, how, {
        onPhase: async (phase) => {
          // Once the image may be confirmed, only the board says how it ends.
          if (this.#deployment.committing) return;
          await this.#server.status(id, phase === "installing" ? "installing" : "rebooting");
          if (phase === "committing") this.#update({ committing: true });
        },
      }),
      (event) => {
        record(event);
        if (event.step === "judged") this.#context.out.note(`${this.#board}: ${event.message}`);
      },
    );
    if ("result" in ending) {
      recordFlashResult(audit, ending.result, about.counter);
      this.#settle({
        status: "success",
        lines: [ending.result.message, "It still runs after one more restart."],
        provides,
      });
      return undefined;
    }
    if (ending.reverted) return this.#stopped(ending.error, "The old image runs.");
    this.#update({ tries: this.#deployment.tries + 1 });
    const why = wordsOf(ending.error);
    if (this.#deployment.tries < MOST_TRIES)
      return this.#ended("pending", `${why} ${wordsOf(ending.revertError)}`, artifactName);
    this.#settle({ status: "failure", lines: [why, wordsOf(ending.revertError)] });
    return undefined;
  }

  async #download(): Promise<string> {
    const { artifact } = this.#folder;
    if (existsSync(artifact)) return artifact;
    await this.#server.status(this.#deployment.id, "downloading");
    const file = await this.#server.artifact(this.#deployment, {
      ...fetchOptions(this.#setup.options),
      // Its address is another one each time.
      partial: partialDownload(`${this.#setup.options.server} ${this.#deployment.id}`),
    });
    writeOutput(artifact, file, { mode: 0o600 });
    return artifact;
  }

  /** What has stopped a deployment of which nothing is left on the board. */
  #stopped(error: unknown, state: string): RoundResult | undefined {
    this.#context.signal.throwIfAborted();
    const { artifactName } = this.#deployment;
    const why = wordsOf(error);
    if (error instanceof MenderServerError && error.code === "deployment-aborted") {
      this.#forget();
      return this.#ended("aborted", `${why} ${state}`, artifactName);
    }
    // A server that cannot be reached has not refused anything: the next round goes on.
    if (error instanceof MenderServerError && error.code !== "server-bad-answer")
      return this.#ended("pending", `${why} ${state}`, artifactName);
    if (!(error instanceof BootproofError)) throw error;
    this.#settle({ status: "failure", lines: [why, state] });
    return undefined;
  }

  #settle(outcome: MenderOutcome): void {
    this.#update({ outcome });
  }

  async #report(): Promise<RoundResult> {
    const { id, artifactName, outcome } = this.#deployment;
    const { status, lines, provides } = outcome!;
    const message = lines.join(" ");
    try {
      if (status === "failure") await this.#server.log(id, lines);
      await this.#server.status(id, status);
    } catch (error) {
      if (!(error instanceof MenderServerError)) throw error;
      if (error.code !== "deployment-aborted") return this.#ended("pending", wordsOf(error), artifactName);
      this.#context.out.note(
        `${this.#board}: the server had ended the deployment; the board keeps what it runs.`,
      );
    }
    if (provides) this.#change({ provides });
    this.#forget();
    return this.#ended(status, message, artifactName);
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
