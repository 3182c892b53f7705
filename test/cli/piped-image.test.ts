import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt, program } from "../support/cli-build.js";
import { bootproof, keyFile, signWords, tempFolder } from "../support/cli-run.js";

beforeAll(ensureBuilt);

const digestOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Runs the program with bytes piped into it, in as many pieces as there are. */
async function piped(pieces: readonly Uint8Array[], ...words: string[]) {
  const home = tempFolder();
  const child = spawn(process.execPath, [program, ...words], {
    env: { PATH: process.env.PATH ?? "", HOME: home },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
    });
  // It may have ended before it read everything.
  child.stdin.on("error", () => {});
  for (const piece of pieces) child.stdin.write(piece);
  child.stdin.end();
  const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { status, ...said };
}

async function signed(): Promise<Uint8Array> {
  const image = join(tempFolder(), "update.bin");
  expect((await bootproof(signWords("good-b", image))).status).toBe(0);
  return readFileSync(image);
}

const KEY = ["--key", keyFile("ed25519-1")];

describe("an image from stdin", () => {
  it("is flashed when it is the one that is expected; progress is data", async () => {
    const image = await signed();
    const pieces = [image.subarray(0, 1000), image.subarray(1000)];
    const digest = digestOf(image).toUpperCase();
    const words = [
      "flash",
      "-",
      "-d",
      "wasm:good",
      ...KEY,
      "--expect-sha256",
      digest,
      "--json",
      "--progress",
      "json",
    ];
    const { status, stdout, stderr } = await piped(pieces, ...words);
    expect(status, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ outcome: "confirmed", version: "2.0.0" });
    const lines = stderr
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const steps = lines.flatMap(({ progress }) => (progress ? [progress as Record<string, unknown>] : []));
    expect(steps.at(0)).toEqual({ label: "sending", done: 0, total: image.length, unit: "bytes" });
    expect(steps.at(-1)).toEqual({
      label: "sending",
      done: image.length,
      total: image.length,
      unit: "bytes",
    });
    expect(lines.some(({ note }) => typeof note === "string")).toBe(true);
  });

  it("is verified and inspected as a file is", async () => {
    const image = await signed();
    const verified = await piped([image], "verify", "-", ...KEY, "--expect-sha256", digestOf(image));
    expect(verified.status, verified.stderr).toBe(0);
    expect(verified.stdout).toContain("good: a trusted key signed this image");
    const inspected = await piped([image], "inspect", "-", "--json");
    expect(JSON.parse(inspected.stdout)).toMatchObject({ file: "-", fileSize: image.length });
  });

  it.each(["flash", "verify", "inspect"])(
    "cut short, it is refused by %s before anything is made of it",
    async (verb) => {
      const image = await signed();
      const board = verb === "flash" ? ["-d", "wasm:good"] : [];
      const { status, stdout, stderr } = await piped(
        [image.subarray(0, 2000)],
        verb,
        "-",
        ...board,
        "--expect-sha256",
        digestOf(image),
      );
      expect(stderr).toMatch(
        /^bootproof: The SHA-256 of the piped input is [0-9a-f]{64}, not [0-9a-f]{64}\.\n {2}try: /m,
      );
      expect(status).toBe(6);
      expect(stdout).toBe("");
    },
  );

  it("of no bytes says that the program before the pipe failed", async () => {
    const { status, stderr } = await piped([], "verify", "-", "--expect-sha256", digestOf(new Uint8Array(1)));
    expect(stderr).toContain("the program before the pipe failed");
    expect(status).toBe(6);
  });
});

describe("--expect-sha256", () => {
  it("holds for a file, and is refused for what has no one digest", async () => {
    const file = join(tempFolder(), "update.bin");
    expect((await bootproof(signWords("good-b", file))).status).toBe(0);
    const digest = digestOf(readFileSync(file));
    expect((await bootproof(["verify", file, ...KEY, "--expect-sha256", digest])).status).toBe(0);
    const other = digestOf(new Uint8Array(1));
    expect(
      (await bootproof(["image", "upload", file, "-d", "wasm:good", "--expect-sha256", other])).status,
    ).toBe(6);
    const address = await bootproof(["verify", "https://127.0.0.1:1/a.bin", "--expect-sha256", digest]);
    expect(address.stderr).toContain("--expect-sha256 is for a file");
    expect(address.status).toBe(2);
    expect((await bootproof(["verify", file, "--expect-sha256", "abc"])).status).toBe(2);
  });
});
