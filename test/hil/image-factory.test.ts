import { generateKey, parseImage, verifyImage } from "bootproof";
import { boardVariant, fixtureKey, signedFixture } from "bootproof/boards";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import {
  appendUnprotected,
  cutShort,
  flipBit,
  rehash,
  signatureAt,
  withSignatureOf,
} from "../../hil/images/image-edits.js";
import { compressedWithWrongHash, ImageFactory, SMALLEST_GROWTH } from "../../hil/images/image-factory.js";
import { overflowTlv } from "../../hil/images/malformed-lengths.js";

/** The library's own verdict says what each made image is. */
async function verdict(factory: ImageFactory, file: Uint8Array): Promise<string[]> {
  const { checks } = await verifyImage(file, { keys: [factory.key!.publicKey], toBoot: true });
  return checks.filter(({ result }) => result === "fail").map(({ name }) => name);
}

describe.each(["good", "p256", "rsa2048"])("images made for the variant %s", (id) => {
  let factory: ImageFactory;
  beforeAll(async () => {
    const variant = boardVariant(id);
    const base = await signedFixture("good-a", "wasm", variant, { version: "2.1.0", counter: 5 });
    factory = new ImageFactory({ base, key: await fixtureKey(variant.keys[0]!) });
  });

  it("a good update verifies, and differs from the base in its version", async () => {
    const file = await factory.update();
    expect(await verdict(factory, file)).toEqual([]);
    const image = parseImage(file);
    expect(image.version).toMatchObject({ major: 3, minor: 1 });
    expect(image.securityCounter).toBe(5);
    expect(image.body).toEqual(factory.base.body);
  });

  it("bad ones fail for the reason they were made for", async () => {
    const good = await factory.update();
    expect(await verdict(factory, flipBit(good, good.length >> 1))).toContain("hash");
    expect(await verdict(factory, rehash(flipBit(good, good.length >> 1)))).toEqual(["signature"]);
    expect(await verdict(factory, flipBit(good, signatureAt(good) + 8))).toEqual(["signature"]);
    expect(await verdict(factory, withSignatureOf(good, factory.baseFile))).toEqual(["signature"]);
    expect(await verdict(factory, await factory.make({ key: "none" }))).toEqual(["signature"]);
    expect(await verdict(factory, await factory.make({ key: await generateKey(factory.key!.type) }))).toEqual(
      ["key-hash", "signature"],
    );
    expect(await verdict(factory, overflowTlv(good))).toContain("structure");
  });

  it.each([[[0x5a]], [[0xff]], [[0x00, 0xff, 0xff]]])(
    "one that ends too early is another one with erased flash behind it, ending in %j",
    async (end) => {
      const file = (await factory.update()).slice();
      file.set(end, file.length - end.length);
      const cut = cutShort(file);
      expect(cut.length).toBeGreaterThan(signatureAt(file));
      for (const erased of [0xff, 0x00]) {
        const read = new Uint8Array(file.length).fill(erased);
        read.set(cut);
        expect(read).not.toEqual(file);
      }
    },
  );

  it("a compressed one with a wrong inner hash has a good signature", async () => {
    const file = await compressedWithWrongHash(factory);
    const { checks } = await verifyImage(file, { keys: [factory.key!.publicKey] });
    expect(checks.find(({ name }) => name === "signature")?.result).toBe("pass");
    expect(parseImage(file).header.flags & 0x400).toBe(0x400);
  });

  it("a TLV appended outside leaves hash and signature good", async () => {
    const file = appendUnprotected(await factory.update(), 0x50, new Uint8Array(4));
    const { checks } = await verifyImage(file, { keys: [factory.key!.publicKey] });
    expect(checks.find(({ name }) => name === "signature")?.result).toBe("pass");
    expect(parseImage(file).tlvs.at(-1)?.type).toBe(0x50);
  });
});

it("a body of any size is still a WebAssembly module", async () => {
  const variant = boardVariant("good");
  const factory = new ImageFactory({ base: await signedFixture("good-a", "wasm", variant), key: "none" });
  const wasm = (globalThis as unknown as { WebAssembly: { validate(bytes: Uint8Array): boolean } })
    .WebAssembly;
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: SMALLEST_GROWTH, max: 100_000 }), async (grow) => {
      const { body } = parseImage(await factory.make({ grow }));
      expect(body.length).toBe(factory.base.body.length + grow);
      expect(wasm.validate(body)).toBe(true);
    }),
    { numRuns: 20 },
  );
});

it("without a key only damage can be made, and only of a second image", async () => {
  const base = await signedFixture("good-a", "wasm", boardVariant("good"));
  const factory = new ImageFactory({ base });
  await expect(factory.update()).rejects.toMatchObject({ code: "no-update" });
  await expect(factory.make({})).rejects.toMatchObject({ code: "no-key" });
  const update = await signedFixture("good-b", "wasm", boardVariant("good"));
  expect(await new ImageFactory({ base, update }).update()).toEqual(update);
});
