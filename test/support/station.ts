import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import {
  bootproof,
  keyFile,
  type Running,
  json as runJson,
  signWords,
  start,
  tempFolder,
} from "./cli-run.js";
import { type DeskBoard, startDeskBoard } from "./desk-board.js";
import { untilSeen } from "./limits.js";
import { whyMissing } from "./on-path.js";
import { noSmpclientReason, type ReadByOthers, readBySmpclient } from "./smpclient.js";
import { image as signed } from "./workflow-board.js";
import { type Fault, isUpload } from "./workflow-wire.js";

/** A station under way, as a program sees it. */
export interface RunningStation {
  readonly url: string;
  readonly run: Running;
  /** Asks the API; a body is sent as JSON by POST. */
  ask(
    path: string,
    options?: AskOptions,
  ): Promise<{ status: number; value: never; headers: Headers; text: string }>;
  /** Ends it as Ctrl-C does. */
  end(): Promise<void>;
  /** Ends it as a power failure does. */
  kill(): Promise<void>;
}

export interface AskOptions {
  readonly method?: string;
  readonly body?: unknown;
  readonly bytes?: Uint8Array;
  readonly headers?: Record<string, string>;
}

/** Starts `bootproof station` on a free port of this machine. */
export async function startStation(
  words: readonly string[],
  options: { env?: Record<string, string>; cwd?: string } = {},
): Promise<RunningStation> {
  const run = start(["station", "--no-plugged", "--port", "0", "--json", ...words], options);
  const [, url] = await run.waitFor(/"url":"([^"]+)"/);
  return {
    url: url!,
    run,
    ask: (path, how) => ask(`${url}${path}`, how),
    end: async () => {
      run.child.kill("SIGINT");
      await run.ended;
    },
    kill: async () => {
      run.child.kill("SIGKILL");
      await run.ended;
    },
  };
}

async function ask(url: string, { method, body, bytes, headers = {} }: AskOptions = {}) {
  const isSending = body !== undefined || bytes !== undefined;
  const answer = await fetch(url, {
    method: method ?? (isSending ? "POST" : "GET"),
    headers: { "x-bootproof-station": "1", ...headers },
    ...(isSending && { body: bytes === undefined ? JSON.stringify(body) : Buffer.from(bytes) }),
  });
  const text = await answer.text();
  const isJson = answer.headers.get("content-type")?.includes("json");
  return {
    status: answer.status,
    headers: answer.headers,
    text,
    value: (isJson ? JSON.parse(text) : undefined) as never,
  };
}

export interface TileShown {
  name: string;
  state: string;
  message?: string;
  facts?: { version: string; confirmed: boolean; hash: string; readAt: string };
  running?: { job: { id: string; kind: string }; step: string };
  queue: { id: string }[];
  last?: { id: string; verdict: string; outcome: string; message: string };
}

/** The tiles, once something is so; the events of the page are not needed for it. */
export function tilesOnce(
  station: RunningStation,
  isSo: (tiles: Record<string, TileShown>) => boolean,
): Promise<Record<string, TileShown>> {
  return untilSeen("what the tiles should show", async (seen) => {
    const { value } = await station.ask("api/state");
    const { tiles } = value as { tiles: TileShown[] };
    const byName = Object.fromEntries(tiles.map((tile) => [tile.name, tile]));
    if (isSo(byName)) return byName;
    seen(tiles);
    if (station.run.child.exitCode !== null) throw new Error(`the station ended: ${station.run.stderr}`);
    return undefined;
  });
}

/** Nothing runs and nothing waits. */
export const isQuiet = (tiles: Record<string, TileShown>): boolean =>
  Object.values(tiles).every(({ running, queue }) => running === undefined && queue.length === 0);

/** Signed updates and their public key, made by the program itself. */
export async function benchFiles(): Promise<{
  folder: string;
  update: string;
  publicKey: string;
  state: string;
}> {
  const folder = tempFolder();
  const update = join(folder, "update.bin");
  const publicKey = join(folder, "public.pem");
  await bootproof(signWords("good-b", update));
  await bootproof(["keys", "public", keyFile("ed25519-1"), publicKey]);
  return { folder, update, publicKey, state: join(folder, "state") };
}

/** What a board runs, asked by another process. */
export async function runsNow(
  address: string,
): Promise<{ version: string; confirmed: boolean; hash: string }> {
  const { value } = await runJson(["image", "list", "-d", address]);
  const [image] = value.images as {
    slots: { content: { version: string; confirmed: boolean; hash: string } }[];
  }[];
  const { version, confirmed, hash } = image!.slots[0]!.content;
  return { version, confirmed, hash };
}

/** A board in this process behind a pseudo-terminal, which others can open too: smpclient, a terminal. */
export interface PtyBoard {
  readonly path: string;
  readonly board: DeskBoard["board"];
  /** The cable is pulled: the device file goes. */
  unplug(): Promise<void>;
  /** It is plugged in again. */
  plugIn(how: { link?: string }): Promise<PtyBoard>;
  /** What smpclient reads of the running image. */
  readByOthers(): Promise<ReadByOthers>;
}

/** Why no such board can be made and judged here; undefined when one can. */
export const noPtyBoardReason: string | undefined = whyMissing("socat") ?? noSmpclientReason;

/** `link`: a name for the device file that stays the same when it is plugged in again. */
export async function startPtyBoard(
  variant: string,
  image: Uint8Array,
  { link, cable }: { link?: string; cable?: Fault } = {},
): Promise<PtyBoard> {
  const desk = await startDeskBoard(variant, image, cable ? { cable } : {});
  onTestFinished(() => desk.stop());
  return plugIn(desk, link);
}

/** A board whose uploads wait in their midst, however fast this machine is, until they are let go on. */
export async function heldBoard() {
  let isHeld = true;
  let sent = 0;
  const board = await startPtyBoard("good", await signed("good-a"), {
    cable: (message) => {
      if (message.direction !== "to-board" || !isUpload(message)) return "pass";
      return isHeld && ++sent > 3 ? "drop" : "pass";
    },
  });
  return {
    /** `facts`: what else a board file says of it. */
    row: (name: string, facts = "") =>
      `  - { name: ${name}, kind: attached, address: "serial:${board.path}"${facts && `, ${facts}`} }`,
    letGo: () => {
      isHeld = false;
    },
    readByOthers: () => board.readByOthers(),
  };
}

async function plugIn(desk: DeskBoard, link: string | undefined): Promise<PtyBoard> {
  const pty = `PTY,rawer${link === undefined ? "" : `,link=${link}`}`;
  const socat = spawn("socat", ["-d", "-d", pty, `TCP:127.0.0.1:${desk.port}`], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const gone = new Promise<void>((resolve) => socat.once("exit", () => resolve()));
  const unplug = async () => {
    // As udev does. A name that stayed would lead to whatever takes the number of this pseudo-terminal next: another board.
    if (link !== undefined) rmSync(link, { force: true });
    socat.kill("SIGKILL");
    await gone;
  };
  onTestFinished(unplug);
  const path = await new Promise<string>((resolve, reject) => {
    let log = "";
    socat.stderr.on("data", (chunk: Buffer) => {
      log += chunk.toString();
      const found = /PTY is (\/dev\/\S+)/.exec(log)?.[1];
      if (found && log.includes("starting data transfer loop")) resolve(found);
    });
    socat.once("exit", () => reject(new Error(`socat ended: ${log}`)));
  });
  return {
    path,
    board: desk.board,
    unplug,
    plugIn: (how) => plugIn(desk, how.link),
    readByOthers: () => readBySmpclient(path),
  };
}
