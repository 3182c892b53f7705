import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AvbError } from "../../src/avb/error.js";
import { isAvb } from "../../src/avb/magic.js";
import { embeddedForm, parseEmbeddedKey } from "../../src/avb/public-key.js";
import { parseAvb } from "../../src/avb/vbmeta.js";
import { type AvbPolicy, verifyAvb } from "../../src/avb/verify.js";
import { concat, equal, putU32be, toHex } from "../../src/bytes.js";
import { describeAvb } from "../../src/cli/avb/page.js";
import { sha1 } from "../../src/crypto/hashes.js";
import { parseVerificationKey } from "../../src/crypto/verification-key.js";
import { fuzz } from "../support/fuzz.js";

const vector = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../vectors/avb/${name}`, import.meta.url)));
const keyOf = (name: string) => parseVerificationKey(vector(name));

interface Expected {
  readonly info: Readonly<Record<string, string>> & {
    readonly descriptors: readonly Record<string, string>[];
  };
  readonly "verify with key, exit status": Readonly<Record<string, number>>;
}
const expected = JSON.parse(new TextDecoder().decode(vector("expected.json"))) as Record<string, Expected>;
const files = Object.entries(expected);

describe("avbtool", () => {
  it.each(files)("shows of %s what is shown here", (file, { info }) => {
    const bytes = vector(file);
    const { vbmeta, footer } = parseAvb(bytes);
    const shown = describeAvb(file, bytes, { vbmeta, ...(footer && { footer }) });
    expect(shown.sizes).toEqual({
      header: 256,
      authentication: Number.parseInt(info["Authentication Block"]!, 10),
      auxiliary: Number.parseInt(info["Auxiliary Block"]!, 10),
    });
    expect(shown).toMatchObject({
      algorithm: info.Algorithm,
      rollbackIndex: BigInt(info["Rollback Index"]!),
      rollbackIndexLocation: Number(info["Rollback Index Location"]),
      flags: Number(info.Flags),
      release: info["Release String"]!.slice(1, -1),
      requiredVersion: info["Minimum libavb version"],
    });
    expect(shown.embeddedKey?.sha1).toBe(info["Public key (sha1)"]);
    if (footer)
      expect(footer).toEqual({
        version: info["Footer version"],
        originalSize: Number.parseInt(info["Original image size"]!, 10),
        vbmetaOffset: Number(info["VBMeta offset"]),
        vbmetaSize: Number.parseInt(info["VBMeta size"]!, 10),
      });
    expect(vbmeta.descriptors.map(asAvbtool)).toEqual(
      info.descriptors.filter(({ kind }) => kind !== "(none)"),
    );
  });

  const verdicts = files.flatMap(([file, row]) =>
    Object.entries(row["verify with key, exit status"]).map(([key, status]) => ({ file, key, status })),
  );

  it.each(verdicts)("judges $file with $key as here", async ({ file, key, status }) => {
    const { result } = await verifyAvb(parseAvb(vector(file)), { keys: [await keyOf(key)] });
    expect(result).toBe(status === 0 ? "good" : "bad");
  });
});

/** A descriptor in avbtool's words. */
function asAvbtool(descriptor: ReturnType<typeof parseAvb>["vbmeta"]["descriptors"][number]) {
  if (descriptor.kind === "property")
    return { kind: `Prop: ${descriptor.key} -> '${new TextDecoder().decode(descriptor.value)}'` };
  if (descriptor.kind === "chain")
    return {
      kind: "Chain Partition descriptor",
      "Partition Name": descriptor.partition,
      "Rollback Index Location": `${descriptor.rollbackIndexLocation}`,
      "Public key (sha1)": toHex(sha1(descriptor.publicKey)),
    };
  if (descriptor.kind !== "hash") throw new Error(descriptor.kind);
  return {
    kind: "Hash descriptor",
    "Image Size": `${descriptor.imageSize} bytes`,
    "Hash Algorithm": descriptor.algorithm,
    "Partition Name": descriptor.partition,
    Salt: toHex(descriptor.salt),
    Digest: toHex(descriptor.digest),
    Flags: `${descriptor.flags}`,
  };
}

describe("the embedded form of a key", () => {
  it.each([
    ["k2048.pub.pem", "vbmeta-sha256-rsa2048.img"],
    ["k4096.pub.pem", "vbmeta-chain.img"],
  ])("of %s is what avbtool wrote into %s", async (key, file) => {
    const given = await keyOf(key);
    const { publicKey } = parseAvb(vector(file)).vbmeta;
    if (given.type !== "rsa") throw new Error(given.type);
    expect(embeddedForm(given)).toEqual(publicKey);
    expect(parseEmbeddedKey(publicKey, 0).spki).toEqual(given.spki);
    expect(() => parseEmbeddedKey(publicKey.subarray(1), 0)).toThrow(AvbError);
  });

  it("exists only for sizes and the exponent that AVB has", async () => {
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 3072 });
    const key = await parseVerificationKey(publicKey.export({ type: "spki", format: "der" }));
    expect(key.type === "rsa" && embeddedForm(key)).toBe(undefined);
  });
});

describe("the verdict", () => {
  const signed = "vbmeta-sha256-rsa2048.img";
  const resultOf = async (bytes: Uint8Array, policy: AvbPolicy = {}) =>
    (await verifyAvb(parseAvb(bytes), { keys: [await keyOf("k2048.pub.pem")], ...policy })).result;

  it("without a key is not good, whatever key is inside", async () => {
    expect(await resultOf(vector(signed), { keys: [] })).toBe("signature-not-checked");
  });

  it("on algorithm NONE is bad unless told, and never good", async () => {
    const none = vector("vbmeta-none.img");
    expect(await resultOf(none, { keys: [] })).toBe("bad");
    expect(await resultOf(none, { keys: [], allowUnsigned: true })).toBe("signature-not-checked");
    expect(await resultOf(none, { allowUnsigned: true })).toBe("bad");
  });

  it.each([
    [4n, "good"],
    [5n, "good"],
    [6n, "bad"],
  ])("with a stored rollback index of %s against 5 is %s", async (storedRollbackIndex, result) => {
    expect(await resultOf(vector(signed), { storedRollbackIndex })).toBe(result);
  });

  it("takes the content of another partition when it is given", async () => {
    const content = parseAvb(vector("boot-footer-sha256-rsa2048.img")).content!;
    expect(await resultOf(vector(signed), { partitions: { boot: content } })).toBe("good");
    const changed = content.slice();
    changed[19_999]! ^= 1;
    expect(await resultOf(vector(signed), { partitions: { boot: changed } })).toBe("bad");
    expect(await resultOf(vector(signed), { partitions: { boot: content.subarray(0, 100) } })).toBe("bad");
  });

  it("is bad for any byte changed in what is signed, in content, or in the signature", async () => {
    const bytes = vector("boot-footer-sha256-rsa2048.img");
    const { footer, vbmeta } = parseAvb(bytes);
    // Behind the signature the authentication block is padding, which nothing covers.
    const end = footer!.vbmetaOffset + vbmeta.size;
    const padding = 256 + 32 + 256;
    for (const at of [0, 19_999, ...range(footer!.vbmetaOffset, end, 29)]) {
      if (at - footer!.vbmetaOffset >= padding && at - footer!.vbmetaOffset < 256 + 320) continue;
      const changed = bytes.slice();
      changed[at]! ^= 0x01;
      let result: string;
      try {
        result = await resultOf(changed);
      } catch (error) {
        expect(error, `byte ${at}`).toBeInstanceOf(AvbError);
        continue;
      }
      expect(result, `byte ${at}`).toBe("bad");
    }
  });

  it("does not let a signed structure stand for another key's partition", async () => {
    // The structure of one key with the embedded key of another: the hash over it no longer holds.
    const bytes = vector(signed);
    const { vbmeta } = parseAvb(bytes);
    const other = await keyOf("other.pub.pem");
    const blob = other.type === "rsa" ? embeddedForm(other)! : new Uint8Array(0);
    const at = bytes.findIndex((_, index) => equal(bytes.subarray(index, index + 520), vbmeta.publicKey));
    const changed = concat(bytes.subarray(0, at), blob, bytes.subarray(at + blob.length));
    expect(await resultOf(changed, { keys: [other] })).toBe("bad");
  });
});

function* range(from: number, to: number, step: number): Generator<number> {
  for (let at = from; at < to; at += step) yield at;
}

describe("hostile bytes", () => {
  it.each(files.map(([file]) => file))("of %s, cut or changed, end in a typed error or a reading", (file) => {
    const { numRuns, seed } = fuzz(60);
    const bytes = vector(file);
    const start = parseAvb(bytes).footer?.vbmetaOffset ?? 0;
    fc.assert(
      fc.property(
        fc.integer({ min: start, max: bytes.length - 1 }),
        fc.uint8Array({ minLength: 1, maxLength: 16 }),
        (at, noise) => {
          for (const odd of [bytes.subarray(0, at), changedAt(bytes, at, noise)]) {
            try {
              parseAvb(odd);
            } catch (error) {
              expect(error).toBeInstanceOf(AvbError);
            }
          }
        },
      ),
      { numRuns, seed },
    );
  });

  it("with sizes of exabytes are refused without memory for them", () => {
    for (const offset of [12, 20, 32, 40, 48, 56, 64, 72, 96, 104]) {
      const bytes = vector("vbmeta-sha256-rsa2048.img");
      putU32be(bytes, offset, 0x7fffffff);
      expect(() => parseAvb(bytes), `offset ${offset}`).toThrow(AvbError);
    }
  });

  it("are not taken for it without a magic", () => {
    expect(isAvb(new Uint8Array(1000))).toBe(false);
    expect(isAvb(new Uint8Array(0))).toBe(false);
    expect(() => parseAvb(new Uint8Array(1000))).toThrow(expect.objectContaining({ code: "not-avb" }));
  });
});

function changedAt(bytes: Uint8Array, at: number, noise: Uint8Array): Uint8Array {
  const changed = bytes.slice();
  changed.set(noise.subarray(0, bytes.length - at), at);
  return changed;
}
