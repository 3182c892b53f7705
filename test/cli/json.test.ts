import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import {
  type Bench,
  bootproof,
  json,
  keyFile,
  signedUpdate,
  signWords,
  start,
  tempFolder,
} from "../support/cli-run.js";
import { noQemuReason } from "../support/workflow-qemu.js";

beforeAll(ensureBuilt);

const HASH = expect.stringMatching(/^[0-9a-f]{64}$/);

/** `--json`: one value on stdout, of the shape the README names. Everything else goes to stderr. */
describe("files", () => {
  let bench: Bench;
  beforeEach(async () => {
    bench = await signedUpdate();
  });

  it("sign", async () => {
    const target = join(bench.folder, "again.bin");
    const { status, value } = await json(signWords("good-b", target));
    expect(status).toBe(0);
    expect(value).toEqual({
      file: target,
      bytes: expect.any(Number),
      imageSize: expect.any(Number),
      hash: HASH,
      key: { type: "ed25519", hash: HASH },
    });
  });

  it("verify: a good image, an unchecked one with status 0, a bad one with status 6", async () => {
    const good = await json(["verify", bench.image, "--key", bench.publicKey]);
    expect(good.status).toBe(0);
    expect(good.value).toMatchObject({ file: bench.image, result: "good", warnings: [] });
    expect(good.value.checks).toEqual(
      expect.arrayContaining([{ name: "hash", result: "pass", sentence: expect.any(String) }]),
    );
    const unchecked = await json(["verify", bench.image]);
    expect([unchecked.status, unchecked.value.result]).toEqual([0, "signature-not-checked"]);
    const strict = await json(["verify", bench.image, "--strict"]);
    expect([strict.status, strict.value.result]).toEqual([6, "signature-not-checked"]);
    const bad = await json(["verify", bench.image, "--key", bench.publicKey, "--stored-counter", "9"]);
    expect([bad.status, bad.value.result]).toEqual([6, "bad"]);
  });

  it("flash: which program, when, which board, and which key file decided", async () => {
    const other = join(bench.folder, "other.pem");
    await bootproof(["keys", "public", keyFile("ed25519-2"), other]);
    const words = [
      "flash",
      bench.image,
      "--key",
      other,
      "--key",
      bench.publicKey,
      "-d",
      "wasm:good",
      "--dry-run",
    ];
    const { value } = await json(words);
    expect(value).toMatchObject({
      tool: { name: "bootproof", version: expect.stringMatching(/^\d+\.\d+\.\d+/) },
      board: { address: "wasm:good" },
      signedBy: { file: bench.publicKey, type: "ed25519", hash: HASH },
    });
    const [started, finished] = [value.startedAt, value.finishedAt].map((at) => Date.parse(at as string));
    expect(finished).toBeGreaterThanOrEqual(started!);
    const told = await bootproof(words);
    expect(told.stderr).toContain(`Its file: ${bench.publicKey}.`);
    // No figure of a clock has more digits than mean something.
    expect(JSON.stringify((await json(["doctor", "-d", "wasm:good"])).value)).not.toMatch(/\d\.\d{4}/);
  });

  it("inspect", async () => {
    const { status, value } = await json(["inspect", bench.image]);
    expect(status).toBe(0);
    expect(value).toMatchObject({
      file: bench.image,
      fileSize: expect.any(Number),
      imageSize: expect.any(Number),
      header: { version: "2.0.0", headerSize: 512 },
      imageHash: { algorithm: "sha256", value: HASH },
      securityCounter: 2,
      keyHashes: [HASH],
    });
    expect(value.tlvs).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          type: 0x50,
          protected: true,
          value: "02000000",
          offset: expect.any(Number),
        }),
      ]),
    );
  });

  it("keys generate, public, show", async () => {
    const [secret, open] = [join(bench.folder, "k.pem"), join(bench.folder, "p.pem")];
    const made = await json(["keys", "generate", secret]);
    expect(made.value).toEqual({ file: secret, type: "ed25519", private: true, keyHash: HASH });
    const half = await json(["keys", "public", secret, open]);
    expect(half.value).toEqual({ file: open, type: "ed25519", private: false, keyHash: made.value.keyHash });
    const shown = await json(["keys", "show", open]);
    expect(shown.value).toEqual({ file: open, type: "ed25519", private: false, keyHash: made.value.keyHash });
  });
});

describe("boards", () => {
  it("info: every figure with its source", async () => {
    const { status, value } = await json(["info", "-d", "wasm:good"]);
    expect(status).toBe(0);
    expect(value).toMatchObject({
      name: "wasm:good",
      server: "application",
      bufSize: 1024,
      bufCount: 4,
      bufSizeFrom: "server",
      info: expect.any(String),
      bootloader: { name: expect.any(String), mode: 3, modeName: expect.any(String), modeFrom: "bootloader" },
      images: [
        {
          image: 0,
          storedCounter: { value: 1, source: "device" },
          slots: [
            {
              image: 0,
              slot: 0,
              size: 131072,
              maxImageSize: 122880,
              content: {
                version: "1.0.0",
                hash: HASH,
                active: true,
                confirmed: true,
                pending: false,
                permanent: false,
                bootable: true,
                securityCounter: { value: 1, source: "device" },
              },
            },
            { image: 0, slot: 1, size: 131072, maxImageSize: 122880 },
          ],
        },
      ],
      trustedKeys: [{ type: "ed25519", hash: HASH }],
      boot: { cause: "power-on", boots: 1 },
      reportsTrust: true,
    });
    expect(value.events).toEqual(
      expect.arrayContaining([expect.objectContaining({ type: "started", image: 0, slot: 0 })]),
    );
  });

  it("devices", async () => {
    const { status, value } = await json(["devices"]);
    expect(status).toBe(0);
    expect(value).toMatchObject({ boards: expect.anything() });
  });

  it("board --list", async () => {
    const { status, value } = await json(["board", "--list"]);
    expect(status).toBe(0);
    expect(value).toEqual(
      expect.arrayContaining([expect.objectContaining({ id: "good", mode: "swap-move", broken: [] })]),
    );
  });

  it("board: the address to reach it by, at once", async () => {
    const board = start(["board", "wasm:good", "--json"]);
    const [text] = await board.waitFor(/\{[^}]*\}/);
    expect(JSON.parse(text)).toEqual({
      board: "wasm:good",
      address: expect.stringMatching(/^tcp:127\.0\.0\.1:\d+$/),
    });
    board.child.kill("SIGINT");
    expect((await board.ended).status).toBe(0);
  });

  it("flash: outcome, preflight, before and after", async () => {
    const { image, publicKey } = await signedUpdate();
    const { status, value } = await json(["flash", image, "--key", publicKey, "-d", "wasm:good"]);
    expect(status).toBe(0);
    expect(value).toMatchObject({
      outcome: "confirmed",
      message: expect.stringMatching(
        /^Version 2\.0\.0 runs and is confirmed\. .*stores 2 at its next restart/,
      ),
      counter: { image: 2, stored: 1, settled: false },
      version: "2.0.0",
      imageHash: HASH,
      before: { images: [{ storedCounter: { value: 1 } }] },
      after: { images: [{ slots: [{ content: { version: "2.0.0", confirmed: true } }, {}] }] },
      uploadedBytes: expect.any(Number),
      uploadMs: expect.any(Number),
    });
    expect(value.preflight).toContainEqual({
      name: "signature",
      result: "pass",
      message: expect.any(String),
    });
  });

  it("flash that is refused: the same shape, with status 3", async () => {
    const { image } = await signedUpdate();
    const { status, value } = await json(["flash", image, "-d", "wasm:good"]);
    expect(status).toBe(3);
    expect(value).toMatchObject({
      outcome: "refused-by-preflight",
      hint: expect.any(String),
      preflight: expect.any(Array),
    });
  });

  it("the single steps on one board: upload, list, test, reset, confirm, erase", async () => {
    const { image, folder } = await signedUpdate();
    const board = start(["board", "wasm:good", "--flash", join(folder, "flash.bin")]);
    const [address] = await board.waitFor(/tcp:127\.0\.0\.1:\d+/);
    const on = ["-d", address!];
    const uploaded = await json(["image", "upload", image, ...on]);
    expect(uploaded.value).toEqual({
      file: image,
      bytes: expect.any(Number),
      sentBytes: uploaded.value.bytes,
      resumedAt: 0,
      elapsedMs: expect.any(Number),
      hash: HASH,
    });
    const slots = (value: Record<string, unknown>) =>
      (value.images as { slots: { content?: object }[] }[])[0]!.slots;
    const listed = await json(["image", "list", ...on]);
    expect(slots(listed.value)[1]!.content).toMatchObject({ version: "2.0.0", pending: false });
    const tested = await json(["image", "test", image, ...on]);
    expect(slots(tested.value)[1]!.content).toMatchObject({
      version: "2.0.0",
      pending: true,
      permanent: false,
    });
    const reset = await json(["reset", ...on]);
    expect(reset.value).toEqual({ restarted: true, server: "application" });
    const trial = await json(["image", "list", ...on]);
    expect(slots(trial.value)[0]!.content).toMatchObject({
      version: "2.0.0",
      active: true,
      confirmed: false,
    });
    const confirmed = await json(["image", "confirm", ...on]);
    expect(slots(confirmed.value)[0]!.content).toMatchObject({ version: "2.0.0", confirmed: true });
    const erased = await json(["image", "erase", ...on]);
    expect(slots(erased.value)[1]!.content).toBeUndefined();
    const recovery = await json(["reset", "--recovery", ...on]);
    expect(recovery.value).toEqual({ restarted: true, server: "recovery" });
  });

  it.for(["wasm", "qemu"])("demo on %s: every scene, expected and observed", async (machine, { skip }) => {
    if (machine === "qemu" && noQemuReason !== undefined) skip(noQemuReason);
    const { status, value } = await json(["demo", "--machine", machine]);
    expect(status).toBe(0);
    expect(value).toMatchObject({ machine });
    const scenes = value.scenes as Record<string, unknown>[];
    expect(scenes.length).toBeGreaterThanOrEqual(6);
    for (const scene of scenes)
      expect(scene).toMatchObject({
        scene: expect.any(String),
        expected: expect.any(String),
        outcome: expect.any(String),
        message: expect.any(String),
        before: { version: expect.any(String), storedCounter: expect.any(Number) },
        asExpected: true,
      });
  });
});

describe("without --json", () => {
  it("-q leaves the result alone on stdout and nothing on stderr", async () => {
    const { image, publicKey } = await signedUpdate();
    const { status, stdout, stderr } = await bootproof([
      "flash",
      image,
      "--key",
      publicKey,
      "-d",
      "wasm:good",
      "-q",
    ]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(
      /^confirmed: Version 2\.0\.0 runs and is confirmed\. [^\n]+\n {2}try: .*--settle.*\n$/,
    );
  });

  it("no colour reaches a pipe", async () => {
    const { stdout, stderr } = await bootproof(["demo"]);
    expect(`${stdout}${stderr}`).not.toContain("\u001b");
  });

  it("health commands of this machine decide: one that fails ends with 5 and the old image", async () => {
    const { image, publicKey, folder } = await signedUpdate();
    const file = join(folder, "flash.bin");
    const words = ["flash", image, "--key", publicKey, "-d", `wasm:good?flash=${file}`];
    const sick = await bootproof([...words, "--health", "echo the lamp is dark; exit 4"]);
    expect(sick.status).toBe(5);
    expect(sick.stdout).toMatch(/^unhealthy: .*ended with 4\. It said: the lamp is dark/);
    const after = await json(["image", "list", "-d", `wasm:good?flash=${file}`]);
    expect(after.value).toMatchObject({
      images: [{ slots: [{ content: { version: "1.0.0", confirmed: true } }, {}] }],
    });
    const well = await bootproof([...words, "--health", "true", "--health-shell", "health"]);
    expect(well.status).toBe(0);
  });

  it.each([
    ["a foreign key", 31, "signature", ["-k", keyFile("foreign-ed25519")]],
    ["an old counter", 32, "rollback", ["-s", "0"]],
  ])("an image with %s that the board itself refuses ends with %i", async (_what, status, cause, words) => {
    const image = join(tempFolder(), "x.bin");
    await bootproof([...signWords("good-b", image, "9.0.0"), ...words]);
    const ended = await json(["flash", image, "--no-preflight", "-d", "wasm:good"]);
    expect(ended).toMatchObject({ status, value: { outcome: "not-running", cause } });
  });

  it.each([
    ["no-confirm", 7, /^not-confirmed: /],
    ["crash", 30, /^not-running: .*reverted/],
  ])("an image that is %s ends with %i", async (id, status, message) => {
    const folder = tempFolder();
    const image = join(folder, "x.bin");
    await bootproof(signWords(id, image, "2.1.0"));
    const ended = await bootproof(["flash", image, "--key", keyFile("ed25519-1"), "-d", "wasm:good"]);
    expect(ended.status).toBe(status);
    expect(ended.stdout).toMatch(message);
  });
});
