import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt, program, root } from "../support/cli-build.js";

/** Every command and option that there is, by completion's own list. */
const known = new Map<string, string[]>();
beforeAll(async () => {
  await ensureBuilt();
  const { stdout } = spawnSync(process.execPath, [program, "completion", "bash"], { encoding: "utf8" });
  for (const [, words, flags] of stdout.matchAll(/^ {4}"([^"]*)"\) verbs="[^"]*"; flags="([^"]*)" ;;$/gm))
    known.set(words!.trim(), flags!.split(" "));
});

const sources = ["src", "hil"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name)),
);

/** The strings of a source: what may reach a user. Comments are left out. */
function stringsIn(file: string): string[] {
  const text = readFileSync(join(root, file), "utf8")
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/^\s*\/\/.*$/gm, "");
  return [...text.matchAll(/"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g)].map(([string]) => string);
}

/** Options of other programs, which hints and commands name as well. */
const OTHERS =
  /npm |npx |pkcs11-tool|apt-get|openssl|udevadm|labgrid|imgtool|mcumgr|west |git |commander|openocd|pyocd|probe-rs|nrfjprog|stm32|dd |cargo|--user-notes/i;

/** What follows the program's name in a sentence about it. */
const SENTENCES = new Set([
  "needs",
  "itself",
  "again",
  "never",
  "does",
  "takes",
  "is",
  "proof",
  "in",
  "cannot",
]);

describe("hints", () => {
  it("name only options that exist", () => {
    const options = new Set([...known.values()].flat());
    const strange = sources
      .filter(
        (file) =>
          !/cli\/(imgtool|mcumgr)\/|power\/|recovery\/debug|emulator\/|commands\/bridge|report\/style|profiles\/boards|conformance/.test(
            file,
          ),
      )
      .flatMap((file) =>
        stringsIn(file)
          .filter((string) => /\s/.test(string) && !OTHERS.test(string))
          .flatMap((string) => string.match(/(?<![\w-])--[a-z][a-z0-9-]+/g) ?? [])
          .filter((option) => !options.has(option) && option !== "--help" && option !== "--version")
          .map((option) => `${file}: ${option}`),
      );
    expect(strange).toEqual([]);
  });

  it("name only commands that exist", () => {
    const verbs = new Set([...known.keys()].flatMap((words) => [words, words.split(" ")[0]!]));
    const strange = sources.flatMap((file) =>
      stringsIn(file)
        .flatMap((string) => [...string.matchAll(/(?<![\w/-])bootproof ([a-z][a-z-]+)/g)])
        .map(([, verb]) => verb!)
        .filter((verb) => !verbs.has(verb) && !SENTENCES.has(verb))
        .map((verb) => `${file}: bootproof ${verb}`),
    );
    expect(strange).toEqual([]);
  });
});
