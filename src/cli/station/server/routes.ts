import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import { secureHeaders } from "hono/secure-headers";
import { streamSSE } from "hono/streaming";
import { BootproofError } from "../../../errors.js";
import { packageFile } from "../../../package-files.js";
import {
  isWithUpdate,
  JOB_KINDS,
  type JobKind,
  type JobVerdict,
  type UpdateName,
} from "../../../station/job.js";
import { findRecords, type HistoryFilter, rigStatistics, toCsv } from "../../../station/job-history.js";
import type { Station } from "../../../station/station.js";
import { nextStepFor } from "../../exit.js";
import type { StationFiles } from "../station-files.js";
import { LARGEST_UPDATE, type Updates } from "../updates.js";
import type { Access, Env } from "./access.js";
import { Feed } from "./feed.js";

export interface Served {
  readonly station: Station;
  readonly files: StationFiles;
  readonly updates: Updates;
  readonly access: Access;
  /** What the page calls the bench. */
  readonly title: string;
  readonly version: string;
}

const LARGEST_REQUEST = 64 * 1024;
const MOST_BOARDS = 1000;
const MOST_ROWS = 500;
const LONGEST_LABEL = 120;

const pageHeaders = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    scriptSrc: ["'self'"],
    styleSrc: ["'self'"],
    connectSrc: ["'self'"],
    imgSrc: ["'self'"],
    formAction: ["'none'"],
    baseUri: ["'none'"],
    frameAncestors: ["'none'"],
  },
  xFrameOptions: "DENY",
  referrerPolicy: "no-referrer",
  crossOriginResourcePolicy: "same-origin",
  // It would pin a certificate that somebody made for himself, also for other ports of this machine.
  strictTransportSecurity: false,
});

/** A proof's page has its style in it, and nothing else: no script, no frame, no way out. */
const evidenceHeaders = secureHeaders({
  contentSecurityPolicy: {
    defaultSrc: ["'none'"],
    styleSrc: ["'unsafe-inline'"],
    frameAncestors: ["'none'"],
    sandbox: [],
  },
  xFrameOptions: "DENY",
  referrerPolicy: "no-referrer",
  strictTransportSecurity: false,
});

/** What cannot be asked so. */
class BadRequest extends Error {}

/** The pages and the API of a station. */
export function stationApp(served: Served): { app: Hono<Env>; feed: Feed } {
  const { station, updates, access, title, version } = served;
  const view = () => ({ title, version, ...station.view(), updates: updates.list() });
  const feed = new Feed(station, view);
  const app = new Hono<Env>();
  app.use(access.sameSite);
  app.use((c, next) =>
    c.req.path.startsWith("/evidence/") ? evidenceHeaders(c, next) : pageHeaders(c, next),
  );
  app.use(async (c, next) => {
    await next();
    c.header("Cache-Control", "no-store");
  });
  page(app);
  app.post("/api/session", bodyLimit({ maxSize: LARGEST_REQUEST }), async (c) => {
    const { token } = await jsonOf(c.req);
    const role = typeof token === "string" ? await access.signIn(c, token) : undefined;
    return role === undefined
      ? c.json({ error: "That is not the token of this station." }, 401)
      : c.json({ role });
  });
  app.use("/api/*", access.signedIn);
  app.use("/evidence/*", access.signedIn);
  app.get("/api/state", (c) => c.json({ role: c.get("role"), ...view() }));
  app.get("/api/events", (c) =>
    feed.isFull
      ? c.json({ error: "Too many pages are open." }, 503)
      : streamSSE(c, (stream) => feed.serve(stream)),
  );
  jobs(app, served, feed);
  history(app, served);
  app.onError((error, c) => {
    // The framework's own: a body that is too large.
    if (error instanceof HTTPException) return c.json({ error: error.message || "Refused." }, error.status);
    if (error instanceof BadRequest) return c.json({ error: error.message }, 400);
    if (error instanceof BootproofError)
      return c.json({ error: error.message, code: error.code, hint: nextStepFor(error) }, 422);
    return c.json({ error: `A fault in bootproof: ${error.message}` }, 500);
  });
  app.notFound((c) => c.json({ error: "There is no such page." }, 404));
  return { app, feed };
}

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

/** Where a package of ours is installed, which may be above this one. */
function packageEntry(name: string): URL {
  return pathToFileURL(createRequire(packageFile("package.json")).resolve(name));
}

/** Files of the page, and the two packages it is built on, as they are installed. */
function page(app: Hono<Env>): void {
  const files: Readonly<Record<string, () => URL>> = {
    "/": () => packageFile("dist/station-page/index.html"),
    "/page.js": () => packageFile("dist/station-page/page.js"),
    "/style.css": () => packageFile("dist/station-page/style.css"),
    "/icon.svg": () => packageFile("dist/station-page/icon.svg"),
    "/lib/preact.js": () => packageEntry("preact"),
    "/lib/htm.js": () => new URL("./htm.module.js", packageEntry("htm")),
  };
  for (const [path, find] of Object.entries(files)) {
    const ending = path === "/" ? "html" : path.split(".").at(-1)!;
    app.get(path, (c) => c.body(readFileSync(find(), "utf8"), 200, { "Content-Type": TYPES[ending]! }));
  }
}

function jobs(app: Hono<Env>, { station, updates, access }: Served, feed: Feed): void {
  const small = bodyLimit({ maxSize: LARGEST_REQUEST });
  app.post("/api/jobs", access.mayChange, small, async (c) => {
    const { kind, boards, update: sha256, agreed, label } = await jsonOf(c.req);
    const isKind = JOB_KINDS.includes(kind as JobKind);
    if (!isKind) throw new BadRequest(`A job is one of ${JOB_KINDS.join(", ")}.`);
    if (!Array.isArray(boards) || boards.length === 0 || boards.length > MOST_BOARDS)
      throw new BadRequest("Name the boards: a list.");
    const unknown = boards.find((board) => typeof board !== "string" || station.tile(board) === undefined);
    if (unknown !== undefined) throw new BadRequest(`There is no board "${String(unknown).slice(0, 80)}".`);
    if (kind === "together" && new Set(boards).size < 2)
      throw new BadRequest("Boards that are flashed together are two or more.");
    const isSending = isWithUpdate(kind as JobKind);
    const update: UpdateName | undefined =
      isSending && typeof sha256 === "string" ? updates.find(sha256)?.update : undefined;
    if (isSending && update === undefined)
      throw new BadRequest("Name the update by its sha256, as the list shows it.");
    if (label !== undefined && (typeof label !== "string" || label.length > LONGEST_LABEL))
      throw new BadRequest(`A label is a text of ${LONGEST_LABEL} characters at most.`);
    const submitted = station.submit({
      kind: kind as JobKind,
      boards: [...new Set(boards as string[])],
      update,
      agreed: agreed === true,
      label: label?.trim(),
    });
    return c.json({ jobs: submitted }, 201);
  });
  app.delete("/api/jobs/:id", access.mayChange, (c) =>
    station.stop(c.req.param("id"))
      ? c.json({ stopped: true })
      : c.json({ error: "There is no such job in a queue, and none running." }, 404),
  );
  app.post("/api/updates", access.mayChange, bodyLimit({ maxSize: LARGEST_UPDATE }), async (c) => {
    const content = new Uint8Array(await c.req.arrayBuffer());
    if (content.length === 0) throw new BadRequest("The file is empty.");
    const update = await updates.add(c.req.query("name") ?? "update.bin", content);
    feed.changed(undefined);
    return c.json({ update }, 201);
  });
  app.get("/api/boards/:name/console", (c) => {
    const lines = station.consoleOf(c.req.param("name"));
    return lines ? c.json({ lines }) : c.json({ error: "There is no such board." }, 404);
  });
}

function history(app: Hono<Env>, { station, files }: Served): void {
  const found = (query: Record<string, string>) => findRecords(station.records, filterOf(query));
  app.get("/api/history", (c) => {
    const records = found(c.req.query());
    const { limit = "100", offset = "0" } = c.req.query();
    const first = wholeNumber(offset);
    return c.json({
      total: records.length,
      records: records.slice(first, first + Math.min(MOST_ROWS, wholeNumber(limit))),
      statistics: rigStatistics(records),
    });
  });
  const attachment = (name: string) => ({ "Content-Disposition": `attachment; filename="${name}"` });
  app.get("/api/history.csv", (c) =>
    c.body(toCsv(found(c.req.query())), 200, {
      "Content-Type": "text/csv; charset=utf-8",
      ...attachment("bootproof-history.csv"),
    }),
  );
  app.get("/api/history.json", (c) =>
    c.json(found(c.req.query()), 200, attachment("bootproof-history.json")),
  );
  app.get("/api/records/:id", (c) => {
    const id = c.req.param("id");
    const record = station.records.find((one) => one.id === id);
    if (!record) return c.json({ error: "There is no such record." }, 404);
    const kept = files.evidence(`${id}.json`);
    const { lines = [] } = kept === undefined ? {} : (JSON.parse(kept) as { lines?: unknown[] });
    return c.json({ record, lines, hasProof: files.evidence(`${id}-proof.html`) !== undefined });
  });
  app.get("/evidence/:name", (c) => {
    const name = c.req.param("name");
    const content = files.evidence(name);
    if (content === undefined) return c.json({ error: "There is no such evidence." }, 404);
    const isPage = name.endsWith(".html");
    c.header("Content-Type", isPage ? "text/html; charset=utf-8" : "application/json");
    return c.body(content);
  });
}

/** ISO 8601 as records have it: they are compared as text. */
const TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?Z?)?$/;

const VERDICTS: readonly JobVerdict[] = ["pass", "fail", "stopped", "unfinished"];

function filterOf({ board, kind, verdict, from, to, text }: Record<string, string>): HistoryFilter {
  const given = (value: string | undefined) => (value === "" ? undefined : value);
  const shown = (value: string | undefined) => JSON.stringify(value?.slice(0, LONGEST_LABEL));
  if (given(kind) !== undefined && !JOB_KINDS.includes(kind as JobKind))
    throw new BadRequest(`There is no kind of job ${shown(kind)}. There are: ${JOB_KINDS.join(", ")}.`);
  if (given(verdict) !== undefined && !VERDICTS.includes(verdict as JobVerdict))
    throw new BadRequest(`There is no verdict ${shown(verdict)}. There are: ${VERDICTS.join(", ")}.`);
  for (const [name, time] of Object.entries({ from, to }))
    if (given(time) !== undefined && !(TIME.test(time!) && !Number.isNaN(Date.parse(time!))))
      throw new BadRequest(
        `"${name}" is ${shown(time)}, which is no time. Write a day as 2026-01-31, or a time in UTC as 2026-01-31T13:45:00Z.`,
      );
  return {
    board: given(board),
    kind: given(kind) as JobKind | undefined,
    verdict: given(verdict) as JobVerdict | undefined,
    from: given(from),
    // A day without a time means all of that day.
    to: given(to) && /^\d{4}-\d\d-\d\d$/.test(to!) ? `${to}T23:59:59.999Z` : given(to),
    text: given(text),
  };
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new BadRequest("limit and offset are whole numbers.");
  return Number(text);
}

async function jsonOf(request: { json(): Promise<unknown> }): Promise<Record<string, unknown>> {
  let value: unknown;
  try {
    value = await request.json();
  } catch {
    throw new BadRequest("The body is not JSON.");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new BadRequest("The body is not a JSON object.");
  return value as Record<string, unknown>;
}
