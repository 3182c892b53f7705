import { expect, it } from "vitest";
import { diffImages } from "../../src/mcuboot/diff.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { type SignOptions, signImage } from "../../src/mcuboot/sign.js";
import { payload } from "../support/image-imgtool-args.js";
import { throwAwayKeys } from "../support/image-keys.js";

const keys = await throwAwayKeys();
const make = async (body: Uint8Array, options: Partial<SignOptions>) =>
  parseImage(
    (await signImage(body, { version: "1.0.0", headerSize: 32, padHeader: true, slotSize: 0, ...options }))
      .bytes,
  );

it("an image does not differ from itself", async () => {
  const image = await make(payload("p64"), { key: keys.ed25519 });
  expect(diffImages(image, image)).toEqual({
    differences: [],
    body: { sizeBefore: 64, sizeAfter: 64, changed: 0 },
  });
});

it("says what changed: version, counter, key, flags, and how much of the body", async () => {
  const body = payload("p64");
  body[10] = 0xff;
  body[20] = 0xff;
  const before = await make(payload("p64"), { key: keys.ed25519, securityCounter: 1 });
  const after = await make(body, {
    version: "1.1.0",
    key: keys["ecdsa-p256"],
    securityCounter: 2,
    nonBootable: true,
  });
  const { differences, body: changed } = diffImages(before, after);
  expect(changed).toEqual({ sizeBefore: 64, sizeAfter: 64, changed: 2, first: 10 });
  expect(differences.map(({ what }) => what)).toEqual([
    "version",
    "flags",
    "SEC_CNT (protected)",
    "SHA256",
    "KEYHASH",
    "ED25519",
    "ECDSA_SIG",
  ]);
  expect(differences.slice(0, 3)).toEqual([
    { what: "version", before: "1.0.0", after: "1.1.0" },
    { what: "flags", before: "none", after: "NON_BOOTABLE" },
    { what: "SEC_CNT (protected)", before: "1", after: "2" },
  ]);
  expect(differences.find(({ what }) => what === "ED25519")?.after).toBeUndefined();
});

it("TLVs of one type are told apart, bodies of two lengths compared where both have bytes", async () => {
  const dependency = (image: number) => ({ image, version: { major: 1, minor: 0, revision: 0, build: 0 } });
  const before = await make(payload("p64"), { dependencies: [dependency(1)] });
  const after = await make(payload("p64").subarray(0, 32), { dependencies: [dependency(1), dependency(2)] });
  const { differences, body } = diffImages(before, after);
  expect(body).toEqual({ sizeBefore: 64, sizeAfter: 32, changed: 0 });
  expect(differences.map(({ what }) => what)).toEqual(["SHA256", "DEPENDENCY (protected) no. 2"]);
});
