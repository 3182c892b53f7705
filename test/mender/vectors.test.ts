import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseVerificationKey } from "../../src/crypto/verification-key.js";
import { readArtifact } from "../../src/mender/artifact.js";
import { MenderError } from "../../src/mender/error.js";
import { verifyArtifact } from "../../src/mender/verify.js";
import { decompressors } from "../../src/sources/decompress.js";

const vector = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../vectors/mender/${name}`, import.meta.url)));

interface Row {
  readonly file: string;
  readonly case: string;
  readonly "mender-artifact 4.4.0": number;
}

const rows = JSON.parse(new TextDecoder().decode(vector("verdicts.json"))) as Row[];

/** As `mender-artifact validate -k` ends: true when it accepts. */
async function isAccepted(file: string, key: string): Promise<boolean> {
  const keys = [await parseVerificationKey(vector(key))];
  try {
    const artifact = await readArtifact(vector(file), { decompressors });
    return (await verifyArtifact(artifact, { keys })).result === "good";
  } catch (error) {
    expect(error).toBeInstanceOf(MenderError);
    return false;
  }
}

describe("an artifact is judged as mender-artifact 4.4.0 judges it", () => {
  it("has vectors of both verdicts", () => {
    expect(rows.filter((row) => row["mender-artifact 4.4.0"] === 0).length).toBeGreaterThan(3);
    expect(rows.filter((row) => row["mender-artifact 4.4.0"] !== 0).length).toBeGreaterThan(10);
  });

  it.each(rows)("$case", async ({ file, "mender-artifact 4.4.0": status }) => {
    expect(await isAccepted(file, "key-ec.pub")).toBe(status === 0);
  });
});

describe("an artifact that mender-artifact wrote is read", () => {
  it.each([
    ["good-rsa.mender", "key-rsa.pub", "gzip"],
    ["good-ec.mender", "key-ec.pub", "none"],
    ["good-c-lzma.mender", "key-ec.pub", "xz"],
    ["good-c-zstd_best.mender", "key-ec.pub", "zstd"],
  ])("%s", async (file, keyFile, compression) => {
    const artifact = await readArtifact(vector(file), { decompressors });
    const key = await parseVerificationKey(vector(keyFile));
    const other = await parseVerificationKey(vector(keyFile === "key-ec.pub" ? "key-rsa.pub" : "key-ec.pub"));
    expect(artifact.compression).toEqual({ header: compression, data: compression });
    expect(artifact.header).toEqual({
      payloadType: "zephyr-image",
      artifactName: "rel-7",
      deviceTypes: ["boardA"],
    });
    expect(artifact.files.map(({ name, bytes }) => [name, bytes.length])).toEqual([
      ["app.signed.bin", 20000],
    ]);
    // Keys are tried in order: a rotation list holds the old one and the new one.
    const rotated = await verifyArtifact(artifact, { keys: [other, key] });
    expect(rotated).toMatchObject({ result: "good", signedBy: { fingerprint: key.fingerprint } });
    expect((await verifyArtifact(artifact, { keys: [other] })).result).toBe("bad");
    expect((await verifyArtifact(artifact)).result).toBe("signature-not-checked");
  });

  it("without a signature it is bad as soon as there is a key", async () => {
    const artifact = await readArtifact(vector("good-uns.mender"), { decompressors });
    expect((await verifyArtifact(artifact)).result).toBe("signature-not-checked");
    expect(
      (await verifyArtifact(artifact, { keys: [await parseVerificationKey(vector("key-rsa.pub"))] })).result,
    ).toBe("bad");
  });

  it("asks for a decompressor that is not there", async () => {
    await expect(readArtifact(vector("good-rsa.mender"))).rejects.toMatchObject({
      code: "artifact-compression",
    });
  });

  it("is refused when it unpacks to more than is allowed", async () => {
    for (const file of ["good-rsa.mender", "good-c-lzma.mender", "good-c-zstd_best.mender"])
      await expect(readArtifact(vector(file), { decompressors, maxSize: 8192 }), file).rejects.toMatchObject({
        code: "artifact-too-large",
      });
  });
});
