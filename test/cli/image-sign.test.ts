import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { beforeAll, describe, expect, it } from "vitest";
import { formatIntelHex, parseIntelHex } from "../../src/formats/intel-hex.js";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, json, type RunOptions, start, tempFolder } from "../support/cli-run.js";
import { payload, vectorFile } from "../support/image-imgtool-args.js";
import { makeToken, PIN, SIGNER_PROGRAMS, softHsmLibrary, whyNoSoftHsm } from "../support/image-signers.js";

beforeAll(ensureBuilt);

const KEYS = new URL("../vectors/image/keys/", import.meta.url);
const key = (type: string) => new URL(`throw-away-${type}.pem`, KEYS).pathname;
const TYPES = ["ed25519", "ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072"];
const HEAD = "-v 1.2.3 -H 32 --pad-header -S 0x10000 -s 5".split(" ");

interface Workshop {
  readonly folder: string;
  readonly body: string;
  /** A path in the folder. */
  at(name: string): string;
  /** The file of a public key. */
  publicKey(type: string): Promise<string>;
}

function workshop(): Workshop {
  const folder = tempFolder();
  const at = (name: string) => join(folder, name);
  writeFileSync(at("body.bin"), payload("p3000"));
  return {
    folder,
    body: at("body.bin"),
    at,
    publicKey: async (type) => {
      await bootproof(["keys", "public", key(type), at(`${type}.pub`)]);
      return at(`${type}.pub`);
    },
  };
}

/** Says yes: the program itself finds nothing wrong with the image. */
async function expectGood(image: string, publicKey: string, options: RunOptions = {}): Promise<void> {
  const { status, stdout } = await bootproof(["verify", image, "--key", publicKey, "--strict"], options);
  expect(stdout).toContain("good: a trusted key signed this image");
  expect(status).toBe(0);
}

describe("options of imgtool's sign, under the same names", () => {
  it("give imgtool's bytes", async () => {
    const { at, body } = workshop();
    const more = [
      "-d",
      "(1, 2.0)",
      "--boot-record",
      "APP",
      "--vid",
      "example.com",
      "--cid",
      "widget",
      "-e",
      "little",
    ];
    const last = [
      "--confirm",
      "--align",
      "8",
      "--max-align",
      "16",
      "-M",
      "64",
      "-R",
      "0",
      "-L",
      "0x20000000",
    ];
    const words = [...HEAD, ...more, ...last, "-k", key("ed25519"), body];
    const theirs = await bootproof([
      "imgtool",
      "sign",
      "--custom-tlv",
      "0xa0",
      "0xdead",
      "--custom-tlv",
      "0xa1",
      "a=b",
      ...words,
      at("theirs.bin"),
    ]);
    expect(theirs.status).toBe(0);
    const ours = await json([
      "sign",
      "--custom-tlv",
      "0xa0=0xdead",
      "--custom-tlv",
      "0xa1=a=b",
      ...words,
      at("ours.bin"),
    ]);
    expect(ours).toMatchObject({ status: 0, value: { bytes: 0x10000 } });
    expect(readFileSync(at("ours.bin")).equals(readFileSync(at("theirs.bin")))).toBe(true);
  });

  it("--version is the image's", async () => {
    const { at, body } = workshop();
    const words = [
      "sign",
      "--version",
      "4.5.6",
      "-S",
      "0x10000",
      "--pad-header",
      "--unsigned",
      body,
      at("i.bin"),
    ];
    expect((await bootproof(words)).status).toBe(0);
    expect((await json(["inspect", at("i.bin")])).value).toMatchObject({ header: { version: "4.5.6" } });
  });

  it.each([
    ["no way to sign", [], /--key FILE or --unsigned/],
    ["two ways", ["-k", "x.pem", "--unsigned"], /in one way/],
    ["a custom TLV without a value", ["--unsigned", "--custom-tlv", "0xa0"], /TAG=VALUE/],
    ["an unknown compression", ["--unsigned", "--compression", "zip"], /Allowed choices/],
    ["no public key for an answer from elsewhere", ["--attach", "r.json"], /--public-key FILE/],
    ["a signature file of nobody", ["--unsigned", "--sig-out", "s"], /no signature without a key/],
  ])("refuses %s", async (_name, words, message) => {
    const { at, body, folder } = workshop();
    const { status, stderr } = await bootproof(["sign", ...HEAD, ...words, body, at("i.bin")], {
      cwd: folder,
    });
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
    expect(statSync(at("i.bin"), { throwIfNoEntry: false })).toBeUndefined();
  });
});

describe("what a build gives", () => {
  it("Intel HEX in and out: the address moves in front by the header", async () => {
    const { at } = workshop();
    writeFileSync(at("app.hex"), formatIntelHex([{ address: 0x8200, bytes: payload("p3000") }]));
    const words = [
      "sign",
      ...HEAD,
      "-H",
      "0x200",
      "-k",
      key("ed25519"),
      "--confirm",
      at("app.hex"),
      at("signed.hex"),
    ];
    expect((await bootproof(words)).status).toBe(0);
    const segments = parseIntelHex(readFileSync(at("signed.hex"), "utf8"));
    expect(segments.map(({ address }) => address)).toEqual([0x8000, 0x8000 + 0x10000 - 24]);
    expect(segments[0]!.bytes.subarray(0x200, 0x200 + 3000)).toEqual(payload("p3000"));
    expect(segments[1]!.bytes[0]).toBe(1);
  });

  it("ELF in: what objcopy would have made of it", async () => {
    const { at } = workshop();
    const [row] = (JSON.parse(vectorFile("elf-files.json")) as { rows: { elf: string; binary: string }[] })
      .rows;
    const unpack = (text: string) => gunzipSync(Buffer.from(text, "base64"));
    writeFileSync(at("app.elf"), unpack(row!.elf));
    writeFileSync(at("app.bin"), unpack(row!.binary));
    for (const kind of ["elf", "bin"])
      expect(
        (await bootproof(["sign", ...HEAD, "--unsigned", at(`app.${kind}`), at(`${kind}.img`)])).status,
      ).toBe(0);
    expect(readFileSync(at("elf.img")).equals(readFileSync(at("bin.img")))).toBe(true);
    // It knows where it belongs, which a raw binary does not.
    expect((await bootproof(["sign", ...HEAD, "--unsigned", at("app.elf"), at("elf.hex")])).status).toBe(0);
    expect(parseIntelHex(readFileSync(at("elf.hex"), "utf8"))[0]!.address).toBe(0x8000 - 32);
    const lost = await bootproof(["sign", ...HEAD, "--unsigned", at("app.bin"), at("bin.hex")]);
    expect([lost.status, lost.stderr]).toEqual([2, expect.stringContaining("--hex-addr")]);
  });
});

describe("air gap", () => {
  it.each(TYPES)("%s: request, signature, image", async (type) => {
    const { at, body, publicKey } = workshop();
    const pub = await publicKey(type);
    const words = ["sign", ...HEAD, "--boot-record", "APP", "--public-key", pub, body, at("i.bin")];
    const asked = await json([...words, "--request", at("req.json")]);
    expect(asked).toMatchObject({
      status: 0,
      value: { request: { image: { version: "1.2.3", securityCounter: 5 } } },
    });
    expect(statSync(at("i.bin"), { throwIfNoEntry: false })).toBeUndefined();
    const approved = await bootproof([
      "keys",
      "sign-request",
      at("req.json"),
      at("res.json"),
      "-k",
      key(type),
      "--yes",
    ]);
    expect(approved.status).toBe(0);
    expect(approved.stderr).toMatch(/security counter 5/);
    expect(approved.stderr).toMatch(/only stated/);
    expect((await bootproof([...words, "--attach", at("res.json")])).status).toBe(0);
    await expectGood(at("i.bin"), pub);
  });

  it("another option than when it was asked for: refused before anything is written", async () => {
    const { at, body, publicKey } = workshop();
    const words = (...more: string[]) => ["sign", ...HEAD, ...more, body, at("i.bin")];
    const pub = ["--public-key", await publicKey("ed25519")];
    await bootproof(words(...pub, "--request", at("req.json"), "--with-payload"));
    await bootproof(["keys", "sign-request", at("req.json"), at("res.json"), "-k", key("ed25519"), "-y"]);
    const { status, stderr } = await bootproof(words(...pub, "--attach", at("res.json"), "-s", "6"));
    expect([status, stderr]).toEqual([
      6,
      expect.stringMatching(/response is for the digest .* this image has/),
    ]);
    expect(statSync(at("i.bin"), { throwIfNoEntry: false })).toBeUndefined();
  });

  it("nobody agrees, another key, an old counter: nothing is signed", async () => {
    const { at, body, publicKey } = workshop();
    const pub = await publicKey("ed25519");
    await bootproof(["sign", ...HEAD, "--public-key", pub, "--request", at("req.json"), body, at("i.bin")]);
    const approve = (...words: string[]) =>
      bootproof(["keys", "sign-request", at("req.json"), at("res.json"), ...words]);
    expect(await approve("-k", key("ed25519"))).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("it was not approved"),
    });
    expect(await approve("-k", key("rsa-2048"), "-y")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("asks for ed25519 key"),
    });
    expect(await approve("-k", key("ed25519"), "-y", "--min-counter", "6")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("at least 6"),
    });
    expect(statSync(at("res.json"), { throwIfNoEntry: false })).toBeUndefined();
  });

  it("the signer's ledger refuses a lower counter, logs it, and lets it pass for a reason", async () => {
    const { at, body, publicKey } = workshop();
    const env = { XDG_STATE_HOME: at("vault"), BOOTPROOF_LOG_FOLDER: at("audit") };
    const pub = await publicKey("ed25519");
    const ask = (name: string, counter: string) =>
      bootproof(
        ["sign", ...HEAD, "-s", counter, "--public-key", pub, "--request", at(name), body, at("i.bin")],
        { env },
      );
    const approve = (name: string, ...words: string[]) =>
      bootproof(["keys", "sign-request", at(name), at(`${name}.res`), "-k", key("ed25519"), "-y", ...words], {
        env,
      });
    await ask("seven.json", "7");
    await ask("six.json", "6");
    expect((await approve("seven.json")).status).toBe(0);
    expect(await approve("six.json")).toMatchObject({
      status: 46,
      stderr: expect.stringMatching(
        /states security counter 6; this signer signed 7 \(version 1\.2\.3\) for key/,
      ),
    });
    expect(statSync(at("six.json.res"), { throwIfNoEntry: false })).toBeUndefined();
    expect((await approve("six.json", "--product", "other")).status).toBe(0);
    expect(await approve("six.json", "--force", "--although-lower", "customer trial 12")).toMatchObject({
      status: 0,
    });
    const { keyHash } = (await json(["keys", "show", pub])).value;
    expect((await json(["keys", "ledger"], { env })).value).toMatchObject({
      other: { counter: { counter: 6 } },
      [`key ${`${keyHash}`.slice(0, 16)}`]: { counter: { counter: 7 } },
    });
    const events = async (...words: string[]) =>
      (await json(["log", "show", ...words], { env })).value as unknown as {
        type: string;
        result: string;
        image?: { counter: number };
        detail?: { althoughLower?: string };
      }[];
    const own = await events("--folder", at("vault/bootproof/signer/log"));
    expect(own.map(({ type, image, detail }) => [type, image?.counter, detail?.althoughLower])).toEqual([
      ["sign.response", 7, undefined],
      ["refusal", 6, undefined],
      ["sign.response", 6, undefined],
      ["sign.response", 6, "customer trial 12"],
    ]);
    const both = (await events()).map(({ type }) => type);
    expect(both.filter((type) => type === "sign.request")).toHaveLength(2);
    expect(both.filter((type) => type === "sign.response")).toHaveLength(3);
    expect(both.filter((type) => type === "refusal")).toHaveLength(1);

    // The ledger is no ratchet, and its errors do not speak of one.
    const ledger = at("vault/bootproof/signer/ledger/state/ratchet.json");
    const content = readFileSync(ledger, "utf8");
    writeFileSync(ledger, content.replace('"counter": 7', '"counter": 1'));
    const edited = await approve("seven.json", "--force");
    expect(edited).toMatchObject({ status: 45, stderr: /The signer's ledger in .* was edited/ });
    expect(edited.stderr).not.toMatch(/ratchet (import|export)|the ratchet/i);
    writeFileSync(ledger, content);
    expect((await approve("seven.json", "--force")).status).toBe(0);
  });

  it("a request whose facts were changed on the way", async () => {
    const { at, body, publicKey } = workshop();
    const pub = await publicKey("ed25519");
    const words = ["--public-key", pub, "--request", at("req.json"), "--with-payload"];
    await bootproof(["sign", ...HEAD, ...words, body, at("i.bin")]);
    const text = readFileSync(at("req.json"), "utf8");
    writeFileSync(at("forged.json"), text.replace('"securityCounter": 5', '"securityCounter": 9'));
    const { status, stderr } = await bootproof([
      "keys",
      "sign-request",
      at("forged.json"),
      at("r"),
      "-k",
      key("ed25519"),
      "-y",
    ]);
    expect([status, stderr]).toEqual([6, expect.stringContaining("contradicts itself")]);
  });

  it("with imgtool's files: --vector-to-sign, OpenSSL, --fix-sig", async () => {
    const { at, body, publicKey } = workshop();
    const pub = await publicKey("ecdsa-p256");
    const { execFileSync } = await import("node:child_process");
    await bootproof(["sign", ...HEAD, "--vector-to-sign", "digest", body, at("digest")]);
    expect(readFileSync(at("digest")).length).toBe(32);
    const signature = execFileSync("openssl", [
      "pkeyutl",
      "-sign",
      "-inkey",
      key("ecdsa-p256"),
      "-in",
      at("digest"),
    ]);
    writeFileSync(at("sig.b64"), signature.toString("base64"));
    const words = ["--fix-sig", at("sig.b64"), "--fix-sig-pubkey", pub];
    expect((await bootproof(["sign", ...HEAD, ...words, body, at("i.bin")])).status).toBe(0);
    await expectGood(at("i.bin"), pub);
    const wrong = await bootproof(["sign", ...HEAD, "-s", "6", ...words, body, at("j.bin")]);
    expect([wrong.status, wrong.stderr]).toEqual([
      6,
      expect.stringContaining("not made by this ecdsa-p256 key"),
    ]);
  });
});

describe("a signer that is a program", () => {
  const by = (name: keyof typeof SIGNER_PROGRAMS, ...words: string[]) => [
    "--signer-command",
    process.execPath,
    ...["-e", SIGNER_PROGRAMS[name], ...words].flatMap((word) => ["--signer-arg", word]),
    "--key-ref",
    "prod-2026",
  ];

  it.each([
    ["ed25519", "raw"],
    ["rsa-2048", "raw"],
    ["rsa-3072", "raw"],
    ["ecdsa-p256", "der"],
    ["ecdsa-p256", "p1363"],
    ["ecdsa-p384", "p1363"],
  ])("%s, answering in %s", async (type, encoding) => {
    const { at, body, publicKey } = workshop();
    const pub = await publicKey(type);
    const words = [
      "sign",
      ...HEAD,
      "--public-key",
      pub,
      ...by("honest", key(type), encoding),
      body,
      at("i.bin"),
    ];
    const { status, stderr } = await bootproof(words);
    expect([status, stderr]).toEqual([
      0,
      expect.stringContaining('asked for prod-2026, {"version":"1.2.3","counter":5}'),
    ]);
    await expectGood(at("i.bin"), pub);
  });

  it("is asked for its public key when none is named, and approves requests", async () => {
    const { at, body, publicKey } = workshop();
    const signer = by("honest", key("ed25519"));
    expect((await bootproof(["sign", ...HEAD, ...signer, body, at("i.bin")])).status).toBe(0);
    const pub = await publicKey("ed25519");
    await expectGood(at("i.bin"), pub);
    await bootproof(["sign", ...HEAD, "--public-key", pub, "--request", at("req.json"), body, at("j.bin")]);
    expect(
      (await bootproof(["keys", "sign-request", at("req.json"), at("res.json"), ...signer, "-y"])).status,
    ).toBe(0);
  });

  it("a pure signature: the whole image is the message", async () => {
    const { at, body, publicKey } = workshop();
    const pub = await publicKey("ed25519");
    const words = ["--pure", "--public-key", pub, ...by("honest", key("ed25519"))];
    expect((await bootproof(["sign", ...HEAD, ...words, body, at("i.bin")])).status).toBe(0);
    await expectGood(at("i.bin"), pub);
  });

  const BAD: [keyof typeof SIGNER_PROGRAMS, number, RegExp][] = [
    ["failing", 24, /ended with status 3/],
    ["refusing", 24, /refused: policy: no signing on Fridays/],
    ["talkative", 24, /not one JSON object on one line/],
    ["endless", 24, /more than 65536 bytes/],
    ["of another version", 24, /"v" is not 1/],
    ["not base64", 24, /not base64/],
    ["with a strange encoding", 24, /neither raw, der nor p1363/],
    ["wrong", 6, /not made by this ed25519 key/],
    ["not an object", 24, /not one JSON object/],
    ["empty", 24, /not one JSON object/],
  ];

  it.each(BAD)("%s: exit %i, nothing written", async (name, exit, message) => {
    const { at, body, publicKey } = workshop();
    const words = ["--public-key", await publicKey("ed25519"), ...by(name)];
    const { status, stderr } = await bootproof(["sign", ...HEAD, ...words, body, at("i.bin")]);
    expect(stderr).toMatch(message);
    expect(status).toBe(exit);
    expect(statSync(at("i.bin"), { throwIfNoEntry: false })).toBeUndefined();
  });

  it("silent: given up after the time it may take", async () => {
    const { at, body, publicKey } = workshop();
    const words = ["--public-key", await publicKey("ed25519"), ...by("silent"), "--signer-timeout", "1"];
    const { status, stderr } = await bootproof(["sign", ...HEAD, ...words, body, at("i.bin")]);
    expect([status, stderr]).toEqual([24, expect.stringContaining("did not answer within 1 seconds")]);
  });

  it("silent: Ctrl-C ends it and the program", async () => {
    const { at, body, publicKey } = workshop();
    const pub = await publicKey("ed25519");
    const source = 'require("node:fs").writeSync(2, "here " + process.pid); setTimeout(() => {}, 600000)';
    const words = ["--signer-command", process.execPath, "--signer-arg=-e", `--signer-arg=${source}`];
    const running = start(["sign", ...HEAD, "--public-key", pub, ...words, body, at("i.bin")]);
    const [, pid] = await running.waitFor(/here (\d+)/);
    running.child.kill("SIGINT");
    expect((await running.ended).status).toBe(130);
    while (isAlive(Number(pid))) await delay(20);
  });

  it("no such program", async () => {
    const { at, body, publicKey } = workshop();
    const words = ["--public-key", await publicKey("ed25519"), "--signer-command", at("nowhere")];
    const { status, stderr } = await bootproof(["sign", ...HEAD, ...words, body, at("i.bin")]);
    expect([status, stderr]).toEqual([25, expect.stringContaining("cannot be started")]);
  });

  it("sees neither passphrase nor PIN of ours", async () => {
    const { at, body, publicKey } = workshop();
    const source = 'require("node:fs").writeSync(2, JSON.stringify(process.env)); process.exit(1)';
    const words = ["--signer-command", process.execPath, "--signer-arg=-e", `--signer-arg=${source}`];
    const pub = await publicKey("ed25519");
    const env = { BOOTPROOF_PASSPHRASE: "hunter-two", BOOTPROOF_PIN: "424242", OTHER: "seen" };
    const { stderr } = await bootproof(["sign", ...HEAD, "--public-key", pub, ...words, body, at("i.bin")], {
      env,
    });
    expect(stderr).toContain("seen");
    expect(stderr).not.toMatch(/hunter-two|424242/);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // ESRCH: gone.
    return false;
  }
}

const reason = whyNoSoftHsm();

describe.skipIf(reason !== undefined)(
  `a security module: SoftHSM${reason ? ` (skipped: ${reason})` : ""}`,
  () => {
    it.each(TYPES)("%s", async (type) => {
      const { at, body, publicKey } = workshop();
      const token = makeToken();
      try {
        token.importKey(key(type), "image key", "a1");
        token.importKey(key(type === "ed25519" ? "rsa-2048" : "ed25519"), "other key", "b2");
        const words = ["--pkcs11-module", softHsmLibrary()!, "--pkcs11-token", token.label];
        const options = { env: { ...token.env, BOOTPROOF_PIN: PIN } };
        const sign = (...more: string[]) =>
          bootproof(["sign", ...HEAD, ...words, ...more, body, at("i.bin"), "--force"], options);
        for (const which of [
          ["--pkcs11-key", "image key"],
          ["--pkcs11-id", "a1"],
        ]) {
          expect(await sign(...which)).toMatchObject({ status: 0 });
          await expectGood(at("i.bin"), await publicKey(type));
        }
        expect(await sign()).toMatchObject({ status: 24, stderr: expect.stringContaining("more than one") });
        expect(await sign("--pkcs11-key", "nobody")).toMatchObject({
          status: 24,
          stderr: expect.stringContaining("has no such private key"),
        });
      } finally {
        token.remove();
      }
    });

    it("a request is approved with a key that never leaves the module", async () => {
      const { at, body, publicKey } = workshop();
      const token = makeToken();
      try {
        token.importKey(key("ecdsa-p256"), "image key", "a1");
        const pub = await publicKey("ecdsa-p256");
        const words = ["sign", ...HEAD, "--public-key", pub, body, at("i.bin")];
        await bootproof([...words, "--request", at("req.json")]);
        writeFileSync(at("pin"), `${PIN}\n`);
        const module = [
          "--pkcs11-module",
          softHsmLibrary()!,
          "--pkcs11-key",
          "image key",
          "--pin-file",
          at("pin"),
        ];
        const approved = await bootproof(
          ["keys", "sign-request", at("req.json"), at("res.json"), ...module, "-y"],
          {
            env: token.env,
          },
        );
        expect(approved).toMatchObject({ status: 0 });
        expect((await bootproof([...words, "--attach", at("res.json")])).status).toBe(0);
        await expectGood(at("i.bin"), pub);
      } finally {
        token.remove();
      }
    });

    it("a wrong PIN, a wrong token, a wrong library", async () => {
      const { at, body } = workshop();
      const token = makeToken();
      try {
        const sign = (words: string[], pin = PIN) =>
          bootproof(["sign", ...HEAD, ...words, body, at("i.bin")], {
            env: { ...token.env, BOOTPROOF_PIN: pin },
          });
        const library = ["--pkcs11-module", softHsmLibrary()!];
        const wrong = await sign(library, "999111");
        expect(wrong).toMatchObject({
          status: 24,
          stderr: expect.stringMatching(/the PIN: it is wrong\.\n {2}try: Check the PIN/),
        });
        expect(wrong.stderr + wrong.stdout).not.toContain("999111");
        expect(await sign([...library, "--pkcs11-token", "other"])).toMatchObject({
          status: 24,
          stderr: expect.stringContaining(token.label),
        });
        expect(await sign(["--pkcs11-module", at("body.bin")])).toMatchObject({
          status: 25,
          stderr: expect.stringContaining("cannot be used"),
        });
      } finally {
        token.remove();
      }
    });
  },
);

describe("the folder of a Zephyr build", () => {
  it("is signed as the application in it, with the room that its settings leave for the header", async () => {
    const { at, publicKey } = workshop();
    const body = new Uint8Array(3200);
    body.set(payload("p3000"), 0x80);
    const put = (name: string, content: Uint8Array | string) => {
      mkdirSync(join(at(name), ".."), { recursive: true });
      writeFileSync(at(name), content);
    };
    put("build/mcuboot/zephyr/.config", "CONFIG_BOOT_SWAP_USING_MOVE=y\n");
    put("build/mcuboot/zephyr/zephyr.bin", "bootloader");
    put("build/app/zephyr/.config", "CONFIG_BOOTLOADER_MCUBOOT=y\nCONFIG_ROM_START_OFFSET=0x80\n");
    put("build/app/zephyr/zephyr.bin", body);
    const words = ["-v", "1.2.3", "-S", "0x10000", "-k", key("ed25519")];
    const signed = await bootproof(["sign", at("build"), at("folder.bin"), ...words]);
    expect(signed).toMatchObject({ status: 0, stderr: expect.stringContaining("header of 128 bytes") });
    await bootproof(["sign", at("build/app/zephyr/zephyr.bin"), at("file.bin"), "-H", "0x80", ...words]);
    expect(readFileSync(at("folder.bin")).equals(readFileSync(at("file.bin")))).toBe(true);
    await expectGood(at("folder.bin"), await publicKey("ed25519"));
    const refused = await bootproof([
      "sign",
      at("build/app"),
      at("none.bin"),
      ...words.slice(0, 4),
      "--unsigned",
    ]);
    expect(refused.status).toBe(0);
    put("empty/readme", "");
    const empty = await bootproof(["sign", at("empty"), at("none2.bin"), ...words]);
    expect(empty.stderr).toContain("contains no application of a Zephyr build");
    expect(empty.status).not.toBe(0);
  });
});
