import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { beforeAll, describe, expect, it } from "vitest";
import { generateKey } from "../../src/crypto/keys.js";
import { signImage } from "../../src/mcuboot/sign.js";
import { ensureBuilt } from "../support/cli-build.js";
import { tempFolder } from "../support/cli-run.js";
import { type Exported, fileOf, listOf, root, type Surface, surfaces } from "./surface.mjs";

let all: Surface[] = [];

beforeAll(async () => {
  await ensureBuilt();
  all = surfaces();
});

describe("the public entries", () => {
  it("hand out exactly what is checked in; npm run api writes the lists anew", () => {
    expect(all.length).toBe(8);
    for (const surface of all)
      expect(listOf(surface), surface.name).toBe(readFileSync(fileOf(surface), "utf8"));
  });

  it("hand out no name from the root that says nothing by itself", () => {
    const names = all.find(({ name }) => name === "bootproof")!.exports.map(({ name }) => name);
    for (const vague of ["bytes", "text", "list", "run", "object", "Folder", "Kind"])
      expect(names).not.toContain(vague);
  });

  it("say of every function what each parameter is and what comes back", () => {
    const functions = all.flatMap(({ exports }) => exports.filter(({ isFunction }) => isFunction));
    expect(functions.length).toBeGreaterThan(300);
    expect([...new Set(functions.flatMap(lacksIn))].sort()).toEqual([]);
  });

  it("describe every function, and name under @throws what it throws", () => {
    const functions = new Set(
      all.flatMap(({ exports }) => exports.filter(({ isFunction }) => isFunction).map(({ name }) => name)),
    );
    const bare = all.flatMap(({ exports }) =>
      exports.filter(({ isFunction, docs }) => isFunction && docs.length < 15).map(({ name }) => name),
    );
    expect([...new Set(bare)], "without a docstring").toEqual([]);
    expect(
      throwers()
        .filter(({ name }) => functions.has(name))
        .map(({ where }) => where),
    ).toEqual([]);
  });
});

/** What the docstring of a function lacks: a line for each parameter by its name, and one for what it gives back. */
function lacksIn({ name, parameters, returnsSomething, tags }: Exported): string[] {
  const documented = tags
    .filter((tag) => tag.name === "param")
    .map(({ text }) => /^(\w+)\s+-\s+\S/.exec(text)?.[1] ?? /^(\w+)\s+\S/.exec(text)?.[1]);
  const missing = parameters.filter((one) => one !== undefined && !documented.includes(one));
  const isShort = documented.length < parameters.length;
  const returns = tags.find((tag) => tag.name === "returns")?.text ?? "";
  return [
    ...missing.map((one) => `${name}: @param ${one}`),
    ...(isShort && missing.length === 0 ? [`${name}: @param of ${parameters.length} parameters`] : []),
    ...(returnsSomething && returns.length < 5 ? [`${name}: @returns`] : []),
  ];
}

/** Exported functions whose own body throws, and whose docstring does not say so. */
function throwers(): { name: string; where: string }[] {
  const files = ["src", "hil"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts") && !file.startsWith("cli"))
      .map((file) => join(folder, file)),
  );
  return files.flatMap((file) => {
    const text = readFileSync(join(root, file), "utf8");
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2023, true);
    return source.statements.flatMap((statement) => {
      if (!ts.isFunctionDeclaration(statement) || !statement.name || !statement.body) return [];
      if (!statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) return [];
      const docs = text.slice(statement.getFullStart(), statement.getStart());
      if (!throws(statement.body) || /@throws/.test(docs)) return [];
      return [{ name: statement.name.text, where: `${file}: ${statement.name.text}` }];
    });
  });
}

function throws(node: ts.Node): boolean {
  return ts.isThrowStatement(node) || (ts.forEachChild(node, (child) => throws(child) || undefined) ?? false);
}

describe("the examples in docstrings", () => {
  it("compile and run as they stand", () => {
    const examples = new Map<string, string>();
    for (const { exports } of all)
      for (const { name, tags } of exports)
        for (const { text } of tags.filter((tag) => tag.name === "example"))
          examples.set(name, /```ts\n(.*?)```/s.exec(text)![1]!);
    expect(examples.size).toBeGreaterThan(8);
    const folder = tempFolder();
    mkdirSync(join(folder, "node_modules/@types"), { recursive: true });
    symlinkSync(root, join(folder, "node_modules/bootproof"));
    symlinkSync(join(root, "node_modules/@types/node"), join(folder, "node_modules/@types/node"));
    writeFileSync(join(folder, "package.json"), '{"type": "module"}');
    for (const [name, code] of examples) writeFileSync(join(folder, `${name}.ts`), `${code}\nexport {};\n`);
    const names = [...examples.keys()];
    const imports = names.map((name) => `await import("./${name}.js");\n`).join("");
    writeFileSync(join(folder, "all.ts"), `${imports}export {};\n`);
    const options = {
      module: "NodeNext",
      target: "ES2023",
      strict: true,
      skipLibCheck: true,
      types: ["node"],
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: options }));
    const compiler = join(root, "node_modules/typescript-7/bin/tsc");
    for (const words of [[compiler, "-p", folder], [join(folder, "all.js")]]) {
      const { status, stdout, stderr } = spawnSync(process.execPath, words, {
        encoding: "utf8",
        cwd: folder,
      });
      expect(status, stdout + stderr).toBe(0);
    }
  });
});

describe("test/examples", () => {
  const folder = join(root, "test/examples");
  const run = (...words: string[]) =>
    spawnSync(process.execPath, words, {
      encoding: "utf8",
      cwd: root,
      env: { ...process.env, NO_COLOR: "1" },
    });

  it("flash-from-a-script.mjs updates an emulated board and ends with 0, with 1 when the board goes back", () => {
    const good = run(join(folder, "flash-from-a-script.mjs"), "good-b");
    expect(good.status, good.stderr).toBe(0);
    expect(good.stdout).toMatch(/^confirmed: /m);
    const crash = run(join(folder, "flash-from-a-script.mjs"), "crash");
    expect(crash.status, crash.stdout + crash.stderr).toBe(1);
    expect(crash.stdout).toMatch(/^not-running: /m);
  });

  it("plugin.mjs adds commands to the program, which a board answers", () => {
    const words = ["--plugin", join(folder, "plugin.mjs"), "counters", "boot", "-d", "wasm:good", "--json"];
    const { status, stdout, stderr } = run(join(root, "dist/cli/main.js"), ...words);
    expect(status, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ mode: 3 });
  });

  it("page.html checks images with what bootproof/browser hands out", async () => {
    const page = readFileSync(join(folder, "page.html"), "utf8");
    const script = /<script type="module">\n(.*?)<\/script>/s.exec(page)![1]!;
    const file = join(tempFolder(), "page.mjs");
    // A page's own objects do not exist here, so only what it does with a file runs.
    const body = `const document = { querySelector: () => ({ addEventListener() {} }) };\n${script}`;
    const entry = JSON.stringify(join(root, "dist/browser.js"));
    writeFileSync(file, `${body.replace('"bootproof/browser"', entry)}\nexport { describe };\n`);
    const { describe: said } = (await import(file)) as { describe(bytes: Uint8Array): Promise<string> };
    const key = await generateKey("ed25519");
    const options = { key, version: "1.2.3", headerSize: 32, padHeader: true, slotSize: 0x4000 };
    const { image } = await signImage(new Uint8Array(100), options);
    expect(await said(image)).toMatch(/^(?!bad)[\w-]+: 1\.2\.3$/);
    expect(await said(image.map((byte, at) => (at === 50 ? byte ^ 1 : byte)))).toMatch(/^bad: 1\.2\.3\n/);
    expect(await said(new TextEncoder().encode("no image at all, though long enough for a header"))).toMatch(
      /^bad: no image\n/,
    );
  });
});
