import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { readImageFile } from "../../src/cli/firmware-file.js";
import { formatIntelHex } from "../../src/formats/intel-hex.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { verifyImage } from "../../src/mcuboot/verify.js";
import { writeArtifact } from "../../src/mender/write.js";
import { readFacts } from "../../src/session/board-facts.js";
import { buildFacts, parseDotconfig } from "../../src/sources/build-folder.js";
import { readBundle } from "../../src/sources/bundle.js";
import type { SourceFiles } from "../../src/sources/files.js";
import { openSource } from "../../src/sources/open.js";
import { failedCheck, SourceError } from "../../src/sources/source.js";
import { matchBuild } from "../../src/update/match-board.js";
import { root } from "../support/cli-build.js";
import { bench, image, trustedKey } from "../support/workflow-board.js";

const folder = mkdtempSync(join(tmpdir(), "bootproof-sources-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const files: SourceFiles = {
  read: (path) => new Uint8Array(readFileSync(path)),
  readImage: (path) => readImageFile(path).bytes,
  exists: existsSync,
  isFolder: (path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false,
  list: (path) => readdirSync(path).sort(),
  join,
};
const open = (name: string, options = {}) => openSource(join(folder, name), { files, ...options });
const put = (name: string, content: Uint8Array | string) => {
  const path = join(folder, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, content);
  return path;
};
/** Made by Python, which neither writes nor reads zip archives as we do. */
function zip(name: string, entries: Readonly<Record<string, Uint8Array | string>>): string {
  const where = mkdtempSync(join(folder, "zip-"));
  for (const [entry, content] of Object.entries(entries)) writeFileSync(join(where, entry), content);
  const path = join(folder, name);
  rmSync(path, { force: true });
  const script =
    "import sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as z:\n  [z.write(f) for f in sys.argv[2:]]";
  const { status, stderr } = spawnSync("python3", ["-c", script, path, ...Object.keys(entries)], {
    cwd: where,
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return path;
}

const app = await image("good-b");
const part = await image("part-b", { variant: "two-images" });

/** An entry as nRF Connect SDK 2.x and later writes it. */
const entry = (more: object = {}) => ({
  type: "application",
  board: "nrf5340dk/nrf5340/cpuapp",
  soc: "nrf5340",
  load_address: 49152,
  image_index: "0",
  slot_index_primary: "1",
  slot_index_secondary: "2",
  version_MCUBOOT: "2.0.0+0",
  size: app.length,
  file: "app.bin",
  modtime: 1700000000,
  ...more,
});
const manifest = (entries: readonly object[], more: object = {}) =>
  JSON.stringify({ "format-version": 1, time: 1700000000, name: "app", files: entries, ...more });
const bundle = (text: string, entries: Readonly<Record<string, Uint8Array>> = { "app.bin": app }) =>
  zip("dfu_application.zip", { "manifest.json": text, ...entries });

describe("the same image", () => {
  it("is judged the same, whatever it comes in", async () => {
    put("app.bin", app);
    put("app.hex", formatIntelHex([{ address: 0x10000, bytes: app }]));
    put(
      "app.mender",
      writeArtifact({
        type: "zephyr-image",
        artifactName: "r",
        deviceTypes: ["b"],
        files: [{ name: "app.bin", bytes: app }],
      }),
    );
    bundle(manifest([entry()]));
    put("build/app/zephyr/.config", 'CONFIG_BOARD_TARGET="nrf5340dk/nrf5340/cpuapp"\n');
    put("build/app/zephyr/zephyr.signed.bin", app);
    const keys = [await trustedKey()];
    const good = await verifyImage(app, { keys });
    expect(good.result).toBe("good");
    const server = createServer((_request, response) => response.end(app)).listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    const address = `http://127.0.0.1:${port}/app.bin`;
    const findTarget = async () => ({
      role: "targets",
      length: app.length,
      time: { now: "2026-01-01T00:00:00Z", source: "clock" },
      download: async () => app,
      compare: () => undefined,
    });
    for (const name of [
      "app.bin",
      "app.hex",
      "app.mender",
      "dfu_application.zip",
      "build",
      address,
      "tuf:repo#app.bin",
    ]) {
      const isHere = !name.includes(":");
      const source = await (isHere ? open(name) : openSource(name, { files, findTarget }));
      expect(failedCheck(source), name).toBe(undefined);
      expect(source.payloads, name).toHaveLength(1);
      expect(Buffer.from(source.payloads[0]!.bytes).equals(app), name).toBe(true);
      expect((await verifyImage(source.payloads[0]!.bytes, { keys })).checks, name).toEqual(good.checks);
    }
  });

  it("with one byte changed is bad in each", async () => {
    const changed = app.slice();
    changed[1000]! ^= 1;
    put("bad.bin", changed);
    put(
      "bad.mender",
      writeArtifact({
        type: "zephyr-image",
        artifactName: "r",
        deviceTypes: ["b"],
        files: [{ name: "app.bin", bytes: changed }],
      }),
    );
    zip("bad.zip", { "manifest.json": manifest([entry()]), "app.bin": changed });
    const keys = [await trustedKey()];
    for (const name of ["bad.bin", "bad.mender", "bad.zip"]) {
      const [payload] = (await open(name)).payloads;
      expect((await verifyImage(payload!.bytes, { keys })).result, name).toBe("bad");
    }
  });
});

describe("a build bundle", () => {
  it("of several images says which is which and what they are for", async () => {
    const net = entry({
      file: "net.bin",
      board: "nrf5340dk/nrf5340/cpunet",
      image_index: "1",
      slot_index_primary: "3",
      slot_index_secondary: "4",
      size: part.length,
      version_MCUBOOT: undefined,
      version: "2",
    });
    bundle(manifest([entry(), net]), { "app.bin": app, "net.bin": part });
    const source = await open("dfu_application.zip");
    expect(source.payloads.map(({ name, image: number }) => [name, number])).toEqual([
      ["app.bin", 0],
      ["net.bin", 1],
    ]);
    expect(source.binding).toEqual({
      boards: ["nrf5340dk/nrf5340/cpuapp", "nrf5340dk/nrf5340/cpunet"],
      socs: ["nrf5340"],
      deviceTypes: [],
    });
  });

  it("for execute in place holds a variant a slot", async () => {
    const xip = (file: string, slot: number | string) =>
      entry({
        file,
        slot,
        slot_index_primary: undefined,
        slot_index_secondary: undefined,
        version_MCUBOOT: undefined,
        "version_MCUBOOT+XIP": "2.0.0",
      });
    bundle(manifest([xip("app.bin", "0"), xip("mcuboot_secondary_app.bin", 1)]), {
      "app.bin": app,
      "mcuboot_secondary_app.bin": app,
    });
    expect(
      (await open("dfu_application.zip")).payloads.map(({ image: number, slot }) => [number, slot]),
    ).toEqual([
      [0, 0],
      [0, 1],
    ]);
  });

  it("with an old manifest, whose fields are few or spelled as texts, is read", async () => {
    bundle(
      JSON.stringify({
        "format-version": "0",
        files: [{ file: "app.bin", image_index: 0, size: `${app.length}` }],
      }),
    );
    expect((await open("dfu_application.zip")).payloads).toMatchObject([{ name: "app.bin", image: 0 }]);
    bundle(JSON.stringify({ files: [{ file: "app.bin" }] }));
    expect((await open("dfu_application.zip")).payloads).toMatchObject([{ name: "app.bin" }]);
  });

  it.each([
    ["another size", manifest([entry({ size: 17 })]), /has 17 bytes; it has/],
    [
      "another version",
      manifest([entry({ version_MCUBOOT: "2.0.1" })]),
      /version 2\.0\.1; its header says 2\.0\.0/,
    ],
  ])("that says %s than its file is not trusted", async (_what, text, message) => {
    bundle(text);
    expect(failedCheck(await open("dfu_application.zip"))?.message).toMatch(message);
  });

  it.each([
    ["no manifest", undefined, /no manifest\.json/],
    ["a file that is not there", manifest([entry({ file: "other.bin" })]), /does not contain/],
    ["no files", manifest([]), /lists no files/],
    ["another format", manifest([entry()], { "format-version": 7 }), /format-version 7/],
    ["two files for one image", manifest([entry(), entry()]), /two files for image 0/],
    ["a number that is none", manifest([entry({ image_index: "one" })]), /not a whole number/],
    ["slots that are not a pair", manifest([entry({ slot_index_secondary: "4" })]), /are not a pair/],
    ["a path as file", manifest([entry({ file: "../app.bin" })]), /does not contain/],
    ["a key twice", '{"files":[{"file":"a","file":"app.bin"}]}', /occurs twice/],
    ["a list", "[]", /not an object/],
  ])("with %s is refused", async (_what, text, message) => {
    const path = text === undefined ? zip("none.zip", { "app.bin": app }) : bundle(text);
    const error = await readBundle("x.zip", files.read(path)).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(SourceError);
    expect(error).toMatchObject({ code: "bad-source", message: expect.stringMatching(message) });
  });

  it("names what is in it beside its manifest", async () => {
    bundle(manifest([entry()]), { "app.bin": app, "notes.txt": new Uint8Array(3) });
    expect((await open("dfu_application.zip")).checks).toContainEqual(
      expect.objectContaining({ result: "warn", message: expect.stringMatching(/notes\.txt/) }),
    );
  });
});

describe("the folder of a build", () => {
  const mcubootConfig = [
    "# Automatically generated file; DO NOT EDIT.",
    "CONFIG_BOOT_SWAP_USING_MOVE=y",
    "# CONFIG_BOOT_UPGRADE_ONLY is not set",
    "CONFIG_BOOT_SIGNATURE_TYPE_RSA=y",
    "CONFIG_BOOT_SIGNATURE_TYPE_RSA_LEN=2048",
    'CONFIG_BOOT_SIGNATURE_KEY_FILE="C:\\\\keys\\\\\\"my\\".pem"',
    "",
  ].join("\n");

  it("says how its MCUboot was built", () => {
    expect(buildFacts(parseDotconfig(new TextEncoder().encode(mcubootConfig)))).toEqual({
      mode: "swap-move",
      signatureType: "rsa-2048",
      keyFile: 'C:\\keys\\"my".pem',
    });
    expect(buildFacts(parseDotconfig(new Uint8Array(0)))).toEqual({});
  });

  it("with sysbuild gives the application and its settings", async () => {
    put("sysbuild/zephyr/.config", "SB_CONFIG_BOOTLOADER_MCUBOOT=y\n");
    put("sysbuild/mcuboot/zephyr/.config", mcubootConfig);
    put("sysbuild/mcuboot/zephyr/zephyr.bin", "bootloader");
    put(
      "sysbuild/app/zephyr/.config",
      'CONFIG_BOARD="nrf52840dk"\nCONFIG_SOC="nrf52840"\nCONFIG_KERNEL_BIN_NAME="fw"\n',
    );
    put("sysbuild/app/zephyr/fw.signed.bin", app);
    expect(await open("sysbuild")).toMatchObject({
      kind: "build-folder",
      payloads: [{ bytes: app }],
      binding: { boards: ["nrf52840dk"], socs: ["nrf52840"] },
      build: { mode: "swap-move", signatureType: "rsa-2048" },
    });
  });

  it("tells the hash of its key where that is here, and the size of its slot, and a board is held against both", async () => {
    const key = join(root, "firmware-fixtures/keys/throwaway-ed25519-1.pem");
    const config = (keyFile: string) =>
      `CONFIG_BOOT_SWAP_USING_MOVE=y\nCONFIG_BOOT_SIGNATURE_TYPE_ED25519=y\nCONFIG_BOOT_SIGNATURE_KEY_FILE="${keyFile}"\n`;
    const application = (more: string) =>
      put("keyed/app/zephyr/.config", `CONFIG_BOOTLOADER_MCUBOOT=y\nCONFIG_FLASH_LOAD_SIZE=0x20000\n${more}`);
    put("keyed/mcuboot/zephyr/.config", config(key));
    put("keyed/app/zephyr/zephyr.signed.bin", app);
    application("CONFIG_USE_DT_CODE_PARTITION=y\n");
    const { build } = await open("keyed");
    const trusted = (await trustedKey()).keyHash;
    expect(build).toMatchObject({ keyHash: Buffer.from(trusted).toString("hex"), slotSize: 0x20000 });
    const { session } = await bench();
    const facts = await readFacts(session);
    expect(matchBuild(build!, facts).map(({ result }) => result)).toEqual(["pass", "pass", "pass", "pass"]);

    put("keyed/mcuboot/zephyr/.config", config(key.replace("ed25519-1", "ed25519-2")));
    application("CONFIG_USE_DT_CODE_PARTITION=y\nCONFIG_FLASH_LOAD_SIZE=0x30000\n");
    const failed = matchBuild((await open("keyed")).build!, facts).filter(({ result }) => result === "fail");
    expect(failed.map(({ message }) => message)).toEqual([
      expect.stringMatching(
        /^The build's MCUboot has the key [0-9a-f]{12}; the board trusts 99638d140e14\.$/,
      ),
      "The build is for a slot of 196608 bytes; the board's has 131072.",
    ]);

    // Nothing that is read there is told but a hash; what cannot be read says nothing.
    put("keyed/mcuboot/zephyr/.config", config(join(root, "package.json")));
    application("CONFIG_PARTITION_MANAGER_ENABLED=y\nCONFIG_USE_DT_CODE_PARTITION=y\n");
    const silent = (await open("keyed")).build!;
    expect([silent.keyHash, silent.slotSize]).toEqual([undefined, undefined]);
  });

  it("takes the bundle in it, which says more", async () => {
    put("nrf/mcuboot/zephyr/.config", mcubootConfig);
    put("nrf/app/zephyr/.config", "");
    put("nrf/app/zephyr/zephyr.signed.bin", part);
    const made = bundle(manifest([entry()]));
    writeFileSync(join(folder, "nrf/dfu_application.zip"), readFileSync(made));
    expect(await open("nrf")).toMatchObject({
      kind: "build-folder",
      payloads: [{ name: "app.bin", bytes: app }],
      build: { mode: "swap-move" },
    });
  });

  it("without sysbuild is the one image", async () => {
    put("plain/zephyr/.config", 'CONFIG_BOARD="qemu_cortex_m3"\n');
    put("plain/zephyr/zephyr.signed.bin", app);
    expect(await open("plain")).toMatchObject({
      payloads: [{ bytes: app }],
      binding: { boards: ["qemu_cortex_m3"] },
    });
  });

  it("is refused when it is none, unsigned, ambiguous, or leads out of itself", async () => {
    put("empty/readme", "");
    put("unsigned/app/zephyr/.config", "");
    put("two/a/zephyr/.config", "");
    put("two/a/zephyr/zephyr.signed.bin", app);
    put("two/b/zephyr/.config", "");
    put("two/b/zephyr/zephyr.signed.bin", part);
    put("out/app/zephyr/.config", 'CONFIG_KERNEL_BIN_NAME="../../../app"\n');
    for (const [name, message] of [
      ["empty", /not of a Zephyr build/],
      ["unsigned", /no signed image/],
      ["two", /2 signed images/],
      ["out", /no signed image/],
    ] as const)
      await expect(open(name), name).rejects.toMatchObject({
        code: "bad-source",
        message: expect.stringMatching(message),
      });
  });
});

it("an image inside is still an image", async () => {
  put("app.bin", app);
  expect(parseImage((await open("app.bin")).payloads[0]!.bytes).securityCounter).toBe(2);
});
