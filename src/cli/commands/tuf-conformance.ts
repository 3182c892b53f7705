import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { useOpenssl } from "../../crypto-node/openssl.js";
import { BootproofError } from "../../errors.js";
import { TufClient } from "../../tuf/client.js";
import { encodeName } from "../../tuf/file-names.js";
import { trustRoot } from "../../tuf/first-trust.js";
import { FileStore } from "../../tuf-store/file-store.js";
import { httpFetch } from "../../tuf-store/http-fetch.js";
import { verifyNatively } from "../../tuf-store/native-signatures.js";
import { readInput, writeOutput } from "../files.js";
import { printable } from "../output.js";
import { several } from "../several.js";
import { UsageError } from "../usage-error.js";

interface Options {
  metadataDir: string;
  metadataUrl?: string;
  targetName?: string[];
  targetDir?: string;
  targetBaseUrl?: string;
}

/** The client as the suite `tuf-conformance` drives it: its arguments, its folders. Not for people. */
export function define(command: Command): void {
  command
    .requiredOption("--metadata-dir <folder>", "where trusted metadata is kept")
    .option("--metadata-url <url>", "where the repository's metadata is")
    .option("--target-name <path>", "a target to download (repeatable)", several)
    .option("--target-dir <folder>", "where downloaded targets go")
    .option("--target-base-url <url>", "where the repository's targets are");
  command
    .command("init <root>")
    .description("trust a first root")
    .action((root: string) =>
      judged(() => trustRoot(readInput(root), storeOf(command.opts()), { verify: verifyNatively })),
    );
  command
    .command("refresh")
    .description("bring the metadata up to date")
    .action(() => judged(() => refreshed(command.opts())));
  command
    .command("download")
    .description("download targets")
    .action(() => judged(() => download(command.opts())));
}

/** The suite knows two exit statuses: 0 and 1. */
async function judged(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof BootproofError)) throw error;
    process.stderr.write(`${error.code}: ${printable(error.message)}\n`);
    process.exitCode = 1;
  }
}

const storeOf = ({ metadataDir }: Options) => new FileStore(metadataDir);

async function refreshed(options: Options): Promise<TufClient> {
  useOpenssl();
  const { metadataUrl, targetBaseUrl = metadataUrl } = options;
  if (metadataUrl === undefined || targetBaseUrl === undefined)
    throw new UsageError("Name the repository: --metadata-url URL.");
  const client = new TufClient({
    fetch: httpFetch({ metadataUrl, targetsUrl: targetBaseUrl }),
    store: storeOf(options),
    now: new Date(),
    verify: verifyNatively,
  });
  await client.refresh();
  return client;
}

async function download(options: Options): Promise<void> {
  const { targetName = [], targetDir } = options;
  if (targetDir === undefined) throw new UsageError("Name the folder for targets: --target-dir FOLDER.");
  const client = await refreshed(options);
  for (const name of targetName) {
    const found = await client.findTarget(name);
    const path = join(targetDir, encodeName(name));
    const cached = existsSync(path) ? readInput(path) : undefined;
    const bytes = await client.download(found, cached);
    if (bytes !== cached) writeOutput(path, bytes);
  }
}
