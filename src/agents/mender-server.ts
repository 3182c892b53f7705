import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { BootproofError } from "../errors.js";
import { type FetchOptions, fetchFile } from "../sources/http.js";

export type MenderServerErrorCode =
  /** It cannot be reached, or answers with a fault of its own, however often it is asked. */
  | "server-unreachable"
  /** Nobody has accepted this device yet, or it was rejected. */
  | "device-not-accepted"
  /** Somebody ended the deployment. */
  | "deployment-aborted"
  /** It answers what the protocol does not allow. */
  | "server-bad-answer";

/** Something is wrong between this host and a Mender server. */
export class MenderServerError extends BootproofError {
  declare readonly code: MenderServerErrorCode;
}

/** What a device is to the server, and how it proves that. */
export interface MenderIdentity {
  /** Names and values that identify the device, as an operator accepts them. */
  readonly idData: Readonly<Record<string, string>>;
  /** Public key, SubjectPublicKeyInfo in PEM. */
  readonly publicKey: string;
  /** Signs the bytes of a request for a session with that key: RSA PKCS#1 v1.5 or ECDSA over SHA-256, or Ed25519. */
  sign(body: Uint8Array): Promise<Uint8Array> | Uint8Array;
  /** Names the tenant at a server that has several. */
  readonly tenantToken?: string | undefined;
}

export interface MenderServerOptions {
  readonly signal?: AbortSignal | undefined;
  /** Certificates in PEM of which one must vouch for the server; without any, those that the system trusts. */
  readonly ca?: readonly string[] | undefined;
  /** How often one request is tried before the server counts as unreachable. Default 5. */
  readonly tries?: number | undefined;
  /** Wait after the first failure in milliseconds; it doubles with each. Default 1000. */
  readonly backoffMs?: number | undefined;
  /** How long an answer may take in milliseconds. Default 30000. */
  readonly patienceMs?: number | undefined;
}

export interface MenderDeployment {
  readonly id: string;
  readonly artifactName: string;
  /** Where the artifact is; a link that may expire. */
  readonly uri: string;
}

export type MenderStatus = "downloading" | "installing" | "rebooting" | "success" | "failure";

const AUTH = "/api/devices/v1/authentication/auth_requests";
const DEPLOYMENTS = "/api/devices/v1/deployments/device/deployments";
const NEXT = "/api/devices/v2/deployments/device/deployments/next";
const INVENTORY = "/api/devices/v1/inventory/device/attributes";

/** Answers of the API are small. */
const MOST_BYTES = 1 << 20;

interface Answer {
  readonly status: number;
  readonly text: string;
}

/**
 * The device API of a Mender server: session, next deployment, status, log, inventory. A session that has ended is begun again;
 * a server that fails is asked again a bounded number of times.
 */
export class MenderServer {
  readonly #base: URL;
  readonly #identity: MenderIdentity;
  readonly #options: MenderServerOptions;
  #token: string | undefined;

  /** @param base - address of the server, `https://…`; plain HTTP is refused but for this machine */
  constructor(base: string, identity: MenderIdentity, options: MenderServerOptions = {}) {
    this.#base = readBase(base);
    this.#identity = identity;
    this.#options = options;
  }

  /**
   * What the server wants installed; undefined when nothing.
   *
   * @param provides - what is installed, `device_type` and `artifact_name` included
   */
  async next(provides: Readonly<Record<string, string>>): Promise<MenderDeployment | undefined> {
    let answer = await this.#call("POST", NEXT, { device_provides: provides }, [200, 204, 404]);
    if (answer.status === 404) {
      // Older servers know the question by its query alone.
      const { artifact_name = "", device_type = "" } = provides;
      const query = new URLSearchParams({ artifact_name, device_type });
      answer = await this.#call("GET", `${DEPLOYMENTS}/next?${query}`, undefined, [200, 204]);
    }
    return answer.status === 204 ? undefined : readDeployment(answer.text);
  }

  /** @throws MenderServerError `deployment-aborted` when somebody ended it */
  async status(id: string, status: MenderStatus): Promise<void> {
    const { status: code } = await this.#call(
      "PUT",
      `${DEPLOYMENTS}/${encodeURIComponent(id)}/status`,
      { status },
      [200, 204, 404, 409],
    );
    if (code === 409 || code === 404)
      throw new MenderServerError("deployment-aborted", `The server has ended deployment ${id}.`, {
        hint: "It was aborted; if the image is not confirmed yet, the board reverts.",
      });
  }

  /** Lines of a failed deployment. A server that has no room for them gets none. */
  async log(id: string, lines: readonly string[]): Promise<void> {
    const timestamp = new Date().toISOString();
    const messages = lines.map((message) => ({ timestamp, level: "info", message }));
    await this.#call(
      "PUT",
      `${DEPLOYMENTS}/${encodeURIComponent(id)}/log`,
      { messages },
      [200, 204, 404, 409, 413],
    );
  }

  async inventory(attributes: Readonly<Record<string, string>>): Promise<void> {
    const list = Object.entries(attributes).map(([name, value]) => ({ name, value }));
    await this.#call("PATCH", INVENTORY, list, [200]);
  }

  /** The artifact of a deployment. It may lie on another host, which gets no token of ours. */
  async artifact({ uri }: MenderDeployment, options: FetchOptions = {}): Promise<Uint8Array> {
    const { ca, signal } = this.#options;
    const { bytes } = await fetchFile(uri, { ...options, signal, ca });
    return bytes;
  }

  async #call(method: string, path: string, body: unknown, expected: readonly number[]): Promise<Answer> {
    for (let logins = 0; ; logins++) {
      this.#token ??= await this.#login();
      const answer = await this.#send(method, path, body, { authorization: `Bearer ${this.#token}` });
      if (answer.status === 401 && logins === 0) {
        this.#token = undefined;
        continue;
      }
      if (expected.includes(answer.status)) return answer;
      throw badAnswer(`${method} ${path.split("?")[0]} was answered with status ${answer.status}.`);
    }
  }

  async #login(): Promise<string> {
    const { idData, publicKey, tenantToken, sign } = this.#identity;
    const body = JSON.stringify({
      id_data: JSON.stringify(Object.fromEntries(Object.entries(idData).sort())),
      pubkey: publicKey,
      ...(tenantToken !== undefined && { tenant_token: tenantToken }),
    });
    const signature = await sign.call(this.#identity, new TextEncoder().encode(body));
    const answer = await this.#send("POST", AUTH, body, {
      "x-men-signature": Buffer.from(signature).toString("base64"),
    });
    if (answer.status === 401)
      throw new MenderServerError(
        "device-not-accepted",
        `${this.#base.host} has not accepted ${JSON.stringify(idData)} yet.`,
        { hint: "Accept the device in the server's list of devices; it is asked again." },
      );
    const token = answer.text.trim();
    if (answer.status !== 200 || !/^[\w.~+/=-]{1,8192}$/.test(token))
      throw badAnswer(`The request for a session was answered with status ${answer.status}.`);
    return token;
  }

  async #send(
    method: string,
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>>,
  ): Promise<Answer> {
    const { tries = 5, backoffMs = 1000, signal } = this.#options;
    const text = typeof body === "string" ? body : body === undefined ? undefined : JSON.stringify(body);
    let why = "";
    for (let count = 0; count < tries; count++) {
      if (count > 0) await pause(backoffMs * 2 ** (count - 1), signal);
      try {
        const answer = await this.#once(method, path, text, headers);
        if (answer.status < 500 && answer.status !== 429) return answer;
        why = `it answers ${answer.status}`;
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof MenderServerError) throw error;
        why = (error as Error).message;
      }
    }
    throw new MenderServerError(
      "server-unreachable",
      `${this.#base.host} was asked ${tries} times: ${why}.`,
      {
        hint: "Look at the address, the network, and --ca for a server with a certificate of its own.",
      },
    );
  }

  #once(
    method: string,
    path: string,
    body: string | undefined,
    headers: Readonly<Record<string, string>>,
  ): Promise<Answer> {
    const { ca, signal, patienceMs = 30_000 } = this.#options;
    const url = new URL(this.#base.pathname.replace(/\/$/, "") + path, this.#base);
    const isSecure = url.protocol === "https:";
    const options: RequestOptions & { ca?: string[] } = {
      method,
      agent: false,
      headers: {
        accept: "application/json",
        ...(body !== undefined && {
          "content-type": "application/json",
          "content-length": Buffer.byteLength(body),
        }),
        ...headers,
      },
      ...(signal && { signal }),
      ...(isSecure && ca && ca.length > 0 && { ca: [...ca] }),
    };
    return new Promise((resolve, reject) => {
      const request = (isSecure ? httpsRequest : httpRequest)(url, options);
      const timer = setTimeout(
        () => request.destroy(new Error(`no answer for ${patienceMs / 1000} seconds`)),
        patienceMs,
      );
      const end = (work: () => void) => {
        clearTimeout(timer);
        work();
      };
      request.once("error", (error) => end(() => reject(error)));
      request.once("response", (response) => {
        readText(response).then(
          (answer) => end(() => resolve({ status: response.statusCode ?? 0, text: answer })),
          (error) => end(() => reject(error)),
        );
      });
      request.end(body);
    });
  }
}

async function readText(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > MOST_BYTES) {
      response.destroy();
      throw badAnswer(`An answer has more than ${MOST_BYTES} bytes.`);
    }
    parts.push(part);
  }
  if (!response.complete) throw new Error("the connection was cut");
  return Buffer.concat(parts).toString("utf8");
}

function readBase(text: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw badAnswer(`"${text}" is not an address of a server.`, cause);
  }
  const isHere = ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname);
  if (url.protocol === "https:" || (url.protocol === "http:" && isHere)) return url;
  throw new MenderServerError("server-bad-answer", `${text}: a session's token is not sent without TLS.`, {
    hint: "Give the server's https:// address.",
  });
}

function readDeployment(text: string): MenderDeployment {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw badAnswer("The next deployment is not JSON.", cause);
  }
  const { id, artifact } = (value ?? {}) as Record<string, unknown>;
  const { artifact_name: artifactName, source } = (artifact ?? {}) as Record<string, unknown>;
  const { uri } = (source ?? {}) as Record<string, unknown>;
  if (!isWord(id) || !isWord(artifactName) || typeof uri !== "string" || !/^https?:\/\//i.test(uri))
    throw badAnswer("The next deployment lacks its id, the artifact's name or its address.");
  return { id, artifactName, uri };
}

/** Names go into files and lines: short, and without control characters. */
function isWord(value: unknown): value is string {
  return typeof value === "string" && /^[\x20-\x7e]{1,256}$/.test(value);
}

function badAnswer(message: string, cause?: unknown): MenderServerError {
  return new MenderServerError("server-bad-answer", message, {
    ...(cause === undefined ? {} : { cause }),
    hint: "Is it the address of a Mender server's device API?",
  });
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stopped);
    };
    const stopped = () => {
      done();
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      done();
      resolve();
    }, ms);
    signal?.addEventListener("abort", stopped, { once: true });
  });
}
