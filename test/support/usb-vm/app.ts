import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import ts from "typescript";
import { REPOSITORY } from "./cache.js";

/** Files of test/ that run inside the machine: the agent and what tests call through it. */
const GUEST_FOLDER = "test/support/usb-vm/guest";

/**
 * Writes a tar file of what changes from run to run: our own built package, and the test code that runs inside. In the
 * machine it lies at /app, laid out as in the repository; `src` there leads to `dist`, so imports are written as usual.
 */
export function packApp(folder: string): string {
  const app = join(folder, "app");
  mkdirSync(app);
  cpSync(join(REPOSITORY, "dist"), join(app, "dist"), { recursive: true });
  symlinkSync("dist", join(app, "src"));
  for (const name of readdirSync(join(REPOSITORY, GUEST_FOLDER)).filter((file) => file.endsWith(".ts")))
    writeAsJavaScript(join(GUEST_FOLDER, name), app);
  const tar = join(folder, "app.tar");
  execFileSync("tar", ["-cf", tar, "-C", app, "."]);
  return tar;
}

function writeAsJavaScript(path: string, app: string): void {
  const { outputText } = ts.transpileModule(readFileSync(join(REPOSITORY, path), "utf8"), {
    compilerOptions: {
      module: ts.ModuleKind.ESNext,
      target: ts.ScriptTarget.ES2022,
      verbatimModuleSyntax: true,
    },
  });
  const target = join(app, path.replace(/\.ts$/, ".js"));
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, outputText);
}
