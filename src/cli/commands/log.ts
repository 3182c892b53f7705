import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { EVENT_TYPES, type EventType, type LogEvent } from "../../trust/events.js";
import { LogError } from "../../trust/log-error.js";
import { formatVerifierKey, type NoteVerifier, parseVerifierKey } from "../../trust/signed-note.js";
import { formatProof, parseProof, verifyProof } from "../../trust/tlog-proof.js";
import type { EarlierState, LogVerdict } from "../../trust/verify-log.js";
import type { AuditLog } from "../../trust-store/audit-log.js";
import { noteVerifier } from "../../trust-store/log-key.js";
import { toCsv, toJsonLines } from "../audit/export-log.js";
import { openAuditLog } from "../audit/open-log.js";
import { readInput, writeOutput } from "../files.js";
import { type Output, printable, table, tone } from "../output.js";
import { several } from "../several.js";
import { UsageError } from "../usage-error.js";
import { type CommonOptions, commonOptions, inContext, wholeNumber } from "../verb-context.js";
import { version } from "../version.js";

interface LogOptions extends CommonOptions {
  folder?: string;
  number?: number;
}

interface FilterOptions extends LogOptions {
  board?: string;
  image?: string;
  job?: string;
  type?: EventType;
}

const EXPORTS = ["jsonl", "csv", "checkpoint"] as const;
type ExportFormat = (typeof EXPORTS)[number];

export function define(command: Command): void {
  const verb = (signature: string, description: string) =>
    commonOptions(command.command(signature).description(description))
      .option(
        "--folder <folder>",
        "the folder of the logs (default: BOOTPROOF_LOG_FOLDER, else bootproof/audit in your state folder)",
      )
      .option(
        "--number <log>",
        "number of the log (default: the newest)",
        wholeNumber("--number", { min: 1 }),
      );

  filters(verb("show", "show events"))
    .option("-n, --last <count>", "only the last events", wholeNumber("--last", { min: 1 }))
    .action((options: FilterOptions & { last?: number }) =>
      inContext(options, async ({ out, signal }) => {
        const events = await readEvents(openAuditLog(signal, options.folder), options);
        show(options.last === undefined ? events : events.slice(-options.last), out);
      }),
    );

  filters(verb("tail", "show the last events, and with --follow new ones as they come"))
    .option("-n, --last <count>", "how many (default 10)", wholeNumber("--last", { min: 1 }), 10)
    .option("-f, --follow", "continue until Ctrl-C")
    .action((options: FilterOptions & { last: number; follow?: boolean }) =>
      inContext(options, ({ out, signal }) =>
        tail(openAuditLog(signal, options.folder), options, out, signal),
      ),
    );

  verb("verify", "read every entry, recompute every hash, compare with the checkpoints kept earlier")
    .option(
      "--against <file>",
      "a checkpoint or a .tlog-proof from earlier (repeatable); with its leaf hashes (FILE.hashes) the changed entry is named",
      several,
    )
    .option("--key <text>", "the log's verifier key, as log key prints it (default: the folder's own key)")
    .action((options: LogOptions & { against?: string[]; key?: string }) =>
      inContext(options, ({ out, signal }) => verify(openAuditLog(signal, options.folder), options, out)),
    );

  verb("prove <index>", "write the proof that an entry is in the log")
    .requiredOption("-o, --output <file>", "the file; its name usually ends in .tlog-proof")
    .action((index: string, options: LogOptions & { output: string }) =>
      inContext(options, async ({ out, signal }) => {
        const log = openAuditLog(signal, options.folder);
        const entry = wholeNumber("The index", { max: Number.MAX_SAFE_INTEGER })(index);
        const number = options.number ?? log.newest();
        writeOutput(options.output, formatProof(await log.prove({ log: number, index: entry })));
        out.result({ log: number, index: entry, file: options.output }, `Wrote ${options.output}.`);
      }),
    );

  verb("check <proof>", "check a proof file; needs the log's verifier key and nothing else")
    .option("--key <text>", "the log's verifier key, as log key prints it (default: the folder's own key)")
    .action((file: string, options: LogOptions & { key?: string }) =>
      inContext(options, ({ out, signal }) =>
        checkProof(openAuditLog(signal, options.folder), file, options.key, out),
      ),
    );

  filters(verb("export", "export events, or a checkpoint as a witness of the log"))
    .option("--format <format>", `${EXPORTS.join(", ")}`, exportFormat, "jsonl" as const)
    .requiredOption("-o, --output <file>", "the file; a checkpoint is written with FILE.hashes next to it")
    .action((options: FilterOptions & { format: ExportFormat; output: string }) =>
      inContext(options, ({ out, signal }) => exportLog(openAuditLog(signal, options.folder), options, out)),
    );

  verb("key", "print the verifier key of a log, which others need to check its proofs").action(
    (options: LogOptions) =>
      inContext(options, async ({ out, signal }) => {
        const log = openAuditLog(signal, options.folder);
        const { checkpoint } = await log.checkpoint(options.number ?? log.newest());
        const key = formatVerifierKey(log.verifier(checkpoint.origin));
        out.result({ key, origin: checkpoint.origin }, key);
      }),
  );

  verb("close", "close the newest log; the next event starts a new one").action((options: LogOptions) =>
    inContext(options, async ({ out, signal }) => {
      const log = openAuditLog(signal, options.folder);
      const number = await log.close("log-close", `bootproof ${version()}`);
      out.result({ closed: number }, number === undefined ? "No log is open." : `Log ${number} is closed.`);
    }),
  );
}

function filters(command: Command): Command {
  return command
    .option("--board <id>", "only events of this board")
    .option("--image <text>", "only events of this image: its version, or the first digits of its hash")
    .option("--job <id>", "only events of this run")
    .option("--type <type>", `only events of this kind: ${EVENT_TYPES.join(", ")}`, eventType);
}

function eventType(text: string): EventType {
  const type = EVENT_TYPES.find((known) => known === text);
  if (type === undefined)
    throw new UsageError(`There is no event type "${text}".`, `Kinds: ${EVENT_TYPES.join(", ")}.`);
  return type;
}

function exportFormat(text: string): ExportFormat {
  const format = EXPORTS.find((known) => known === text);
  if (format === undefined)
    throw new UsageError(`"${text}" is not a format to export.`, `Formats: ${EXPORTS.join(", ")}.`);
  return format;
}

function matches({ board, image, job, type }: FilterOptions): (event: LogEvent) => boolean {
  return (event) =>
    (board === undefined || event.board?.id === board) &&
    (job === undefined || event.job === job) &&
    (type === undefined || event.type === type) &&
    (image === undefined ||
      event.image?.version === image ||
      (event.image?.hash?.startsWith(image.toLowerCase()) ?? false));
}

async function readEvents(log: AuditLog, options: FilterOptions): Promise<LogEvent[]> {
  const number = options.number ?? log.newest();
  const { size } = (await log.checkpoint(number)).checkpoint;
  return [...log.events(number, size)].filter(matches(options));
}

const HEADER = ["INDEX", "TIME", "JOB", "EVENT", "RESULT", "BOARD", "IMAGE", "DETAIL"];

function show(events: readonly LogEvent[], out: Output): void {
  out.result(events, events.length === 0 ? "No events match." : table(HEADER, events.map(row)));
}

function row(event: LogEvent): string[] {
  const { seq, time, job, type, result, rule, board, image, detail } = event;
  const hash = image?.hash?.slice(0, 12);
  const counter = image?.counter === undefined ? "" : ` counter ${image.counter}`;
  const details = Object.entries(detail ?? {}).map(([name, value]) => `${name}=${value}`);
  return [
    `${seq}`,
    time.replace("T", " ").slice(0, 19),
    job,
    type,
    `${result ?? "-"}${rule === undefined ? "" : ` (${rule})`}`,
    board?.id ?? board?.address ?? "-",
    image === undefined ? "-" : `${image.version ?? ""} ${hash ?? ""}${counter}`.trim() || "-",
    shorten(details.join(" ")),
  ].map(printable);
}

const shorten = (text: string) => (text.length > 90 ? `${text.slice(0, 89)}…` : text);

/** How often a log that is followed is looked at, milliseconds. */
const LOOK_MS = 300;

async function tail(
  log: AuditLog,
  options: FilterOptions & { last: number; follow?: boolean },
  out: Output,
  signal: AbortSignal,
): Promise<void> {
  const events = (await readEvents(log, options)).slice(-options.last);
  if (!options.follow) return show(events, out);
  const line = (event: LogEvent) => out.line(event, row(event).join("  "));
  for (const event of events) line(event);
  let number = options.number ?? log.newest();
  let seen = (await log.checkpoint(number)).checkpoint.size;
  while (!signal.aborted) {
    await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
    const { size } = (await log.checkpoint(number)).checkpoint;
    for (const event of log.events(number, size, seen)) if (matches(options)(event)) line(event);
    seen = size;
    if (options.number === undefined && log.newest() > number) [number, seen] = [number + 1, 0];
  }
}

async function verify(
  log: AuditLog,
  options: LogOptions & { against?: string[]; key?: string },
  out: Output,
): Promise<void> {
  const earlier = (options.against ?? []).map(readEarlier);
  const verifiers = options.key === undefined ? undefined : [verifierOf(options.key)];
  // What was kept earlier, and a key, are of one log; without them all are looked at.
  const isOne = options.number !== undefined || earlier.length > 0 || verifiers !== undefined;
  const numbers = isOne ? [options.number ?? log.newest()] : log.numbers();
  if (numbers.length === 0) log.newest();
  const verdicts: { log: number; verdict: LogVerdict }[] = [];
  for (const number of numbers)
    verdicts.push({ log: number, verdict: await log.verify(number, earlier, verifiers) });
  out.result(
    verdicts.map(({ log: number, verdict }) => summary(number, verdict)),
    verdicts.flatMap(({ log: number, verdict }) => describe(number, verdict)).join("\n"),
  );
  if (verdicts.some(({ verdict }) => verdict.problems.length > 0)) process.exitCode = 44;
}

function summary(number: number, { checkpoint, problems, witnessedBy, clockSetBack }: LogVerdict) {
  const { origin, size, root } = checkpoint;
  return { log: number, origin, size, root, problems, witnessedBy, clockSetBack };
}

function describe(number: number, verdict: LogVerdict): string[] {
  const { checkpoint, problems, witnessedBy, clockSetBack } = verdict;
  const head = `Log ${number} (${checkpoint.origin}), ${checkpoint.size} entries:`;
  const clock = clockSetBack.slice(0, 5).map((index) => `  The clock was set back before entry ${index}.`);
  if (problems.length > 0) {
    const [first, ...rest] = problems;
    const more = rest.length > 0 ? [`  and ${rest.length} more; --json lists them`] : [];
    return [`${head} ${tone("bad", first!.kind)}. ${printable(first!.message)}`, ...more, ...clock];
  }
  const witnessed =
    witnessedBy === 0
      ? `${tone("good", "consistent")}, not witnessed: nothing from earlier was given to compare with (--against).`
      : `${tone("good", "consistent")} with what was kept earlier (${witnessedBy} compared).`;
  return [`${head} ${witnessed}`, ...clock];
}

/** A checkpoint or a proof that somebody kept. */
function readEarlier(file: string): EarlierState {
  const text = new TextDecoder().decode(readInput(file));
  if (text.startsWith("c2sp.org/tlog-proof")) {
    const proof = parseProof(text);
    return { name: file, checkpoint: proof.checkpoint, proof };
  }
  return { name: file, checkpoint: text, ...leavesBeside(file) };
}

function leavesBeside(file: string): { leaves?: Uint8Array } {
  try {
    return { leaves: readInput(`${file}.hashes`) };
  } catch (error) {
    // Without them a rewritten log is found all the same; only its entry is not named.
    if ((error as LogError).code === ("file-missing" as string)) return {};
    throw error;
  }
}

function verifierOf(text: string): NoteVerifier {
  return noteVerifier(parseVerifierKey(text));
}

async function checkProof(log: AuditLog, file: string, key: string | undefined, out: Output): Promise<void> {
  const proof = parseProof(new TextDecoder().decode(readInput(file)));
  const origin = proof.checkpoint.split("\n")[0]!;
  const verifier = key === undefined ? log.verifier(origin) : verifierOf(key);
  const { checkpoint, entry } = await verifyProof(proof, [verifier]);
  const text = new TextDecoder().decode(entry);
  out.result(
    { index: proof.index, origin: checkpoint.origin, size: checkpoint.size, entry: text },
    `Entry ${proof.index} of ${checkpoint.origin} (${checkpoint.size} entries):\n${printable(text)}`,
  );
}

async function exportLog(
  log: AuditLog,
  options: FilterOptions & { format: ExportFormat; output: string },
  out: Output,
): Promise<void> {
  const number = options.number ?? log.newest();
  const file = options.output;
  if (options.format === "checkpoint") {
    const { note, checkpoint } = await log.checkpoint(number);
    const leaves = await log.leaves(number);
    if (leaves.length / 32 !== checkpoint.size)
      throw new LogError("log-busy", "The log grew while its checkpoint was being exported.", {
        hint: "Try again.",
      });
    writeOutput(`${file}.hashes`, leaves);
    writeOutput(file, note);
    out.result(
      { log: number, size: checkpoint.size, file, hashes: `${file}.hashes` },
      `Wrote ${file} (${checkpoint.size} entries) and ${file}.hashes. Keep them where this machine cannot write.`,
    );
    return;
  }
  const events = await readEvents(log, options);
  writeOutput(file, options.format === "csv" ? toCsv(events) : toJsonLines(events));
  out.result({ log: number, events: events.length, file }, `Wrote ${events.length} events to ${file}.`);
}
