import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { xzLzma2 } from "../../src/cli/signing/xz.js";
import { connect } from "../../src/client/connect.js";
import { HASHES } from "../../src/crypto/hashes.js";
import { signatureAlgorithmOf } from "../../src/crypto/keys.js";
import { keySigner } from "../../src/crypto/signer.js";
import { boardVariant, fixtureKey } from "../../src/emulator/catalog.js";
import { signedFixture } from "../../src/emulator/signed-fixture.js";
import { startBoard } from "../../src/emulator/start.js";
import { compressImage } from "../../src/mcuboot/compress-image.js";
import { statedUnpacked } from "../../src/mcuboot/compression.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { signImage } from "../../src/mcuboot/sign.js";
import { verifyImage } from "../../src/mcuboot/verify.js";
import { run } from "../../src/session/run.js";
import { Session } from "../../src/session/session.js";
import { imageMark } from "../../src/smp/groups/image.js";
import type { FlashOptions, FlashResult } from "../../src/update/flash.js";
import { upload } from "../../src/update/upload.js";
import { Line, setClock } from "../bench/line.js";
import { fetchedRealServers } from "../support/fetch-real-servers.js";
import { bench, image, stands, tell, trustedKey } from "../support/workflow-board.js";
import { inVirtualTime } from "../support/workflow-clock.js";
import { noQemuReason } from "../support/workflow-qemu.js";

/** Updates that are sent compressed: what runs is the image that was given, and less is sent. */

const key = await fixtureKey("ed25519-1");
const compress = (file: Uint8Array) => compressImage(file, keySigner(key), xzLzma2);

let plain: Uint8Array;
let packed: Uint8Array;
beforeAll(async () => {
  plain = await image("good-b", { variant: "compressed" });
  packed = (await compress(plain))!;
});

const hashOf = (file: Uint8Array) => parseImage(file).imageHash!.value;
const found = ({ preflight }: FlashResult, wanted: string) => preflight.find(({ name }) => name === wanted);

/** Compressed before, so that virtual time has not to wait for the program xz. */
const ready: FlashOptions = { compress: async () => packed };

it("the compressed image verifies, and says which image it becomes", async () => {
  expect(await verifyImage(packed, { keys: [key] })).toMatchObject({
    checks: expect.arrayContaining([expect.objectContaining({ name: "compressed-body", result: "pass" })]),
  });
  expect(statedUnpacked(parseImage(packed))).toEqual({ hash: hashOf(plain), size: plain.length });
  expect(statedUnpacked(parseImage(plain))).toBeUndefined();
});

describe("on the board that unpacks", () => {
  const flashed = async (file: Uint8Array, options: FlashOptions = {}, variant = "compressed") => {
    const { session } = await bench({ variant });
    const { result, steps } = await tell(session, file, { keys: [await trustedKey(variant)], ...options });
    return { session, result, steps };
  };

  it("the image runs and is judged by its own hash; what was saved is told; again, nothing is sent", () =>
    inVirtualTime(async () => {
      const { session, result } = await flashed(plain, ready);
      expect(result).toMatchObject({
        outcome: "running",
        imageHash: hashOf(plain),
        uploadedBytes: packed.length,
        compression: {
          sentBytes: packed.length,
          plainBytes: plain.length,
          savedBytes: plain.length - packed.length,
          savedMs: expect.any(Number),
        },
      });
      expect(found(result, "compression")).toMatchObject({ result: "pass" });
      expect(found(result, "revert-possible")).toMatchObject({ result: "warn" });
      expect(await stands(session)).toMatchObject({ version: "2.0.0", confirmed: true, counter: 2 });
      for (const options of [ready, {}]) {
        const again = await tell(session, plain, { keys: [key], ...options });
        expect(again.result).toMatchObject({ outcome: "already-running" });
        expect(again.steps).not.toContain("sent");
      }
    }));

  it("a file that was compressed when it was signed is taken as well, and known by what it became", () =>
    inVirtualTime(async () => {
      const { session, result } = await flashed(packed);
      expect(result).toMatchObject({ outcome: "running", compression: { plainBytes: plain.length } });
      expect(found(result, "compressed-body")).toMatchObject({ result: "pass" });
      expect((await tell(session, packed, { keys: [key] })).result).toMatchObject({
        outcome: "already-running",
      });
    }));

  it("one that is marked already is not sent again", () =>
    inVirtualTime(async () => {
      const { session } = await bench({ variant: "compressed" });
      await run(upload(session, packed));
      await session.client.send(imageMark, { hash: hashOf(packed), confirm: false });
      const { result, steps } = await tell(session, plain, { keys: [key], ...ready });
      expect(result).toMatchObject({ outcome: "running" });
      expect(steps).not.toContain("uploaded");
    }));

  it("one that is wrong inside is refused before a byte is sent, and by the board when it is sent all the same", () =>
    inVirtualTime(async () => {
      const parsed = parseImage(packed);
      const wrong = packed.slice();
      const stated = parsed.tlvs.find(({ type }) => type === 0x71)!;
      wrong[stated.offset + 4]! ^= 1;
      const { result } = await flashed(await signedAnew(wrong));
      expect(result).toMatchObject({ outcome: "refused-by-preflight", refusedBy: "compressed-body" });
      const sent = await flashed(await signedAnew(wrong), { skip: ["compressed-body"] });
      expect(sent.result).toMatchObject({
        outcome: "not-running",
        cause: "signature",
        message: expect.stringContaining("its hash does not match its content"),
      });
      expect(await stands(sent.session)).toMatchObject({ version: "1.0.0" });
    }));

  it("what gets no smaller is sent as it is", () =>
    inVirtualTime(async () => {
      const { result } = await flashed(plain, { compress: async () => undefined });
      expect(result).toMatchObject({ outcome: "running", uploadedBytes: plain.length });
      expect(result.compression).toBeUndefined();
      expect(found(result, "compression")).toMatchObject({ result: "warn" });
    }));
});

/** Hash and signature of the outside made right over what it holds now. */
async function signedAnew(file: Uint8Array): Promise<Uint8Array> {
  const { hashedRange, imageHash, signatures } = parseImage(file);
  const digest = HASHES.sha256.digest(hashedRange);
  const algorithm = signatureAlgorithmOf(key);
  const signer = keySigner(key);
  const signature = await signer.sign({ algorithm, hash: "sha256", range: hashedRange, digest, pure: false });
  const bytes = file.slice();
  const at = (value: Uint8Array) => value.byteOffset - file.byteOffset;
  bytes.set(digest, at(imageHash!.value));
  bytes.set(signature, at(signatures[0]!.value));
  return bytes;
}

describe("boards that do not unpack", () => {
  it.each([
    ["good", {}, "compression", /only in overwrite-only mode/],
    ["two-images", {}, "compression", /several images/],
  ] as const)("%s: refused before a byte is sent", (variant, options, refusedBy, message) =>
    inVirtualTime(async () => {
      const { session } = await bench({ variant });
      const { result, steps } = await tell(session, plain, { keys: [key], ...ready, ...options });
      expect(result).toMatchObject({
        outcome: "refused-by-preflight",
        refusedBy,
        message: expect.stringMatching(message),
      });
      expect(steps).not.toContain("uploaded");
    }),
  );

  it("one that says nothing of it leaves the check open, and an application that lists no such image is named", () =>
    inVirtualTime(async () => {
      const { session } = await bench({ variant: "overwrite" });
      const options = { keys: [key], ...ready };
      const dry = await tell(session, plain, { ...options, dryRun: true });
      expect(found(dry.result, "compression")).toMatchObject({ result: "unknown" });
      await expect(tell(session, plain, options)).rejects.toMatchObject({
        code: "not-listed",
        hint: "Send the image as it is, without --compress.",
      });
      expect(await stands(session)).toMatchObject({ version: "1.0.0", confirmed: true });
    }));
});

describe("compressing", () => {
  it("needs the key that signed the image", async () => {
    const other = await fixtureKey("ed25519-2");
    await expect(compressImage(plain, keySigner(other), xzLzma2)).rejects.toMatchObject({
      code: "key-mismatch",
    });
  });

  it("takes no image that is compressed or encrypted already", async () => {
    await expect(compress(packed)).rejects.toMatchObject({ code: "bad-option" });
    const encrypted = await image("good-b", { variant: "encrypted-x25519", encrypted: true });
    await expect(compress(encrypted)).rejects.toMatchObject({ code: "bad-option" });
  });

  it("gives nothing where that saves nothing", async () => {
    const { image: small } = await signImage(hashOf(plain), {
      key,
      version: "1.0.0",
      headerSize: 32,
      padHeader: true,
      slotSize: 0,
    });
    expect(await compress(small)).toBeUndefined();
  });
});

describe("the board in QEMU", () => {
  it("unpacks machine code with the filter for Thumb code", async ({ skip }) => {
    if (noQemuReason !== undefined) skip(noQemuReason);
    const { session } = await bench({ machine: "qemu", variant: "compressed" });
    const file = await image("good-b", { machine: "qemu", variant: "compressed" });
    const { result } = await tell(session, file, { keys: [key], compress });
    expect(result).toMatchObject({ outcome: "running", imageHash: hashOf(file) });
    expect(found(result, "compression")!.message).toContain("arm-thumb");
  });
});

/** Firmware of others, signed by our key: ready-built Zephyr programs, where they were fetched. */
function zephyrBodies(): [name: string, body: Uint8Array, headerSize: number][] {
  const folder = process.env.BOOTPROOF_REAL_SERVERS ?? fetchedRealServers();
  if (!folder || !existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => /mps2_an385.*signed\.bin$/.test(name));
  return names.slice(0, 1).map((name) => {
    const { body, header } = parseImage(new Uint8Array(readFileSync(join(folder, name))));
    return [name, body, header.headerSize];
  });
}

/** Milliseconds that an upload takes over a line of 115200 bits a second, by a clock that nobody else's work moves. */
function uploadMs(files: readonly Uint8Array[]): Promise<number[]> {
  setClock("virtual");
  return inVirtualTime(async () => {
    const times: number[] = [];
    for (const file of files) {
      // Its slots take the largest of these images; what lies in them is nobody's business here.
      const board = await startBoard({ machine: "wasm", variant: "large-sectors" });
      const line = { baud: 115_200, delayMs: 0, fifo: 16, errorRate: 0, seed: 1 };
      const session = await Session.open(async () => connect(new Line(await board.connect(), line)));
      try {
        times.push((await run(upload(session, file))).elapsedMs);
      } finally {
        await session.close();
        await board.close();
      }
    }
    return times;
  }, 0.001);
}

describe("bytes, and seconds on a line of 115200 bits", () => {
  const mustSave = async (file: Uint8Array) => {
    const small = (await compress(file))!;
    const bytes = small.length / file.length;
    expect(bytes).toBeLessThanOrEqual(0.65);
    // By turns, in one run.
    const [plainMs, packedMs, plainAgain, packedAgain] = await uploadMs([file, small, file, small]);
    const time = (packedMs! + packedAgain!) / (plainMs! + plainAgain!);
    expect(Math.abs(time - bytes), `bytes ${bytes}, time ${time}`).toBeLessThanOrEqual(0.03);
  };

  it.each(["wasm", "qemu"] as const)("the fixtures' own applications, %s", async (machine) => {
    for (const id of ["good-a", "good-b"])
      await mustSave(await signedFixture(id, machine, boardVariant("compressed")));
  });

  it("a Zephyr program of another maker", async ({ skip }) => {
    const bodies = zephyrBodies();
    if (bodies.length === 0) skip("no ready-built Zephyr servers were fetched");
    for (const [, body, headerSize] of bodies) {
      const options = { key, version: "2.0.0", securityCounter: 2, headerSize, padHeader: true, slotSize: 0 };
      await mustSave((await signImage(body, options)).image);
    }
  });
});
