import { type DownloadFailure, download } from "../http/download.js";
import type { RepositoryFetch } from "../tuf/client.js";
import { TufError } from "../tuf/error.js";
import { pathBelow } from "./path-below.js";
import { RepositoryFetchError, type RepositoryFetchErrorCode } from "./repository-fetch-error.js";
import { tooLong } from "./too-long.js";

export interface HttpFetchOptions {
  /** Base of the metadata files, `https:` or `http:`. */
  readonly metadataUrl: string;
  readonly targetsUrl: string;
  readonly signal?: AbortSignal | undefined;
  /** How long an answer may take to begin, milliseconds. Default 30000. */
  readonly answerMs?: number;
  /** Bytes a second, measured over `patienceMs`; slower servers are given up. Default 1000. */
  readonly minRate?: number;
  /** Default 10000. */
  readonly patienceMs?: number;
}

/**
 * Reads a repository from a web server. What it says is not believed, so `http:` is as good as `https:` against
 * forgery; `https:` also hides what is fetched.
 *
 * @param options - `metadataUrl` and `targetsUrl`; `signal`; limits in milliseconds
 * @returns nothing is fetched yet
 * @throws RepositoryFetchError `bad-url`
 */
export function httpFetch(options: HttpFetchOptions): RepositoryFetch {
  const base = { metadata: baseUrl(options.metadataUrl), targets: baseUrl(options.targetsUrl) };
  return {
    // The name is encoded already.
    metadata: (name, maxLength) => get(new URL(`./${name}`, base.metadata), name, maxLength, options),
    target: async (path, maxLength) => {
      const name = pathBelow(path).map(encodeURIComponent).join("/");
      return get(new URL(`./${name}`, base.targets), path, maxLength, options);
    },
  };
}

function baseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "https:" && url?.protocol !== "http:")
    throw new RepositoryFetchError("bad-url", `"${text}" is not an https: or http: address.`);
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

/** By which statuses a server says that there is no such file. Stores of objects say 403. */
const ABSENT: readonly number[] = [404, 403];

async function get(
  url: URL,
  subject: string,
  maxBytes: number,
  { signal, answerMs = 30_000, minRate = 1000, patienceMs = 10_000 }: HttpFetchOptions,
): Promise<Uint8Array | undefined> {
  const fetched = await download(url.href, {
    signal,
    maxBytes,
    answerMs,
    minRate,
    patienceMs,
    absent: ABSENT,
    keepsConnection: true,
    fail: (failure, message, cause) => errorFor(failure, { message, subject, maxBytes, cause }),
  });
  return fetched?.bytes;
}

const CODES: Readonly<Partial<Record<DownloadFailure, RepositoryFetchErrorCode>>> = {
  status: "http-status",
  refused: "http-status",
};

function errorFor(
  failure: DownloadFailure,
  {
    message,
    subject,
    maxBytes,
    cause,
  }: { message: string; subject: string; maxBytes: number; cause: unknown },
): Error {
  if (failure === "too-long") return tooLong(subject, maxBytes);
  if (failure === "too-slow")
    return new TufError("slow-retrieval", subject, message, {
      cause,
      step: "1.5.2",
      hint: "Try another copy of the repository, or another network.",
    });
  return new RepositoryFetchError(CODES[failure] ?? "unreachable", message, { cause });
}
