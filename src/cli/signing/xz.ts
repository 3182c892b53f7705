import { environmentWithoutSecrets } from "../../child-environment.js";
import { BootproofError } from "../../errors.js";
import { LZMA_SETTINGS } from "../../mcuboot/compression.js";

/** Bodies cannot be compressed here. */
export class CompressorError extends BootproofError {
  declare readonly code: "compressor-missing" | "compressor-failed";
}

/**
 * Packs bytes into raw LZMA2 with the program xz, whose library is also imgtool's: the same bytes come out. Throws
 * {@link CompressorError}.
 */
export async function xzLzma2(bytes: Uint8Array, settings = LZMA_SETTINGS): Promise<Uint8Array> {
  const { spawn } = await import("node:child_process");
  const { preset, dictionary, lc, lp, pb, search } = settings;
  const more = search === undefined ? "" : `,${search}`;
  const filter = `--lzma2=preset=${preset},dict=${dictionary},lc=${lc},lp=${lp},pb=${pb}${more}`;
  return new Promise((resolve, reject) => {
    const child = spawn("xz", ["--format=raw", filter, "--stdout", "--quiet"], {
      env: environmentWithoutSecrets(),
      stdio: ["pipe", "pipe", "inherit"],
    });
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    // A program that ends early says why with its status.
    child.stdin.on("error", () => {});
    child.on("error", (cause) => reject(missing(cause)));
    child.on("close", (status) => {
      if (status === 0) resolve(new Uint8Array(Buffer.concat(chunks)));
      else reject(new CompressorError("compressor-failed", `xz ended with status ${status}.`));
    });
    child.stdin.end(bytes);
  });
}

function missing(cause: Error): CompressorError {
  return new CompressorError("compressor-missing", `Compressing needs the program xz: ${cause.message}`, {
    cause,
    hint: `${xzSource(process.platform)}, or omit compression.`,
  });
}

/** Where xz comes from, for this machine. */
export function xzSource(platform: NodeJS.Platform): string {
  switch (platform) {
    case "win32":
      return "Install it (https://tukaani.org/xz) in a folder of the PATH";
    case "darwin":
      return "Install it (brew install xz)";
    default:
      return "Install it (Debian: xz-utils)";
  }
}
