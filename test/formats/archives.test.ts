import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { concat, putU32le } from "../../src/bytes.js";
import { ArchiveError } from "../../src/formats/archive.js";
import { crc32 } from "../../src/formats/crc32.js";
import { crc64 } from "../../src/formats/crc64.js";
import { parseStrictJson } from "../../src/formats/strict-json.js";
import { readTar, writeTar } from "../../src/formats/tar.js";
import { decodeXz } from "../../src/formats/xz.js";
import { readZip } from "../../src/formats/zip.js";
import { decompressors, inflate } from "../../src/sources/decompress.js";
import { fuzz } from "../support/fuzz.js";

/** Archives made by the programs of Debian, read here; and the other way round. */
const folder = mkdtempSync(join(tmpdir(), "bootproof-archives-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const text = (value: string) => new TextEncoder().encode(value);
const content = concat(text("firmware ".repeat(500)), new Uint8Array(randomBytes(3000)));
const LONG = `${"folder/".repeat(20)}${"n".repeat(60)}.bin`;

mkdirSync(join(folder, "in", "folder/".repeat(20)), { recursive: true });
writeFileSync(join(folder, "in/app.bin"), content);
writeFileSync(join(folder, "in/empty"), "");
writeFileSync(join(folder, "in", LONG), "long");
symlinkSync("app.bin", join(folder, "in/link"));

function run(program: string, args: readonly string[], input?: Uint8Array): Uint8Array {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd: join(folder, "in"),
    ...(input && { input }),
    maxBuffer: 2 ** 26,
  });
  expect({ status, error, stderr: String(stderr) }).toMatchObject({ status: 0 });
  return new Uint8Array(stdout);
}

const codeOf = async (attempt: () => unknown): Promise<string> => {
  try {
    await attempt();
  } catch (error) {
    if (error instanceof Error && "code" in error) return String(error.code);
    throw error;
  }
  return "accepted";
};

describe("tar", () => {
  const plain = ["app.bin", "empty"];

  it.each(["ustar", "gnu", "pax"])("reads what GNU tar writes as %s", (format) => {
    const bytes = run("tar", [`--format=${format}`, "-cf", "-", ...plain]);
    const entries = readTar(bytes, { extensions: true });
    expect(entries.map(({ name, bytes: one }) => [name, one])).toEqual([
      ["app.bin", content],
      ["empty", new Uint8Array(0)],
    ]);
  });

  it.each(["gnu", "pax"])(
    "reads long names of %s where extensions are allowed, and refuses them elsewhere",
    async (format) => {
      const bytes = run("tar", [`--format=${format}`, "-cf", "-", LONG]);
      expect(readTar(bytes, { extensions: true }).map(({ name }) => name)).toEqual([LONG]);
      expect(await codeOf(() => readTar(bytes))).toBe("archive-unsupported");
    },
  );

  it("passes over folders", () => {
    expect(
      readTar(run("tar", ["--format=ustar", "-cf", "-", "--no-recursion", "folder", "app.bin"])).length,
    ).toBe(1);
  });

  it("writes what GNU tar reads, the same each time", () => {
    const files = [
      { name: "a/b.bin", bytes: content, mode: 0o644 },
      { name: "c", bytes: new Uint8Array(0) },
    ];
    const bytes = writeTar(files);
    expect(writeTar(files)).toEqual(bytes);
    expect(new TextDecoder().decode(run("tar", ["-tvf", "-", "--full-time", "--utc"], bytes))).toMatch(
      /^-rw-r--r-- 0\/0 +7500 1970-01-01 00:00:00 a\/b\.bin\n-rw------- 0\/0 +0 1970-01-01 00:00:00 c\n$/,
    );
    expect(run("tar", ["-xOf", "-", "a/b.bin"], bytes)).toEqual(content);
    expect(readTar(bytes).map((entry) => entry.bytes)).toEqual([content, new Uint8Array(0)]);
  });

  it("refuses links, repeated names, harmful names, and what is cut or goes on", async () => {
    const good = run("tar", ["--format=ustar", "-cf", "-", ...plain]);
    expect(await codeOf(() => readTar(run("tar", ["--format=ustar", "-cf", "-", "link"])))).toBe(
      "archive-unsupported",
    );
    const twice = run("tar", ["--format=ustar", "--hard-dereference", "-cf", "-", "empty", "./empty"]);
    expect(await codeOf(() => readTar(twice))).toBe("bad-archive");
    const one = { name: "x", bytes: text("x") };
    expect(await codeOf(() => readTar(writeTar([one, one])))).toBe("bad-archive");
    for (const name of ["../x", "/x", "a/../x", "a//b", "./x", "C:x", "a\\b", "a\nb"])
      expect(await codeOf(() => readTar(writeTar([{ name, bytes: text("x") }]))), name).toBe("bad-archive");
    for (const length of [0, 100, 512, 1024, 8700, 9216])
      expect(await codeOf(() => readTar(good.subarray(0, length))), `${length}`).toBe("archive-truncated");
    expect(await codeOf(() => readTar(concat(good, text("x"))))).toBe("bad-archive");
    expect(await codeOf(() => readTar(text("x".repeat(1024))))).toBe("not-an-archive");
    expect(
      await codeOf(() =>
        readTar(writeTar(Array.from({ length: 1025 }, (_, n) => ({ ...one, name: `${n}` })))),
      ),
    ).toBe("archive-too-large");
    expect(await codeOf(() => writeTar([{ name: "n".repeat(101), bytes: text("") }]))).toBe(
      "archive-too-large",
    );
  });
});

describe("zip", () => {
  const zip = (...args: string[]) => {
    const file = join(folder, "x.zip");
    rmSync(file, { force: true });
    run("zip", ["-q", "-X", ...args.slice(0, -1), file, ...args.at(-1)!.split(" ")]);
    return new Uint8Array(readFileSync(file));
  };
  const isThere = spawnSync("zip", ["-v"]).status === 0;
  if (!isThere) console.log("Tests with zip are skipped: it is not installed (Debian: zip).");

  describe.skipIf(!isThere)("made by Info-ZIP", () => {
    it.each(["-0", "-6", "-9"])("is read (%s)", async (level) => {
      const entries = await readZip(zip(level, "app.bin empty folder"), { inflate });
      expect(entries.map(({ name, bytes }) => [name, bytes])).toEqual([
        ["app.bin", content],
        ["empty", new Uint8Array(0)],
      ]);
    });

    it("is read when sizes follow the data", async () => {
      // Written to a pipe, zip cannot go back to fill in the header.
      const bytes = run("zip", ["-q", "-X", "-", "app.bin"]);
      expect((await readZip(bytes, { inflate }))[0]!.bytes).toEqual(content);
    });

    it("is refused when encrypted, cut, followed, damaged, or with contradicting headers", async () => {
      const good = zip("-6", "app.bin");
      const code = (bytes: Uint8Array) => codeOf(() => readZip(bytes, { inflate }));
      expect(await code(good)).toBe("accepted");
      expect(await code(zip("-6", "-P", "secret", "app.bin"))).toBe("archive-unsupported");
      for (const length of [0, 21, 100, good.length - 1])
        expect(await code(good.subarray(0, length)), `${length}`).toMatch(/archive-truncated|not-an-archive/);
      expect(await code(concat(good, text("x")))).toBe("archive-truncated");
      expect(await code(concat(text("x"), good))).toMatch(/bad-archive|not-an-archive/);
      const changed = (offset: number, value: number) => {
        const bytes = good.slice();
        bytes[offset]! ^= value;
        return bytes;
      };
      // Size and name of the header in front: another reader would believe them.
      expect(await code(changed(22, 1))).toBe("bad-archive");
      expect(await code(changed(30, 1))).toBe("bad-archive");
      expect(await code(changed(200, 1))).toBe("bad-archive");
    });

    it("is not unpacked beyond what its directory says", async () => {
      const good = zip("-9", "app.bin");
      const directory = good.findLastIndex(
        (_, at) => good[at] === 0x50 && good[at + 2] === 1 && good[at + 3] === 2,
      );
      const lied = good.slice();
      putU32le(lied, 22, 100);
      putU32le(lied, directory + 24, 100);
      expect(await codeOf(() => readZip(lied, { inflate }))).toBe("bad-archive");
      const limits = { entries: 10, nameLength: 100, totalSize: 1000, ratio: 1032 };
      expect(await codeOf(() => readZip(good, { inflate, limits }))).toBe("archive-too-large");
      expect(
        await codeOf(() =>
          readZip(zip("-9", "app.bin empty"), { inflate, limits: { ...limits, entries: 1 } }),
        ),
      ).toBe("archive-too-large");
    });

    it("or refused with a typed error, whatever the bytes", async () => {
      const { numRuns, seed } = fuzz(200);
      const good = zip("-6", "app.bin empty");
      await fc.assert(
        fc.asyncProperty(
          fc.nat(good.length - 1),
          fc.uint8Array({ minLength: 1, maxLength: 8 }),
          async (at, noise) => {
            const bytes = good.slice();
            bytes.set(noise.subarray(0, bytes.length - at), at);
            const outcome = await readZip(bytes, { inflate }).catch((error: unknown) => error);
            expect(outcome instanceof Error).toBe(outcome instanceof ArchiveError);
          },
        ),
        { numRuns, seed },
      );
    });
  });
});

describe("compressed", () => {
  it.each([["-0"], ["-6"], ["--check=crc32"], ["--check=none"], ["--block-size=2000"]])(
    "xz %s is unpacked",
    (option) => {
      const packed = run("xz", ["-c", option], content);
      expect(decodeXz(packed, content.length)).toEqual(content);
      expect(() => decodeXz(packed, content.length - 1)).toThrow(
        expect.objectContaining({ code: "lzma-too-large" }),
      );
    },
  );

  it("nothing is unpacked of xz with any byte changed, cut or added", async () => {
    const packed = run("xz", ["-c"], content.subarray(0, 2000));
    for (let at = 0; at < packed.length; at += 3) {
      const changed = packed.slice();
      changed[at]! ^= 1;
      expect(await codeOf(() => decodeXz(changed, 10_000)), `byte ${at}`).not.toBe("accepted");
      expect(await codeOf(() => decodeXz(packed.subarray(0, at), 10_000)), `cut at ${at}`).not.toBe(
        "accepted",
      );
    }
    expect(await codeOf(() => decodeXz(concat(packed, packed), 10_000))).toBe("bad-archive");
    expect(await codeOf(() => decodeXz(run("xz", ["-c", "--check=sha256"], content), 10_000))).toBe(
      "archive-unsupported",
    );
    expect(await codeOf(() => decodeXz(run("xz", ["-c", "--x86", "--lzma2"], content), 10_000))).toBe(
      "archive-unsupported",
    );
  });

  const zeros = new Uint8Array(1_000_000);
  const packers = {
    gzip: (bytes: Uint8Array) => new Uint8Array(gzipSync(bytes)),
    xz: (bytes: Uint8Array) => run("xz", ["-c"], bytes),
    zstd: (bytes: Uint8Array) => run("zstd", ["-c", "-19"], bytes),
  };

  it.each(["gzip", "xz", "zstd"] as const)("%s never gives more than it may", async (name) => {
    const unpack = decompressors[name]!;
    expect(await unpack(packers[name](content), content.length)).toEqual(content);
    expect(await unpack(packers[name](new Uint8Array(0)), 10)).toEqual(new Uint8Array(0));
    const bomb = packers[name](zeros);
    expect(bomb.length).toBeLessThan(2000);
    expect(await codeOf(() => unpack(bomb, 100_000))).toMatch(/too-large$/);
    for (let length = 0; length < bomb.length; length += 11)
      expect(await codeOf(() => unpack(bomb.subarray(0, length), 2_000_000)), `${length}`).not.toBe(
        "accepted",
      );
  });

  it("zstd that asks for a window of a gigabyte is refused before it is made", async () => {
    // RFC 8878, 3.1.1.1.2: exponent 20, mantissa 0; then an empty last block.
    const frame = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 20 << 3, 1, 0, 0);
    expect(await codeOf(() => decompressors.zstd!(frame, 1000))).toBe("archive-too-large");
  });
});

describe("sums", () => {
  it("are those of the catalogue for 123456789", () => {
    expect(crc32(text("123456789"))).toBe(0xcbf43926);
    expect(crc64(text("123456789"))).toEqual({ high: 0x995dc9bb, low: 0xdf1939fa });
  });
});

describe("strict JSON", () => {
  it.each([
    ['{"a":{"b":[1,"x",null]}}', "accepted"],
    ['{"a":"{\\"a\\":1,"}', "accepted"],
    ['[{"a":1},{"a":1}]', "accepted"],
    ['{"a":1,"a":2}', "repeated-key"],
    ['{"a":1,"\\u0061":2}', "repeated-key"],
    ['{"a":{"b":1,"c":2,"b":3}}', "repeated-key"],
    ['{"__proto__":1,"__proto__":2}', "repeated-key"],
    ["{'a':1}", "bad-json"],
    ['{"a":1,}', "bad-json"],
    ["\ufeff{}", "bad-json"],
    ["", "bad-json"],
    ["[".repeat(100), "json-too-deep"],
  ])("%s: %s", async (json, code) => {
    expect(await codeOf(() => parseStrictJson(text(json)))).toBe(code);
  });

  it("refuses what is no UTF-8, and what is too long", async () => {
    expect(await codeOf(() => parseStrictJson(Uint8Array.of(0x22, 0xff, 0x22)))).toBe("bad-json");
    expect(await codeOf(() => parseStrictJson(text('"abc"'), { maxLength: 4 }))).toBe("bad-json");
  });
});
