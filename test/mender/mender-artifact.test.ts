import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { main } from "../../src/cli/run.js";
import { parseKey } from "../../src/crypto/keys.js";
import { signFile } from "../../src/crypto/sign-file.js";
import { keySigner, type Signer } from "../../src/crypto/signer.js";
import { parseVerificationKey } from "../../src/crypto/verification-key.js";
import { type Artifact, readArtifact } from "../../src/mender/artifact.js";
import { verifyArtifact } from "../../src/mender/verify.js";
import { manifestOf, withSignature, writeArtifact } from "../../src/mender/write.js";
import { decompressors } from "../../src/sources/decompress.js";
import { isOnPath } from "../support/on-path.js";

/** Mender's own tool as the judge, both ways, over all combinations of what can be said. */
const isThere = isOnPath("mender-artifact");
if (!isThere)
  console.log("Tests with mender-artifact are skipped: it is not installed (Debian: mender-artifact).");

const run = (program: string, ...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  return { status, text: stdout + stderr };
};

const folder = mkdtempSync(join(tmpdir(), "bootproof-mender-"));
const payload = join(folder, "app.signed.bin");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Keys in OpenSSL's own forms, which the Debian version of the tool needs, and something to carry. */
function prepare(): void {
  writeFileSync(
    payload,
    Uint8Array.from({ length: 3000 }, (_, index) => (index * 7) & 0xff),
  );
  const at = (name: string) => join(folder, name);
  for (const args of [
    ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072", "-out", at("rsa.p8")],
    ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", at("ec.p8")],
    ...["rsa", "ec"].flatMap((name) => [
      ["pkey", "-in", at(`${name}.p8`), "-traditional", "-out", at(`${name}.pem`)],
      ["pkey", "-in", at(`${name}.p8`), "-pubout", "-out", at(`${name}.pub`)],
    ]),
  ])
    expect(run("openssl", ...args).status).toBe(0);
  writeFileSync(at("meta.json"), '{"a":1.5,"b":["x",2],"c":"text"}');
}

/** Words for one combination: [ours, theirs]. */
const OPTIONS: readonly (readonly [ours: readonly string[], theirs: readonly string[]])[] = [
  [
    ["--group", "beta"],
    ["--provides-group", "beta"],
  ],
  [
    ["--provides", "radio.version=2"],
    ["--provides", "radio.version:2"],
  ],
  [
    ["--depends", "radio.version=1"],
    ["--depends", "radio.version:1"],
  ],
  [
    ["--depends-name", "rel-6", "--depends-group", "beta"],
    ["--artifact-name-depends", "rel-6", "--depends-groups", "beta"],
  ],
  [
    ["--clears", "radio.*"],
    ["--clears-provides", "radio.*"],
  ],
  [["--no-default-provides"], ["--no-default-software-version", "--no-default-clears-provides"]],
  [
    ["--meta-data", "META"],
    ["--meta-data", "META"],
  ],
];

const combinations = Array.from({ length: 2 ** OPTIONS.length }, (_, bits) =>
  OPTIONS.filter((_option, index) => bits & (1 << index)),
);

const words = (combination: Combination, side: 0 | 1) =>
  combination
    .flatMap((pair) => pair[side])
    .map((word) => (word === "META" ? join(folder, "meta.json") : word));

const ours = async (...args: string[]) => {
  const before = process.exitCode;
  process.exitCode = 0;
  try {
    return await main(["artifact", ...args, "-q"]);
  } finally {
    process.exitCode = before;
  }
};

type Combination = typeof OPTIONS;

/** An artifact by Mender's tool, as it is read here. */
async function writtenByTheirs(
  combination: Combination,
  compression: string,
  key?: string,
): Promise<Artifact> {
  const file = join(folder, "theirs.mender");
  const args = `write module-image -T zephyr-image -n rel-7 -t boardA -t boardB --software-filesystem firmware --compression ${compression} -o`;
  const signed = key === undefined ? [] : ["-k", `${key}.pem`];
  const more = [file, "-f", payload, ...signed, ...words(combination, 1)];
  const made = run("mender-artifact", ...args.split(" "), ...more);
  expect(made.status, made.text).toBe(0);
  return readArtifact(readFileSync(file), { decompressors });
}

/** The same content written here, and signed when there is a signer. */
async function writtenAgain(
  { header, typeInfo, metaData, files }: Artifact,
  signer?: Signer,
): Promise<Uint8Array> {
  const { payloadType, ...rest } = header;
  const content = { ...rest, ...typeInfo, files, ...(metaData && { metaData }) };
  const artifact = writeArtifact({ ...content, type: payloadType! });
  return signer ? withSignature(artifact, await signFile(signer, manifestOf(artifact))) : artifact;
}

describe.skipIf(!isThere)("mender-artifact of Debian", () => {
  beforeAll(() => {
    prepare();
    vi.spyOn(process.stdout, "write").mockReturnValue(true);
  });

  const keys = ["rsa", "ec"].map((name) => join(folder, name));

  it.each(combinations.map((combination, index) => [index, combination] as const))(
    "agrees on combination %i of the options, in both directions",
    async (index, combination) => {
      const compression = ["none", "gzip", "lzma"][index % 3]!;
      // A third of each: unsigned, RSA, P-256.
      const key = index % 9 < 3 ? undefined : keys[index % 2]!;
      const theirs = await writtenByTheirs(combination, compression, key);
      expect(theirs.compression).toEqual(
        {
          none: { header: "none", data: "none" },
          gzip: { header: "gzip", data: "gzip" },
          lzma: { header: "xz", data: "xz" },
        }[compression],
      );
      if (key) {
        const publicKey = await parseVerificationKey(readFileSync(`${key}.pub`));
        expect((await verifyArtifact(theirs, { keys: [publicKey] })).result).toBe("good");
      }
      const signer = key === undefined ? undefined : keySigner(await parseKey(readFileSync(`${key}.pem`)));
      const mine = await writtenAgain(theirs, signer);
      const file = join(folder, "again.mender");
      writeFileSync(file, mine);
      expect(await readArtifact(mine)).toMatchObject({ header: theirs.header, typeInfo: theirs.typeInfo });
      const judge = (...by: string[]) => run("mender-artifact", "validate", ...by, file);
      const judged = judge(...(key ? ["-k", `${key}.pub`] : []));
      expect(judged.status, judged.text).toBe(0);
      if (index === combinations.length - 1) expect(judge("-k", `${keys[0]!}.pub`).status).not.toBe(0);
    },
  );

  it.each(combinations.filter(({ length }) => length < 2 || length === OPTIONS.length))(
    "takes the same options to mean the same (%#)",
    async (...combination) => {
      const theirs = await writtenByTheirs(combination, "none");
      const file = join(folder, "ours.mender");
      const device = ["-n", "rel-7", "-t", "boardA", "-t", "boardB", "--force"];
      expect(await ours("write", file, payload, ...device, ...words(combination, 0))).toBe(0);
      const facts = ({ header, typeInfo, metaData, files }: Artifact) => {
        const clears = [...typeInfo.clears].sort();
        return { header, typeInfo: { ...typeInfo, clears }, metaData, files };
      };
      expect(facts(await readArtifact(readFileSync(file)))).toEqual(facts(theirs));
    },
  );

  it("signs what was written here, and the signature is seen; a second one needs --force on both sides", async () => {
    for (const [name, other] of [
      ["rsa", "ec"],
      ["ec", "rsa"],
    ]) {
      const file = join(folder, "ours.mender");
      expect(await ours("write", file, payload, "-n", "rel-7", "-t", "boardA", "--force")).toBe(0);
      expect(run("mender-artifact", "sign", file, "-k", join(folder, `${name}.pem`)).status).toBe(0);
      expect(
        await ours(
          "verify",
          file,
          "--key",
          join(folder, `${other}.pub`),
          "--key",
          join(folder, `${name}.pub`),
          "--strict",
        ),
      ).toBe(0);
      expect(await ours("verify", file, "--key", join(folder, `${other}.pub`))).toBe(6);
      const signed = readFileSync(file);
      expect(await ours("sign", file, "--key", join(folder, `${other}.pem`))).toBe(2);
      expect(readFileSync(file)).toEqual(signed);
      expect(await ours("sign", file, "--key", join(folder, `${other}.pem`), "--force")).toBe(0);
      expect(await ours("verify", file, "--key", join(folder, `${other}.pub`))).toBe(0);
      expect(run("mender-artifact", "validate", "-k", join(folder, `${other}.pub`), file).status).toBe(0);
    }
  });

  it("accepts a signature that was made elsewhere over the exported manifest", async () => {
    const file = join(folder, "ours.mender");
    const at = (name: string) => join(folder, name);
    expect(await ours("write", file, payload, "-n", "rel-7", "-t", "boardA", "--force")).toBe(0);
    expect(await ours("sign", file, "--export-manifest", at("manifest"))).toBe(0);
    // OpenSSL gives DER, which the Debian version of Mender's tool does not read: it is written as r and s.
    expect(
      run("openssl", "dgst", "-sha256", "-sign", at("ec.pem"), "-out", at("sig"), at("manifest")).status,
    ).toBe(0);
    expect(await ours("sign", file, "--signature", at("sig"), "--public-key", at("rsa.pub"))).toBe(2);
    expect(
      await ours(
        "sign",
        file,
        "--signature",
        at("sig"),
        "--public-key",
        at("ec.pub"),
        "-o",
        at("signed.mender"),
      ),
    ).toBe(0);
    expect(run("mender-artifact", "validate", "-k", at("ec.pub"), at("signed.mender")).status).toBe(0);
  });

  it("a bootstrap artifact, which carries no payload, is read", async () => {
    const file = join(folder, "boot.mender");
    const args = "write bootstrap-artifact -n rel-1 -t boardA -p a:b -o";
    expect(run("mender-artifact", ...args.split(" "), file).status).toBe(0);
    const artifact = await readArtifact(readFileSync(file), { decompressors });
    expect(artifact).toMatchObject({
      header: { payloadType: null },
      typeInfo: { provides: { a: "b" } },
      files: [],
    });
  });

  it("state scripts are shown and never run", async () => {
    const [file, script] = [join(folder, "s.mender"), join(folder, "ArtifactInstall_Enter_00_x")];
    writeFileSync(script, "#!/bin/sh\n");
    const args = "write module-image -T zephyr-image -n rel-1 -t boardA -o";
    expect(run("mender-artifact", ...args.split(" "), file, "-f", payload, "-s", script).status).toBe(0);
    const artifact = await readArtifact(readFileSync(file), { decompressors });
    expect(artifact.scripts).toEqual([{ name: "ArtifactInstall_Enter_00_x", size: 10 }]);
    expect((await verifyArtifact(artifact)).checks).toContainEqual(
      expect.objectContaining({ name: "scripts", result: "warn" }),
    );
  });

  it("an augmented artifact is refused, for its additions are signed by nobody", async () => {
    const file = join(folder, "a.mender");
    const args = "write module-image -T zephyr-image -n rel-1 -t boardA --augment-type delta --augment-file";
    expect(run("mender-artifact", ...args.split(" "), payload, "-o", file, "-f", payload).status).toBe(0);
    await expect(readArtifact(readFileSync(file), { decompressors })).rejects.toMatchObject({
      code: "artifact-augmented",
    });
  });
});
