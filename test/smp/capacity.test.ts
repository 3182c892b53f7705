import { describe, expect, test } from "vitest";
import { dataRoom } from "../../src/smp/capacity.js";
import { consoleFraming } from "../../src/smp/framing/console.js";
import { rawFraming } from "../../src/smp/framing/raw.js";
import { fsUpload } from "../../src/smp/groups/fs.js";
import { imageUpload } from "../../src/smp/groups/image.js";
import { encodeRequest } from "../../src/smp/message.js";

/**
 * buf_size; largest console message; data in the first message (sha, len of 64 KiB or more); the same with image and
 * upgrade; in later messages with off 256..65535; with off 65536 and above. Computed outside this project from RFC 8949.
 */
const TABLE = [
  [128, 124, 56, 40, 101, 99],
  [256, 252, 184, 168, 229, 227],
  [384, 380, 311, 295, 356, 354],
  [512, 508, 439, 423, 484, 482],
  [1024, 1020, 951, 935, 996, 994],
  [2048, 2044, 1975, 1959, 2020, 2018],
  [4096, 4092, 4023, 4007, 4068, 4066],
] as const;

const first = { off: 0, len: 65_536, sha: new Uint8Array(32) };
const envelope = { seq: 0, version: 2 } as const;

describe("data of an image upload", () => {
  test.each(TABLE)("server buffer %i", (bufSize, maxMessage, withSha, withAll, later, far) => {
    expect(consoleFraming().largestMessage(bufSize)).toBe(maxMessage);
    expect(dataRoom(imageUpload, first, { maxMessage })).toBe(withSha);
    expect(dataRoom(imageUpload, { ...first, image: 0, upgrade: true }, { maxMessage })).toBe(withAll);
    expect(dataRoom(imageUpload, { off: 65_535 }, { maxMessage })).toBe(later);
    expect(dataRoom(imageUpload, { off: 65_536 }, { maxMessage })).toBe(far);
  });

  test("a raw message has the whole server buffer", () => {
    expect(rawFraming.largestMessage(384)).toBe(384);
    expect(dataRoom(imageUpload, { off: 65_536 }, { maxMessage: 384 })).toBe(358);
  });

  test("fills every message limit as far as bytes can", () => {
    for (let maxMessage = 30; maxMessage <= 2100; maxMessage++) {
      for (const off of [0, 23, 24, 255, 256, 65_535, 65_536]) {
        const room = dataRoom(imageUpload, { off }, { maxMessage });
        const size = (data: number) =>
          encodeRequest(imageUpload, { off, data: new Uint8Array(data) }, envelope).length;
        expect(size(room)).toBeLessThanOrEqual(maxMessage);
        expect(size(room + 1)).toBeGreaterThan(maxMessage);
      }
    }
  });

  test("rounds down to what the flash can write", () => {
    expect(dataRoom(imageUpload, { off: 65_536 }, { maxMessage: 380, align: 32 })).toBe(352);
    expect(dataRoom(imageUpload, { off: 65_536 }, { maxMessage: 380, align: 1 })).toBe(354);
  });

  test("is nothing when the other fields do not fit", () => {
    expect(dataRoom(imageUpload, first, { maxMessage: 60 })).toBe(0);
    expect(dataRoom(imageUpload, first, { maxMessage: 0 })).toBe(0);
  });
});

test("a file upload gives its name's bytes away", () => {
  const short = dataRoom(fsUpload, { off: 300, name: "/lfs1/a" }, { maxMessage: 380 });
  const long = dataRoom(fsUpload, { off: 300, name: "/lfs1/abcdefg" }, { maxMessage: 380 });
  expect(short - long).toBe(6);
  const message = encodeRequest(
    fsUpload,
    { off: 300, name: "/lfs1/a", data: new Uint8Array(short) },
    envelope,
  );
  expect(message.length).toBe(380);
});
