import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { TOKEN_VARIABLE } from "../../child-environment.js";
import { replay } from "../../station/job.js";
import { Station } from "../../station/station.js";
import { realDisk } from "../../trust-store/disk.js";
import { ProcessLock, thisProcess } from "../../trust-store/process-lock.js";
import { type Context, readKeys } from "../context.js";
import { readInput } from "../files.js";
import { keyFiles } from "../key-files.js";
import { choosePolicy } from "../policy/policy-options.js";
import { UsageError } from "../usage-error.js";
import { version } from "../version.js";
import { Bench } from "./bench-boards.js";
import type { StationOptions } from "./options.js";
import { Access, LOOPBACK } from "./server/access.js";
import { fingerprintOf, ownCertificate, type Tls } from "./server/certificate.js";
import { listen } from "./server/listen.js";
import { stationApp } from "./server/routes.js";
import { StationError } from "./station-error.js";
import { StationFiles, stationFolder } from "./station-files.js";
import { Updates } from "./updates.js";
import { BenchWork } from "./work.js";

const SHORTEST_TOKEN = 16;
/** A full disk is asked again so often, milliseconds. */
const JOURNAL_RETRY_MS = 2000;
/** A station that is just ending lets go of its bench. */
const LOCK_WAIT_MS = 2000;

/** Runs a station until Ctrl-C. One bench has one station at a time. */
export async function runStation(options: StationOptions, context: Context): Promise<void> {
  const tokens = readTokens(options);
  mustBeSafe(options, tokens);
  const folder = stationFolder(options.boards, context.config.file);
  const files = new StationFiles(folder);
  const lock = new ProcessLock(realDisk, folder);
  const work = () => serveBench(options, tokens, files, context);
  const held = await lock.hold({ waitMs: LOCK_WAIT_MS, owner: thisProcess(), signal: context.signal }, work);
  if (held) return;
  throw new StationError("station-running", `Another station serves this bench${whoRuns(folder)}.`, {
    hint: "Use its page, or stop it first.",
  });
}

async function serveBench(
  options: StationOptions,
  tokens: Tokens,
  files: StationFiles,
  context: Context,
): Promise<void> {
  const { out, config, signal } = context;
  const keys = await readKeys(keyFiles(options.key, context), out);
  const policy = await choosePolicy(options, config);
  const updates = new Updates(files.folder, context);
  for (const file of options.update ?? []) await updates.add(basename(file), readInput(file));
  const bench = await Bench.open(options, context);
  const before = replay(files.readJournal());
  const { soak, wait, timeout } = options;
  const work = new BenchWork(
    { files, updates, board: (name) => bench.find(name) },
    { keys, policy, soak, wait, timeout },
    context,
  );
  const station = new Station(work, bench.boards, before);
  const tls = tlsOf(options, files.folder);
  const access = new Access({
    isTls: tls !== undefined,
    listen: options.listen,
    hostNames: options.hostName ?? [],
    operatorToken: tokens.operator,
    viewerToken: tokens.viewer,
    isReadOnly: options.readOnly ?? false,
  });
  const title = options.title ?? (options.boards === undefined ? "bench" : basename(options.boards));
  const { app, feed } = stationApp({ station, files, updates, access, title, version: version() });
  const server = await listen(app, { host: options.listen, port: options.port, tls });
  access.port = server.port;
  const url = `${tls ? "https" : "http"}://${options.listen.includes(":") ? `[${options.listen}]` : options.listen}:${server.port}/`;
  const note = join(files.folder, "station.json");
  writeFileSync(note, JSON.stringify({ pid: process.pid, url }), { mode: 0o600 });
  const again = setInterval(() => station.retryJournal(), JOURNAL_RETRY_MS).unref();
  try {
    tellStart(url, tls, before, bench, context);
    await bench.markAway(station);
    station.resume(before);
    const watching = bench.watch(station, options.look);
    if (options.look) lookAtAll(station);
    await Promise.all([watching, untilAborted(signal)]);
  } finally {
    clearInterval(again);
    await station.close();
    feed.close();
    await server.close();
    files.close();
    rmSync(note, { force: true });
  }
}

function lookAtAll(station: Station): void {
  const { tiles } = station.view();
  const there = tiles.filter(
    ({ state, running, queue }) => state !== "away" && !running && queue.length === 0,
  );
  station.submit({ kind: "look", boards: there.map(({ name }) => name) });
}

function tellStart(
  url: string,
  tls: Tls | undefined,
  { records, waiting, underWay }: ReturnType<typeof replay>,
  bench: Bench,
  { out }: Context,
): void {
  const boards = bench.boards.map(({ name }) => name);
  const words = [`The station is at ${url}`, ...(tls ? [`Its certificate: SHA-256 ${tls.fingerprint}`] : [])];
  out.line(
    { kind: "listening", url, boards, ...(tls && { fingerprint: tls.fingerprint }) },
    words.join("\n"),
  );
  out.note(`${records.length} jobs are in its history. Ctrl-C ends it.`);
  for (const { board, kind } of underWay)
    out.note(`${board}: ${kind} was in progress when the station stopped; it is resumed.`);
  if (waiting.length > 0) out.note(`${waiting.length} jobs were queued, and are queued again.`);
}

interface Tokens {
  readonly operator?: string | undefined;
  readonly viewer?: string | undefined;
}

/** Of files, or for the operator of the environment; never of the command line. */
function readTokens({ tokenFile, viewerTokenFile }: StationOptions): Tokens {
  const read = (file: string | undefined) =>
    file === undefined ? undefined : new TextDecoder().decode(readInput(file)).trim();
  const tokens = {
    operator: read(tokenFile) ?? (process.env[TOKEN_VARIABLE] || undefined),
    viewer: read(viewerTokenFile),
  };
  for (const token of Object.values(tokens))
    if (token !== undefined && (token.length < SHORTEST_TOKEN || /\s/.test(token)))
      throw new UsageError(
        `A token has at least ${SHORTEST_TOKEN} characters and no spaces.`,
        "For example: openssl rand -hex 16",
      );
  if (tokens.operator !== undefined && tokens.operator === tokens.viewer)
    throw new UsageError("The two tokens are the same.", "Viewers need another token.");
  return tokens;
}

/** Whoever reaches the station can replace the firmware of its boards. */
function mustBeSafe(options: StationOptions, { operator, viewer }: Tokens): void {
  const { listen: host, cert, tlsKey, readOnly } = options;
  if ((cert === undefined) !== (tlsKey === undefined))
    throw new UsageError("--cert FILE and --tls-key FILE belong together.");
  if (LOOPBACK.test(host)) return;
  if (operator === undefined && !(readOnly && viewer !== undefined))
    throw new UsageError(
      `Anybody who reaches ${host} could change the firmware of these boards.`,
      "Give --token-file with a token, or --listen 127.0.0.1.",
    );
}

/** Beyond this machine nothing travels in the clear. */
function tlsOf(
  { listen: host, hostName = [], cert, tlsKey }: StationOptions,
  folder: string,
): Tls | undefined {
  if (cert !== undefined && tlsKey !== undefined) {
    const text = (file: string) => new TextDecoder().decode(readInput(file));
    const given = { key: text(tlsKey), cert: text(cert) };
    try {
      return { ...given, fingerprint: fingerprintOf(given.cert) };
    } catch (cause) {
      throw new UsageError(`${cert} is not a certificate in PEM: ${(cause as Error).message}.`);
    }
  }
  if (LOOPBACK.test(host)) return undefined;
  return ownCertificate(folder, [...new Set([host, ...hostName, "localhost"])]);
}

function whoRuns(folder: string): string {
  try {
    const { pid, url } = JSON.parse(readFileSync(join(folder, "station.json"), "utf8"));
    return `: process ${Number(pid)}, at ${String(url)}`;
  } catch {
    // It is only just starting, or ending.
    return "";
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
