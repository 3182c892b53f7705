import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { ensureBuilt, packing, root } from "../support/cli-build.js";
import { tempFolder } from "../support/cli-run.js";

beforeAll(ensureBuilt);

function run(cwd: string, program: string, ...words: string[]) {
  const { status, stdout, stderr } = spawnSync(program, words, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1", BOOTPROOF_DEVICE: "", XDG_CONFIG_HOME: cwd },
  });
  return { status, stdout, stderr };
}

/** As `import` sees the library: a whole update in five lines, with its types. */
const CONSUMER = `
import { boardVariant, fixtureKey, signedFixture } from "bootproof/boards";
import { connect, flash, runWorkflow, Session, startBoard, type FlashResult } from "bootproof";
import { parseImage } from "bootproof/browser";
import { uint } from "bootproof/smp";
import { listCases } from "bootproof/prove";
if (listCases().length === 0 || uint === undefined) process.exit(8);
const board = await startBoard({ machine: "wasm", variant: "good" });
const session = await Session.open(async (signal) => connect(await board.connect(), { signal }));
const key = await fixtureKey("ed25519-1");
const image = await signedFixture("good-b", "wasm", boardVariant("good"));
const result: FlashResult = await runWorkflow(flash(session, image, { keys: [key.publicKey] }));
// @ts-expect-error an outcome is one of a closed set
if (result.outcome === "perhaps") process.exit(9);
console.log(result.outcome, result.version, parseImage(image).version.major);
await session.close();
await board.close();
`;

const TSCONFIG = {
  compilerOptions: {
    module: "NodeNext",
    moduleResolution: "NodeNext",
    target: "ES2023",
    strict: true,
    skipLibCheck: false,
    typeRoots: [join(root, "node_modules/@types")],
    types: ["node"],
    outDir: "out",
  },
  files: ["consumer.ts"],
};

/** What `man` and the shells look for. */
const MANUAL = [
  "dist/share/man/man1/bootproof.1",
  "dist/share/bash-completion/completions/bootproof",
  "dist/share/zsh/site-functions/_bootproof",
  "dist/share/fish/vendor_completions.d/bootproof.fish",
];

/** Packing, installing and compiling for a strange folder: five minutes on a machine with twenty other things to do. */
const PACKING_MS = 1_200_000;

it(
  "packed and installed in an empty folder, it works: program, emulated board, library, types",
  async () => {
    const folder = tempFolder();
    const manual = run(root, process.execPath, ".config/manual.mjs");
    expect(manual.status, manual.stderr).toBe(0);
    const words = ["pack", "--ignore-scripts", "--json", "--pack-destination", folder];
    const packed = await packing(() => run(root, "npm", ...words));
    expect(packed.status, packed.stderr).toBe(0);
    const [{ filename, files }] = JSON.parse(packed.stdout) as [
      { filename: string; files: { path: string }[] },
    ];
    const paths = files.map(({ path }) => path);
    expect(paths).toEqual(
      expect.arrayContaining(["README.md", "LICENSE", "dist/cli/main.js", "dist/index.d.ts", ...MANUAL]),
    );
    // What only builds or tests it stays at home; the module for Zephyr applications is C for its users.
    expect(
      paths.filter(
        (path) =>
          /^(src|test|hil)\/|\.test\.|\.c$|tsconfig/.test(path) &&
          !path.startsWith("firmware-fixtures/zephyr-trust/") &&
          !path.startsWith("hil/ci/"),
      ),
    ).toEqual([]);

    const home = join(folder, "empty");
    mkdirSync(home);
    writeFileSync(join(home, "package.json"), '{"name": "consumer", "private": true, "type": "module"}');
    const installed = run(home, "npm", "install", "--no-audit", "--no-fund", join(folder, filename));
    expect(installed.status, installed.stderr).toBe(0);
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    expect(run(home, "npx", "--no-install", "bootproof", "--version").stdout).toBe(`${version}\n`);

    const page = readFileSync(join(home, "node_modules/bootproof", MANUAL[0]!), "utf8");
    expect(page).toMatch(/^\.SS flash$/m);
    expect(page).toContain("Usage: bootproof flash");

    const demo = run(home, "npx", "--no-install", "bootproof", "demo", "-q");
    expect(demo.status, demo.stderr).toBe(0);
    expect(demo.stdout).toMatch(/(\d+) of \1 scenes ended as expected/);

    writeFileSync(join(home, "consumer.ts"), CONSUMER);
    writeFileSync(join(home, "tsconfig.json"), JSON.stringify(TSCONFIG));
    const compiled = run(home, process.execPath, join(root, "node_modules/typescript/bin/tsc"), "-p", ".");
    expect(compiled.stdout).toBe("");
    expect(run(home, process.execPath, "out/consumer.js").stdout).toBe("confirmed 2.0.0 2\n");
    expect(readdirSync(home)).not.toContain("src");
    expect(existsSync(join(home, "node_modules/bootproof/firmware-fixtures/manifest.json"))).toBe(true);
  },
  PACKING_MS,
);
