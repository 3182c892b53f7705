import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { generateKey } from "../../src/crypto/keys.js";
import { verificationKeyOf } from "../../src/crypto/verification-key.js";
import { type NamedKey, rehearseKeyList } from "../../src/mender/rehearse.js";
import { decompressors } from "../../src/sources/decompress.js";
import { bootproof, json, keyFile, tempFolder } from "../support/cli-run.js";

const named = async (name: string): Promise<NamedKey> => ({
  name,
  key: await verificationKeyOf((await generateKey("ecdsa-p256")).publicKey),
});

describe("a change of the artifact keys", () => {
  it("shows old and new devices what the removed, the kept and the new key sign", async () => {
    const [old, kept, fresh] = [await named("old"), await named("kept"), await named("new")];
    const { outcomes, acceptedByAll, mustSignNewList } = await rehearseKeyList(
      [old, kept],
      [kept, fresh],
      decompressors,
    );
    expect(
      outcomes.map(
        ({ device, signedBy, change, accepted }) => `${device}, ${signedBy} ${change}: ${accepted}`,
      ),
    ).toEqual([
      "old list, old removed: true",
      "new list, old removed: false",
      "old list, kept kept: true",
      "new list, kept kept: true",
      "old list, new new: false",
      "new list, new new: true",
    ]);
    expect({ acceptedByAll, mustSignNewList }).toEqual({
      acceptedByAll: ["kept"],
      mustSignNewList: ["old", "kept"],
    });
  });

  it("without a key in both lists leaves no signature that all take", async () => {
    const [old, fresh] = [await named("old"), await named("new")];
    const { acceptedByAll, mustSignNewList } = await rehearseKeyList([old], [fresh], decompressors);
    expect({ acceptedByAll, mustSignNewList }).toEqual({ acceptedByAll: [], mustSignNewList: ["old"] });
  });

  it("is rehearsed on the command line with public keys alone", async () => {
    const folder = tempFolder();
    const publicKey = async (name: string) => {
      const file = join(folder, `${name}.pem`);
      expect((await bootproof(["keys", "public", keyFile(name), file])).status).toBe(0);
      return file;
    };
    const [old, kept, fresh] = [
      await publicKey("rsa2048-1"),
      await publicKey("p256-1"),
      await publicKey("rsa3072-1"),
    ];
    const words = [
      "artifact",
      "rehearse",
      "--before",
      old,
      "--before",
      kept,
      "--after",
      kept,
      "--after",
      fresh,
    ];
    const { status, value, stderr } = await json(words);
    expect(status, stderr).toBe(0);
    expect(value).toMatchObject({ acceptedByAll: [kept], mustSignNewList: [old, kept] });
    const outcomes = value.outcomes as { device: string; signedBy: string; accepted: boolean }[];
    expect(
      outcomes.filter(({ accepted }) => !accepted).map(({ device, signedBy }) => [device, signedBy]),
    ).toEqual([
      ["new list", old],
      ["old list", fresh],
    ]);
    const { stdout } = await bootproof(words);
    expect(stdout).toMatch(/new list +\S+rsa2048-1\.pem \(removed\) +refused/);
    expect(stdout).toContain("Every device accepts what");
    const none = await bootproof(["artifact", "rehearse", "--before", old]);
    expect(none).toMatchObject({ status: 2, stderr: expect.stringContaining("--after FILE") });
  });
});
