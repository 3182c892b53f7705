import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { ensureBuilt, program, root } from "../support/cli-build.js";
import { tempFolder } from "../support/cli-run.js";

beforeAll(ensureBuilt);

const file = (name: string) => join(root, "hil/ci", name);

/** A repository with a board file, and `bootproof` on the path as if it was installed. */
function repository() {
  const folder = tempFolder();
  const bin = join(folder, "bin");
  mkdirSync(bin);
  writeFileSync(join(bin, "bootproof"), `#!/bin/sh\nexec "${process.execPath}" "${program}" "$@"\n`);
  chmodSync(join(bin, "bootproof"), 0o755);
  writeFileSync(
    join(folder, "rack.yaml"),
    `boards:
  - { name: left, kind: wasm, tags: [bench, new_kind] }
  - { name: weak, kind: wasm, variant: no-signature, tags: [bench] }
`,
  );
  writeFileSync(join(folder, "must.yaml"), "must-hold: [signature]\n");
  const env = { PATH: `${bin}:${process.env.PATH}`, HOME: folder, XDG_STATE_HOME: join(folder, "state") };
  return { folder, env };
}

interface Step {
  name?: string;
  run?: string;
}

/** Runs a script as the runner would: bash that stops at the first error. */
function shell(script: string, cwd: string, env: Record<string, string>) {
  return spawnSync("bash", ["-e", "-c", script], { cwd, env, encoding: "utf8" });
}

describe("the GitHub workflow", () => {
  const workflow = parse(readFileSync(file("github-prove.yml"), "utf8"));
  const steps: Step[] = workflow.jobs.prove.steps;
  const step = (name: string) => steps.find((one) => one.name === name)!.run!;

  it.each([
    ["new_kind", "must.yaml", 0],
    ["bench", "", 60],
  ])(
    "with tags %j and policy %j writes JUnit, a page and a summary, and ends with %i",
    (tags, policy, status) => {
      const { folder, env } = repository();
      const summary = join(folder, "summary.md");
      const inputs = {
        BOARDS: "rack.yaml",
        TAGS: tags,
        QUICK: "true",
        POLICY: policy,
        GITHUB_STEP_SUMMARY: summary,
      };
      const proved = shell(step("Prove"), folder, { ...env, ...inputs });
      expect(proved.status, proved.stderr).toBe(status);
      for (const ending of ["xml", "html", "json"])
        expect(existsSync(join(folder, `proof/proof.${ending}`))).toBe(true);
      expect(readFileSync(join(folder, "proof/proof.xml"), "utf8")).toContain("<testsuite");
      expect(shell(step("Summary"), folder, { ...env, ...inputs }).status).toBe(0);
      expect(readFileSync(summary, "utf8")).toMatch(
        /^### What the boards enforce\n```\nBOARD[\s\S]*left +passed/,
      );
    },
  );

  it("takes what callers give by the environment only, never as text of a script", () => {
    for (const { run } of steps) expect(run ?? "").not.toContain("${{");
    const { inputs } = workflow.on.workflow_call;
    expect(Object.keys(inputs)).toEqual(["boards", "tags", "quick", "policy", "version", "runner"]);
    expect(workflow.permissions).toEqual({ contents: "read" });
  });
});

describe("the GitLab template", () => {
  const job = parse(readFileSync(file("gitlab-prove.yml"), "utf8"))[".bootproof-prove"];

  it("runs prove with its variables and hands the JUnit file over", () => {
    const { folder, env } = repository();
    const variables = { ...job.variables, BOARDS: "rack.yaml", TAGS: "new_kind", POLICY: "must.yaml" };
    const done = shell(job.script.join("\n"), folder, { ...env, ...variables });
    expect(done.status, done.stderr).toBe(0);
    expect(existsSync(join(folder, job.artifacts.reports.junit))).toBe(true);
  });
});

describe("the pytest plug-in", () => {
  const noPytest =
    spawnSync("python3", ["-m", "pytest", "--version"]).status !== 0 ? "pip install pytest" : undefined;

  it.skipIf(noPytest !== undefined)(
    `gives each test the boards of the board file, with their tags as marks${noPytest ? ` (${noPytest})` : ""}`,
    () => {
      const { folder, env } = repository();
      copyFileSync(file("pytest_bootproof.py"), join(folder, "pytest_bootproof.py"));
      writeFileSync(join(folder, "conftest.py"), 'pytest_plugins = ["pytest_bootproof"]\n');
      writeFileSync(
        join(folder, "test_boards.py"),
        `import pytest
from pytest_bootproof import BootproofError

def test_runs(board):
    assert board.info()["server"] == "application"

def test_keeps_its_promises(board):
    status, report = board.prove("--case", "authenticity/unsigned")
    assert status == 0, [claim for claim in report["claims"] if claim["verdict"] == "does-not-hold"]

def test_refuses(board, tmp_path):
    update = tmp_path / "no.bin"
    update.write_bytes(b"no image")
    with pytest.raises(BootproofError) as error:
        board.flash(update)
    assert error.value.status == 21
`,
      );
      const pytest = (...words: string[]) =>
        spawnSync("python3", ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--strict-markers", ...words], {
          cwd: folder,
          env: { ...process.env, ...env },
          encoding: "utf8",
        });
      const all = pytest("--bootproof-boards", "rack.yaml");
      expect(all.stdout).toMatch(
        /AssertionError: \[\{'claim': 'signature'[\s\S]*FAILED test_boards\.py::test_keeps_its_promises\[weak\]/,
      );
      expect(all.stdout).toMatch(/1 failed, 5 passed/);
      const some = pytest("--bootproof-boards", "rack.yaml", "-m", "new_kind");
      expect(some.stdout, some.stderr).toMatch(/3 passed, 3 deselected/);
      expect(pytest().stdout).toMatch(/3 skipped/);
      // Neither a trace of the plug-in, nor a run that passes without a board.
      for (const [words, message] of [
        [["--bootproof-boards", "nosuch.yaml"], /^ERROR: .*There is no board file nosuch\.yaml/],
        [
          ["--bootproof-boards", "rack.yaml", "--bootproof-board", "weka"],
          /^ERROR: There is no board weka\. .*weak/,
        ],
        [["--bootproof-board", "weak"], /^ERROR: There is no board weak\. .*--bootproof-boards/],
      ] as const) {
        const end = pytest(...words);
        expect(end.status, end.stdout).toBe(4);
        expect(end.stderr).toMatch(message);
      }
    },
  );
});

it("ships what the topic tells of", () => {
  const topic = readFileSync(join(root, "src/topics/ci.md"), "utf8");
  const { files } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { files: string[] };
  expect(files).toContain("hil/ci");
  for (const name of ["github-prove.yml", "gitlab-prove.yml", "pytest_bootproof.py"]) {
    expect(topic).toContain(`hil/ci/${name}`);
    expect(execFileSync("git", ["ls-files", `hil/ci/${name}`], { cwd: root, encoding: "utf8" })).not.toBe("");
  }
});
