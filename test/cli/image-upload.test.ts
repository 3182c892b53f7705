import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { LAYOUT } from "../../src/emulator/layout.js";
import { type TrailerIntent, withMadeTrailer } from "../../src/mcuboot/file-tail.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { bootproof, json, signedUpdate, tempFolder } from "../support/cli-run.js";

test("image upload sends no trailer unawares", async () => {
  const { image } = await signedUpdate();
  const plain = readFileSync(image);
  const folder = tempFolder();
  const padded = (intent: TrailerIntent) => {
    const file = join(folder, `${intent}.bin`);
    writeFileSync(file, withMadeTrailer(plain, parseImage(plain), { intent, slotSize: LAYOUT.slotSize }));
    return file;
  };
  const confirmed = padded("confirmed");
  const on = ["-d", `wasm:good?flash=${join(folder, "flash.bin")}`];
  const behind = LAYOUT.slotSize - plain.length;
  const sent = await json(["image", "upload", confirmed, ...on]);
  expect(sent.value).toMatchObject({
    bytes: plain.length,
    notSent: { kind: "trailer", intent: "confirmed", bytes: behind },
  });
  expect(sent.stderr).toContain(
    `${behind} bytes follow the image, with a trailer that makes the image permanent`,
  );
  const { value } = await json(["image", "list", ...on]);
  // A board that had got the trailer would show it as pending, or run it by now.
  expect(value).toMatchObject({ images: [{ slots: [{}, { content: { pending: false } }] }] });

  // This board takes no file of the slot's size: the refusal shows that all of it was offered.
  const whole = await bootproof(["image", "upload", confirmed, "--whole-file", ...on]);
  expect(whole.stderr).toContain(`The whole file is sent, including the ${behind} bytes`);
  expect(whole.stderr).toContain("larger than the slot");
  const wrong = await bootproof(["image", "upload", confirmed, "--trailer", "pad", ...on]);
  expect(wrong).toMatchObject({ status: 2, stderr: expect.stringContaining("test, confirmed, none") });
});
