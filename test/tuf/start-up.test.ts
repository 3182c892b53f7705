import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, expect, it } from "vitest";
import { ensureBuilt, program } from "../support/cli-build.js";
import { tempFolder } from "../support/cli-run.js";

const lister = fileURLToPath(new URL("../support/list-modules.mjs", import.meta.url));

beforeAll(ensureBuilt);

/** The addresses and the code of all that a command line loads, wherever the build has put it. */
function loadedBy(...words: string[]): { urls: string[]; code: string } {
  const folder = tempFolder();
  const list = join(folder, "modules");
  const env = { PATH: process.env.PATH, HOME: folder, MODULES_TO: list };
  spawnSync(process.execPath, ["--import", lister, program, ...words], { env });
  const urls = readFileSync(list, "utf8").trim().split("\n");
  const files = urls.filter((url) => url.startsWith("file:")).map((url) => fileURLToPath(url));
  return { urls, code: files.map((file) => (existsSync(file) ? readFileSync(file, "utf8") : "")).join("\n") };
}

/** Words of the client's, the repository tools', Uptane's and the bundles' own messages. */
const TUF_CODE =
  /No root is trusted for this repository yet|does not delegate to|The Director directs ECU|A partial bundle/;

it.each([["verify"], ["flash"], ["sign"], ["info"]])("bootproof %s loads nothing of TUF", (verb) => {
  const { urls, code } = loadedBy(verb, "--help");
  expect(urls.length).toBeGreaterThan(7);
  expect(code).toContain("commander");
  expect(code).not.toMatch(TUF_CODE);
});

it("a refresh loads neither curves in JavaScript nor native modules", () => {
  const { urls, code } = loadedBy("tuf", "refresh", "https://updates.invalid");
  expect(code).toMatch(TUF_CODE);
  expect(urls.filter((url) => /@noble\/curves|serialport/.test(url))).toEqual([]);
});
