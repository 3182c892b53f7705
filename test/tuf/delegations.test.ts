import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { binFor, delegationsFor, isBin, isResponsible, matchesPattern } from "../../src/tuf/delegations.js";
import { metadataFileName } from "../../src/tuf/file-names.js";
import { addDelegation, addSuccinctBins } from "../../src/tuf/repository/draft-delegations.js";
import { newSigner, TestRepository, TestUser } from "../support/tuf-repository.js";

describe("a path pattern", () => {
  it.each<[string, string, boolean]>([
    // Examples of section 4.5 of the specification.
    ["targets/*.tgz", "targets/foo.tgz", true],
    ["targets/*.tgz", "targets/foo.txt", false],
    ["foo-version-?.tgz", "foo-version-2.tgz", true],
    ["foo-version-?.tgz", "foo-version-22.tgz", false],
    ["*.tgz", "foo.tgz", true],
    ["*.tgz", "targets/foo.tgz", false],
    ["*", "a/b", false],
    ["*/*", "a/b", true],
    ["a*b*c", "aXbYbZc", true],
    ["a*b*c", "aXbYbZ", false],
    ["[ab].bin", "a.bin", false],
    ["FW.bin", "fw.bin", false],
    ["?", "😀", true],
    ["", "", true],
  ])("%s and %s", (pattern, path, matches) => expect(matchesPattern(pattern, path)).toBe(matches));

  it("full of stars takes no time that a hostile repository could use", () => {
    expect(matchesPattern(`${"*a".repeat(400)}b`, "a".repeat(4000))).toBe(false);
  });

  it("with the path itself always matches", () =>
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("a", "b", "/", ".", "-") }), (path) =>
        matchesPattern(path, path),
      ),
    ));
});

describe("hash bins", () => {
  // sha256sum of the text fw.bin begins with ba9ea43a.
  it.each([
    [8, "bin-ba"],
    [4, "bin-b"],
    [5, "bin-17"],
    [1, "bin-1"],
    [32, "bin-ba9ea43a"],
  ])("of %d bits are chosen by the first bits of the path's hash", (bitLength, name) => {
    expect(binFor({ bitLength, namePrefix: "bin", keyids: [], threshold: 1 }, "fw.bin")).toBe(name);
  });

  it("by prefix take any that the hash begins with", () => {
    expect(isResponsible({ pathHashPrefixes: ["b8", "BA9"] }, "fw.bin")).toBe(true);
    expect(isResponsible({ pathHashPrefixes: ["b8", "9ea"] }, "fw.bin")).toBe(false);
  });

  it("have names of one length, and no others", () => {
    const bins = { bitLength: 5, namePrefix: "bin", keyids: [], threshold: 1 };
    expect(["bin-00", "bin-1f"].every((name) => isBin(bins, name))).toBe(true);
    expect(["bin-20", "bin-0", "bin-001", "bin-0x", "nib-00", "bin"].some((name) => isBin(bins, name))).toBe(
      false,
    );
  });

  it("hold targets that a client finds", async () => {
    const repository = await TestRepository.create();
    const signer = await newSigner();
    repository.signers.bins = [signer];
    const bins = { namePrefix: "bin", bitLength: 3, keys: [signer], threshold: 1 };
    repository.state = addSuccinctBins(repository.state, bins, repository.expires);
    const names = ["a/1.bin", "a/2.bin", "a/3.bin", "a/4.bin"];
    for (const name of names)
      repository.add(name, new TextEncoder().encode(name), binFor({ ...bins, keyids: [] }, name));
    await repository.publish();
    const user = await TestUser.of(repository);
    for (const name of names) expect(await user.get(name)).toBe(name);
  });
});

it("delegations are searched in their order, and not behind a terminating one", async () => {
  const repository = await TestRepository.create();
  for (const [name, terminating] of [
    ["first", false],
    ["last", true],
    ["behind", false],
  ] as const) {
    repository.signers[name] = [await newSigner()];
    const delegation = { name, keys: repository.signers[name], threshold: 1, terminating, paths: ["x/*"] };
    repository.state = addDelegation(repository.state, delegation, repository.expires);
  }
  repository.add("x/1", new TextEncoder().encode("by last"), "last");
  repository.add("x/2", new TextEncoder().encode("by behind"), "behind");
  await repository.publish();
  const user = await TestUser.of(repository);
  repository.asked.length = 0;
  expect(await user.get("x/1")).toBe("by last");
  expect(repository.asked.filter((name) => /first|last|behind/.test(name))).toEqual([
    "1.first.json",
    "1.last.json",
  ]);
  await expect(user.get("x/2")).rejects.toMatchObject({ code: "no-such-target" });
  const { signed } = (await user.refresh()).targets()!;
  expect(delegationsFor(signed.delegations!, "y/1")).toEqual([]);
});

it("names of roles become names of files that cannot lead elsewhere", () => {
  expect(metadataFileName("../../etc/passwd", 3)).toBe("3...%2F..%2Fetc%2Fpasswd.json");
  expect(metadataFileName("a*(b)!'")).toBe("a%2A%28b%29%21%27.json");
});
