import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { fromHex, toHex } from "../../src/bytes.js";
import { keyFromSecret } from "../../src/crypto/keys.js";
import { type SignOptions, signImage } from "../../src/mcuboot/sign.js";
import { parseVersion } from "../../src/mcuboot/version.js";

/**
 * What imgtool 2.4.0 makes of 64 bytes 00 01 .. 3f with `-H 32 --pad-header -S 0x1000 -v 1.2.3+4` and the options in
 * the title: length and SHA-256 of the whole file. The key is MCUboot's published root-ed25519.pem.
 */
const PAYLOAD = Uint8Array.from({ length: 64 }, (_, index) => index);
const ROOT_ED25519 = "28c970c9a1a8a8bc77786862d2e76d0d430a2b57c87cfc37904bcbaac874cbd8";

type Row = readonly [title: string, options: Partial<SignOptions>, length: number, sha256: string];

const key = keyFromSecret("ed25519", fromHex(ROOT_ED25519));
const dependency = (image: number, version: string) => ({ image, version: parseVersion(version) });
const combined: Partial<SignOptions> = {
  securityCounter: 7,
  bootRecord: "APP",
  dependencies: [dependency(1, "1.2.3+0")],
  vendorId: "example.com",
  classId: "widget",
  customTlvs: [
    { type: 0xa0, value: fromHex("deadbeef") },
    { type: 0xb1, value: new TextEncoder().encode("hello") },
  ],
};

// biome-ignore format: one row, one line
const ROWS: readonly Row[] = [
  ["(none: hash only)", {}, 136, "c3b337c8467e526d670d0b170bcbb4d196ad5ada54dd8628e4ef9347508368a8"],
  ["--sha 384", { hash: "sha384" }, 152, "ed0833279c1f5290b0850a0e91406ce1eb640c74bdb1081f749e6c757ac4a36c"],
  ["--sha 512", { hash: "sha512" }, 168, "4b9bfcb8e5db9a27bcb1ee0d07918c796cae56531b8c6111fea6839357193242"],
  ["-k ed25519", { key }, 240, "b9978cb93d13df8a50349b79416dca2f06111115aed62496a5cb57918c4e6c80"],
  ["-k ed25519 --sha 512", { key, hash: "sha512" }, 304, "5973609adfad5067d91c064103b7e4a46044206113b52a859a7e4c2018c34366"],
  ["-k ed25519 --pure", { key, pure: true }, 309, "59586bbd810144e9df8ff9ab7173687cd6a797201ddb1fee86f81ceaa0e29cf9"],
  ["-k ed25519 --public-key-format full", { key, publicKeyFormat: "full" }, 252, "31daccdfb7444b3d26881277c2961184ff6c0b3e21f56be29ba5c7fde5c36cee"],
  ["-s 5", { securityCounter: 5 }, 148, "56f9cbfece24ab1839eaa2742bdf38a3ae5b1e6a4caa0a4772bb6c6122ac4d8b"],
  ["-s auto", { securityCounter: "auto" }, 148, "f37116e19e121095be93b3aa2b9c064af931d95282007cda67d5c47aa0ddb2aa"],
  ['-d "(1, 1.2.3+0)"', { dependencies: [dependency(1, "1.2.3+0")] }, 156, "2c017fab4582740ce28240931b14a1db553e5d5b657cb9b9350bed38b7f00218"],
  ['-d "(0,1.0.0)(1, 2.0.0+7)"', { dependencies: [dependency(0, "1.0.0"), dependency(1, "2.0.0+7")] }, 172, "7dbd4e8f330e78c3b95974059fd0a632396e61c69d241e3f412b543262e526a3"],
  ["--boot-record APP", { bootRecord: "APP" }, 235, "606d2165c037648d4285c33ceeb23b17a7f8bd221b45bed236565eb793377fbe"],
  ["combined", combined, 316, "ab33ec83b660883b89a11631b99c99133cb58b4bfcf35572a28f49f384f43de2"],
  ["--vid / --cid as raw hex", { vendorId: "cfbff0d193755685968c48ce8b15ae17", classId: "f5e4466a40725256b5b1d52d97266c9e" }, 180, "b48c32662afc2eeba0dc2c3b629f2f9913f4e2356b8e57ea86bd2307ee21b410"],
  ["-e big -s 5", { endian: "big", securityCounter: 5 }, 148, "4f906978054ad78114dd65a0bbb8f6e883895b9608e4f39d9b12b6b473fc69ef"],
  ["-L 0x20001000", { loadAddress: 0x20001000 }, 136, "48ee89da7544dbd62861e7c1ff2324a3950545f0f6d033bcd9ed85c7911a0b0b"],
  ["-F 0x8000", { romFixed: 0x8000 }, 136, "ba63465de78932b56f60c7f7a343ad3c8461ebe12d4506d35cb6302008f77a5e"],
  ["--non-bootable", { nonBootable: true }, 136, "4e3c41093669e31aa660a2ea1ed3825b9fec312da602c1b2a382278b34a102f1"],
  ["--pad", { trailer: "test" }, 4096, "e4abd959cafbaad45541fed3360201eb89d4c562b6394a7c9820cad4754c8791"],
  ["--confirm --overwrite-only", { trailer: "confirmed", overwriteOnly: true }, 4096, "e4abd959cafbaad45541fed3360201eb89d4c562b6394a7c9820cad4754c8791"],
  ["--confirm", { trailer: "confirmed" }, 4096, "3dc3ecc4e0980ad754947f3b65a1fb562a1e22ee6884d2990612573a41904a34"],
  ["--confirm --align 8", { trailer: "confirmed", align: 8 }, 4096, "3dc3ecc4e0980ad754947f3b65a1fb562a1e22ee6884d2990612573a41904a34"],
  ["--confirm --align 32 -M 8", { trailer: "confirmed", align: 32, maxSectors: 8 }, 4096, "fb7f4542bfd36d40234f8b7f15de6800102c7b486496b1744d319ebf4fa8fbd1"],
  ["--confirm --align 4 --max-align 16", { trailer: "confirmed", align: 4, maxAlign: 16 }, 4096, "41e506a841b647132533e75c7d1548e6d84e85900ffc9febf27d09f0e8ff1421"],
  ["--confirm -R 0", { trailer: "confirmed", erasedValue: 0 }, 4096, "62b79af577600e1d4324793f17d6897dae83d4f5d85a5fcbb88bc6f64dce05ad"],
  ["-v 1 -S 0", { version: "1", slotSize: 0 }, 136, "213b6d2a6ef5ced725c6569afcede355798815b22ff31e7e507f7065fdd5f285"],
];

describe("imgtool 2.4.0, file for file", () => {
  it.each(ROWS)("%s", async (_, options, length, sha256) => {
    const { bytes } = await signImage(PAYLOAD, {
      version: "1.2.3+4",
      headerSize: 32,
      padHeader: true,
      slotSize: 0x1000,
      ...options,
    });
    expect(bytes.length).toBe(length);
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(sha256);
  });
});

it("the published root-ed25519 key has the key hash that people know it by", () => {
  expect(toHex(key.keyHash)).toBe("c1907fa4eac7fae3840a78902b6f0710b037e9968e5c6274a12a28790c7d4e3c");
});
