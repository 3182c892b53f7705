import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import {
  checkOnTrial,
  checkReverted,
  commitStaged,
  discardStaged,
  markStaged,
  revertStaged,
  type StagedUpdate,
  stageImage,
  startStaged,
} from "../../agents/staged-update.js";
import { toHex } from "../../bytes.js";
import { parseImage } from "../../mcuboot/image.js";
import { readFacts, runningSlot } from "../../session/board-facts.js";
import { run } from "../../session/run.js";
import type { Session } from "../../session/session.js";
import type { BoardIdentity } from "../../trust/ratchet.js";
import type { FlashEvent, FlashOptions } from "../../update/flash.js";
import { describeImage, recordFlash, recordFlashResult } from "../audit/flash-events.js";
import { ratchetOf } from "../audit/ratchet-memory.js";
import { recorder } from "../audit/recorder.js";
import { type BoardOptions, boardOptions } from "../board-options.js";
import { type Context, inContext, onBoard, readKeys, wholeNumber } from "../context.js";
import { FileError, readInput, writeOutput } from "../files.js";
import { drawFlash } from "../flash/draw-flash.js";
import { keyFiles } from "../key-files.js";
import { UpdateModuleFiles } from "../mender/update-module-files.js";
import { printable } from "../output.js";
import { confirmationOf, policyHook } from "../policy/policy-judge.js";
import { choosePolicy, type PolicyOptions, policyOptions } from "../policy/policy-options.js";
import { type SourceOptions, sourceOptions } from "../source-options.js";
import { thisProgram } from "../this-program.js";
import { keyOption, type TrialOptions, trialOf, trialOptions } from "../update-options.js";
import { mustBeVouched, onePayload, openUpdate } from "../update-source.js";
import { UsageError } from "../usage-error.js";

interface InterfaceOptions extends BoardOptions, SourceOptions, PolicyOptions, TrialOptions {
  image?: number;
  name: string;
  id?: string;
  launcher?: string;
}

/** Answers that need no board. */
const ANSWERS: Readonly<Record<string, string>> = {
  // The artifact as a whole has its signature in it: it is checked here, whatever the caller checked.
  NeedsUnpackedArtifact: "No",
  ProvidePayloadFileSizes: "No",
  SupportsRollback: "Yes",
};

export function define(command: Command): void {
  trialOptions(keyOption(policyOptions(boardOptions(sourceOptions(command)))))
    .argument(
      "[state]",
      "the state or information that Mender asks for: Download, ArtifactInstall, Provides, ...",
    )
    .argument("[files-dir]", "the folder that Mender made for this update")
    .argument("[component-type]", "given by the Orchestrator, not to update modules")
    .option("--image <number>", "which image number (pair of slots)", wholeNumber("--image", { max: 255 }))
    .option("--name <name>", "the interface's or payload type's name in Provides", "zephyr-image")
    .option("--id <text>", "the board's identity, if the board reports none of its own")
    .option("--launcher <file>", "write a program for Mender's folder that calls this one with these options")
    .addHelpText(
      "after",
      `
Mender calls this program; you call it only once, with --launcher. See bootproof help mender.`,
    )
    .action(
      (
        state: string | undefined,
        folder: string | undefined,
        component: string | undefined,
        options: InterfaceOptions,
      ) => {
        // It becomes part of a line "KEY=VALUE" that Mender reads.
        if (!/^[\w.-]+$/.test(options.name))
          throw new UsageError("--name is one word of letters, digits, dots, dashes and underscores.");
        if (options.launcher !== undefined) return writeLauncher(options.launcher, options, command);
        if (state === undefined)
          throw new UsageError("The state that Mender asks for is missing.", "See bootproof help mender.");
        return act(state, folder, component !== undefined, options);
      },
    );
}

async function act(
  state: string,
  folder: string | undefined,
  isOrchestrated: boolean,
  options: InterfaceOptions,
): Promise<void> {
  const answer = state === "NeedsArtifactReboot" ? (isOrchestrated ? "Yes" : "No") : ANSWERS[state];
  if (answer !== undefined) {
    process.stdout.write(`${answer}\n`);
    return;
  }
  const query = Object.hasOwn(QUERIES, state) ? QUERIES[state] : undefined;
  const step = Object.hasOwn(STEPS, state) ? STEPS[state] : undefined;
  // What a later version of the protocol asks for is answered by nothing, as the protocol demands.
  if (query === undefined && step === undefined) return;
  await inContext(options, async (context) => {
    if (query) return onBoard(options, context, (session, identity) => query({ session, identity, options }));
    if (folder === undefined)
      throw new UsageError(`${state} needs the folder that Mender made for the update.`);
    const files = new UpdateModuleFiles(folder);
    const staged = files.staged();
    if (NEEDS_STAGED.has(state) && staged === undefined) return;
    await step!({ files, staged, isOrchestrated, options, context });
  });
}

interface Question {
  readonly session: Session;
  readonly identity: BoardIdentity;
  readonly options: InterfaceOptions;
}

const QUERIES: Readonly<Record<string, (question: Question) => Promise<void>>> = {
  async Identity({ identity, options }) {
    const id = options.id ?? identity.id;
    if (id === undefined)
      throw new UsageError(
        `This board cannot be told apart from others: ${identity.id === undefined ? identity.reason : ""}`,
        "Give it a name of its own with --id TEXT.",
      );
    tell([["id", id]]);
  },
  async Provides({ session, options }) {
    const running = runningSlot(await readFacts(session), options.image ?? 0)?.content;
    tell(running ? [[`rootfs-image.${options.name}.version`, running.version]] : []);
  },
  async Inventory({ session, options }) {
    const facts = await readFacts(session);
    const number = options.image ?? 0;
    const running = runningSlot(facts, number)?.content;
    const counter = facts.images.find(({ image }) => image === number)?.storedCounter?.value;
    tell([
      ["mcuboot_version", running?.version],
      ["mcuboot_image_hash", running?.hash && toHex(running.hash)],
      ["mcuboot_confirmed", running?.confirmed === undefined ? undefined : String(running.confirmed)],
      ["mcuboot_mode", facts.bootloader?.modeName],
      ["mcuboot_security_counter", counter === undefined ? undefined : String(counter)],
    ]);
  },
};

/** Lines `key=value`; what the board does not report is left out. */
function tell(pairs: readonly (readonly [key: string, value: string | undefined])[]): void {
  for (const [key, value] of pairs)
    if (value !== undefined) process.stdout.write(`${key}=${printable(value)}\n`);
}

interface Step {
  readonly files: UpdateModuleFiles;
  readonly staged: StagedUpdate | undefined;
  readonly isOrchestrated: boolean;
  readonly options: InterfaceOptions;
  readonly context: Context;
}

/** Steps that have nothing to do where nothing was staged. */
const NEEDS_STAGED: ReadonlySet<string> = new Set([
  "ArtifactRollback",
  "ArtifactRollbackReboot",
  "ArtifactVerifyRollbackReboot",
  "ArtifactFailure",
]);

const STEPS: Readonly<Record<string, (step: Step) => Promise<void>>> = {
  Download: stage,
  DownloadWithFileSizes: stage,
  async ArtifactInstall(step) {
    const staged = step.staged ?? (await stageFrom(step));
    await onTheBoard(step, async (session, how, draw) => {
      const image = await payloadOf(step);
      await run(markStaged(session, image, staged, how), draw);
      // Update modules are not asked to restart anything but their own machine: the board starts the image now.
      if (!step.isOrchestrated) await run(startStaged(session, staged, how), draw);
    });
  },
  ArtifactReboot: (step) =>
    onTheBoard(step, (session, how, draw) => run(startStaged(session, must(step), how), draw)),
  ArtifactVerifyReboot: (step) =>
    onTheBoard(step, (session, how, draw) => run(checkOnTrial(session, must(step), how), draw)),
  ArtifactCommit: (step) =>
    onTheBoard(step, async (session, how, draw) => {
      const image = await payloadOf(step);
      const result = await run(commitStaged(session, image, must(step), how), draw);
      recordFlashResult(recorder(), result, parseImage(image).securityCounter);
    }),
  ArtifactRollback: (step) =>
    step.isOrchestrated
      ? Promise.resolve()
      : onTheBoard(step, (session, how, draw) => run(revertStaged(session, must(step), how), draw)),
  ArtifactRollbackReboot: (step) =>
    onTheBoard(step, (session, how, draw) => run(revertStaged(session, must(step), how), draw)),
  ArtifactVerifyRollbackReboot: (step) =>
    onTheBoard(step, (session, how, draw) => run(checkReverted(session, must(step), how), draw)),
  ArtifactFailure: (step) =>
    onTheBoard(step, (session, how, draw) => run(discardStaged(session, must(step), how), draw)),
  Cleanup: async ({ files }) => files.forget(),
};

function must({ staged }: Step): StagedUpdate {
  if (staged) return staged;
  throw new UsageError(
    "Nothing was downloaded for this update.",
    "Mender calls Download and ArtifactInstall before this state.",
  );
}

async function stage(step: Step): Promise<void> {
  await step.files.download(step.context.signal);
  await stageFrom(step);
}

async function stageFrom(step: Step): Promise<StagedUpdate> {
  const image = await payloadOf(step);
  let staged: StagedUpdate | undefined;
  await onTheBoard(step, async (session, how, draw) => {
    staged = await run(stageImage(session, image, how), draw);
  });
  step.files.remember(staged!);
  return staged!;
}

async function payloadOf({ files, options, context }: Step): Promise<Uint8Array> {
  const source = await openUpdate(files.payloadFile(), options, context);
  mustBeVouched(source);
  return onePayload(source, options.image).bytes;
}

/** Opens the board and prints each event on stderr, which Mender keeps in its log. */
async function onTheBoard(
  step: Step,
  work: (session: Session, how: FlashOptions, draw: (event: FlashEvent) => void) => Promise<void>,
): Promise<void> {
  const { options, context } = step;
  const keys = await readKeys(keyFiles(options.key, context), context.out);
  const chosen = await choosePolicy(options, context.config);
  const { image: imageNumber } = options;
  const trial = trialOf(options);
  await onBoard(
    options,
    context,
    async (session, identity) => {
      const file = await payloadOf(step);
      const how: FlashOptions = {
        keys,
        imageNumber,
        ...trial,
        signal: context.signal,
        ratchet: ratchetOf(identity),
        policy: policyHook(chosen, "flash", {
          file,
          identity,
          imageNumber,
          audit: recorder(),
          confirmation: confirmationOf(trial),
        }),
      };
      const record = recordFlash(recorder(), [], describeImage(parseImage(file), imageNumber));
      const draw = drawFlash(context.out);
      await work(session, how, (event) => {
        record(event);
        draw(event);
      });
    },
    { withinMs: trial.withinMs },
  );
}

/** In every launcher, so that nothing but launchers is replaced. */
const LAUNCHER_MARK = "Written by bootproof mender-interface.";

/** A program for Mender's folder: it calls this one with the options that were given, then with what Mender gives. */
async function writeLauncher(file: string, options: InterfaceOptions, command: Command): Promise<void> {
  if (process.platform === "win32")
    throw new UsageError("Mender's programs run on Linux; there is nothing to write here.");
  if (options.device === undefined)
    throw new UsageError("A launcher names its board.", "Give the board with -d.");
  if (existsSync(file) && !new TextDecoder().decode(readInput(file)).includes(LAUNCHER_MARK))
    throw new FileError("file-exists", file, `${file} exists and is not a launcher made by bootproof.`, {
      hint: "Choose another name, or remove the file.",
    });
  const words = [...thisProgram(), "mender-interface", ...given(command)];
  writeOutput(file, `#!/bin/sh\n# ${LAUNCHER_MARK}\nexec ${words.map(quoted).join(" ")} "$@"\n`, {
    mode: 0o755,
  });
  process.stdout.write(`Wrote ${printable(file)}\n`);
}

/** The options of this call as words again, without the launcher's; files by whole paths, as Mender starts it elsewhere. */
function given(command: Command): string[] {
  return command.options.flatMap((option) => {
    const name = option.attributeName();
    if (name === "launcher" || command.getOptionValueSource(name) !== "cli") return [];
    const value: unknown = command.getOptionValue(name);
    const flag = option.long ?? option.short ?? "";
    if (typeof value === "boolean") return [flag];
    const isFile = option.flags.endsWith("<file>");
    return [value].flat().flatMap((one) => {
      // Mender would meet a missing file at the first update.
      if (isFile && name !== "trace") readInput(String(one));
      return [flag, isFile ? resolve(String(one)) : String(one)];
    });
  });
}

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;
