import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { CASES } from "../../hil/cases/all.js";
import { runProof } from "../../hil/index.js";
import { byHand } from "../../hil/report/by-hand.js";

const folder = mkdtempSync(join(tmpdir(), "explain-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const hooks = { version: "test", signal: new AbortController().signal, note() {}, progress() {} };
const explained = (device: string, explain: string, more = {}) =>
  runProof({ device, explain, seed: 1, ...more }, hooks);

describe("a case, followed step by step", () => {
  it("shows question, answer, bytes and log, and writes the very image that the board was given", async () => {
    const { text, report } = await explained("wasm:good", "freshness/lower-counter", { saveImages: folder });
    expect(report.boards[0]!.cases.map(({ id }) => id)).toEqual(["freshness/lower-counter"]);
    expect(text).toContain("freshness/lower-counter on wasm:good");
    expect(text).toMatch(/Control "update", tried first: .*\n {2}It started/);
    expect(text).toContain("verify-failed, reason counter-low, value 6");
    // Image list: op 0, group 1, id 0, an empty map.
    expect(text).toMatch(/-> image list\n +080000010001[0-9a-f]{2}00a0\n/);
    const [offered] = report.boards[0]!.cases[0]!.evidence!.offered;
    const saved = readFileSync(offered!.path!);
    expect(createHash("sha256").update(saved).digest("hex")).toBe(offered!.sha256);
    expect(readdirSync(folder).length).toBeGreaterThan(1);
    expect(text).toContain(`image upload ${offered!.path}`);
    expect(text).toContain(`image test ${offered!.imageHash}`);
  });

  it("asks for nothing to be marked where the version decides", async () => {
    const { text } = await explained("wasm:xip", "authenticity/unsigned");
    expect(text).toContain("imgtool sign");
    expect(text).toContain("image upload FILE");
    expect(text).not.toContain("image test");
  });

  it("encrypts for a board whose updates are encrypted, but where the case is about that", async () => {
    const signed = async (id: string) =>
      (await explained("wasm:encrypted-only", id)).text
        .split("\n")
        .filter((line) => /imgtool sign/.test(line));
    expect(await signed("authenticity/foreign-key")).toEqual([
      expect.stringMatching(
        / --key foreign\.pem --encrypt board\.pub\.pem body\.bin bad\.bin +\(the public part/,
      ),
    ]);
    expect(await signed("compatibility/encrypted-for-another")).toEqual([
      expect.stringMatching(/ --encrypt other-board\.pub\.pem body\.bin bad\.bin$/),
    ]);
    expect(await signed("compatibility/plain")).toEqual([
      expect.stringMatching(/ --key dev\.pem body\.bin bad\.bin +\(no --encrypt\)$/),
    ]);
  });

  it("takes one case by its whole name", async () => {
    await expect(explained("wasm:good", "authenticity")).rejects.toMatchObject({
      code: "bad-prove-request",
      message: 'There is no case "authenticity".',
    });
  });
});

describe("the same by hand", () => {
  const imgtool = spawnSync("imgtool", ["sign", "--help"], { encoding: "utf8" });

  it("names options that imgtool has", ({ skip }) => {
    skip(imgtool.status !== 0, "imgtool is not installed: pip install imgtool");
    const used = new Set<string>();
    for (const { id, expected } of CASES) {
      const evidence = { offered: [{ what: "", size: 0, sha256: "", delivery: "" }] };
      const lines = byHand({} as never, { id, expected, evidence } as never);
      for (const line of lines.filter((text) => text.includes("imgtool sign")))
        for (const [option] of line.matchAll(/--[a-z-]+/g)) used.add(option);
    }
    used.delete("--save-images");
    expect(used.size).toBeGreaterThan(8);
    for (const option of used) expect(imgtool.stdout).toMatch(new RegExp(`${option}\\b`));
  });
});
