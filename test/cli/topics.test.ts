import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ADDRESS_FORMS } from "../../src/transport/parse-address.js";
import { PREFLIGHT_CHECKS } from "../../src/update/preflight-check.js";
import { ensureBuilt, root } from "../support/cli-build.js";
import { helpHere } from "../support/cli-here.js";
import { bootproof } from "../support/cli-run.js";

const folder = join(root, "src/topics/");
const topics = readdirSync(folder)
  .filter((file) => file.endsWith(".md"))
  .map((file) => file.replace(/\.md$/, ""));

beforeAll(ensureBuilt);

describe("bootproof help", () => {
  it("lists every topic with its title", async () => {
    const { status, stdout } = await bootproof(["help"]);
    expect(status).toBe(0);
    for (const topic of topics) {
      const title = /^# (.+)$/m.exec(readFileSync(`${folder}${topic}.md`, "utf8"))?.[1];
      expect(title, `${topic} has a title`).toBeDefined();
      expect(stdout).toMatch(
        new RegExp(`^  ${topic} +${title!.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`, "m"),
      );
    }
  });

  it.each(topics)("shows %s as it is written", async (topic) => {
    const { status, stdout, stderr } = await bootproof(["help", topic]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    // A command of the same name is explained first.
    expect(stdout.endsWith(readFileSync(`${folder}${topic}.md`, "utf8"))).toBe(true);
    expect(stdout.startsWith("# ") || stdout.startsWith(`Usage: bootproof ${topic} `)).toBe(true);
  });

  it("explains a command, and a command of a command", async () => {
    const echo = await bootproof(["help", "echo"]);
    expect(echo.stdout).toBe((await bootproof(["echo", "--help"])).stdout);
    const upload = await bootproof(["help", "image", "upload"]);
    expect(upload.stdout).toMatch(/^Usage: bootproof image upload/);
  });

  it("says what it does not know and where the list is", async () => {
    const { status, stdout, stderr } = await bootproof(["help", "../package"]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/no command or topic "..\/package".*\n {2}try: .*bootproof help/);
  });
});

const README = readFileSync(join(root, "README.md"), "utf8");
const textOf = (topic: string) => readFileSync(`${folder}${topic}.md`, "utf8");

/** Builds differ in hashes and sizes, runs in times. */
const shape = (text: string) =>
  text
    .replace(/\b[0-9a-f]{12,}\b/g, "HASH")
    .replace(/\d+\.\d s\b|\b\d+ ms\b/g, "TIME")
    .replace(/\b\d{5}\b/g, "BYTES")
    .replace(/^sending.*\n/gm, "")
    .trim();

describe("the topics", () => {
  const texts = [...topics.map((topic) => [topic, textOf(topic)] as const), ["README", README] as const];
  const samples = texts.flatMap(([topic, text]) =>
    [...text.matchAll(/```console\n\$ bootproof ([^\n]+)\n([\s\S]*?)```/g)].map(([, command, printed]) => ({
      topic,
      command: command!,
      printed: printed!,
    })),
  );

  it("show sample output, as the README does", () => {
    expect(samples.map(({ topic }) => topic)).toEqual(expect.arrayContaining(["info", "README"]));
  });

  it.each(samples)("show what `$command` prints ($topic)", async ({ command, printed }) => {
    const { stdout, stderr } = await bootproof(command.split(" "), { cwd: root });
    // A terminal shows an error after the result, notes before it.
    expect([shape(`${stderr}${stdout}`), shape(`${stdout}${stderr}`)]).toContain(shape(printed));
  });

  it("list every check of the preflight, in its order", () => {
    const rows = [...textOf("flash").matchAll(/^\| ([a-z-]+) +\| .+ \|$/gm)].map((row) => row[1]);
    const checks = rows.filter((name) =>
      (PREFLIGHT_CHECKS as readonly (string | undefined)[]).includes(name),
    );
    expect(checks).toEqual(PREFLIGHT_CHECKS);
  });

  it("list every kind of address", () => {
    for (const form of ADDRESS_FORMS) expect(textOf("devices")).toContain(`| \`${form.split(":")[0]}:`);
  });

  it("are all named in the README, and its links lead somewhere", () => {
    const readme = readFileSync(join(root, "README.md"), "utf8");
    for (const topic of topics) expect(readme).toContain(`[${topic}](src/topics/${topic}.md)`);
    for (const [, target] of readme.matchAll(/\]\(((?!http)[^)]+)\)/g))
      expect(() => readFileSync(join(root, target!)), target).not.toThrow();
  });

  /** Fenced and indented code. */
  const codeOf = (text: string) =>
    [...text.matchAll(/^```[a-z]*\n([\s\S]*?)^```|^ {4}(\S[^\n]*)/gm)]
      .map(([, block, line]) => block ?? line)
      .join("\n");

  /** Every command line in a topic or the README, without its comment: what a reader will type. */
  const commandLines = [
    ...topics.map((topic) => [topic, textOf(topic)] as const),
    ["README", readFileSync(join(root, "README.md"), "utf8")] as const,
  ].flatMap(([page, text]) =>
    [...codeOf(text).matchAll(/^(?:\$ )?bootproof ([^\n#]+)/gm)].map(([, line]) => ({
      page,
      line: line!.trim(),
    })),
  );

  it("use only verbs and options that exist", async () => {
    expect(commandLines.length).toBeGreaterThan(40);
    const pages = new Map<string, string>();
    /** Its help, and no topic of its name: that would vouch for what it says itself. Empty for what is no command. */
    const helpOf = async (words: readonly string[]) => {
      const key = words.join(" ");
      if (!pages.has(key)) {
        // mcumgr reads its command line itself.
        const { stdout } = await (words[0] === "mcumgr" ? bootproof(["mcumgr", "--help"]) : helpHere(words));
        pages.set(key, `${stdout.split("\n")[0]} `.startsWith(`Usage: bootproof ${key} `) ? stdout : "");
      }
      return pages.get(key)!;
    };
    const unknown: string[] = [];
    for (const { page, line } of commandLines) {
      const words = line.split(/\s+/).filter((word) => word !== "");
      // imgtool has its own reader of command lines; a plug-in's verb is not ours; capitals stand for something.
      if (
        /^(imgtool|--plugin|help|--version|--help|VERB|raw|-)/.test(words[0]!) ||
        words[0] === words[0]!.toUpperCase()
      )
        continue;
      const inner = words[1] === undefined ? "" : await helpOf([words[0]!, words[1]]);
      const help = inner === "" ? await helpOf([words[0]!]) : inner;
      if (help === "") unknown.push(`${page}: ${line}: no such command`);
      for (const option of words.filter((word) => /^--?[a-z]/i.test(word)))
        if (!new RegExp(`(^|[\\s,])${option.split("=")[0]}\\b`, "m").test(help))
          unknown.push(`${page}: ${line}: ${option}`);
    }
    expect(unknown).toEqual([]);
  });
});
