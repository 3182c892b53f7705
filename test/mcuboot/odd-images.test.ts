import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { concat, fromBase64, u32Bytes } from "../../src/bytes.js";
import { runImgtool } from "../../src/cli/imgtool/run.js";
import { HASHES } from "../../src/crypto/hashes.js";
import { parseKey, signatureAlgorithmOf } from "../../src/crypto/keys.js";
import { keySigner } from "../../src/crypto/signer.js";
import { encodeHeader } from "../../src/mcuboot/header.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { TLV } from "../../src/mcuboot/tlv.js";
import { verifyImage } from "../../src/mcuboot/verify.js";
import { payload, vectorFile } from "../support/image-imgtool-args.js";
import { throwAwayKeys } from "../support/image-keys.js";
import { inputFile } from "../support/input-files.js";
import { signedByHand } from "../support/signed-by-hand.js";

interface Run {
  readonly exit: number;
  /** What it answered; null when imgtool ended with a traceback. */
  readonly out: string | null;
}
interface Row {
  readonly name: string;
  readonly key: string;
  readonly image: string;
  readonly verify: Run;
  readonly verifyKey: Run;
  readonly dumpinfo: Run;
}
const { made_by, rows } = JSON.parse(vectorFile("imgtool-odd-images.json")) as {
  made_by: string;
  rows: Row[];
};

const folder = mkdtempSync(join(tmpdir(), "bootproof-odd-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function run(...words: string[]): Promise<Run> {
  let out = "";
  const exit = await runImgtool(words, {
    out: (content) => {
      out += typeof content === "string" ? content : new TextDecoder().decode(content);
    },
    err: () => {},
  });
  return { exit, out };
}

describe(`odd images: verify and dumpinfo answer as ${made_by} does`, () => {
  it.each(rows)("$name", async ({ key, image, verify, verifyKey, dumpinfo }) => {
    const file = join(folder, "odd.bin");
    writeFileSync(file, fromBase64(image));
    const keyFile = fileURLToPath(new URL(`../vectors/image/keys/throw-away-${key}.pem`, import.meta.url));
    expect(await run("verify", file)).toEqual(verify);
    expect(await run("dumpinfo", file)).toEqual(dumpinfo);
    const withKey = await run("verify", "-k", keyFile, file);
    // Where imgtool crashes, the same exit status with an answer.
    if (verifyKey.out === null)
      expect(withKey).toEqual({ exit: 1, out: expect.stringMatching(/hash|signature/i) });
    else expect(withKey).toEqual(verifyKey);
  });
});

describe("a TLV of an odd length fails the check that needs it, and nothing else", () => {
  const failed = async (bytes: Uint8Array) => {
    const { checks } = await verifyImage(bytes, { keys: [await parseKey(inputFile("pub.pem"))] });
    return checks.filter(({ result }) => result === "fail").map(({ name, sentence }) => [name, sentence]);
  };

  it.each([
    ["sec0.bin", "security-counter", "The SEC_CNT TLV at 292 has 0 bytes, not 4."],
    ["sec8.bin", "security-counter", "The SEC_CNT TLV at 292 has 8 bytes, not 4."],
    ["dep8.bin", "dependencies", "The DEPENDENCY TLV at 292 has 8 bytes, not 12."],
  ])("%s: %s", async (file, check, sentence) => {
    const bytes = inputFile(file);
    const image = parseImage(bytes);
    expect([image.securityCounter, image.dependencies]).toEqual([undefined, []]);
    // These three carry no signature: that one fails beside it.
    const others = ["key-hash", "signature"];
    expect((await failed(bytes)).filter(([name]) => !others.includes(name!))).toEqual([[check, sentence]]);
  });

  it("of several, the odd one fails, and the right ones are read", async () => {
    const odd = (name: string) => fromBase64(rows.find((row) => row.name === name)!.image);
    const counters = odd("a right and an odd counter");
    expect(parseImage(counters).securityCounter).toBe(1);
    expect((await failed(counters)).map(([name]) => name)).toContain("security-counter");
    const dependencies = odd("a right and an odd dependency");
    expect(parseImage(dependencies).dependencies).toHaveLength(1);
    expect((await failed(dependencies)).map(([name]) => name)).toContain("dependencies");
  });

  it("an image that depends on others says on which, without a verdict", async () => {
    const { checks } = await verifyImage(inputFile("v2dep.bin"));
    expect(checks.at(-1)).toEqual({
      name: "dependencies",
      result: "not-checked",
      sentence: "The image needs image 1 >= 0.0.2; only the board knows its images.",
    });
  });
});

describe("flags that MCUboot gives no meaning", () => {
  it("a compressed image with bit 31 set is unpacked and judged as any other", async () => {
    const { rows: streams } = JSON.parse(vectorFile("lzma2.json")) as {
      rows: { of: string; thumb: boolean; packed: string }[];
    };
    const body = payload("p3000");
    const stream = fromBase64(streams.find(({ of, thumb }) => of === "p3000" && !thumb)!.packed);
    const version = { major: 2, minor: 0, revision: 0, build: 0 };
    const inner = encodeHeader({
      loadAddress: 0,
      headerSize: 512,
      protectedSize: 0,
      bodySize: body.length,
      flags: 0x8000_0000,
      version,
      pad: 0,
    });
    const plain = concat(inner, new Uint8Array(480), body);
    const key = (await throwAwayKeys()).ed25519;
    const digest = HASHES.sha256.digest(plain);
    const signature = await keySigner(key).sign({
      algorithm: signatureAlgorithmOf(key),
      hash: "sha256",
      range: plain,
      digest,
      pure: false,
    });
    const tlvs = [
      { type: TLV.DECOMP_SIZE, value: u32Bytes(body.length, "little") },
      { type: TLV.DECOMP_SHA, value: digest },
      { type: TLV.DECOMP_SIGNATURE, value: signature },
    ];
    const packed = concat(Uint8Array.of(0x0a, 0x5d), stream);
    const image = await signedByHand(key, packed, tlvs, 0x8000_0400);
    const { checks } = await verifyImage(image, { keys: [key.publicKey] });
    expect(checks.find(({ name }) => name === "compressed-body")).toMatchObject({ result: "pass" });
    expect(checks.filter(({ result }) => result === "fail")).toEqual([]);
  });
});
