import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { STILL_MS } from "./limits.js";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];
const found = NAMES.find((name) => spawnSync(name, ["--version"]).status === 0);

/** Why no browser can be had here; undefined when there is one. */
export const noBrowserReason =
  found === undefined ? `none of ${NAMES.join(", ")} is installed (apt-get install chromium)` : undefined;

/**
 * Runs a script in a page of a real browser. The script calls `tell(text)` with what came of it. Throws when the browser
 * ends, or says nothing for too long.
 */
export async function inBrowser(script: string): Promise<string> {
  const profile = mkdtempSync(join(tmpdir(), "bootproof-browser-"));
  let answer = { resolve: (_text: string) => {}, reject: (_why: Error) => {} };
  const told = new Promise<string>((resolve, reject) => {
    answer = { resolve, reject };
  });
  const page = `<!doctype html><meta charset="utf-8"><script>
    const tell = (text) => fetch("/told", { method: "POST", body: text });
    onerror = (message) => void tell("error: " + message);
    onunhandledrejection = ({ reason }) => void tell("error: " + (reason?.stack ?? reason));
  </script><script src="/script.js"></script>`;
  const server = createServer((request, response) => {
    if (request.url === "/told") {
      let text = "";
      request.setEncoding("utf8").on("data", (part: string) => {
        text += part;
      });
      request.on("end", () => answer.resolve(text));
      response.end();
    } else if (request.url === "/script.js")
      response.setHeader("content-type", "text/javascript").end(script);
    else response.setHeader("content-type", "text/html").end(page);
  });
  // On the machine's own name a page is a secure context, in which alone there is WebCrypto.
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://localhost:${(server.address() as AddressInfo).port}/`;
  const words = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    `--user-data-dir=${profile}`,
  ];
  const browser = spawn(found!, [...words, url], { stdio: "ignore" });
  const ended = new Promise<void>((resolve) => browser.once("exit", () => resolve()));
  const timer = setTimeout(() => answer.reject(new Error("the page said nothing")), STILL_MS);
  void ended.then(() => answer.reject(new Error("the browser ended before the page said anything")));
  try {
    return await told;
  } finally {
    clearTimeout(timer);
    browser.kill();
    await ended;
    server.closeAllConnections();
    server.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
  }
}
