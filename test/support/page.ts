import { spawnSync } from "node:child_process";
import { type Browser, chromium, type Page } from "playwright-core";
import { onTestFinished } from "vitest";

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

export async function openBrowser(): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: found!, headless: true, args: FLAGS });
  onTestFinished(() => browser.close());
  return browser;
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
