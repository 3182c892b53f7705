import { spawnSync } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { fromHex } from "../../src/bytes.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { ensureBuilt, program } from "../support/cli-build.js";
import { bootproof, json, tempFolder } from "../support/cli-run.js";
import { cliVectors, runInFolder } from "../support/image-cli-vectors.js";
import { payload } from "../support/image-imgtool-args.js";

beforeAll(ensureBuilt);

const KEYS = new URL("../vectors/image/keys/", import.meta.url);
const key = (type: string) => new URL(`throw-away-${type}.pem`, KEYS).pathname;

/** A folder with a body, and images of it that the program signs. */
function workshop() {
  const folder = tempFolder();
  const at = (name: string) => join(folder, name);
  writeFileSync(at("body.bin"), payload("p3000"));
  const sign = async (name: string, ...words: string[]) => {
    const head = "sign -v 1.2.3 -H 32 --pad-header -S 0x20000".split(" ");
    const { status, stderr } = await bootproof([...head, ...words, at("body.bin"), at(name)]);
    if (status !== 0) throw new Error(stderr);
    return at(name);
  };
  return { folder, at, sign };
}

describe("verify of an encrypted image", () => {
  const verify = async (file: string, ...words: string[]) => {
    const { status, value } = await json(["verify", file, ...words]);
    return [status, value.result];
  };

  it("judges the signature without the key that decrypts, and fails when a given key cannot be applied", async () => {
    const { at, sign } = workshop();
    await bootproof(["keys", "public", key("x25519"), at("x.pem")]);
    const encrypted = await sign("enc.bin", "-k", key("ed25519"), "-E", at("x.pem"));
    const trusted = ["--key", key("ed25519")];
    expect(await verify(encrypted, ...trusted)).toEqual([0, "digest-not-checked"]);
    expect(await verify(encrypted, ...trusted, "--strict")).toEqual([6, "digest-not-checked"]);
    expect(await verify(encrypted, ...trusted, "--decrypt-key", key("x25519"), "--strict")).toEqual([
      0,
      "good",
    ]);

    const turned = readFileSync(encrypted);
    const { signatures } = parseImage(turned);
    turned[signatures[0]!.offset + 20]! ^= 1;
    writeFileSync(at("turned.bin"), turned);
    expect(await verify(at("turned.bin"), ...trusted)).toEqual([6, "bad"]);

    const pure = await sign("pure.bin", "-k", key("ed25519"), "--pure", "-E", at("x.pem"));
    expect(await verify(pure, ...trusted)).toEqual([6, "signature-not-checked"]);
    expect(await verify(pure)).toEqual([0, "signature-not-checked"]);
    expect(await verify(pure, ...trusted, "--decrypt-key", key("x25519"))).toEqual([0, "good"]);
  });
});

describe("imgtool as a program", () => {
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [program, "imgtool", ...args], { cwd: tempFolder() });

  it("answers on stdout, speaks on stderr, ends with imgtool's status", () => {
    expect(run("version").stdout.toString()).toBe("2.5.0\n");
    expect([run().status, run("-h").status, run("sign", "-h").status, run("nothing").status]).toEqual([
      2, 0, 0, 2,
    ]);
    const raw = run("getpub", "-k", key("ed25519"), "-e", "raw");
    expect([raw.status, raw.stdout.length]).toEqual([0, 44]);
    const missing = run("sign", "-v", "1.0.0", "-S", "0x1000", "a", "b");
    expect([missing.status, missing.stdout.length]).toEqual([2, 0]);
    expect(missing.stderr.toString()).toMatch(/Missing option '-H' \/ '--header-size'/);
  });

  it("a key that is there is not overwritten, and a new one is for its owner only", () => {
    const folder = tempFolder();
    const keygen = (...more: string[]) =>
      spawnSync(process.execPath, [
        program,
        "imgtool",
        "keygen",
        "-t",
        "ed25519",
        "-k",
        join(folder, "k.pem"),
        ...more,
      ]);
    expect(keygen().status).toBe(0);
    expect(statSync(join(folder, "k.pem")).mode & 0o777).toBe(0o600);
    const first = readFileSync(join(folder, "k.pem"), "utf8");
    expect(keygen().status).toBe(1);
    expect(readFileSync(join(folder, "k.pem"), "utf8")).toBe(first);
    expect(keygen("--force").status).toBe(0);
    expect(readFileSync(join(folder, "k.pem"), "utf8")).not.toBe(first);
  });

  it("an encrypted image is checked with the key that opens it", async () => {
    const shut = await runInFolder(["verify", "enc.img", "-k", "ed25519.pub"]);
    const open = await runInFolder(["verify", "enc.img", "-k", "ed25519.pub", "--decrypt-key", "x25519.pem"]);
    const other = await runInFolder(["verify", "enc.img", "--decrypt-key", "ecdsa-p256.pem"]);
    expect([shut.exit, open.exit, other.exit]).toEqual([1, 0, 2]);
    expect(new TextDecoder().decode(open.out)).toContain("Image was correctly validated");
  });

  it("says on stderr what imgtool passes over in silence", async () => {
    expect((await runInFolder(["verify", "ed.img"])).err).toContain("signature was NOT checked");
    expect((await runInFolder(["verify", "unknown-tlv.img"])).err).toContain(
      "a bootloader refuses this image",
    );
    expect((await runInFolder(["getpubhash", "-k", "ecdsa-p384.pub"])).err).toContain("SHA-384");
    const words = ["sign", "-v", "1", "-H", "32", "--pad-header", "-S", "0x4000"];
    const run = (...more: string[]) => runInFolder([...words, ...more, "p64.bin", "out.bin"]);
    expect((await run("--pad")).err).toContain("unless confirmed");
    expect((await run("--custom-tlv", "0x101", "x")).err).toContain("end with a byte of 0xa0 or more");
    expect((await run("--vector-to-sign", "digest")).err).toContain("P-384 keys need --sha 384");
  });

  it("an output that is a device stays one", () => {
    const { status } = run("sign", "-v", "1", "-H", "32", "--pad-header", "-S", "0", program, "/dev/null");
    expect([status, statSync("/dev/null").isCharacterDevice()]).toEqual([0, true]);
  });
});

describe("verify", () => {
  it("one verdict with every check; several keys, of which one signed", async () => {
    const { at, sign } = workshop();
    const image = await sign("i.bin", "-k", key("ed25519"), "-s", "5");
    const keys = ["--key", key("rsa-2048"), "--key", key("ed25519")];
    const { status, value } = await json([
      "verify",
      image,
      ...keys,
      "--stored-counter",
      "4",
      "--slot-size",
      "0x20000",
    ]);
    expect([status, value.result]).toEqual([0, "good"]);
    const checks = value.checks as { name: string; result: string }[];
    expect(checks.map(({ name, result }) => [name, result])).toEqual(
      [
        "structure",
        "flags",
        "bootable",
        "size",
        "tlv-types",
        "protected-area",
        "hash",
        "key-hash",
        "signature",
        "security-counter",
      ].map((name) => [name, "pass"]),
    );
    expect(value.signedBy).toMatchObject({ type: "ed25519" });
    expect(value.trials).toMatchObject([{ type: "ED25519", tried: [{ key: key("ed25519"), good: true }] }]);
    expect(statSync(at("i.bin")).size).toBeGreaterThan(3000);
  });

  it("size: by the real limit of each mode", async () => {
    const { at, sign } = workshop();
    writeFileSync(at("body.bin"), payload("p3000").slice(0, 1000));
    const image = await sign("i.bin", "-k", key("ed25519"));
    const slot = [
      "--slot-size",
      "0x2000",
      "--sector-size",
      "0x1000",
      "--max-sectors",
      "2",
      "--key",
      key("ed25519"),
    ];
    const results = [];
    for (const mode of ["overwrite-only", "swap-scratch", "swap-move", "swap-offset"])
      results.push([mode, (await json(["verify", image, ...slot, "--mode", mode])).value.result]);
    expect(results).toEqual([
      ["overwrite-only", "good"],
      ["swap-scratch", "good"],
      // A sector for the trailer and a spare one leave nothing.
      ["swap-move", "bad"],
      ["swap-offset", "bad"],
    ]);
    expect((await bootproof(["verify", image, "--mode", "sideways"])).status).toBe(2);
    expect((await bootproof(["verify", image, "--mode", "swap-move"])).stderr).toContain("--slot-size");
  });

  it("an encrypted image, with its key and without", async () => {
    const { at, sign } = workshop();
    await bootproof(["keys", "public", key("x25519"), at("x.pub")]);
    const image = await sign("i.bin", "-k", key("ed25519"), "-E", at("x.pub"));
    const shut = await json(["verify", image, "--key", key("ed25519"), "--strict"]);
    expect([shut.status, shut.value.result]).toEqual([6, "digest-not-checked"]);
    const open = await json([
      "verify",
      image,
      "--key",
      key("ed25519"),
      "--strict",
      "--decrypt-key",
      key("x25519"),
    ]);
    expect([open.status, open.value.result]).toEqual([0, "good"]);
  });

  it("an image that is linked for another slot, or not for RAM", async () => {
    const { sign } = workshop();
    const image = await sign("i.bin", "-k", key("ed25519"), "-F", "0x8000");
    const verify = async (...words: string[]) =>
      (await json(["verify", image, "--key", key("ed25519"), ...words])).value;
    expect(await verify("--slot-address", "0x8000")).toMatchObject({ result: "good" });
    expect(await verify("--slot-address", "0x9000")).toMatchObject({ result: "bad" });
    expect(await verify("--mode", "ram-load", "--slot-size", "0x20000")).toMatchObject({ result: "bad" });
  });

  it("types that MCUboot refuses, unless it takes all", async () => {
    const { at } = workshop();
    writeFileSync(at("i.bin"), fromHex(cliVectors.extra["unknown-tlv.img"]!));
    expect((await bootproof(["verify", at("i.bin")])).status).toBe(6);
    expect((await bootproof(["verify", at("i.bin"), "--no-allow-list"])).status).toBe(0);
  });
});

describe("inspect", () => {
  it("--json holds imgtool's dumpinfo under its names", async () => {
    const { at } = workshop();
    writeFileSync(at("guarded.img"), fromHex(cliVectors.extra["guarded.img"]!));
    const dumped = JSON.parse(
      new TextDecoder().decode((await runInFolder(["dumpinfo", "guarded.img", "-f", "json"])).out),
    ) as Record<string, unknown>;
    const { value } = await json(["inspect", at("guarded.img")]);
    expect(Object.keys(dumped)).toEqual(["filename", "header", "tlv_area", "trailer"]);
    expect(value).toMatchObject({
      filename: "guarded.img",
      tlv_area: dumped.tlv_area,
      trailer: dumped.trailer,
    });
    expect(value.header).toMatchObject(dumped.header as object);
  });

  it("two slots: trailers, maps to scale, and what comes next with the reason", async () => {
    const { sign } = workshop();
    const primary = await sign("p.bin", "-k", key("ed25519"), "--confirm", "-v", "1.0.0");
    const secondary = await sign("s.bin", "-k", key("ed25519"), "--pad", "-v", "2.0.0");
    const words = [
      "inspect",
      primary,
      "--secondary",
      secondary,
      "--mode",
      "swap-move",
      "--sector-size",
      "4096",
    ];
    const { value } = await json([...words, "--key", key("ed25519")]);
    expect(value.nextBoot).toMatchObject({ mode: "swap-move", swapType: "test", outcome: "swap" });
    const slots = value.slots as {
      map: { length: number }[];
      trailer: object;
      verdict: { result: string };
    }[];
    expect(slots.map(({ trailer }) => trailer)).toMatchObject([
      { magic: "good", imageOk: "set", copyDone: "unset" },
      { magic: "good", imageOk: "unset", copyDone: "unset" },
    ]);
    for (const { map, verdict } of slots) {
      expect(map.reduce((sum, { length }) => sum + length, 0)).toBe(0x20000);
      expect(verdict.result).toBe("good");
    }
    const { stdout } = await bootproof(words);
    const bars = stdout.split("\n").filter((line) => /^\[[H#PT.?=]+\]$/.test(line));
    expect(bars.map(({ length }) => length)).toEqual([66, 66]);
    // 3032 of 131072 bytes are one or two of 64 characters, the empty rest is nearly all.
    expect(bars[0]).toMatch(/^\[H#{1,2}T\.{55,61}=+\]$/);
    expect(stdout).toMatch(/next boot +test in mode swap-move: the secondary slot asks for a test/);
  });

  it("modes that exchange no slots are predicted as what they are", async () => {
    const { sign } = workshop();
    const primary = await sign("p.bin", "-k", key("ed25519"), "--confirm", "-v", "1.0.0");
    const secondary = await sign("s.bin", "-k", key("ed25519"), "--pad", "-v", "2.0.0");
    const predict = async (...more: string[]) =>
      (await json(["inspect", primary, "--secondary", secondary, "--key", key("ed25519"), ...more])).value
        .nextBoot;
    expect(await predict("--mode", "direct-xip")).toMatchObject({
      mode: "direct-xip",
      swapType: "none",
      starts: "secondary",
    });
    expect(await predict("--mode", "direct-xip-revert")).toMatchObject({
      mode: "direct-xip-revert",
      starts: "secondary",
    });
    expect(await predict("--mode", "single-slot")).toMatchObject({ mode: "single-slot", starts: "primary" });
    expect(
      await predict("--mode", "swap-move", "--sector-size", "4096", "--prevent-downgrade"),
    ).toMatchObject({ outcome: "swap" });
  });

  it("takes what verify takes, and says what a prediction depends on where it was not told", async () => {
    const { at, sign } = workshop();
    await bootproof(["keys", "public", key("x25519"), at("x.pem")]);
    const counted = ["-k", key("ed25519"), "-s", "3"];
    const primary = await sign("p.bin", ...counted, "--confirm", "-v", "1.0.0");
    const secondary = await sign("s.bin", ...counted, "--pad", "-v", "2.0.0", "-E", at("x.pem"));
    const words = ["inspect", primary, "--secondary", secondary];
    const predict = async (...more: string[]) => {
      const { outcome, dependsOn } = (await json([...words, ...more])).value.nextBoot as {
        outcome: string;
        dependsOn: string[];
      };
      return { outcome, options: dependsOn.join().match(/--[a-z-]+/g) ?? [] };
    };
    expect(await predict()).toEqual({
      outcome: "swap",
      options: ["--mode", "--key", "--decrypt-key", "--stored-counter", "--sector-size"],
    });
    const told = ["--mode", "swap-move", "--key", key("ed25519"), "--decrypt-key", key("x25519")];
    const all = [...told, "--stored-counter", "3", "--sector-size", "4096"];
    expect(await predict(...all)).toEqual({ outcome: "swap", options: [] });
    expect(await predict(...all, "--stored-counter", "4")).toMatchObject({ outcome: "erase" });
    expect(await predict(...all, "--hash", "sha512")).toMatchObject({ outcome: "erase" });

    const alone = await sign("alone.bin", "-k", key("ed25519"), "--rom-fixed", "0x20000");
    const verdict = async (...more: string[]) =>
      ((await json(["inspect", alone, ...more])).value.verdict as { result: string } | undefined)?.result;
    expect(await verdict()).toBeUndefined();
    expect(await verdict("--slot-address", "0x20000")).toBe("signature-not-checked");
    expect(await verdict("--slot-address", "0x30000", "--mode", "direct-xip")).toBe("bad");
  });

  it("a primary that cannot start depends on what the bootloader does with it", async () => {
    const { sign } = workshop();
    const primary = await sign("p.bin", "-k", key("ed25519"), "--confirm", "--non-bootable");
    const secondary = await sign("s.bin", "-k", key("ed25519"), "--pad", "-v", "2.0.0");
    const words = [
      "inspect",
      primary,
      "--secondary",
      secondary,
      "--mode",
      "swap-move",
      "--key",
      key("ed25519"),
    ];
    const { stdout } = await bootproof(words);
    expect(stdout).toMatch(/--bootstrap/);
    expect(stdout).toMatch(/--validate-primary/);
    const told = await bootproof([...words, "--no-bootstrap", "--validate-primary"]);
    expect(told.stdout).not.toMatch(/--bootstrap|--validate-primary/);
  });

  it("what becomes of a compressed update depends on whether the bootloader unpacks", async () => {
    const { sign } = workshop();
    const primary = await sign("p.bin", "-k", key("ed25519"), "--confirm");
    const secondary = await sign(
      "s.bin",
      "-k",
      key("ed25519"),
      "--pad",
      "-v",
      "2.0.0",
      "--compression",
      "lzma2",
    );
    const words = ["inspect", primary, "--secondary", secondary, "--key", key("ed25519"), "--mode"];
    const foretold = async (...more: string[]) => (await bootproof([...words, ...more])).stdout;
    expect(await foretold("overwrite-only")).toMatch(
      /decompressed into the primary[\s\S]*--decompresses, or --no-decompresses/,
    );
    expect(await foretold("overwrite-only", "--decompresses")).not.toMatch(/--decompresses/);
    expect(await foretold("overwrite-only", "--no-decompresses")).toMatch(/erased: It is compressed/);
    expect(await foretold("swap-offset", "--sector-size", "4096")).toMatch(
      /only in overwrite-only mode|first sector/,
    );
  });

  it("a flash dump with both slots in it", async () => {
    const { at, sign } = workshop();
    const primary = readFileSync(await sign("p.bin", "-k", key("ed25519"), "--confirm"));
    writeFileSync(
      at("flash.bin"),
      Buffer.concat([Buffer.alloc(0x8000, 0xff), primary, Buffer.alloc(0x20000, 0xff)]),
    );
    const slots = ["--slots", "0x8000:0x20000", "--slots", "0x28000:0x20000"];
    const { value } = await json([
      "inspect",
      at("flash.bin"),
      ...slots,
      "--mode",
      "swap-offset",
      "--sector-size",
      "4096",
    ]);
    expect(value.nextBoot).toMatchObject({ swapType: "none", outcome: "keep" });
    expect(value.slots).toMatchObject([{ version: "1.2.3" }, { empty: true }]);
    // Nobody said where the slots are: they are found, and the page says how to name them.
    const found = await json(["inspect", at("flash.bin")]);
    expect(found.value).toMatchObject({
      images: [{ offset: 0x8000, version: "1.2.3" }],
      slots: [{ offset: 0x8000, size: 0x20000 }],
    });
    const map = found.value.map as { length: number }[];
    expect(map.reduce((sum, { length }) => sum + length, 0)).toBe(0x48000);
    expect((await bootproof(["inspect", at("flash.bin")])).stdout).toContain("--slots 0x8000:0x20000");
    expect((await bootproof(["inspect", at("flash.bin"), "--slots", "0:0x90000"])).status).toBe(2);
    expect((await bootproof(["inspect", at("flash.bin"), "--slots", "nowhere"])).status).toBe(2);
  });

  it("says whether a bootloader with a key takes it", async () => {
    const { sign } = workshop();
    const image = await sign("i.bin", "-k", key("ed25519"));
    const say = async (name: string) =>
      (await bootproof(["inspect", image, "--key", key(name)])).stdout.includes("refuses it");
    expect([await say("ed25519"), await say("ecdsa-p256")]).toEqual([false, true]);
    expect((await json(["inspect", image, "--key", key("ed25519")])).value.verdict).toMatchObject({
      result: "good",
    });
  });

  it("what is not an image", async () => {
    const { at } = workshop();
    expect((await bootproof(["inspect", at("body.bin")])).status).toBe(21);
    const slot = await json(["inspect", at("body.bin"), "--slot"]);
    expect(slot.value.slots).toMatchObject([{ problem: { code: "bad-magic" } }]);
  });
});

describe("diff", () => {
  it("version, counter, key, TLVs, and how much of the body", async () => {
    const { at, sign } = workshop();
    const before = await sign("a.bin", "-k", key("ed25519"), "-s", "1");
    const body = payload("p3000");
    body[100]! ^= 1;
    body[2000]! ^= 1;
    writeFileSync(at("body.bin"), body);
    const after = await sign(
      "b.bin",
      "-k",
      key("ecdsa-p256"),
      "-s",
      "2",
      "-v",
      "1.2.4",
      "--custom-tlv",
      "0xa0=x",
    );
    const { status, value } = await json(["diff", before, after]);
    expect(status).toBe(0);
    expect(value.body).toEqual({ sizeBefore: 3000, sizeAfter: 3000, changed: 2, first: 100 });
    const whats = (value.differences as { what: string }[]).map(({ what }) => what);
    expect(whats).toEqual(
      expect.arrayContaining([
        "version",
        "SEC_CNT (protected)",
        "KEYHASH",
        "ED25519",
        "ECDSA_SIG",
        "0x00a0 (protected)",
      ]),
    );
    expect((await bootproof(["diff", before, before])).stdout).toBe(
      "header and TLVs are the same\nbody: 3000 bytes, no byte changed\n",
    );
  });
});

describe("keys", () => {
  it("the public half in every form, as imgtool has it", async () => {
    const { at } = workshop();
    const forms = { c: "lang-c", rust: "lang-rust", pem: "pem", raw: "raw" };
    for (const [ours, theirs] of Object.entries(forms)) {
      const words = ["--form", ours, "--force"];
      expect((await bootproof(["keys", "public", key("ecdsa-p256"), at("k"), ...words])).status).toBe(0);
      const { out } = await runInFolder(["getpub", "-k", "ecdsa-p256.pem", "-e", theirs]);
      expect(readFileSync(at("k")).equals(out)).toBe(true);
    }
    expect((await bootproof(["keys", "public", key("ed25519"), at("k2"), "--form", "der"])).status).toBe(2);
  });

  it("the hash as images carry it", async () => {
    const { sign } = workshop();
    for (const type of ["ed25519", "ecdsa-p384", "rsa-2048"]) {
      const image = await sign(`${type}.bin`, "-k", key(type));
      const { value } = await json(["inspect", image]);
      const { stdout } = await bootproof(["keys", "hash", key(type)]);
      expect(value.keyHashes).toEqual([stdout.trim()]);
    }
    expect((await bootproof(["keys", "hash", key("ed25519"), "--sha", "512"])).stdout.trim()).toHaveLength(
      128,
    );
  });

  it("the private half for a bootloader that decrypts, for its owner only", async () => {
    const { at } = workshop();
    const words = ["keys", "private", key("x25519"), at("key.c")];
    expect((await bootproof(words)).status).toBe(0);
    expect(statSync(at("key.c")).mode & 0o777).toBe(0o600);
    expect(readFileSync(at("key.c")).equals((await runInFolder(["getpriv", "-k", "x25519.pem"])).out)).toBe(
      true,
    );
    expect((await bootproof(["keys", "private", key("ed25519"), at("no.c")])).status).toBe(24);
  });

  it("warns at MCUboot's published development keys", async () => {
    const { at } = workshop();
    // root-ed25519.pem, by the seed that everybody has.
    const seed = "28c970c9a1a8a8bc77786862d2e76d0d430a2b57c87cfc37904bcbaac874cbd8";
    const der = Buffer.from(`302e020100300506032b657004220420${seed}`, "hex").toString("base64");
    writeFileSync(at("root.pem"), `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n`);
    const words = "sign -v 1 -H 32 --pad-header -S 0".split(" ");
    const runs = [
      ["keys", "show", at("root.pem")],
      ["keys", "show", at("root.pem"), "--quiet"],
      ["keys", "hash", at("root.pem")],
      ["keys", "public", at("root.pem"), at("root.pub")],
      [...words, "-k", at("root.pem"), at("body.bin"), at("i.bin")],
      ["imgtool", ...words, "-k", at("root.pem"), at("body.bin"), at("i.bin")],
      ["keys", "resign", at("i.bin"), at("j.bin"), "-k", at("root.pem")],
      ["keys", "which", at("i.bin"), "--key", at("root.pem")],
    ];
    for (const run of runs) {
      const { status, stderr } = await bootproof(run);
      expect([status, stderr]).toEqual([
        0,
        expect.stringMatching(/WARNING.*published development key root-ed25519\.pem/),
      ]);
    }
    expect((await json(["keys", "show", at("root.pem")])).value.publishedKey).toBe("root-ed25519.pem");
    expect((await json(["keys", "show", key("ed25519")])).value).not.toHaveProperty("publishedKey");
    expect((await bootproof(["verify", at("i.bin"), "--key", at("root.pub")])).stderr).toContain("WARNING");
    expect((await bootproof(["verify", at("i.bin")])).stdout).toContain("published development key");
    const flashed = await bootproof([
      "flash",
      at("i.bin"),
      "--key",
      at("root.pem"),
      "-d",
      "wasm:good",
      "--dry-run",
      "-q",
    ]);
    expect(flashed.stderr).toMatch(/WARNING.*published development key root-ed25519\.pem/);
    expect((await bootproof(["inspect", at("i.bin")])).stdout).toContain("published development key");
  });

  it("a change of keys: who signed, a second signature, and which boards start what", async () => {
    const { at, sign } = workshop();
    await bootproof(["keys", "generate", at("new.pem")]);
    const old = await sign("old.bin", "-k", key("ed25519"), "--confirm");
    expect((await bootproof(["keys", "resign", old, at("new.bin"), "-k", at("new.pem")])).status).toBe(0);
    expect(
      (await bootproof(["keys", "resign", old, at("both.bin"), "-k", at("new.pem"), "--add"])).status,
    ).toBe(0);
    const images = [old, at("new.bin"), at("both.bin")];
    const which = await json(["keys", "which", ...images, "--key", key("ed25519"), "--key", at("new.pem")]);
    const signed = which.value as unknown as { signedBy: string[] }[];
    expect(signed.map(({ signedBy }) => signedBy)).toEqual([
      [key("ed25519")],
      [at("new.pem")],
      [key("ed25519"), at("new.pem")],
    ]);
    const rotation = await json([
      "keys",
      "rotation",
      ...images,
      "--old",
      key("ed25519"),
      "--new",
      at("new.pem"),
    ]);
    expect(rotation.value).toMatchObject([
      { "{old}": true, "{old, new}": true, "{new}": false },
      { "{old}": false, "{old, new}": true, "{new}": true },
      { "{old}": true, "{old, new}": true, "{new}": true },
    ]);
    expect((await bootproof(["keys", "resign", old, at("both.bin"), "-k", at("new.pem")])).status).toBe(20);
    expect((await bootproof(["keys", "which", old])).status).toBe(2);
  });
});
