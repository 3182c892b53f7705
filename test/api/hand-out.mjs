/**
 * Adds to the public entries what the command line imports and no entry hands out yet, so that whoever adds a verb need not
 * do it by hand: `node test/api/hand-out.mjs`. What should not be public does not belong below `cli`.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const src = join(root, "src");

/** Room -> file of `src/entries`; the others are handed out by the root. */
const ENTRIES = {
  mcuboot: ["mcuboot", "formats"],
  smp: ["smp"],
  crypto: ["crypto", "signers"],
  boards: ["boards", "devices", "profiles", "power", "emulator"],
  trust: ["avb", "mender", "tuf", "tuf-store", "uptane", "uptane-store", "trust", "trust-store", "sources"],
};
/** As in `test/architecture.test.ts`. */
const INNER = ["bytes", "errors", "child-environment", "package-files", "crypto-node"];

const fileOf = (room) => {
  const entry = Object.keys(ENTRIES).find((name) => ENTRIES[name].includes(room));
  return entry === undefined ? "index.ts" : `entries/${entry}.ts`;
};

function namesFrom(file, statement) {
  const text = readFileSync(join(src, file), "utf8");
  const pattern = new RegExp(
    `\\b${statement}\\s+(type\\s+)?(\\*|\\{[^}]*\\})\\s*(?:as \\w+\\s*)?from\\s+"(\\.[^"]+)"`,
    "g",
  );
  return [...text.matchAll(pattern)].flatMap(([, allTypes, list, specifier]) => {
    const target = relative(src, resolve(src, dirname(file), specifier)).replace(/\.js$/, ".ts");
    const parts = list === "*" ? ["*"] : list.slice(1, -1).split(",");
    return parts
      .map((part) => part.trim())
      .filter((part) => part !== "")
      .map((part) => ({
        target,
        name: part.replace(/^type /, "").split(" as ")[0],
        isType: allTypes !== undefined || part.startsWith("type "),
      }));
  });
}

const files = readdirSync(src, { recursive: true }).filter((file) => file.endsWith(".ts"));
const handedOut = new Set(
  files
    .filter((file) => /^index\.ts$|^(?:entries|pure)\//.test(file))
    .flatMap((file) => namesFrom(file, "export"))
    .map(({ target, name }) => `${target}#${name}`),
);
const wanted = new Map();
for (const file of files.filter((one) => one.startsWith("cli/")))
  for (const { target, name, isType } of namesFrom(file, "import")) {
    if (target.startsWith("cli/") || INNER.includes(target.split("/")[0].replace(/\.ts$/, ""))) continue;
    if (handedOut.has(`${target}#${name}`) || handedOut.has(`${target}#*`)) continue;
    const key = `${target}#${name}`;
    wanted.set(key, { target, name, isType: isType && (wanted.get(key)?.isType ?? true) });
  }
for (const { target, name, isType } of wanted.values()) {
  const entry = fileOf(target.split("/")[0]);
  const path = join(src, entry);
  const text = readFileSync(path, "utf8");
  const from = `${entry === "index.ts" ? "./" : "../"}${target.replace(/\.ts$/, ".js")}`;
  const statement =
    name === "*"
      ? `export * from "${from}";\n`
      : `export { ${isType ? "type " : ""}${name} } from "${from}";\n`;
  const at = text.indexOf("export ");
  writeFileSync(path, text.slice(0, at) + statement + text.slice(at));
  process.stdout.write(`${entry}: ${name} of ${target}\n`);
}
if (wanted.size > 0)
  spawnSync("npx", ["biome", "check", "--write", "src/index.ts", "src/entries"], {
    cwd: root,
    stdio: "inherit",
  });
