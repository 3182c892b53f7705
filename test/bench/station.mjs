// `npm run bench:station`: the server of a station whose 64 boards are all under way, each telling its progress as often as an
// upload at 115200 baud does. Rows: processor time of the server in percent of one core, without a page, with one in
// Chromium and with ten; and how long the page takes to show something, against an empty page of the same server, by turns.
// The boards' own work is not in it: `npm run bench -- boards` measures that. Judges nothing.
import { spawn } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { build } from "rolldown";
import { at, common } from "../../.config/bundle-options.mjs";

const TILES = 64;
const SECONDS = Number(process.env.BENCH_SECONDS ?? 10);
const LOADS = Number(process.env.BENCH_RUNS ?? 9);

/** Beside the program: what a station needs of the package is found from there. */
const server = at("dist/bench/station-server.js");
mkdirSync(dirname(server), { recursive: true });
process.on("exit", () => rmSync(dirname(server), { recursive: true }));
await build({
  ...common,
  input: fileURLToPath(new URL("station-server.ts", import.meta.url)),
  output: { dir: dirname(server), format: "esm" },
});

const child = spawn(process.execPath, [server, String(TILES)], { stdio: ["pipe", "pipe", "inherit"] });
const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
const next = async () => JSON.parse((await lines.next()).value);
const ask = () => {
  child.stdin.write("\n");
  return next();
};
const { url } = await next();
const row = (values) => console.log(JSON.stringify(values));

/** Percent of one core that the server takes meanwhile. */
async function cost(pages) {
  const before = await ask();
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
  const after = await ask();
  const ms = after.atMs - before.atMs;
  row({
    tiles: TILES,
    pages,
    cpuPercent: Number((((after.cpuMs - before.cpuMs) * 100) / ms).toFixed(1)),
    toldPerSecond: Math.round(((after.told - before.told) * 1000) / ms),
  });
}

/** First contentful paint, milliseconds. */
async function paint(context, path) {
  const page = await context.newPage();
  await page.goto(`${url}${path}`);
  const ms = await page.evaluate(
    `new Promise((resolve) => new PerformanceObserver((list) => {
      const paint = list.getEntries().find(({ name }) => name === "first-contentful-paint");
      if (paint) resolve(paint.startTime);
    }).observe({ type: "paint", buffered: true }))`,
  );
  const tiles = await page.locator("article").count();
  await page.close();
  return { ms, tiles };
}

const middle = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

const browser = await chromium.launch({
  executablePath: process.env.BENCH_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
try {
  await cost(0);
  const context = await browser.newContext({ viewport: { width: 1600, height: 900 } });
  const page = await context.newPage();
  await page.goto(url);
  await page
    .locator("article")
    .nth(TILES - 1)
    .waitFor();
  await cost(1);
  for (let more = 0; more < 9; more++) {
    const { body } = await fetch(`${url}api/events`);
    void body.pipeTo(new WritableStream()).catch(() => undefined);
  }
  await cost(10);
  await page.close();

  const times = { page: [], empty: [] };
  // The first of each warms the browser up.
  for (let load = 0; load <= LOADS; load++)
    for (const [name, path] of [
      ["empty", "empty"],
      ["page", ""],
    ]) {
      const { ms } = await paint(context, path);
      if (load > 0) times[name].push(ms);
    }
  const [pageMs, emptyMs] = [middle(times.page), middle(times.empty)];
  row({
    firstPaint: "64 tiles",
    pageMs: Math.round(pageMs),
    emptyMs: Math.round(emptyMs),
    ratio: Number((pageMs / emptyMs).toFixed(2)),
    atMost: 3,
  });
} finally {
  await browser.close();
  child.stdin.end();
}
