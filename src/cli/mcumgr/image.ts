import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { toHex } from "../../bytes.js";
import type { Answer } from "./answer.js";
import type { McumgrCommand, Run } from "./command.js";
import { coreCommands } from "./core.js";
import { McumgrFailure, usageFailure } from "./failure.js";
import { goHex, goSystemError } from "./go-text.js";
import { Progress } from "./progress.js";
import type { Request, Session } from "./session.js";
import { done, simple } from "./simple.js";

const GROUP = 1;
const STATE = { group: GROUP, id: 0 } as const;

/** Data bytes of an upload request, at most. */
const LARGEST_CHUNK = 512;
/** An upload outlives a lost answer, whatever `--tries` says; mcumgr would go on without end. */
const UPLOAD_TRIES = 5;
/** With fewer data bytes than these the first request goes without the hash of the file. */
const SMALLEST_FIRST_CHUNK = 32;

const SPLIT_STATUS: Readonly<Record<string, string>> = { "0": "N/A", "1": "non-matching", "2": "matching" };
const FLAGS = ["active", "confirmed", "pending", "permanent"] as const;

/** The lines of an image list, or of a refusal. */
function listOf(answer: Answer): string {
  if (answer.rc !== 0) return `Error: ${answer.rc}\n`;
  const images = answer.maps("images").map((image) => {
    const hash = image.bytes("hash");
    return [
      ` image=${image.int("image")} slot=${image.int("slot")}`,
      `    version: ${image.text("version")}`,
      `    bootable: ${image.flag("bootable")}`,
      `    flags: ${FLAGS.filter((name) => image.flag(name)).join(" ")}`,
      `    hash: ${hash.length === 0 ? "Unavailable" : toHex(hash)}`,
    ];
  });
  const split = answer.int("splitStatus");
  const status = `Split status: ${SPLIT_STATUS[String(split)] ?? "Unknown!"} (${split})`;
  return `${["Images:", ...images.flat(), status].join("\n")}\n`;
}

async function list({ io, session }: Run): Promise<void> {
  const link = await session();
  io.out(await link.ask({ op: "read", ...STATE, fields: {} }, listOf));
}

async function setState(
  { io, session, guard }: Run,
  hash: Uint8Array | null,
  confirm: boolean,
): Promise<void> {
  const settlement = await (await guard())?.mark({ ...(hash && { hash }), confirm });
  const link = await session();
  const read = (answer: Answer) => ({ rc: answer.rc, list: listOf(answer) });
  const { rc, list } = await link.ask({ op: "write", ...STATE, fields: { hash, confirm } }, read);
  await (rc === 0 ? settlement?.confirmed() : settlement?.notConfirmed());
  io.out(list);
}

function hashOf(text: string): Uint8Array {
  const hash = goHex(text);
  if (typeof hash === "string") throw usageFailure(hash);
  return hash;
}

async function test(run: Run): Promise<void> {
  const [text] = run.args;
  if (text === undefined) throw usageFailure();
  await setState(run, hashOf(text), false);
}

async function confirm(run: Run): Promise<void> {
  const [text] = run.args;
  await setState(run, text === undefined ? null : hashOf(text), true);
}

interface Upload {
  readonly image: number;
  readonly data: Uint8Array;
  readonly isUpgrade: boolean;
}

async function upload({ args, flags, io, session, guard }: Run): Promise<void> {
  const [file] = args;
  if (file === undefined) throw usageFailure("Need to specify image to upload");
  const data = readInput(file);
  const number = Number(flags.get("image") ?? 0);
  await (await guard())?.upload(data, number & 0xff);
  const link = await session();
  if (number < 0) throw usageFailure("Invalid image number");
  // Erasing first is what `--noerase` switches off, and it is on unless set to false; a refusal does not matter.
  if (flags.get("noerase") === false)
    await link.ask({ op: "write", group: GROUP, id: 5, fields: {} }, ({ rc }) => rc);
  const isUpgrade = flags.get("upgrade") === true;
  const progress = new Progress(data.length, io);
  // No bytes, no request: mcumgr's own code for it, 1, is that of an unknown error.
  const refused =
    data.length === 0 ? 1 : await send(link, { image: number & 0xff, data, isUpgrade }, progress);
  io.out(refused === undefined ? "Done\n" : `Error: ${refused}\n`);
}

/** Sends the file, wherever the device asks to go on; resolves to the result code it ended with, if it did. */
async function send(link: Session, job: Upload, progress: Progress): Promise<number | bigint | undefined> {
  for (let offset = 0; offset < job.data.length; ) {
    const request = nextChunk(link, job, offset);
    const read = (answer: Answer) => ({ rc: answer.rc, off: answer.int("off") });
    const answer = await link.ask(request, read, UPLOAD_TRIES);
    if (answer.rc !== 0) return answer.rc;
    const next = Number(answer.off);
    if (next > job.data.length)
      throw new McumgrFailure(`the device asks for byte ${next} of an image of ${job.data.length} bytes`);
    offset = next;
    progress.at(offset);
  }
  progress.finish(job.data.length);
  return undefined;
}

/** The request for the bytes from `offset`, as many as fit. Throws {@link McumgrFailure} when none do. */
function nextChunk(link: Session, job: Upload, offset: number): Request {
  const sha = offset === 0 ? createHash("sha256").update(job.data).digest() : undefined;
  const first = chunkRequest(link, job, offset, sha && new Uint8Array(sha));
  if (sha === undefined) return first.request;
  return first.size < SMALLEST_FIRST_CHUNK
    ? chunkRequest(link, job, offset, undefined).request
    : first.request;
}

function chunkRequest(
  link: Session,
  job: Upload,
  offset: number,
  sha: Uint8Array | undefined,
): { request: Request; size: number } {
  let size = Math.min(LARGEST_CHUNK, job.data.length - offset);
  for (;;) {
    const request = requestFor(job, offset, size, sha);
    const excess = link.measure(request) - link.mtu;
    if (excess <= 0) return { request, size };
    size -= excess;
    if (size <= 0)
      throw new McumgrFailure(
        `Cannot create image upload request; MTU too low to fit any image data; max-payload-size=${link.mtu} chunklen ${size}`,
      );
  }
}

function requestFor(
  { image, data, isUpgrade }: Upload,
  off: number,
  size: number,
  sha?: Uint8Array,
): Request {
  const fields = {
    image,
    off,
    len: off === 0 ? data.length : undefined,
    sha,
    upgrade: off === 0 && isUpgrade ? true : undefined,
    data: data.subarray(off, off + size),
  };
  return { op: "write", group: GROUP, id: 1, fields };
}

/** The bytes of a file that the user named. */
export function readInput(file: string): Uint8Array {
  try {
    if (statSync(file).isDirectory()) throw usageFailure(`read ${file}: is a directory`);
    return new Uint8Array(readFileSync(file));
  } catch (cause) {
    if (cause instanceof McumgrFailure) throw cause;
    throw usageFailure(goSystemError("open", file, cause));
  }
}

export const image: McumgrCommand = {
  name: "image",
  about: "Manage images on a device",
  commands: [
    { name: "list", about: "Show images on a device", run: list },
    { name: "test", about: "Test an image on next reboot", operands: "<hex-image-hash>", run: test },
    {
      name: "confirm",
      about:
        "If a hash is specified, permanently switch to the corresponding image.  If no hash is specified, the current image setup is made permanent.",
      operands: "[hex-image-hash]",
      run: confirm,
    },
    {
      name: "upload",
      about: "Upload image to a device",
      operands: "<image-file>",
      flags: [
        { name: "noerase", letter: "e", kind: "bool", summary: "send no erase request first (default true)" },
        { name: "image", letter: "n", kind: "int", summary: "number of the image, not of the slot" },
        { name: "upgrade", letter: "u", kind: "bool", summary: "only a newer version is taken" },
        {
          name: "maxwinsize",
          letter: "w",
          kind: "int",
          summary: "accepted but not used: one request at a time",
        },
      ],
      run: upload,
    },
    {
      name: "erase",
      about: "Erase unused image on a device",
      run: simple({ op: "write", group: GROUP, id: 5, fields: {} }, done),
    },
    ...coreCommands,
  ],
};
