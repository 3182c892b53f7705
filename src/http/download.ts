import { createHash } from "node:crypto";
import type { IncomingMessage, RequestOptions } from "node:http";
import type { TLSSocket } from "node:tls";
import { concat } from "../bytes.js";

/** How the bytes came here. Kept apart from any verdict: a good transport vouches for nothing that it carries. */
export interface Transport {
  readonly url: string;
  /** Where redirects ended. */
  readonly finalUrl: string;
  readonly bytes: number;
  /** Times a cut download went on where it was. */
  readonly resumed: number;
  /** Bytes of it that an earlier run had kept; absent when it had none. */
  readonly reused?: number;
  /** SHA-256 of the server's certificate; absent without TLS. */
  readonly certificate?: string;
}

/**
 * Why a file was not fetched. `too-long`, `refused`, `untrusted`: the server breaks a rule. `status`: it answers that it has no
 * such file. `too-slow`, `unreachable`, `cut`: the network, or a server that is not well.
 */
export type DownloadFailure =
  | "too-long"
  | "refused"
  | "untrusted"
  | "status"
  | "too-slow"
  | "unreachable"
  | "cut";

/** What is kept of a file that did not come whole, for a later run. */
export interface PartialFile {
  /** What is there, as it was appended; undefined when there is nothing that can be believed. */
  read(): { readonly bytes: Uint8Array; readonly etag: string; readonly total: number } | undefined;
  /** Forgets what is there; what is appended from here on is of this version and length. */
  begin(version: { readonly etag: string; readonly total: number }): void;
  append(bytes: Uint8Array): void;
  forget(): void;
}

export interface DownloadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Certificates in PEM of which one must vouch for the server; without any, those that the system trusts. */
  readonly ca?: readonly string[] | undefined;
  /** Longest file, bytes. */
  readonly maxBytes: number;
  /** Bytes a second, measured over `patienceMs`; slower servers are given up. Default 256. */
  readonly minRate?: number | undefined;
  /** How long nothing, or too little, may arrive. Default 10000. */
  readonly patienceMs?: number | undefined;
  /** How long an answer may take to begin. Default: `patienceMs`. */
  readonly answerMs?: number | undefined;
  /** How often a cut download goes on where it was. Default 5. */
  readonly resumes?: number | undefined;
  /** Where what came is kept until all of it is there, so that a later run goes on. Nothing is kept without a strong ETag. */
  readonly partial?: PartialFile | undefined;
  /** Statuses that mean that there is no such file, which is no failure. */
  readonly absent?: readonly number[] | undefined;
  /** Several files come from this server: keep the connection open for the next one. */
  readonly keepsConnection?: boolean | undefined;
  /** Makes the error of whoever asks. @param cause - of Node, where there is one */
  readonly fail: (failure: DownloadFailure, message: string, cause?: unknown) => Error;
}

const REDIRECTS = 5;
const REDIRECT_STATUSES: readonly number[] = [301, 302, 303, 307, 308];

/**
 * Fetches a file by HTTP or HTTPS: the one way in which this program reads files of web servers. Bounded in length and in
 * time, goes on where a cut connection left it (RFC 9110, 14), and follows a few redirects, never from HTTPS to HTTP. What
 * the server says of lengths and ranges must be true.
 *
 * @returns undefined when the server answers with a status of `absent`
 * @throws what `fail` makes
 */
export async function download(
  url: string,
  options: DownloadOptions,
): Promise<{ bytes: Uint8Array; transport: Transport } | undefined> {
  const { resumes = 5, fail } = options;
  const file = new Download(url, options);
  try {
    for (let tries = 0; ; tries++) {
      options.signal?.throwIfAborted();
      const before = file.length;
      const stop = await file.goOn();
      if (stop === "whole" || stop === "absent") {
        options.partial?.forget();
        return stop === "whole" ? { bytes: file.bytes, transport: file.transport(tries) } : undefined;
      }
      const { failure, message, cause } = stop;
      // Who is slow on purpose would be slow again.
      if (failure === "too-slow" || tries >= resumes || (file.length === before && tries > 1))
        throw fail(
          failure,
          `${url} could not be fetched completely: ${message} after ${file.length} bytes.`,
          cause,
        );
    }
  } catch (error) {
    // Of a server that breaks a rule nothing is kept.
    if (file.isRefused) options.partial?.forget();
    throw error;
  }
}

/** Why a try ended before the file did. */
interface Stop {
  readonly failure: "too-slow" | "unreachable" | "cut";
  readonly message: string;
  readonly cause?: unknown;
}

/** A file that arrives in one or more pieces. */
class Download {
  readonly #options: DownloadOptions;
  readonly #url: string;
  readonly #max: number;
  #finalUrl: string;
  #parts: Uint8Array[] = [];
  #certificate: string | undefined;
  /** Of the whole file, once a server told. */
  #total: number | undefined;
  /** What tells this version of the file from another: a strong ETag. */
  #etag: string | undefined;
  #reused = 0;
  length = 0;
  /** The server broke a rule. */
  isRefused = false;

  constructor(url: string, options: DownloadOptions) {
    this.#url = url;
    this.#finalUrl = url;
    this.#options = options;
    this.#max = options.maxBytes;
    const kept = options.partial?.read();
    if (kept === undefined || kept.total > this.#max || kept.bytes.length >= kept.total) return;
    this.#parts = [kept.bytes];
    this.length = this.#reused = kept.bytes.length;
    this.#etag = kept.etag;
    this.#total = kept.total;
  }

  get bytes(): Uint8Array {
    return concat(...this.#parts);
  }

  transport(resumed: number): Transport {
    return {
      url: this.#url,
      finalUrl: this.#finalUrl,
      bytes: this.length,
      resumed,
      ...(this.#reused > 0 && { reused: this.#reused }),
      ...(this.#certificate !== undefined && { certificate: this.#certificate }),
    };
  }

  /** Asks for what is missing. */
  async goOn(): Promise<"whole" | "absent" | Stop> {
    // Without an ETag two pieces could be of two files.
    if (this.#etag === undefined) this.#restart();
    let url = this.#url;
    for (let redirects = 0; ; redirects++) {
      const answer = await this.#ask(url);
      if ("failure" in answer) return answer;
      const target = answer.headers.location;
      if (!REDIRECT_STATUSES.includes(answer.statusCode ?? 0) || target === undefined) {
        this.#finalUrl = url;
        return await this.#take(answer);
      }
      answer.destroy();
      if (redirects >= REDIRECTS) throw this.#refused(`${this.#url} redirects more than ${REDIRECTS} times.`);
      url = this.#redirected(url, target);
    }
  }

  #restart(): void {
    this.#parts = [];
    this.length = this.#reused = 0;
    this.#total = undefined;
  }

  async #ask(url: string): Promise<IncomingMessage | Stop> {
    const { ca, signal, patienceMs = 10_000, answerMs = patienceMs, keepsConnection, fail } = this.#options;
    const secure = url.toLowerCase().startsWith("https:");
    const options: RequestOptions & { ca?: string[] } = {
      method: "GET",
      headers: {
        // A compressed body would make lengths and ranges mean something else.
        "accept-encoding": "identity",
        ...(this.length > 0 && { range: `bytes=${this.length}-`, "if-range": this.#etag }),
      },
      ...(!keepsConnection && { agent: false as const }),
      ...(signal && { signal }),
      ...(secure && ca && ca.length > 0 && { ca: [...ca] }),
    };
    // Loaded when it is needed: TLS takes its time.
    const { request: send } = secure ? await import("node:https") : await import("node:http");
    return new Promise((resolve, reject) => {
      const request = send(url, options);
      const timer = setTimeout(
        () => request.destroy(new Error(`no answer for ${answerMs / 1000} seconds`)),
        answerMs,
      );
      request.once("response", (answer) => {
        clearTimeout(timer);
        const certificate = secure ? (answer.socket as TLSSocket).getPeerCertificate().raw : undefined;
        if (certificate) this.#certificate = createHash("sha256").update(certificate).digest("hex");
        resolve(answer);
      });
      request.once("error", (error: NodeJS.ErrnoException) => {
        clearTimeout(timer);
        if (signal?.aborted) reject(signal.reason);
        else if (isUntrusted(error))
          reject(
            fail("untrusted", `${url}: the server's certificate is not trusted (${error.message}).`, error),
          );
        else resolve({ failure: "unreachable", message: error.message || String(error.code), cause: error });
      });
      request.end();
    });
  }

  /** Takes the body in. */
  async #take(answer: IncomingMessage): Promise<"whole" | "absent" | Stop> {
    const { absent = [] } = this.#options;
    if (absent.includes(answer.statusCode ?? 0)) {
      // Read to its end, the connection can be used again.
      if (this.#options.keepsConnection) answer.resume();
      else answer.destroy();
      return "absent";
    }
    const problem = this.#place(answer);
    if (problem !== undefined) {
      answer.destroy();
      return { failure: "unreachable", message: problem };
    }
    const watch = new RateWatch(this.#options, () => this.length, answer);
    let broken: Error | undefined;
    try {
      for await (const chunk of answer as AsyncIterable<Uint8Array>) {
        this.length += chunk.length;
        broken =
          this.length > this.#max
            ? this.#tooLong()
            : this.length > (this.#total ?? this.#max)
              ? this.#refused(`${this.#url} sends more than the ${this.#total} bytes that it announced.`)
              : undefined;
        if (broken) throw broken;
        this.#parts.push(new Uint8Array(chunk));
        if (this.#isKept) this.#options.partial?.append(chunk);
      }
    } catch (error) {
      if (broken) throw broken;
      this.#options.signal?.throwIfAborted();
      if (watch.why !== undefined) return { failure: "too-slow", message: watch.why, cause: error };
      return { failure: "cut", message: (error as Error).message, cause: error };
    } finally {
      watch.stop();
      // A body that was read to its end leaves the connection for the next file.
      if (!this.#options.keepsConnection || !answer.complete) answer.destroy();
    }
    if (this.#total !== undefined && this.length < this.#total)
      return { failure: "cut", message: `the connection ended at ${this.length} of ${this.#total} bytes` };
    // Without a length, only a chunked body tells its end from a cut.
    if (this.#total === undefined && !answer.complete)
      return { failure: "cut", message: "the connection was cut" };
    return "whole";
  }

  /** Compares status and headers with what was asked for. Throws for lies; a text for what may be tried again. */
  #place(answer: IncomingMessage): string | undefined {
    const { statusCode = 0, headers } = answer;
    const { fail } = this.#options;
    if (statusCode === 206 && this.length > 0) {
      const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers["content-range"] ?? "");
      const [first, last, total] = (range ?? []).slice(1).map(Number);
      if (first !== this.length || last === undefined || total === undefined || last !== total - 1)
        throw this.#refused(
          `${this.#url} answers with another range than the requested one: ${headers["content-range"] ?? "none"}.`,
        );
      if ((this.#total ?? total) !== total || headers.etag !== this.#etag)
        throw this.#refused(`${this.#url} changed while it was being fetched.`);
      this.#total = total;
      return undefined;
    }
    if (statusCode >= 500 || statusCode === 429) return `the server answers ${statusCode}`;
    if (statusCode !== 200)
      throw fail(
        "status",
        `${this.#url}: the server answers ${statusCode} ${answer.statusMessage ?? ""}`.trim(),
      );
    // The server sends all of it again: a new version, or no ranges there.
    this.#restart();
    const length = headers["content-length"];
    this.#total = length === undefined ? undefined : Number(length);
    if (this.#total !== undefined && this.#total > this.#max) throw this.#tooLong();
    const { etag } = headers;
    this.#etag = etag !== undefined && !etag.startsWith("W/") ? etag : undefined;
    if (headers["content-encoding"] !== undefined && headers["content-encoding"] !== "identity")
      throw this.#refused(
        `${this.#url} answers with the encoding ${headers["content-encoding"]}, which was not requested.`,
      );
    if (this.#isKept) this.#options.partial?.begin({ etag: this.#etag!, total: this.#total! });
    else this.#options.partial?.forget();
    return undefined;
  }

  /** Can a later run tell whether what came is of the same file? */
  get #isKept(): boolean {
    return this.#etag !== undefined && this.#total !== undefined;
  }

  #redirected(from: string, location: string): string {
    let target: URL;
    try {
      target = new URL(location, from);
    } catch {
      // Node's message repeats what the server sent.
      throw this.#refused(`${from} redirects to an invalid address.`);
    }
    if (target.protocol !== "https:" && target.protocol !== "http:")
      throw this.#refused(`${from} redirects to ${target.protocol}, which is not followed.`);
    if (from.toLowerCase().startsWith("https:") && target.protocol === "http:")
      throw this.#refused(`${from} redirects from HTTPS to HTTP, which is not followed.`);
    return target.href;
  }

  #tooLong(): Error {
    this.isRefused = true;
    return this.#options.fail("too-long", tooLong(this.#url, this.#max));
  }

  #refused(message: string): Error {
    this.isRefused = true;
    return this.#options.fail("refused", message);
  }
}

/** Ends an answer that brings too little in its time. */
class RateWatch {
  readonly #timer: NodeJS.Timeout;
  why: string | undefined;

  constructor(
    { minRate = 256, patienceMs = 10_000 }: DownloadOptions,
    length: () => number,
    answer: IncomingMessage,
  ) {
    let before = length();
    this.#timer = setInterval(() => {
      const now = length();
      if (now - before < (minRate * patienceMs) / 1000) {
        this.why = `only ${now - before} bytes came in ${patienceMs / 1000} seconds`;
        answer.destroy(new Error(this.why));
      }
      before = now;
    }, patienceMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

const UNTRUSTED = /^(?:CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|ERR_TLS_|HOSTNAME_MISMATCH|INVALID_CA)/;

function isUntrusted({ code }: NodeJS.ErrnoException): boolean {
  return code !== undefined && UNTRUSTED.test(code);
}

function tooLong(url: string, max: number): string {
  return `${url} has more than the ${max} bytes that are allowed.`;
}
