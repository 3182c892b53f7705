import { beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { helpHere } from "../support/cli-here.js";
import { bootproof } from "../support/cli-run.js";

beforeAll(ensureBuilt);

/** Names of the commands that a help page lists. */
function listed(help: string): string[] {
  const block = (help.split("\nCommands:\n")[1] ?? "").split("\n\n")[0]!;
  return [...block.matchAll(/^ {2}([a-z][\w-]*)/gm)]
    .map((found) => found[1]!)
    .filter((name) => name !== "help");
}

/** The page as the sources print it; the built program prints the same (see below). */
async function helpOf(words: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await helpHere(words);
  expect({ status, stderr }, words.join(" ")).toEqual({ status: 0, stderr: "" });
  expect(stdout).toMatch(new RegExp(`^Usage: bootproof ${words.join(" ")}`));
  return stdout;
}

describe("--help", () => {
  it("of every command and of every command's commands explains it and all its options", async () => {
    const commands = listed(await helpOf([]));
    expect(commands).toEqual(
      expect.arrayContaining("devices info flash image reset sign verify inspect keys board demo".split(" ")),
    );
    for (const name of commands) {
      const page = await helpOf([name]);
      const inner = listed(page);
      const pages = inner.length > 0 ? [] : [page];
      for (const verb of inner) pages.push(await helpOf([name, verb]));
      for (const text of pages) {
        // Every option of a page has its words beside it.
        const bare = [...text.matchAll(/^ {2}(-[^\n]*\S)$/gm)].filter(
          ([, line]) => !/ {2,}\S| .*\n {10}/.test(line!),
        );
        for (const [, line] of bare)
          expect(text, `${name}: ${line}`).toMatch(new RegExp(`${escaped(line!)}\\n {8}`));
        expect(text).not.toMatch(/undefined|\[object/);
      }
    }
  });

  it.each([[], ["flash"], ["keys", "public"], ["imgtool"]])(
    "of the built program is the sources' (%s)",
    async (...words) => {
      const { status, stdout, stderr } = await bootproof([...words, "--help"]);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      if (words[0] !== "imgtool") expect(stdout).toBe(await helpOf(words));
    },
  );

  it("names the address forms", async () => {
    expect(await helpOf(["info"])).toMatch(/serial:PATH.*tcp:HOST:PORT.*wasm:VARIANT/s);
  });
});

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

it("--version is the package's", async () => {
  const { status, stdout } = await bootproof(["--version"]);
  expect(status).toBe(0);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});
