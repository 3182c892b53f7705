import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { hostname, networkInterfaces } from "node:os";
import type { Context as HonoContext, MiddlewareHandler } from "hono";
import { getCookie, setCookie } from "hono/cookie";

/** `viewer`: sees everything and changes nothing. */
export type Role = "operator" | "viewer";

/** What routes know of a request. */
export interface Env {
  Variables: { role: Role };
}

export interface AccessOptions {
  readonly isTls: boolean;
  readonly listen: string;
  /** Further names by which browsers reach it. */
  readonly hostNames: readonly string[];
  /** Absent: whoever reaches it is let in; only on this machine's own address. */
  readonly operatorToken?: string | undefined;
  readonly viewerToken?: string | undefined;
  readonly isReadOnly: boolean;
}

const COOKIE = "bootproof-station";
/** Every request that changes something carries it. A page of another origin cannot add it without being asked about. */
export const CHANGE_HEADER = "x-bootproof-station";
/** Sessions kept; the oldest make room. */
const MOST_SESSIONS = 1000;
/** A wrong token is answered after this time, milliseconds. */
const WRONG_TOKEN_MS = 500;

export const LOOPBACK = /^(127(\.\d+){3}|::1|localhost)$/;

/** Who may do what, from which address. */
export class Access {
  readonly #options: AccessOptions;
  readonly #sessions = new Map<string, Role>();
  #hosts: ReadonlySet<string> = new Set();

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /** The port is known once the server listens. */
  set port(port: number) {
    const { listen, hostNames, isTls } = this.#options;
    const own = LOOPBACK.test(listen) ? ["127.0.0.1", "localhost", "::1"] : [];
    const any = listen === "0.0.0.0" || listen === "::" ? everyOwnName() : [];
    const names = [...new Set([listen, ...hostNames, ...own, ...any])];
    const standard = isTls ? 443 : 80;
    this.#hosts = new Set(
      names.flatMap((name) => {
        const host = (name.includes(":") ? `[${name}]` : name).toLowerCase();
        return port === standard ? [host, `${host}:${port}`] : [`${host}:${port}`];
      }),
    );
  }

  /** Refuses what another site makes a browser send: rebound names, foreign origins, changes without our own header. */
  readonly sameSite: MiddlewareHandler<Env> = async (c, next) => {
    const host = c.req.header("host")?.toLowerCase();
    if (host === undefined || !this.#hosts.has(host))
      return c.json(
        { error: "This station does not have that host name.", hint: "Allow it with --host-name." },
        421,
      );
    const origin = c.req.header("origin");
    const own = `${this.#options.isTls ? "https" : "http"}://${host}`;
    if (origin !== undefined && origin.toLowerCase() !== own)
      return c.json({ error: "This request comes from another site." }, 403);
    const site = c.req.header("sec-fetch-site");
    const isPageOpened = c.req.header("sec-fetch-mode") === "navigate" && c.req.method === "GET";
    if (site !== undefined && site !== "same-origin" && site !== "none" && !isPageOpened)
      return c.json({ error: "This request comes from another site." }, 403);
    if (!["GET", "HEAD"].includes(c.req.method) && c.req.header(CHANGE_HEADER) === undefined)
      return c.json({ error: `A request that changes something needs the header ${CHANGE_HEADER}: 1.` }, 403);
    return next();
  };

  /** Lets in who has a token or a session. */
  readonly signedIn: MiddlewareHandler<Env> = async (c, next) => {
    const role = this.#roleOf(c);
    if (role === undefined) return c.json({ error: "Sign in with the station's token." }, 401);
    c.set("role", role);
    return next();
  };

  readonly mayChange: MiddlewareHandler<Env> = async (c, next) =>
    c.get("role") === "operator" ? next() : c.json({ error: "This session is read-only." }, 403);

  /** Gives a session for a token. */
  async signIn(c: HonoContext<Env>, token: string): Promise<Role | undefined> {
    const role = this.#roleOfToken(token);
    if (role === undefined) {
      await new Promise((resolve) => setTimeout(resolve, WRONG_TOKEN_MS));
      return undefined;
    }
    const id = randomBytes(32).toString("hex");
    this.#sessions.set(id, role);
    for (const old of [...this.#sessions.keys()].slice(0, -MOST_SESSIONS)) this.#sessions.delete(old);
    const { isTls } = this.#options;
    setCookie(c, COOKIE, id, { httpOnly: true, sameSite: "Strict", secure: isTls, path: "/" });
    return role;
  }

  #roleOf(c: HonoContext<Env>): Role | undefined {
    const { operatorToken, viewerToken, isReadOnly } = this.#options;
    const limited = (role: Role | undefined) => (isReadOnly && role ? "viewer" : role);
    if (operatorToken === undefined && viewerToken === undefined) return limited("operator");
    const bearer = /^Bearer (\S{1,512})$/.exec(c.req.header("authorization") ?? "")?.[1];
    if (bearer !== undefined) return limited(this.#roleOfToken(bearer));
    return limited(this.#sessions.get(getCookie(c, COOKIE) ?? ""));
  }

  #roleOfToken(token: string): Role | undefined {
    const { operatorToken, viewerToken } = this.#options;
    if (operatorToken !== undefined && isSame(token, operatorToken)) return "operator";
    return viewerToken !== undefined && isSame(token, viewerToken) ? "viewer" : undefined;
  }
}

/** Takes as long whatever is different. */
function isSame(a: string, b: string): boolean {
  const hash = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(a), hash(b));
}

function everyOwnName(): string[] {
  const addresses = Object.values(networkInterfaces()).flatMap((list = []) =>
    list.map(({ address }) => address),
  );
  return [hostname(), "localhost", ...addresses];
}
