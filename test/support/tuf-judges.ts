import { execFile, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** TUF clients that nobody here wrote. They are installed into the user's cache, once for all checkouts. */

const scripts = fileURLToPath(new URL("tuf-judges", import.meta.url));
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "bootproof-judges");

/** Words that start a judge, before URL, ROOT, FOLDER and TARGET; or why it cannot be had. */
type Command = readonly string[] | { readonly missing: string };

interface Recipe {
  readonly folder: string;
  /** The file that is there when it is installed. */
  readonly proof: string;
  readonly steps: (folder: string) => readonly (readonly string[])[];
  readonly words: (folder: string) => readonly string[];
}

const RECIPES: Readonly<Record<"python-tuf" | "tuf-js" | "go-tuf", Recipe>> = {
  "python-tuf": {
    folder: "python-tuf-7.0.1",
    proof: "bin/tuf-installed",
    steps: (folder) => [
      ["python3", "-m", "venv", folder],
      [
        join(folder, "bin/python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "tuf==7.0.1",
        "securesystemslib[crypto]",
      ],
      ["cp", join(folder, "pyvenv.cfg"), join(folder, "bin/tuf-installed")],
    ],
    words: (folder) => [join(folder, "bin/python"), join(scripts, "judge.py")],
  },
  "tuf-js": {
    folder: "tuf-js-5.0.1",
    proof: "node_modules/tuf-js/package.json",
    steps: (folder) => [
      ["npm", "install", "--prefix", folder, "--silent", "--no-audit", "--no-fund", "tuf-js@5.0.1"],
    ],
    words: (folder) => [process.execPath, join(scripts, "judge.mjs"), folder],
  },
  "go-tuf": {
    folder: "go-tuf-2.4.2",
    proof: "judge",
    steps: () => [["go", "build", "-o", "judge", "."]],
    words: (folder) => [join(folder, "judge")],
  },
};

export type JudgeName = keyof typeof RECIPES;
export const JUDGES = Object.keys(RECIPES) as JudgeName[];

/** Installs a judge where that is needed. */
export function tufJudge(name: JudgeName): Command {
  const { folder, proof, steps, words } = RECIPES[name];
  const home = join(cache, folder);
  if (existsSync(join(home, proof))) return words(home);
  mkdirSync(home, { recursive: true });
  if (name === "go-tuf")
    for (const file of ["main.go", "go.mod", "go.sum"]) cpSync(join(scripts, file), join(home, file));
  for (const [program, ...rest] of steps(home)) {
    const { status, error, stderr } = spawnSync(program!, rest, { cwd: home, encoding: "utf8" });
    if (status !== 0) {
      const why = error?.message ?? stderr.trim().split("\n").at(-1) ?? "";
      return { missing: `${name} cannot be installed: ${program} ${rest[0]}: ${why}` };
    }
  }
  return words(home);
}

/** What a judge makes of a target: its content, or why it refuses. The test's own server must be able to answer. */
export async function judgeTarget(
  words: readonly string[],
  { url, root, target }: { url: string; root: string; target: string },
): Promise<{ accepted: boolean; content: string; why: string }> {
  const folder = mkdtempSync(join(tmpdir(), "bootproof-judge-"));
  const [program, ...rest] = [...words, url, root, folder, target];
  try {
    const { stdout, stderr } = await promisify(execFile)(program!, rest);
    return { accepted: true, content: stdout, why: stderr };
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    return { accepted: false, content: stdout, why: stderr };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
