import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concat } from "../../src/bytes.js";
import { readTar, type TarFile, writeTar } from "../../src/formats/tar.js";
import { readArtifact } from "../../src/mender/artifact.js";
import { MenderError } from "../../src/mender/error.js";
import { matches, providesAfter, verifyArtifact } from "../../src/mender/verify.js";
import { writeArtifact } from "../../src/mender/write.js";
import { fuzz } from "../support/fuzz.js";

const text = (value: string) => new TextEncoder().encode(value);
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

const HEADER_INFO = {
  payloads: [{ type: "zephyr-image" }],
  artifact_provides: { artifact_name: "rel-7" },
  artifact_depends: { device_type: ["boardA"] },
};
const TYPE_INFO = { type: "zephyr-image" };

interface Parts {
  version?: string;
  headerInfo?: unknown;
  typeInfo?: unknown;
  metaData?: unknown;
  /** More entries of the header, behind all others. */
  headerExtra?: TarFile[];
  files?: TarFile[];
  /** Members behind the data, each listed in no manifest. */
  behind?: TarFile[];
  /** Names left out of the manifest. */
  unlisted?: string[];
}

/** An artifact made with nothing of the writer under test but the tar archives. */
function forge(parts: Parts = {}): Uint8Array {
  const json = (value: unknown) => text(typeof value === "string" ? value : JSON.stringify(value));
  const version = text(parts.version ?? '{"format":"mender","version":3}');
  const header = writeTar([
    { name: "header-info", bytes: json(parts.headerInfo ?? HEADER_INFO) },
    { name: "headers/0000/type-info", bytes: json(parts.typeInfo ?? TYPE_INFO) },
    ...(parts.metaData === undefined
      ? []
      : [{ name: "headers/0000/meta-data", bytes: json(parts.metaData) }]),
    ...(parts.headerExtra ?? []),
  ]);
  const files = parts.files ?? [{ name: "app.bin", bytes: text("firmware") }];
  const listed = [
    ...files.map(({ name, bytes }) => ({ name: `data/0000/${name}`, bytes })),
    { name: "header.tar", bytes: header },
    { name: "version", bytes: version },
  ].filter(({ name }) => !parts.unlisted?.includes(name));
  const manifest = text(listed.map(({ name, bytes }) => `${sha256(bytes)}  ${name}\n`).join(""));
  return writeTar([
    { name: "version", bytes: version },
    { name: "manifest", bytes: manifest },
    { name: "header.tar", bytes: header },
    { name: "data/0000.tar", bytes: writeTar(files) },
    ...(parts.behind ?? []),
  ]);
}

const without = (value: Record<string, unknown>, key: string) =>
  Object.fromEntries(Object.entries(value).filter(([name]) => name !== key));

describe("an artifact is read", () => {
  it("as it was made", async () => {
    expect(await readArtifact(forge({ metaData: { a: 1, b: ["x", 2] } }))).toMatchObject({
      header: { payloadType: "zephyr-image", artifactName: "rel-7", deviceTypes: ["boardA"] },
      metaData: { a: 1, b: ["x", 2] },
      files: [{ name: "app.bin", bytes: text("firmware") }],
    });
  });

  const odd: readonly [what: string, artifact: () => Uint8Array, code: string, message: RegExp][] = [
    [
      "bytes behind the archive",
      () => concat(forge(), text("x".repeat(512))),
      "bad-artifact",
      /other bytes follow/,
    ],
    ["half a block behind it", () => concat(forge(), new Uint8Array(100)), "bad-artifact", /whole block/],
    ["an archive behind it", () => concat(forge(), forge()), "bad-artifact", /other bytes follow/],
    [
      "a second payload",
      () => forge({ behind: [{ name: "data/0001.tar", bytes: writeTar([]) }] }),
      "bad-artifact",
      /data\/0001\.tar" where it should end/,
    ],
    [
      "the same payload twice",
      () => forge({ behind: [{ name: "data/0000.tar.gz", bytes: text("") }] }),
      "bad-artifact",
      /should end/,
    ],
    [
      "white space in version",
      () => forge({ version: '{"format":"mender", "version":3}' }),
      "bad-artifact",
      /not exactly/,
    ],
    [
      "version 2",
      () => forge({ version: '{"format":"mender","version":2}' }),
      "not-mender",
      /version 2; version 3/,
    ],
    [
      "no header-info key",
      () => forge({ headerInfo: without(HEADER_INFO, "payloads") }),
      "bad-artifact",
      /payloads/,
    ],
    [
      "no provides",
      () => forge({ headerInfo: without(HEADER_INFO, "artifact_provides") }),
      "bad-artifact",
      /artifact_provides is missing/,
    ],
    [
      "no depends",
      () => forge({ headerInfo: without(HEADER_INFO, "artifact_depends") }),
      "bad-artifact",
      /artifact_depends is missing/,
    ],
    [
      "no name",
      () => forge({ headerInfo: { ...HEADER_INFO, artifact_provides: {} } }),
      "bad-artifact",
      /artifact_name is missing/,
    ],
    [
      "a name that is a number",
      () => forge({ headerInfo: { ...HEADER_INFO, artifact_provides: { artifact_name: 7 } } }),
      "bad-artifact",
      /not a text/,
    ],
    [
      "no device type",
      () => forge({ headerInfo: { ...HEADER_INFO, artifact_depends: { device_type: [] } } }),
      "bad-artifact",
      /no device type/,
    ],
    [
      "a device type that is not a list",
      () => forge({ headerInfo: { ...HEADER_INFO, artifact_depends: { device_type: "a" } } }),
      "bad-artifact",
      /list of texts/,
    ],
    [
      "two payload types",
      () => forge({ headerInfo: { ...HEADER_INFO, payloads: [{ type: "a" }, { type: "b" }] } }),
      "bad-artifact",
      /exactly one/,
    ],
    [
      "an unknown key in a payload",
      () => forge({ headerInfo: { ...HEADER_INFO, payloads: [{ type: "a", x: 1 }] } }),
      "bad-artifact",
      /unknown key "x"/,
    ],
    [
      "an unknown key in type-info",
      () => forge({ typeInfo: { ...TYPE_INFO, extra: 1 } }),
      "bad-artifact",
      /unknown key "extra"/,
    ],
    ["no type in type-info", () => forge({ typeInfo: {} }), "bad-artifact", /type is missing/],
    [
      "another type in type-info",
      () => forge({ typeInfo: { type: "rootfs-image" } }),
      "bad-artifact",
      /header-info announces/,
    ],
    [
      "a key of header-info in type-info",
      () => forge({ typeInfo: { ...TYPE_INFO, artifact_provides: { artifact_name: "x" } } }),
      "bad-artifact",
      /repeats artifact_name/,
    ],
    [
      "a key twice",
      () => forge({ typeInfo: '{"type":"a","type":"zephyr-image"}' }),
      "bad-artifact",
      /"type" occurs twice/,
    ],
    [
      "the same key spelled otherwise",
      () => forge({ typeInfo: '{"type":"a","typ\\u0065":"zephyr-image"}' }),
      "bad-artifact",
      /occurs twice/,
    ],
    ["deep JSON", () => forge({ typeInfo: "[".repeat(5000) }), "bad-artifact", /nested deeper/],
    [
      "meta-data two levels deep",
      () => forge({ metaData: { a: { b: 1 } } }),
      "bad-artifact",
      /neither a text/,
    ],
    ["meta-data that is a list", () => forge({ metaData: [1] }), "bad-artifact", /not an object/],
    [
      "an unprintable name",
      () => forge({ headerInfo: { ...HEADER_INFO, artifact_provides: { artifact_name: "a\u001b[2J" } } }),
      "bad-artifact",
      /unprintable/,
    ],
    [
      "something else in the header",
      () => forge({ headerExtra: [{ name: "headers/0001/type-info", bytes: text("{}") }] }),
      "bad-artifact",
      /not allowed there/,
    ],
    [
      "a file in no manifest",
      () => forge({ unlisted: ["data/0000/app.bin"] }),
      "bad-artifact",
      /no checksum for data\/0000\/app\.bin/,
    ],
    [
      "a header in no manifest",
      () => forge({ unlisted: ["header.tar"] }),
      "bad-artifact",
      /no checksum for header\.tar/,
    ],
    [
      "a version in no manifest",
      () => forge({ unlisted: ["version"] }),
      "bad-artifact",
      /no checksum for version/,
    ],
    [
      "a file called dot dot",
      () => forge({ files: [{ name: "..", bytes: text("") }] }),
      "bad-artifact",
      /data\/0000\/\.\.|plain relative path/,
    ],
    ["an augmented artifact", () => augmented(), "artifact-augmented", /no signature covers/],
    [
      "a payload that was announced as none",
      () => forge({ headerInfo: { ...HEADER_INFO, payloads: [{ type: null }] }, typeInfo: { type: null } }),
      "bad-artifact",
      /announces no payload/,
    ],
  ];

  it.each(odd)("not with %s", async (_what, make, code, message) => {
    const error = await readArtifact(make()).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(MenderError);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it("not with any byte of payload, header, manifest or version changed", async () => {
    const good = forge();
    const members = readTar(good).flatMap(({ bytes }) => {
      const start = bytes.byteOffset - good.byteOffset;
      return Array.from({ length: bytes.length }, (_, index) => start + index);
    });
    let refused = 0;
    // Each 37th byte: all kinds of places, in a second.
    for (const at of members.filter((_, index) => index % 37 === 0)) {
      const changed = good.slice();
      changed[at]! ^= 0x10;
      const outcome = await readArtifact(changed).catch((error: unknown) => error);
      // What is left unread: times and owners in the payload's tar header, and the padding of a name's field.
      if (outcome instanceof MenderError) refused++;
      else expect((outcome as { files: unknown }).files).toEqual((await readArtifact(good)).files);
    }
    expect(refused).toBeGreaterThan(50);
  });

  it("or refused with a typed error, whatever the bytes", async () => {
    const { numRuns, seed } = fuzz(150);
    const good = forge({ metaData: { a: "b" } });
    await fc.assert(
      fc.asyncProperty(
        fc.nat(good.length - 1),
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
        async (at, noise) => {
          const bytes = good.slice();
          bytes.set(noise.subarray(0, bytes.length - at), at);
          const outcome = await readArtifact(bytes).catch((error: unknown) => error);
          expect(outcome instanceof Error).toBe(outcome instanceof MenderError);
          const cut = await readArtifact(good.subarray(0, at)).catch((error: unknown) => error);
          expect(cut).toBeInstanceOf(MenderError);
        },
      ),
      { numRuns, seed },
    );
  });
});

function augmented(): Uint8Array {
  const [version, manifest, ...rest] = readTar(forge());
  return writeTar([version!, manifest!, { name: "manifest-augment", bytes: text("") }, ...rest]);
}

describe("writing", () => {
  const content = {
    type: "zephyr-image",
    artifactName: "rel-7",
    deviceTypes: ["boardA"],
    provides: { b: "2", a: "1" },
    depends: { c: ["1", "2"] },
    clears: ["a.*"],
    metaData: { n: 1.5 },
    files: [{ name: "app.bin", bytes: text("firmware") }],
  };

  it("gives the same bytes for the same content, in whatever order its keys come", () => {
    expect(writeArtifact(content)).toEqual(writeArtifact({ ...content, provides: { a: "1", b: "2" } }));
  });

  it.each([
    ["no device type", { deviceTypes: [] }],
    ["no file", { files: [] }],
    ["a file name with a plus", { files: [{ name: "a+b.bin", bytes: text("") }] }],
    ["two files of one name", { files: [content.files[0]!, content.files[0]!] }],
    ["a name with a line feed", { artifactName: "a\nb" }],
    ["a key that header-info speaks for", { provides: { device_type: "x" } }],
    ["a long name", { artifactName: "a".repeat(257) }],
  ])("refuses %s", (_what, change) => {
    expect(() => writeArtifact({ ...content, ...change })).toThrow(
      expect.objectContaining({ code: "bad-artifact-option" }),
    );
  });
});

describe("what an artifact needs", () => {
  const made = async () =>
    readArtifact(
      writeArtifact({
        type: "zephyr-image",
        artifactName: "rel-7",
        deviceTypes: ["boardA"],
        dependsName: ["rel-5", "rel-6"],
        depends: { "firmware.radio.version": ["3"] },
        provides: { "firmware.zephyr-image.version": "rel-7" },
        clears: ["firmware.zephyr-image.*"],
        files: [{ name: "app.bin", bytes: text("firmware") }],
      }),
    );

  it("is compared with the device", async () => {
    const artifact = await made();
    const provides = { artifact_name: "rel-6", "firmware.radio.version": "3" };
    const verdict = async (policy: object) => (await verifyArtifact(artifact, policy)).result;
    expect(await verdict({ deviceType: "boardA", provides })).toBe("signature-not-checked");
    expect(await verdict({ deviceType: "boardB", provides })).toBe("bad");
    expect(await verdict({ provides: { ...provides, artifact_name: "rel-4" } })).toBe("bad");
    expect(await verdict({ provides: { artifact_name: "rel-6" } })).toBe("bad");
    // A key of Object's prototype is not something the device has.
    expect(await verdict({ provides: {} })).toBe("bad");
  });

  it("changes what the device provides", async () => {
    const before = {
      artifact_name: "rel-6",
      artifact_group: "g",
      "firmware.zephyr-image.checksum": "1",
      other: "x",
    };
    expect(providesAfter(await made(), before)).toEqual({
      other: "x",
      artifact_name: "rel-7",
      "firmware.zephyr-image.version": "rel-7",
    });
  });

  it.each([
    ["a.*", "a.b", true],
    ["a.*", "a", false],
    ["*", "", true],
    ["a*b*c", "a-b-b-c", true],
    ["a*b*c", "ac", false],
    ["ab*ba", "aba", false],
    ["a.b", "a.b", true],
    ["a.b", "axb", false],
    [`${"*a".repeat(200)}b`, "a".repeat(5000), false],
  ])("%s clears %s: %s", (pattern, key, expected) => expect(matches(pattern, key)).toBe(expected));
});
