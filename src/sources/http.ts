import { type DownloadFailure, download, type PartialFile, type Transport } from "../http/download.js";
import { SourceError } from "./source.js";

export type { PartialFile } from "../http/download.js";

export interface FetchOptions {
  readonly signal?: AbortSignal | undefined;
  /** Certificates in PEM of which one must vouch for the server; without any, those that the system trusts. */
  readonly ca?: readonly string[] | undefined;
  /** Longest file, bytes; default 64 MiB. */
  readonly maxBytes?: number | undefined;
  /** Bytes a second, measured over `patienceMs`; slower servers are given up. Default 256. */
  readonly minRate?: number | undefined;
  /** How long nothing, or too little, may arrive. Default 10000. */
  readonly patienceMs?: number | undefined;
  /** How often a cut download goes on where it was. Default 5. */
  readonly resumes?: number | undefined;
  /** Where what came is kept until all of it is there, so that a later run goes on. */
  readonly partial?: PartialFile | undefined;
}

/**
 * Is this the address of a file to fetch?
 *
 * @param where - as somebody typed it
 * @returns true for `http:` and `https:`
 */
export function isUrl(where: string): boolean {
  return /^https?:\/\//i.test(where);
}

const REFUSED: readonly DownloadFailure[] = ["too-long", "refused", "untrusted"];

const HINTS: Readonly<Partial<Record<DownloadFailure, string>>> = {
  untrusted: "Name the CA certificate of the server with --ca FILE.",
  "too-long": "Allow a longer file with --fetch-max-bytes COUNT.",
  status: "Open the address in a browser.",
  "too-slow": "Try again later; --fetch-timeout S and --fetch-min-rate COUNT allow a slower server.",
  unreachable: "Try again later, or download the file by other means and name it.",
  cut: "Try again later, or download the file by other means and name it.",
};

/**
 * Fetches an update by HTTP or HTTPS, bounded in length and in time.
 *
 * @param url - `http:` or `https:`
 * @param options - `maxBytes`, default 64 MiB; limits in milliseconds; `signal`
 * @returns the file, and how it travelled
 * @throws SourceError `not-fetched`, `fetch-refused`
 */
export async function fetchFile(
  url: string,
  options: FetchOptions = {},
): Promise<{ bytes: Uint8Array; transport: Transport }> {
  const fetched = await download(url, {
    maxBytes: 64 * 1024 * 1024,
    ...defined(options),
    fail: (failure, message, cause) =>
      new SourceError(REFUSED.includes(failure) ? "fetch-refused" : "not-fetched", message, {
        cause,
        ...(HINTS[failure] !== undefined && { hint: HINTS[failure] }),
      }),
  });
  // No status counts as absent here.
  return fetched!;
}

/** Without the fields that are undefined, so that they do not hide a default. */
function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
