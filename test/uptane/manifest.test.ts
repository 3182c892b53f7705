import { beforeAll, describe, expect, it } from "vitest";
import { toHex } from "../../src/bytes.js";
import { BootproofError } from "../../src/errors.js";
import { canonicalJson, type JsonObject } from "../../src/tuf/canonical-json.js";
import { sha256Hex } from "../../src/tuf/hashes.js";
import type { TufKey } from "../../src/tuf/metadata-types.js";
import { type MetadataSigner, signBytes } from "../../src/tuf/repository/tuf-key.js";
import { verifyNatively } from "../../src/tuf-store/native-signatures.js";
import {
  type EcuReport,
  type KnownEcu,
  type ManifestSigner,
  parseManifest,
  signReport,
  verifyManifest,
  writeManifest,
} from "../../src/uptane/manifest.js";
import { newSigner } from "../support/tuf-repository.js";

const NOW = new Date("2026-06-01T12:00:00Z");

let keys: { primary: MetadataSigner; board: MetadataSigner };
beforeAll(async () => {
  keys = { primary: await newSigner(), board: await newSigner() };
});

const signerOf = (key: MetadataSigner): ManifestSigner => ({
  keyid: key.id,
  method: "ed25519",
  sign: async (message) => Buffer.from((await signBytes(message, key)).sig, "hex"),
});

function keyOf({ key }: MetadataSigner): TufKey {
  const { public: text } = key.keyval as { public: string };
  return { keytype: "ed25519", scheme: "ed25519", public: text, raw: key };
}

const report = (ecu: string, more: Partial<EcuReport> = {}): EcuReport => ({
  ecu,
  installed: { path: "fw.bin", length: 10, hashes: { sha256: sha256Hex(new Uint8Array(10)) } },
  attacks: "",
  time: "2026-06-01T11:00:00Z",
  previousTime: "2026-06-01T10:00:00Z",
  counter: 7,
  ...more,
});

async function manifest({
  board = {},
  by = keys.board,
}: {
  board?: Partial<EcuReport>;
  by?: MetadataSigner;
} = {}) {
  const reports = [
    await signReport(report("bridge"), signerOf(keys.primary)),
    await signReport(report("board-a", board), signerOf(by)),
  ];
  return writeManifest({ vehicle: "VIN-1", primary: "bridge", reports }, signerOf(keys.primary));
}

async function verdict(bytes: Uint8Array, board: Partial<KnownEcu> = {}, id = "VIN-1"): Promise<string> {
  const ecus = new Map<string, KnownEcu>([
    ["bridge", { key: keyOf(keys.primary), counter: 6 }],
    ["board-a", { key: keyOf(keys.board), counter: 6, ...board }],
  ]);
  try {
    await verifyManifest(
      parseManifest(bytes),
      { id, primary: "bridge", ecus },
      { verify: verifyNatively, now: NOW },
    );
    return "believed";
  } catch (error) {
    if (!(error instanceof BootproofError)) throw error;
    return error.code;
  }
}

describe("the version manifest", () => {
  it("is read as it was written, and believed", async () => {
    const custom = { managed_by: "bridge", evidence: { slot: 0 } };
    const bytes = await manifest({ board: { custom } });
    const read = parseManifest(bytes);
    expect(read.vehicle).toBe("VIN-1");
    expect(read.reports.get("board-a")).toEqual(report("board-a", { custom }));
    expect(await verdict(bytes)).toBe("believed");
  });

  it("has aktualizr's names, and signatures in base64 over the canonical form", async () => {
    const { signed } = JSON.parse(Buffer.from(await manifest()).toString()) as { signed: JsonObject };
    const listed = signed.ecu_version_manifests as Record<
      string,
      { signed: JsonObject; signatures: JsonObject[] }
    >;
    const { signed: one, signatures } = listed["board-a"]!;
    expect(Object.keys(one)).toEqual([
      "ecu_serial",
      "installed_image",
      "attacks_detected",
      "timeserver_time",
      "previous_timeserver_time",
      "report_counter",
    ]);
    const [{ sig, method }] = signatures as [{ sig: string; method: string }];
    expect(method).toBe("ed25519");
    const hex = toHex(Buffer.from(sig, "base64"));
    expect(hex).toBe((await signBytes(canonicalJson(one), keys.board)).sig);
  });

  it("of another vehicle is not believed", async () => {
    expect(await verdict(await manifest(), {}, "VIN-2")).toBe("wrong-vehicle");
  });

  it("with a report that another key signed, or that was changed, is not believed", async () => {
    expect(await verdict(await manifest({ by: keys.primary }))).toBe("manifest-unsigned");
    const text = Buffer.from(await manifest()).toString();
    expect(await verdict(Buffer.from(text.replace("fw.bin", "xx.bin")))).toBe("manifest-unsigned");
  });

  it("with a report that came before is not believed", async () => {
    expect(await verdict(await manifest(), { counter: 7 })).toBe("manifest-implausible");
  });

  it.each([
    ["later than now", { time: "2026-06-01T13:00:00Z" }],
    ["earlier than the report before", { time: "2026-06-01T09:00:00Z" }],
    ["no time", { time: "noon" }],
  ])("with a time that is %s is not believed", async (_, board) => {
    expect(await verdict(await manifest({ board }))).toBe("manifest-implausible");
  });

  it("without a known ECU, or with an unknown one, is not believed", async () => {
    const primaryOnly = [await signReport(report("bridge"), signerOf(keys.primary))];
    const write = (reports: typeof primaryOnly) =>
      writeManifest({ vehicle: "VIN-1", primary: "bridge", reports }, signerOf(keys.primary));
    expect(await verdict(await write(primaryOnly))).toBe("manifest-implausible");
    const stranger = await signReport(report("board-z"), signerOf(keys.board));
    expect(await verdict(await write([...primaryOnly, stranger]))).toBe("unknown-ecu");
  });

  it("that is damaged is refused with one error", async () => {
    const text = Buffer.from(await manifest()).toString();
    for (const [from, to] of [
      ['"primary_ecu_serial"', '"x"'],
      ['"ecu_version_manifests"', '"x"'],
      ['"report_counter": "7"', '"report_counter": "-7"'],
      ['"length": 10', '"length": -1'],
      ['"ecu_serial": "board-a"', '"ecu_serial": "board-b"'],
      ['"installed_image"', '"x"'],
    ] as const)
      expect(await verdict(Buffer.from(text.replace(from, to))), from).toBe("bad-manifest");
  });
});
