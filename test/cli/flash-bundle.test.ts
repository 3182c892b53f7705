import { spawnSync } from "node:child_process";
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { toHex } from "../../src/bytes.js";
import { boardVariant, fixtureBody, fixtureKey } from "../../src/emulator/catalog.js";
import { LAYOUT, slotArea } from "../../src/emulator/layout.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { signImage } from "../../src/mcuboot/sign.js";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, json, keyFile, tempFolder } from "../support/cli-run.js";
import { image } from "../support/workflow-board.js";

beforeAll(ensureBuilt);

/** A bundle as builds make it; zipped by Python, which neither writes nor reads archives as we do. */
function bundle(
  folder: string,
  name: string,
  files: readonly { file: string; bytes: Uint8Array; about: object }[],
) {
  const list = files.map(({ file, bytes, about }) => ({
    file,
    size: bytes.length,
    type: "application",
    ...about,
  }));
  writeFileSync(join(folder, "manifest.json"), JSON.stringify({ "format-version": 1, files: list }));
  for (const { file, bytes } of files) writeFileSync(join(folder, file), bytes);
  const script =
    "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as z:\n  [z.write(f) for f in sys.argv[2:]]";
  const words = ["-c", script, name, "manifest.json", ...files.map(({ file }) => file)];
  expect(spawnSync("python3", words, { cwd: folder, encoding: "utf8" })).toMatchObject({ status: 0 });
  return join(folder, name);
}

const key = ["--key", keyFile("ed25519-1"), "--soak", "0"];

describe("a bundle of two images", () => {
  async function twoImages() {
    const folder = tempFolder();
    const variant = boardVariant("two-images");
    const app = await signImage(fixtureBody("good-b", "wasm"), {
      ...{ key: await fixtureKey(variant.keys[0]!), version: "2.0.0", securityCounter: 2 },
      ...{ headerSize: LAYOUT.imageHeaderSize, padHeader: true, slotSize: LAYOUT.slotSize },
      ...{ align: variant.writeUnit, maxSectors: LAYOUT.slotSize / LAYOUT.sector },
      dependencies: [{ image: 1, version: { major: 2, minor: 0, revision: 0, build: 0 } }],
    });
    const part = await image("part-b", { variant: "two-images", version: "2.0.0", counter: 3 });
    const update = bundle(folder, "dfu_application.zip", [
      { file: "app.bin", bytes: app.image, about: { image_index: "0" } },
      { file: "part.bin", bytes: part, about: { image_index: "1" } },
    ]);
    const at = (name: string) => join(folder, name);
    const device = `wasm:two-images?flash=${at("flash.bin")}`;
    return { at, update, device, env: { XDG_STATE_HOME: at("state") } };
  }

  it("settles both counters by one restart, and both are in the statement", async () => {
    const { at, update, device, env } = await twoImages();
    await bootproof(["keys", "public", keyFile("p256-1"), at("attest.pem")]);
    const attest = ["--attest", at("statement"), "--attest-key", keyFile("p256-1")];
    const { status, stdout, stderr } = await bootproof(
      ["flash", update, "-d", device, ...key, "--settle", ...attest, "--json"],
      { env },
    );
    expect(status, stderr).toBe(0);
    const counters = [
      { image: 1, wanted: 3, stored: 3, settled: true },
      { image: 0, wanted: 2, stored: 2, settled: true },
    ];
    expect(JSON.parse(stdout)).toMatchObject({ outcome: "confirmed", counters });
    for (const file of ["app.bin", "part.bin"]) {
      const { value } = await json(
        ["attest", "verify", at("statement"), "--key", at("attest.pem"), "--subject", at(file)],
        { env },
      );
      expect(value.statement).toMatchObject({
        predicate: {
          outcome: "confirmed",
          images: [
            {
              image: 0,
              state: "confirmed",
              version: "2.0.0",
              before: { version: "1.0.0" },
              after: { storedCounter: 2 },
            },
            {
              image: 1,
              state: "confirmed",
              before: { version: "1.0.0" },
              after: { version: "2.0.0", storedCounter: 3 },
            },
          ],
        },
      });
    }
  });

  it("goes to several boards, each of which gets both images", async () => {
    const { at, update, env } = await twoImages();
    const boards = ["left", "right"].map((name) => `wasm:two-images?flash=${at(`${name}.flash`)}`);
    const devices = boards.flatMap((board) => ["-d", board]);
    const attest = ["--attest", at("of-{board}"), "--attest-key", keyFile("p256-1")];
    const run = await bootproof(["flash", update, ...devices, ...key, ...attest, "--json"], { env });
    expect(run.status, run.stderr).toBe(0);
    const lines = run.stdout.trim().split("\n");
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({
      outcome: "all",
      boards: boards.map((board) => ({ board, outcome: "confirmed", version: "2.0.0" })),
    });
    for (const board of boards) {
      const { value } = await json(["image", "list", "-d", board], { env });
      const { images } = value as { images: { slots: { content: object }[] }[] };
      expect(images.map(({ slots }) => slots[0]!.content)).toMatchObject([
        { version: "2.0.0", confirmed: true },
        { version: "2.0.0", confirmed: true },
      ]);
    }
    const [statement] = readdirSync(at(".")).filter((name) => name.startsWith("of-"));
    expect(readFileSync(at(statement!), "utf8")).toContain("payload");
    const log = await bootproof(["log", "show", "--json"], { env });
    expect(log.stdout.match(/"type": ?"install"/g)).toHaveLength(4);
    const together = await bootproof(["flash", update, "--together", ...devices, ...key], { env });
    expect(together).toMatchObject({
      status: 22,
      stderr: expect.stringMatching(/holds the images 0, 1; only one can be used here/),
    });
  });

  it("says which counters are not stored yet, and the same command with --settle has them stored", async () => {
    const { update, device, env } = await twoImages();
    const first = await json(["flash", update, "-d", device, ...key], { env });
    expect(first.value).toMatchObject({
      outcome: "confirmed",
      message: expect.stringMatching(/not stored the security counter of image 1, 0 yet/),
      hint: expect.stringMatching(/--settle/),
    });
    const second = await json(["flash", update, "-d", device, ...key, "--settle"], { env });
    expect(second.value).toMatchObject({
      outcome: "already-running",
      counters: [{ settled: true }, { settled: true }],
    });
  });

  it("is recovered image by image, which recover says", async () => {
    const { update, device, env } = await twoImages();
    const refused = await bootproof(["recover", update, "-d", device, ...key.slice(0, 2)], { env });
    expect(refused.stderr).toMatch(/holds the images 0, 1; recovery writes one image at a time/);
    expect(refused.stderr).toMatch(/--image 0.*then flash the whole update/s);
    expect(refused.status).toBe(22);
    const one = ["recover", update, "-d", device, "--image", "1", "--dry-run", ...key.slice(0, 2)];
    const { status, stdout, stderr } = await bootproof(one, { env });
    expect(status, stdout + stderr).toBe(0);
  });
});

describe.each(["xip", "xip-revert"])("a bundle with a build for each slot, on %s", (variant) => {
  /** Bound to its slot, but at address 0 nothing can be: the build for slot 0 would start from both. */
  const build = async (slot: 0 | 1, version: string) => {
    const { keys, writeUnit } = boardVariant(variant);
    const signed = await signImage(fixtureBody("good-b", "wasm"), {
      ...{ key: await fixtureKey(keys[0]!), version, securityCounter: 2, align: writeUnit },
      ...{ headerSize: LAYOUT.imageHeaderSize, padHeader: true, slotSize: LAYOUT.slotSize },
      ...{ maxSectors: LAYOUT.slotSize / LAYOUT.sector, romFixed: slotArea(0, slot).offset },
    });
    return signed.image;
  };

  async function variants(folder: string, version: string) {
    const about = (slot: number) => ({
      image_index: "0",
      slot,
      "version_MCUBOOT+XIP": version,
    });
    return bundle(folder, `${version}.zip`, [
      { file: `app-${version}.bin`, bytes: await build(0, version), about: about(0) },
      { file: `secondary-${version}.bin`, bytes: await build(1, version), about: about(1) },
    ]);
  }

  it("gives each update the build for the slot that is free, and takes up what is on trial", async () => {
    const folder = tempFolder();
    const device = `wasm:${variant}?flash=${join(folder, "flash.bin")}`;
    const env = { XDG_STATE_HOME: join(folder, "state") };
    const flash = (update: string, ...words: string[]) =>
      json(["flash", update, "-d", device, ...key, ...words], { env });
    const slots = async () => {
      const { value } = await json(["image", "list", "-d", device], { env });
      const [{ slots: list }] = value.images as [
        { slots: { slot: number; content?: { active?: boolean; version: string } }[] },
      ];
      return list
        .filter(({ content }) => content?.active)
        .map(({ slot, content }) => `${slot} ${content!.version}`);
    };
    const second = await variants(folder, "2.0.0");
    if (variant === "xip-revert") {
      expect((await flash(second, "--no-confirm")).value.outcome).toBe("on-trial");
      expect((await flash(second)).value).toMatchObject({ outcome: "confirmed" });
    } else expect((await flash(second)).status).toBe(0);
    expect(await slots()).toEqual(["1 2.0.0"]);
    const { value: again } = await flash(second);
    const { imageHash } = parseImage(await build(1, "2.0.0"));
    expect(again).toMatchObject({ outcome: "already-running", imageHash: toHex(imageHash!.value) });
    const third = await variants(folder, "3.0.0");
    // On a copy of this board: the build for slot 1 does not start from slot 0, which is free now.
    copyFileSync(join(folder, "flash.bin"), join(folder, "copy.bin"));
    const copy = `wasm:${variant}?flash=${join(folder, "copy.bin")}`;
    const wrong = await json(["flash", join(folder, "secondary-3.0.0.bin"), "-d", copy, ...key], { env });
    expect(wrong.value).toMatchObject({ outcome: "not-running", version: "3.0.0" });
    const both = ["flash", third, "-d", device, "-d", `wasm:${variant}`, ...key];
    const together = await bootproof([...both, "--together"], { env });
    expect(together).toMatchObject({ status: 2, stderr: expect.stringMatching(/a build for each slot/) });
    const lines = await bootproof(both, { env });
    expect(lines.status, lines.stdout + lines.stderr).toBe(0);
    expect(await slots()).toEqual(["0 3.0.0"]);
  });
});
