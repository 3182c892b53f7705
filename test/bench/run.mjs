// `npm run bench`: turns the bench into JavaScript beside the system's temporary files and runs it on what is in dist/.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import ts from "typescript";

const here = fileURLToPath(new URL(".", import.meta.url));
const out = mkdtempSync(join(tmpdir(), "bootproof-bench-"));
process.env.BOOTPROOF_ROOT = new URL("../../", import.meta.url).href;
process.on("exit", () => rmSync(out, { recursive: true }));

const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 };
writeFileSync(join(out, "package.json"), '{"type":"module"}');
const files = readdirSync(here).filter((file) => /^[a-z-]+\.ts$/.test(file));
for (const name of [
  ...files,
  "../support/workflow-clock.ts",
  "../support/pipe-pty.ts",
  "../support/on-path.ts",
  "../support/free-port.ts",
  "../../hil/boards/free-port.ts",
]) {
  const { outputText } = ts.transpileModule(readFileSync(join(here, name), "utf8"), { compilerOptions });
  const target = join(out, "test/bench", name.replace(/\.ts$/, ".js"));
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, outputText);
}
await import(pathToFileURL(join(out, "test/bench/main.js")).href);
