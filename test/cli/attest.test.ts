import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { fromHex, toBase64, toHex } from "../../src/bytes.js";
import { parseKey } from "../../src/crypto/keys.js";
import { keySigner } from "../../src/crypto/signer.js";
import { openEnvelope, parseEnvelope, preAuthEncoding, signEnvelope } from "../../src/trust/dsse.js";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, json, keyFile, signedUpdate, signWords } from "../support/cli-run.js";
import { SIGNER_PROGRAMS } from "../support/image-signers.js";
import { installInTotoJudge, judgeEnvelope } from "../support/in-toto-judge.js";

beforeAll(ensureBuilt);

describe("DSSE", () => {
  // Made outside this project with OpenSSL: Ed25519 seed 00 01 .. 1f; see test/vectors/trust/README.md.
  const SEED = Uint8Array.from({ length: 32 }, (_, index) => index);
  const PEM = `-----BEGIN PRIVATE KEY-----\n${toBase64(Buffer.concat([fromHex("302e020100300506032b657004220420"), SEED]))}\n-----END PRIVATE KEY-----\n`;
  const BODY = new TextEncoder().encode('{"_type":"x"}');
  const TYPE = "application/vnd.in-toto+json";
  const SIGNATURE =
    "goX4FL1gAO1dQj6OkNILGhdI5SanI8b6Vg4Uz7oCQmIVUQ5fn/+VKBi6suUNBnMNtoRyc8dS6Z3zSsd1PQo4Dw==";

  it("signs the encoding that others sign, byte for byte", async () => {
    expect(new TextDecoder().decode(preAuthEncoding(TYPE, BODY))).toBe(
      'DSSEv1 28 application/vnd.in-toto+json 13 {"_type":"x"}',
    );
    const key = await parseKey(PEM);
    const envelope = await signEnvelope(TYPE, BODY, [keySigner(key)]);
    expect(JSON.parse(envelope).signatures[0].sig).toBe(SIGNATURE);
    const urlSafe = envelope.replaceAll("+", "-").replaceAll("application/vnd.in-toto-json", TYPE);
    const opened = await openEnvelope(parseEnvelope(urlSafe), { keys: [key], payloadType: TYPE });
    expect(opened.payload).toEqual(BODY);
  });

  it("wants as many different keys as the threshold says", async () => {
    const [a, b] = await Promise.all(
      ["ed25519-1", "p256-1"].map(async (name) => parseKey(readFileSync(keyFile(name)))),
    );
    const twice = parseEnvelope(await signEnvelope(TYPE, BODY, [keySigner(a!), keySigner(a!)]));
    const open = (envelope: typeof twice, threshold: number) =>
      openEnvelope(envelope, { keys: [a!, b!], payloadType: TYPE, threshold });
    await expect(open(twice, 2)).rejects.toMatchObject({ code: "not-signed" });
    const both = parseEnvelope(await signEnvelope(TYPE, BODY, [keySigner(a!), keySigner(b!)]));
    expect((await open(both, 2)).signedBy.map((key) => toHex(key.keyHash))).toHaveLength(2);
    await expect(openEnvelope(both, { keys: [a!], payloadType: "other" })).rejects.toMatchObject({
      code: "wrong-content",
    });
  });

  it.each([
    "",
    "{}",
    '{"payload":"!","payloadType":"x","signatures":[{"sig":"AA=="}]}',
    '{"payload":"","payloadType":"x","signatures":[]}',
  ])("is not %j", (text) => expect(() => parseEnvelope(text)).toThrow(/not a DSSE envelope/));
});

describe("prove --attest", () => {
  it("states what held, what failed and what is open; securesystemslib accepts it, and a policy asks for it", async (context) => {
    const { folder, publicKey } = await signedUpdate();
    const at = (name: string) => join(folder, name);
    const device = `wasm:good?flash=${at("flash.bin")}`;
    const env = { XDG_STATE_HOME: at("state") };
    // The board that prove leaves behind has a stored counter of its own.
    const newer = at("newer.bin");
    await bootproof(signWords("good-b", newer, "9.0.0", 9));
    const attested = at("attest.pem");
    await bootproof(["keys", "public", keyFile("p256-1"), attested]);
    const { keyHash } = (await json(["keys", "show", attested])).value as { keyHash: string };
    writeFileSync(at("boot.elf"), "the bootloader that was built");
    const prove = (board: string, file: string, ...words: string[]) =>
      bootproof(["prove", "-d", board, "--claim", "signature", "--quick", "--attest", file, ...words], {
        env,
      });
    expect((await prove(device, at("proof"))).status).toBe(2);
    expect(
      (await prove(device, at("proof"), "--attest-key", keyFile("p256-1"), "--bootloader", at("boot.elf")))
        .status,
    ).toBe(0);
    const judge = installInTotoJudge();
    const judged = judge === undefined ? judgeEnvelope(at("proof"), attested, keyHash) : undefined;
    if (judged !== undefined)
      expect(judged).toMatchObject({
        type: "application/vnd.in-toto+json",
        statement: {
          _type: "https://in-toto.io/Statement/v1",
          predicateType: "https://in-toto.io/attestation/test-result/v0.1",
          subject: [{}, { name: "boot.elf", digest: { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) } }],
          predicate: {
            result: "PASSED",
            passedTests: expect.arrayContaining(["signature"]),
            failedTests: [],
            warnedTests: [],
          },
        },
      });
    if (judged !== undefined) {
      const envelope = readFileSync(at("proof"), "utf8");
      writeFileSync(at("forged"), envelope.replace(/"sig":"..../, '"sig":"AAAA'));
      expect(judgeEnvelope(at("forged"), attested, keyHash)).toMatch(/VerificationError|verif/i);
    }

    // A board that breaks the claim: FAILED, and no policy takes it.
    expect((await prove("wasm:no-signature", at("weak"), "--attest-key", keyFile("p256-1"))).status).toBe(26);
    const weak = (await json(["attest", "verify", at("weak"), "--key", attested])).value;
    expect(weak).toMatchObject({
      statement: { predicate: { result: "FAILED", failedTests: expect.arrayContaining(["signature"]) } },
    });

    const policy = at("policy.yaml");
    writeFileSync(
      policy,
      `version: 1\nlevel: bench\nsettings: { proofKeys: ["${keyHash}"] }\nrules: { proved: refuse }\n`,
    );
    const flash = (board: string, ...words: string[]) =>
      bootproof(
        ["flash", newer, "--key", publicKey, "-d", board, "--policy", policy, "--dry-run", ...words],
        { env },
      );
    expect(await flash(device)).toMatchObject({ status: 48, stdout: /No statement of prove was given/ });
    const given = ["--proof", at("proof"), "--proof-key", attested];
    expect(await flash(device, ...given)).toMatchObject({
      status: 0,
      stderr: /Proven on this board 0 days ago/,
    });
    expect(await flash(`wasm:good?flash=${at("other.bin")}`, ...given)).toMatchObject({
      status: 48,
      stdout: /about another board/,
    });
    expect(await flash(device, "--proof", at("weak"), "--proof-key", attested)).toMatchObject({
      status: 48,
      stdout: /ended as FAILED/,
    });
    if (judge !== undefined) context.skip(judge);
  });

  it("is signed by a program as well, whose signature is checked", async () => {
    const { folder, image, publicKey } = await signedUpdate();
    const at = (name: string) => join(folder, name);
    const words = [
      "flash",
      image,
      "--key",
      publicKey,
      "-d",
      "wasm:good",
      "--soak",
      "0",
      "--attest",
      at("by-program"),
    ];
    const program = [
      "--attest-signer-command",
      process.execPath,
      "--attest-signer-arg",
      "-e",
      "--attest-signer-arg",
      SIGNER_PROGRAMS.honest,
    ];
    const p256 = ["--attest-signer-arg", keyFile("p256-1")];
    expect(await bootproof([...words, ...program, ...p256])).toMatchObject({ status: 0 });
    const attested = at("attest.pem");
    await bootproof(["keys", "public", keyFile("p256-1"), attested]);
    expect(
      (await bootproof(["attest", "verify", at("by-program"), "--key", attested, "--subject", image])).status,
    ).toBe(0);
    const other = await bootproof([...words, ...program, ...p256, "--attest-public-key", publicKey]);
    expect(other.status).not.toBe(0);
  });
});

describe("--attest with several boards", () => {
  it("writes a statement for each, named after it", async () => {
    const { folder, image, publicKey } = await signedUpdate();
    const at = (name: string) => join(folder, name);
    const attested = at("attest.pem");
    await bootproof(["keys", "public", keyFile("p256-1"), attested]);
    const boards = ["-d", "wasm:good", "-d", "wasm:no-counter", "--attest-key", keyFile("p256-1")];
    const flash = (file: string) =>
      bootproof(["flash", image, "--key", publicKey, ...boards, "--soak", "0", "--attest", file]);
    expect(await flash(at("one.json"))).toMatchObject({ status: 2, stderr: /Write \{board\} in/ });
    expect((await flash(at("flash-{board}.json"))).status).toBe(0);
    const prove = [
      "prove",
      ...boards,
      "--claim",
      "signature",
      "--quick",
      "--attest",
      at("prove-{board}.json"),
    ];
    expect((await bootproof(prove)).status).toBe(0);
    const statement = async (name: string) => {
      const told = await json(["attest", "verify", at(name), "--key", attested]);
      expect(told.status).toBe(0);
      return (told.value.statement as { predicate: object }).predicate;
    };
    expect(await statement("flash-wasm_good.json")).toMatchObject({
      outcome: "confirmed",
      after: { version: "2.0.0" },
    });
    expect(await statement("flash-wasm_no-counter.json")).toMatchObject({ outcome: "confirmed" });
    for (const name of ["good", "no-counter"])
      expect(await statement(`prove-wasm_${name}.json`)).toMatchObject({
        result: "PASSED",
        configuration: expect.arrayContaining([
          expect.objectContaining({ name: expect.stringContaining(name) }),
        ]),
      });
  });
});

describe("--attest with boards that keep an update together", () => {
  it("writes a statement of each when all have ended: what all came to, and what this one runs", async () => {
    const { folder, image, publicKey } = await signedUpdate();
    const at = (name: string) => join(folder, name);
    const attested = at("attest.pem");
    await bootproof(["keys", "public", keyFile("p256-1"), attested]);
    const boards = ["left", "right"].flatMap((name) => ["-d", `wasm:good?flash=${at(`${name}.flash`)}`]);
    const signed = ["--attest-key", keyFile("p256-1"), "--key", publicKey, "--soak", "0"];
    const flash = (file: string, ...more: string[]) =>
      bootproof(["flash", image, "--together", ...boards, ...signed, "--attest", at(file), ...more]);
    const statements = async (prefix: string) => {
      const files = readdirSync(folder).filter((name) => name.startsWith(prefix));
      const told = files.map((name) =>
        json(["attest", "verify", at(name), "--key", attested, "--subject", image]),
      );
      return (await Promise.all(told)).map(
        ({ value }) => (value.statement as { predicate: object }).predicate,
      );
    };
    expect(await flash("one.json")).toMatchObject({ status: 2, stderr: /Write \{board\} in/ });
    expect((await flash("back-{board}.json", "--health", "exit 3")).status).toBe(62);
    const addresses = boards.filter((word) => word !== "-d");
    const back = {
      outcome: "old-image",
      message: expect.stringMatching(/ended with 3/),
      together: { outcome: "reverted", boards: addresses },
      before: { version: "1.0.0" },
      after: { version: "1.0.0" },
    };
    expect(await statements("back-")).toMatchObject([back, back]);
    expect((await flash("kept-{board}.json")).status).toBe(0);
    const kept = {
      outcome: "confirmed",
      together: { outcome: "committed", boards: addresses },
      image: { version: "2.0.0" },
      before: { version: "1.0.0" },
      after: { version: "2.0.0", hash: expect.stringMatching(/^[0-9a-f]{64}$/) },
    };
    expect(await statements("kept-")).toMatchObject([kept, kept]);
  });
});

describe("flash --attest", () => {
  it("states what the board reported, signed, about this very file; an independent verifier agrees", async (context) => {
    const { folder, image, publicKey } = await signedUpdate();
    const file = join(folder, "update.intoto.jsonl");
    const words = ["flash", image, "--key", publicKey, "-d", "wasm:good", "--soak", "0", "--attest", file];
    expect((await bootproof(words)).status).toBe(2);
    expect((await bootproof([...words, "--attest-key", keyFile("p256-1")])).status).toBe(0);
    const attested = join(folder, "attest.pem");
    await bootproof(["keys", "public", keyFile("p256-1"), attested]);
    const verify = ["attest", "verify", file, "--key", attested];
    const good = await json([...verify, "--subject", image]);
    expect(good).toMatchObject({
      status: 0,
      value: {
        statement: {
          predicateType: "urn:x-bootproof:attestation:flash:v1",
          predicate: { outcome: "confirmed", before: { version: "1.0.0" }, after: { version: "2.0.0" } },
        },
      },
    });
    expect(await bootproof([...verify, "--subject", publicKey])).toMatchObject({
      status: 47,
      stderr: /is not about/,
    });
    expect((await bootproof(["attest", "verify", file, "--key", publicKey])).status).toBe(47);
    const text = readFileSync(file, "utf8");
    const changed = join(folder, "changed");
    writeFileSync(changed, text.replace('"payload":"eyJfd', '"payload":"eyJfe'));
    expect((await bootproof(["attest", "verify", changed, "--key", attested])).status).toBe(47);

    // OpenSSL's own command line over the encoding, put together here from the envelope alone.
    const { payload, payloadType, signatures } = JSON.parse(text);
    const body = Buffer.from(payload, "base64");
    const encoded = Buffer.concat([
      Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${body.length} `),
      body,
    ]);
    writeFileSync(join(folder, "pae"), encoded);
    writeFileSync(join(folder, "sig"), Buffer.from(signatures[0].sig, "base64"));
    const openssl = [
      "dgst",
      "-sha256",
      "-verify",
      attested,
      "-signature",
      join(folder, "sig"),
      join(folder, "pae"),
    ];
    const judged = spawnSync("openssl", openssl, { encoding: "utf8" });
    if (judged.error) {
      if (process.env.CI) throw judged.error;
      return context.skip("openssl is not installed here");
    }
    expect(judged).toMatchObject({ status: 0, stdout: expect.stringMatching(/Verified OK/) });
  });
});
