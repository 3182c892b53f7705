import { createReadStream, createWriteStream, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { StagedUpdate } from "../../agents/staged-update.js";
import { FileError, readInput, writeOutput } from "../files.js";

/** The folder that Mender hands to update modules and interfaces: `stream-next`, `streams/`, `files/`, `tmp/`. */

/** Flash slots are smaller than this; an artifact holds little more. */
const MOST_BYTES = 64 << 20;

/** What Mender itself allows in payload file names. */
const STREAM_NAME = /^(?:streams\/)?([A-Za-z0-9_.,-]+)$/;

export class UpdateModuleFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Where the payload is kept between two calls. */
  get payload(): string {
    return join(this.#folder, "tmp", "bootproof-payload");
  }

  get #state(): string {
    return join(this.#folder, "tmp", "bootproof.json");
  }

  /**
   * Takes the one payload out of the streams and keeps it in `tmp`. Each line of `stream-next` names a pipe, perhaps with
   * its size; an empty read ends the list and must not be repeated.
   *
   * @throws FileError when there is none, more than one, or one beyond 64 MiB
   */
  async download(signal: AbortSignal): Promise<void> {
    const list = join(this.#folder, "stream-next");
    if (!existsSync(list)) throw this.#error(`There is no ${list}: this is not the folder of an update.`);
    try {
      await this.#download(list, signal);
    } catch (error) {
      // A stream that is listed and not there, a full disk.
      if (signal.aborted || (error as NodeJS.ErrnoException).syscall === undefined) throw error;
      throw this.#error(`The update cannot be read: ${(error as Error).message}.`);
    }
  }

  async #download(list: string, signal: AbortSignal): Promise<void> {
    mkdirSync(join(this.#folder, "tmp"), { recursive: true, mode: 0o700 });
    let count = 0;
    for (;;) {
      const line = (await readFile(list, { encoding: "utf8", signal })).trim();
      if (line === "") break;
      const name = STREAM_NAME.exec(line.split(/\s/)[0] ?? "")?.[1];
      if (name === undefined || /^\.+$/.test(name))
        throw this.#error(`stream-next names "${line.slice(0, 80)}", which is not a stream of this update.`);
      if (++count > 1) throw this.#error("The update has more than one payload; a board takes one image.");
      await this.#keep(join(this.#folder, "streams", name), signal);
    }
    if (count === 0) throw this.#error("The update has no payload.");
  }

  async #keep(from: string, signal: AbortSignal): Promise<void> {
    let bytes = 0;
    const limit = new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        bytes += chunk.length;
        if (bytes > MOST_BYTES) done(this.#error(`The payload is larger than ${MOST_BYTES} bytes.`));
        else done(null, chunk);
      },
    });
    const to = createWriteStream(this.payload, { mode: 0o600 });
    await pipeline(createReadStream(from), limit, to, { signal });
  }

  /** The payload's file: what was kept, or the one file that Mender stored itself because no stream was read. */
  payloadFile(): string {
    if (existsSync(this.payload)) return this.payload;
    const folder = join(this.#folder, "files");
    const [only, ...more] = existsSync(folder) ? readdirSync(folder) : [];
    if (only === undefined || more.length > 0)
      throw this.#error(only ? "The update has more than one payload." : "The update has no payload.");
    return join(folder, only);
  }

  remember(staged: StagedUpdate): void {
    mkdirSync(join(this.#folder, "tmp"), { recursive: true, mode: 0o700 });
    writeOutput(this.#state, JSON.stringify(staged), { mode: 0o600 });
  }

  /** What an earlier call staged; undefined when there was none. Throws FileError for a file that is not ours. */
  staged(): StagedUpdate | undefined {
    if (!existsSync(this.#state)) return undefined;
    try {
      return read(JSON.parse(new TextDecoder().decode(readInput(this.#state))));
    } catch (cause) {
      if (cause instanceof FileError) throw cause;
      throw this.#error(`${this.#state} was not written by an earlier step.`);
    }
  }

  forget(): void {
    for (const file of [this.payload, this.#state]) rmSync(file, { force: true });
  }

  #error(message: string): FileError {
    return new FileError("file-unreadable", this.#folder, message, {
      hint: "Mender calls this program itself. To call it yourself, give the folder that Mender gives its update modules.",
    });
  }
}

function read(value: unknown): StagedUpdate {
  const { hash, version, imageNumber, before } = value as Record<string, unknown>;
  const isHash = (text: unknown): text is string =>
    typeof text === "string" && /^(?:[0-9a-f]{2}){32,64}$/.test(text);
  if (!isHash(hash) || typeof version !== "string" || !Number.isInteger(imageNumber))
    throw new TypeError("not a staged update");
  if (before !== undefined && !isHash(before)) throw new TypeError("not a staged update");
  return { hash, version, imageNumber: imageNumber as number, ...(before === undefined ? {} : { before }) };
}
