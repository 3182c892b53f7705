import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import ts from "typescript";
import { REPOSITORY } from "./cache.js";

/** Files of test/ that run inside the machine: the agent and what tests call through it. */
const GUEST_FOLDER = "test/support/usb-vm/guest";

/**
 * Writes a tar file of what changes from run to run: our own built package, and the test code that runs inside. In the
 * machine it lies at /app, laid out as in the repository; `src` there holds the library file by file, as JavaScript, so imports
 * are written as usual.
 */
export function packApp(folder: string): string {
  const app = join(folder, "app");
  mkdirSync(app);
  // What the package's files are found by.
  for (const name of ["package.json", "dist", "firmware-fixtures/manifest.json", "firmware-fixtures/keys"])
    cpSync(join(REPOSITORY, name), join(app, name), { recursive: true, filter: isOfTheProgram });
  for (const name of libraryFiles("src")) writeAsJavaScript(name, app);
  for (const name of readdirSync(join(REPOSITORY, GUEST_FOLDER)).filter((file) => file.endsWith(".ts")))
    writeAsJavaScript(join(GUEST_FOLDER, name), app);
  const tar = join(folder, "app.tar");
  execFileSync("tar", ["-cf", tar, "-C", app, "."]);
  return tar;
}

/** What else is built into `dist` (packages of hundreds of megabytes, the API reference) would not fit into the machine. */
function isOfTheProgram(path: string): boolean {
  return !["dist/packages", "dist/api-reference"].includes(relative(REPOSITORY, path));
}

/** Sources of the library. The program itself is in `dist`. */
function libraryFiles(folder: string): string[] {
  return readdirSync(join(REPOSITORY, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return ["src/cli", "src/station-page"].includes(path) ? [] : libraryFiles(path);
    return /(?<!\.d)\.ts$/.test(entry.name) ? [path] : [];
  });
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
