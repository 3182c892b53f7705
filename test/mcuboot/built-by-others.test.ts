import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { fromHex, toHex } from "../../src/bytes.js";
import { parseKey } from "../../src/crypto/keys.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { parseSlot } from "../../src/mcuboot/slot.js";
import { tlvName } from "../../src/mcuboot/tlv.js";
import { verifyImage } from "../../src/mcuboot/verify.js";
import { formatVersion } from "../../src/mcuboot/version.js";
import { vectorFile } from "../support/image-imgtool-args.js";

/** Images that others built and signed. The figures below were read with another parser than ours. */
interface Stored {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  /** The whole file; else its header and all behind the body, which is left out. */
  readonly gzip?: string;
  readonly header?: string;
  readonly tlvs?: string;
}

const { keys, images } = JSON.parse(vectorFile("real-images.json")) as {
  keys: Record<string, string>;
  images: Stored[];
};

interface Figures {
  readonly header: number;
  readonly body: number;
  readonly flags: number;
  readonly load: number;
  readonly protectedSize: number;
  /** Offset and total of the unprotected area. */
  readonly area: readonly [offset: number, total: number];
  readonly end: number;
  /** Offset of the TLV's header, name, value or its beginning. */
  readonly tlvs: readonly (readonly [offset: number, name: string, length: number, value: string])[];
}

const RAM = 0x20240000;
const NONE = { header: 512, flags: 0, load: 0, protectedSize: 0 };
const recovery = (body: number, area: number, hash: string): Figures => ({
  ...NONE,
  flags: 0x20,
  load: RAM,
  body,
  area: [area, 40],
  end: area + 40,
  tlvs: [[area + 4, "SHA256", 32, hash]],
});

const FIGURES: Readonly<Record<string, Figures>> = {
  "hello_world.signed.bin": {
    ...NONE,
    body: 24692,
    area: [0x6274, 336],
    end: 25540,
    tlvs: [
      [0x6278, "SHA256", 32, "90a0d88baaa733640dab01fd8e9311dbe8ea1032966b6b286ef6ef772cc608cf"],
      [0x629c, "KEYHASH", 32, "fc5701dc6135e1323847bdc40f04d2e5bee5833b23c29f93593d00018cfa9994"],
      [0x62c0, "RSA2048_PSS", 256, "457dde4937c30fc253fc98c2"],
    ],
  },
  "tfm_s_signed.bin": {
    ...NONE,
    header: 1024,
    body: 115296,
    protectedSize: 123,
    area: [0x1c6db, 151],
    end: 116594,
    tlvs: [
      [0x1c664, "SEC_CNT", 4, "01000000"],
      [0x1c66c, "BOOT_RECORD", 91, "a5016353504504"],
      [0x1c6cb, "DEPENDENCY", 12, "010000000000000000000000"],
      [0x1c6df, "SHA256", 32, "26ad088c6dc8e4a2792ef6fbb16aeb524cf58396866f355c33bd7939182bc09d"],
      [0x1c703, "KEYHASH", 32, "e30466f6b8470c1f29070b17f1e2d3e94d445e3f608087fdc711e4382bb538b6"],
      [0x1c727, "ECDSA_SIG", 71, "3045022051f0e371a3fca1e91f3cdaea9c60c75b086c0742cedc47d571f3f66d"],
    ],
  },
  buf1024: recovery(131920, 0x20550, "7fb87140f65bbcb1c6714a67cf618dcc2f5432035f5df8cd350bfe61da346104"),
  buf2048: recovery(131920, 0x20550, "a0306f5e8459d508f8b184565285d8e3455fb67fcf7c8482bf4b627f77ceb98f"),
  buf400: recovery(131920, 0x20550, "4bfc30ce372d0891e184540be47119020a81e3f91715ea7fbb907a3b88b01331"),
  buf512: recovery(131920, 0x20550, "2a30e2545d6c182ac34f7b9ca2e5e7c5f62053f000967fcfb1df98b96a8b7399"),
  "27c54835_mps2_an385_serial_recovery.signed.bin": recovery(
    131924,
    0x20554,
    "18779b16a62c10405e239b096eae0c54c8b097a260978b21b4cec75f149a617e",
  ),
  recovery_raw: recovery(131952, 0x20570, "ecda556aeb426da5fc738d5976812eb269db9326511e94094ec9996df9b54004"),
  qemu_cortex_m0: {
    ...NONE,
    body: 49140,
    area: [0xc1f4, 40],
    end: 49692,
    tlvs: [[0xc1f8, "SHA256", 32, "1baa222074cc805faf4e09846d2377886b1e5ef7cfccd9eac1554d82d9aa9d5a"]],
  },
};

function bytesOf({ gzip, header, tlvs, size }: Stored): Uint8Array {
  if (gzip !== undefined) return new Uint8Array(gunzipSync(Buffer.from(gzip, "base64")));
  const bytes = new Uint8Array(size);
  bytes.set(fromHex(header!));
  bytes.set(fromHex(tlvs!), size - tlvs!.length / 2);
  return bytes;
}

const rows = images.map((stored) => {
  const named = Object.entries(FIGURES).filter(([part]) => stored.name.includes(part));
  return { name: stored.name, stored, named };
});

describe("images of Zephyr and TF-M, parsed to the figures that another parser read", () => {
  it.each(rows)("$name", ({ stored, named }) => {
    expect(named).toHaveLength(1);
    const expected = named[0]![1];
    const bytes = bytesOf(stored);
    expect(bytes.length).toBe(stored.size);
    const image = parseImage(bytes);
    expect(image.header).toMatchObject({
      headerSize: expected.header,
      bodySize: expected.body,
      flags: expected.flags,
      loadAddress: expected.load,
      pad: 0,
    });
    expect(formatVersion(image.version)).toBe("0.0.0");
    expect(image.protectedArea?.length ?? 0).toBe(expected.protectedSize);
    expect([image.unprotectedArea.offset, image.unprotectedArea.length]).toEqual(expected.area);
    expect(image.size).toBe(expected.end);
    const found = image.tlvs.map(({ offset, type, value }, index) => {
      const shown = expected.tlvs[index]?.[3].length ?? 0;
      return [offset, tlvName(type), value.length, toHex(value).slice(0, shown)];
    });
    expect(found).toEqual(expected.tlvs);
  });

  const whole = rows.filter(({ stored }) => stored.gzip !== undefined);

  it.each(whole)(
    "$name: hash and signature hold, with the published key that it names",
    async ({ stored }) => {
      const bytes = bytesOf(stored);
      expect(createHash("sha256").update(bytes).digest("hex")).toBe(stored.sha256);
      const trusted = await Promise.all(Object.values(keys).map((pem) => parseKey(pem)));
      const verdict = await verifyImage(bytes, { keys: trusted });
      expect(verdict.result).toBe("good");
      const name = stored.name.startsWith("hello") ? "root-rsa-2048.pem" : "root-ec-p256.pem";
      expect(verdict.warnings.join()).toContain(name);
      bytes[2000]! ^= 1;
      expect((await verifyImage(bytes, { keys: trusted })).result).toBe("bad");
    },
  );

  it("TF-M's file is a whole slot: a magic at its end and nothing else in the trailer", () => {
    const slot = parseSlot(bytesOf(rows.find(({ name }) => name.startsWith("tfm"))!.stored));
    expect(slot.trailer).toMatchObject({ magic: "good", imageOk: "unset", copyDone: "unset" });
    expect(slot.trailer.swapInfo).toBeUndefined();
    expect(slot.size).toBe(524288);
  });
});
