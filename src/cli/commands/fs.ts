import { closeSync, existsSync, rmSync, writeSync } from "node:fs";
import { posix } from "node:path";
import type { Command } from "commander";
import { toHex } from "../../bytes.js";
import { type FileProof, hashText, sha256Of } from "../../file-transfer/file-hash.js";
import { type DownloadEvent, type FileResult, getFile, putFile } from "../../file-transfer/files.js";
import { type Folder, listFolder } from "../../file-transfer/list-folder.js";
import { run } from "../../session/run.js";
import type { Session } from "../../session/session.js";
import { fsClose, fsHash, fsHashTypes, fsStatus } from "../../smp/groups/fs.js";
import { DeviceError } from "../../smp/message.js";
import { type BoardOptions, boardOptions } from "../board-options.js";
import { type Context, wholeNumber, withBoard } from "../context.js";
import { drawValue } from "../draw-value.js";
import { FileError, readInput, writeOutput } from "../files.js";
import { type Output, printable, table } from "../output.js";
import { openPrivate, readPrivate } from "../private-file.js";
import { UsageError } from "../usage-error.js";

interface TransferOptions extends BoardOptions {
  resume: boolean;
  check: boolean;
  force?: boolean;
}

interface PutOptions extends TransferOptions {
  replace?: boolean;
}

interface HashOptions extends BoardOptions {
  type?: string;
  offset?: number;
  length?: number;
}

/** A large file keeps the board busy for as long as it takes. */
const HASH_TIMEOUT_MS = 60_000;
/** Sizes are asked for one by one. */
const MOST_SIZES = 64;

export function define(command: Command): void {
  command.addHelpText(
    "after",
    "\nPaths on the board are absolute: /lfs1/config.json. SMP can neither list, rename nor delete files; ls asks the board's shell.",
  );

  // Git Bash takes what begins with a slash for a path of its own, and says in MSYSTEM that it is there.
  command.hook("preAction", (_, { processedArgs, registeredArguments }) => {
    if (process.env.MSYSTEM === undefined) return;
    for (const [index, value] of processedArgs.entries())
      if (registeredArguments[index]?.name() !== "file" && /^[A-Za-z]:[/\\]/.test(`${value}`))
        throw new UsageError(
          `${value} is what Git Bash made of a path on the board.`,
          "Write the path with two slashes in front, or set MSYS_NO_PATHCONV=1.",
        );
  });

  transfer(command.command("put <file> <name>").description("write a file to the board"))
    .option("--replace", "if both files do not fit, delete the old one first")
    .action((file: string, name: string, options: PutOptions) =>
      withBoard(options, (session, context) => put(session, file, name, options, context)),
    );

  transfer(command.command("get <name> [file]").description("read a file from the board; - is stdout"))
    .option("--force", "replace the file if it exists")
    .action((name: string, file: string | undefined, options: TransferOptions) =>
      withBoard(options, (session, context) =>
        get(session, name, file ?? posix.basename(name), options, context),
      ),
    );

  boardOptions(command.command("status <name>").description("show the size of a file")).action(
    (name: string, options: BoardOptions) =>
      withBoard(options, async ({ client }, { out, signal }) => {
        const { len } = await client.send(fsStatus, { name }, { signal });
        out.result({ name, bytes: len }, `${len}`);
      }),
  );

  boardOptions(command.command("hash <name>").description("let the board compute a hash of a file"))
    .option("--type <type>", "sha256 or crc32; default: the board's first. bootproof fs types lists them")
    .option("--offset <bytes>", "where to begin", wholeNumber("--offset"))
    .option("--length <bytes>", "how many bytes", wholeNumber("--length", { min: 1 }))
    .action((name: string, options: HashOptions) =>
      withBoard(options, async ({ client }, { out, signal }) => {
        const { type, offset: off, length: len } = options;
        const request = {
          name,
          ...(type === undefined ? {} : { type }),
          ...(off === undefined ? {} : { off }),
          ...(len === undefined ? {} : { len }),
        };
        const how = { signal, timeoutMs: options.timeout ?? HASH_TIMEOUT_MS, retries: 0 };
        const answer = await client.send(fsHash, request, how);
        const output = hashText(answer.output);
        const result = { name, type: answer.type, offset: answer.off ?? 0, length: answer.len, output };
        out.result(result, `${printable(output)}  ${printable(answer.type)} of ${answer.len} bytes`);
      }),
    );

  boardOptions(command.command("types").description("list the hashes that the board can compute")).action(
    (options: BoardOptions) =>
      withBoard(options, async ({ client }, { out, signal }) => {
        const { types } = await client.send(fsHashTypes, {}, { signal });
        const rows = Object.entries(types).map(([name, { size }]) => ({ name, bytes: size }));
        out.result({ types: rows }, drawValue(rows));
      }),
  );

  boardOptions(command.command("ls [folder]").description("list a folder, by asking the board's shell"))
    .option("-l, --long", "show sizes too")
    .action((folder: string | undefined, options: BoardOptions & { long?: boolean }) =>
      withBoard(options, (session, context) => ls(session, folder ?? "/", options, context)),
    );

  boardOptions(
    command.command("close").description("let the board close the file of the last transfer"),
  ).action((options: BoardOptions) =>
    withBoard(options, async ({ client }, { out, signal }) => {
      await client.send(fsClose, {}, { signal });
      out.result({ closed: true }, "No file is open on the board.");
    }),
  );
}

function transfer(command: Command): Command {
  return boardOptions(command)
    .option("--no-resume", "start over, even if a part is already there")
    .option("--no-check", "do not compare the two files at the end");
}

async function put(
  session: Session,
  file: string,
  name: string,
  options: PutOptions,
  { out, signal }: Context,
): Promise<void> {
  const bytes = readInput(file);
  const { resume, check, replace } = options;
  const work = putFile(session, name, bytes, { signal, resume, check, replace });
  const sent = await run(work, draw(out, "sending"));
  out.result(
    { file, name, ...sent, sha256: toHex(sha256Of(bytes)) },
    `${name}: ${bytes.length} bytes${drawMoved(sent)}.${drawProof(sent.proof)}`,
  );
}

async function get(
  session: Session,
  name: string,
  file: string,
  options: TransferOptions,
  { out, signal }: Context,
): Promise<void> {
  const toStdout = file === "-";
  if (!toStdout && !options.force && existsSync(file))
    throw new FileError("file-exists", file, `${file} is already there and was left as it is`, {
      hint: "choose another name, or add --force",
    });
  const part = toStdout ? undefined : new PartFile(file);
  const { resume, check } = options;
  const have = resume ? part?.read() : undefined;
  const show = draw(out, "fetching");
  const work = getFile(session, name, { signal, resume, check, have });
  const { data, ...got } = await run(work, (event) => {
    part?.follow(event);
    show(event);
  }).finally(() => part?.close());
  if (toStdout) {
    process.stdout.write(data);
    return;
  }
  writeOutput(file, data, { overwrite: options.force ?? false });
  part?.remove();
  out.result(
    { name, file, ...got, sha256: toHex(sha256Of(data)) },
    `${file}: ${data.length} bytes${drawMoved(got)}.${drawProof(got.proof)}`,
  );
}

/** Of what an earlier fetch left; no board's file is larger. */
const LARGEST_PART = 64 * 1024 * 1024;

/**
 * What arrived so far, beside the file it is to become: a fetch that was cut goes on behind it. The board's hash decides
 * whether it is still a beginning of the same file, so a wrong one does no harm.
 */
class PartFile {
  readonly #path: string;
  #file: number | undefined;

  constructor(file: string) {
    this.#path = `${file}.part`;
  }

  read(): Uint8Array | undefined {
    return readPrivate(this.#path, LARGEST_PART);
  }

  follow(event: DownloadEvent): void {
    const goesOn = event.step === "resumed";
    if (event.step !== "data" && !goesOn) return;
    try {
      // Whatever lies there and is no beginning of ours goes away; a link is never written through.
      if (this.#file === undefined && !goesOn) rmSync(this.#path, { force: true });
      this.#file ??= openPrivate(this.#path, { append: true });
      if (event.step === "data") writeSync(this.#file, event.data);
    } catch (cause) {
      if (cause instanceof FileError) throw cause;
      throw new FileError(
        "file-unreadable",
        this.#path,
        `cannot write ${this.#path}: ${(cause as Error).message}`,
        {
          cause,
        },
      );
    }
  }

  /** Ends the writing; what was fetched so far stays for the next time. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  remove(): void {
    this.close();
    rmSync(this.#path, { force: true });
  }
}

async function ls(
  session: Session,
  path: string,
  options: { long?: boolean },
  { out, signal }: Context,
): Promise<void> {
  const folder = await listFolder(session, path, { signal });
  if (folder.cut) out.note("The board's shell truncated the list: there may be more.");
  if (!options.long) {
    out.result(folder, folder.entries.map(drawEntry).join("\n"));
    return;
  }
  const entries = await withSizes(session, folder, signal);
  const rows = entries.map((entry) => [drawEntry(entry), entry.bytes === undefined ? "" : `${entry.bytes}`]);
  out.result({ ...folder, entries }, table(["NAME", "BYTES"], rows));
}

type SizedEntry = Folder["entries"][number] & { bytes?: number };

async function withSizes(session: Session, folder: Folder, signal: AbortSignal): Promise<SizedEntry[]> {
  const entries: SizedEntry[] = [];
  for (const [index, entry] of folder.entries.entries()) {
    const name = posix.join(folder.path, entry.name);
    const sized = entry.kind === "file" && index < MOST_SIZES;
    const status = sized
      ? await session.client.send(fsStatus, { name }, { signal }).catch((error: unknown) => {
          // A file may go away while its folder is being listed.
          if (error instanceof DeviceError) return undefined;
          throw error;
        })
      : undefined;
    entries.push(status === undefined ? entry : { ...entry, bytes: status.len });
  }
  return entries;
}

const drawEntry = ({ name, kind }: Folder["entries"][number]) =>
  `${printable(name)}${kind === "folder" ? "/" : ""}`;

function draw(out: Output, label: string): (event: DownloadEvent) => void {
  return (event) => {
    switch (event.step) {
      case "moved":
        return out.progress(label, event.done, event.total);
      case "resumed":
        return out.note(
          `The first ${event.at} bytes are already there and identical; continuing after them.`,
        );
      case "restarted":
        return out.note(`The board cannot continue at byte ${event.at}; starting over.`);
      case "made-room":
        return out.note(MADE_ROOM[event.by]);
      case "link-lost":
        return out.note(`The link was lost at byte ${event.at}: ${event.why} Waiting for the board...`);
      case "checking":
        return out.note("Comparing the two files...");
      case "back":
        return out.note("The board is back.");
      case "away":
      case "data":
        return;
    }
  };
}

function drawMoved({ bytes, movedBytes, elapsedMs }: FileResult): string {
  if (movedBytes === 0 && bytes > 0) return ", identical already: nothing was sent";
  return `, ${Math.round((movedBytes * 1000) / Math.max(elapsedMs, 1))} bytes/s`;
}

const MADE_ROOM = {
  "own-part": "The board stored a part and has no room to continue it; starting over.",
  "other-file": "There is no room for both the old and the new file; the old one is deleted.",
} as const;

const PROOFS: Readonly<Record<FileProof, string>> = {
  sha256: " Compared by SHA-256: the same.",
  crc32: " Compared by CRC-32: the same.",
  "read-back": " Compared by reading it again: the same.",
  nothing: " The board can neither hash nor send it, so it was not compared.",
};

const drawProof = (proof: FileProof | undefined) => (proof === undefined ? "" : PROOFS[proof]);
