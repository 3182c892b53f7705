import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Command, CommanderError } from "commander";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { EXAMPLES } from "../../src/cli/examples.js";
import { PlainCommand, readPlain } from "../../src/cli/plain-command.js";
import { plainLine } from "../../src/cli/plain-line.js";
import { build } from "../../src/cli/program.js";
import { hidden, SPEAKS_FOR_ITSELF, TELLS_OF_ALL, verbs } from "../../src/cli/verbs.js";
import { BootproofError } from "../../src/errors.js";
import { root } from "../support/cli-build.js";
import { fuzz } from "../support/fuzz.js";

/** Verbs that are always commander's to read. */
const OTHERS: readonly string[] = [
  ...TELLS_OF_ALL,
  ...SPEAKS_FOR_ITSELF,
  "fs",
  "shell",
  "bridge",
  "mender-interface",
];

/** Every command below this one, itself included. */
const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];

interface Done {
  readonly action: string;
  readonly given: readonly unknown[];
}

/** What commander makes of a line: the action and what it gets, or undefined for a line that it refuses. */
async function byCommander(argv: readonly string[]): Promise<Done | undefined> {
  const done: Done[] = [];
  const silent = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const quiet = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  try {
    const program = await build(argv);
    for (const command of all(program)) {
      const action = actions.get(command);
      if (action) original.call(command, (...given) => void done.push({ action: `${action}`, given }));
    }
    await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError || error instanceof BootproofError)) throw error;
    return undefined;
  } finally {
    silent.mockRestore();
    quiet.mockRestore();
  }
  expect(done.length).toBeLessThanOrEqual(1);
  // The command itself comes last.
  return done[0] && { ...done[0], given: done[0].given.slice(0, -1) };
}

type Action = Parameters<Command["action"]>[0];
const actions = new WeakMap<Command, Action>();
const { Command: Commander } = await import("commander");
const original = Commander.prototype.action;
Commander.prototype.action = function (this: Command, run: Action) {
  actions.set(this, run);
  return original.call(this, run);
};

async function compare(argv: readonly string[]): Promise<boolean> {
  const plain = await plainLine(argv);
  if (plain === undefined) return false;
  const expected = await byCommander(argv);
  expect({ action: `${plain.action}`, given: plain.given }, argv.join(" ")).toEqual(expected);
  return true;
}

describe("a plain line", () => {
  it("is what the examples are, and means what commander makes of it", async () => {
    const others: string[] = [];
    for (const [words, lines] of Object.entries(EXAMPLES))
      for (const line of lines) {
        const argv = line.split(" ").slice(1);
        const isPlain = await compare(argv);
        const isOther = OTHERS.includes(argv[0] ?? "") || /['"]| --help|--plugin/.test(line);
        if (isPlain || isOther || words === "") continue;
        // An example may leave out what has to be given.
        if (await byCommander(argv)) others.push(line);
      }
    // One option is an `Option` of commander's own.
    expect(others).toEqual(EXAMPLES["agent mender"]);
  });

  it("is read by what verbs call on their command, in what describes them and in their actions", () => {
    const rooms = join(root, "src/cli");
    const files = readdirSync(rooms, { recursive: true, encoding: "utf8" }).filter((file) =>
      file.endsWith(".ts"),
    );
    /** Of these verbs, and of the program itself, commander's own is read. */
    const others =
      /^(?:program|completion|finish-commands|plain-command|commands\/(?:help|fs|shell|plugin|mender-interface|tuf-conformance))\.ts$|^mcumgr\//;
    const names = new Set(Object.getOwnPropertyNames(PlainCommand.prototype));
    const missing = files
      .map((file) => file.replaceAll("\\", "/"))
      .filter((file) => !others.test(file))
      .flatMap((file) =>
        [...readFileSync(join(rooms, file), "utf8").matchAll(/\bcommand\.(\w+)\(/g)].map(
          ([, name]) => `${file}: ${name}`,
        ),
      )
      .filter((use) => !names.has(use.split(": ")[1]!));
    expect(missing).toEqual([]);
  });

  it("tells an action what was given", async () => {
    for (const [words, expected] of [
      [[], "default"],
      [["-H", "0x200"], "cli"],
    ] as const) {
      let asked: unknown;
      const line = readPlain((command) => {
        command.option("-H, --header-size <bytes>", "size", "0x200").action(() => {
          asked = command.getOptionValueSource("headerSize");
        });
      }, words);
      line!.action(...line!.given);
      expect(asked).toBe(expected);
    }
  });

  const { numRuns, seed, timeout } = fuzz(3);
  it.each(verbs.map(([name]) => name).filter((name) => !TELLS_OF_ALL.includes(name)))(
    "of %s means what commander makes of it",
    async (verb) => {
      const program = await build([verb]);
      const top = program.commands.find((command) => command.name() === verb)!;
      let plain = 0;
      for (const command of all(top)) {
        const words: string[] = [];
        for (let at: Command | null = command; at?.parent; at = at.parent) words.unshift(at.name());
        const value = fc.constantFrom("1", "0x10", "a=b", "", "-", "-1", "--json", "sign", "list", "text");
        const option = fc.constantFrom(
          ...command.options.flatMap(({ long, short }) => [long, short].filter((flag) => flag !== undefined)),
          ...[
            "--color",
            "--no-color",
            "-h",
            "--help",
            "-V",
            "--version",
            "--plugin",
            "--",
            "--nothing",
            "-p",
          ],
        );
        const part = fc.oneof(
          { weight: 6, arbitrary: fc.tuple(option, value) },
          { weight: 3, arbitrary: fc.tuple(option) },
          { weight: 3, arbitrary: fc.tuple(value) },
          fc.tuple(option, value).map(([flag, text]) => [`${flag}=${text}`]),
          fc.tuple(option, value).map(([flag, text]) => [`${flag}${text}`]),
        );
        // What is required stands there more often than not.
        const needed = [
          ...command.registeredArguments.filter(({ required }) => required).map(() => ["text"]),
          ...command.options.filter(({ mandatory }) => mandatory).map(({ long }) => [long!, "text"]),
        ];
        const line = fc
          .tuple(
            fc.subarray(needed, { minLength: Math.max(0, needed.length - 1) }),
            fc.array(part, { maxLength: 4 }),
          )
          .chain(([must, may]) =>
            fc.shuffledSubarray([...must, ...may], { minLength: must.length + may.length }),
          )
          .map((parts) => [...words, ...parts.flat()]);
        await fc.assert(
          fc.asyncProperty(line, async (argv) => {
            if (argv.includes("--plugin") || argv.some((word) => word.startsWith("--plugin="))) {
              expect(await plainLine(argv)).toBeUndefined();
              return;
            }
            if (await compare(argv)) plain++;
          }),
          { numRuns, seed },
        );
      }
      // Each of the others was plain in its example.
      if (OTHERS.includes(verb)) expect(plain).toBe(0);
    },
    timeout,
  );

  it("is none of a verb that is not ours, of several verbs, or of none", async () => {
    for (const argv of [[], ["--json"], ["--color", "echo"], ["nothing"], ...hidden.map(([name]) => [name])])
      expect(await plainLine(argv), argv.join(" ")).toBeUndefined();
  });
});
