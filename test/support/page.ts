import { spawnSync } from "node:child_process";
import { type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { onTestFinished } from "vitest";
import { STILL_MS } from "./limits.js";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];
const found = NAMES.map((name) => spawnSync("which", [name], { encoding: "utf8" }).stdout.trim()).find(
  (path) => path !== "",
);

/** Why no browser can be had here; undefined when there is one. */
export const noPageReason: string | undefined =
  found === undefined ? `none of ${NAMES.join(", ")} is installed (apt-get install chromium)` : undefined;

/** It speaks to this machine only, and asks nobody for updates. */
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A browser, which ends with the test; each call opens a window of its own, which waits as long for the page as tests wait. */
export async function openBrowser(): Promise<(options?: BrowserContextOptions) => Promise<BrowserContext>> {
  const browser = await chromium.launch({
    executablePath: found!,
    headless: true,
    args: FLAGS,
    timeout: STILL_MS,
  });
  onTestFinished(() => browser.close());
  return async (options) => {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(STILL_MS);
    return context;
  };
}

/** What a page complained about: refused content, errors of its script, requests to other hosts. */
export function complaintsOf(page: Page, url: string): string[] {
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) complaints.push(`asked ${request.url()}`);
  });
  return complaints;
}
