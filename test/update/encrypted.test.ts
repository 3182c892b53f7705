import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { boardVariant, fixtureKey } from "../../src/emulator/catalog.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { TLV } from "../../src/mcuboot/tlv.js";
import type { BoardFacts } from "../../src/session/facts.js";
import type { FlashOptions, FlashResult } from "../../src/update/flash.js";
import { bench, image, stands, tell, trustedKey } from "../support/workflow-board.js";
import { inVirtualTime } from "../support/workflow-clock.js";

const BOARDS = [
  ["encrypted-x25519", "confirmed"],
  ["encrypted-p256", "running"],
  ["encrypted-rsa", "confirmed"],
] as const;
const decryptionKeyOf = (variant: string) => fixtureKey(boardVariant(variant).decryption!.key);

const resultOf = ({ preflight }: FlashResult, wanted: string) =>
  preflight.find(({ name }) => name === wanted)?.result;

/** The last byte of the wrapped content key is another one: as if it were wrapped for another board. */
function forAnotherBoard(file: Uint8Array): Uint8Array {
  const parsed = parseImage(file);
  const wrapped = parsed.tlvs.find(({ type }) => type >= TLV.ENC_RSA2048 && type <= TLV.ENC_X25519_SHA512)!;
  const changed = Uint8Array.from(file);
  changed[wrapped.offset + 4 + wrapped.value.length - 1]! ^= 1;
  return changed;
}

describe.each(BOARDS)("an image encrypted for the %s board", (variant, outcome) => {
  const flashed = async (file: Uint8Array, options: FlashOptions = {}) => {
    const { session } = await bench({ variant });
    const { result } = await tell(session, file, { keys: [await trustedKey(variant)], ...options });
    return { result, session };
  };
  const encrypted = () => image("good-b", { variant, encrypted: true });

  it("is flashed as any other, with the key that opens it and without, and recognised by its hash", () =>
    inVirtualTime(async () => {
      const file = await encrypted();
      for (const decryptionKey of [await decryptionKeyOf(variant), undefined]) {
        const { result, session } = await flashed(file, { decryptionKey });
        expect(result).toMatchObject({ outcome, imageHash: parseImage(file).imageHash!.value });
        const judged = decryptionKey ? "pass" : "unknown";
        expect(["signature", "decryption", "hash"].map((name) => resultOf(result, name))).toEqual([
          "pass",
          judged,
          judged,
        ]);
        expect(await stands(session)).toMatchObject({ version: "2.0.0", confirmed: true });
        const again = await tell(session, file, { keys: [await trustedKey(variant)], decryptionKey });
        expect(again.result).toMatchObject({ outcome: "already-running" });
      }
    }));

  it("is refused before a byte is sent when its signature is wrong, whatever else is known", () =>
    inVirtualTime(async () => {
      const file = Uint8Array.from(await encrypted());
      const { offset, value } = parseImage(file).signatures[0]!;
      file[offset + 4 + value.length - 1]! ^= 1;
      for (const decryptionKey of [await decryptionKeyOf(variant), undefined]) {
        const { result } = await flashed(file, { decryptionKey });
        expect(result.outcome).toBe("refused-by-preflight");
        expect(resultOf(result, "signature")).toBe("fail");
      }
    }));

  it("is refused when the key that was given does not open it", () =>
    inVirtualTime(async () => {
      const file = forAnotherBoard(await encrypted());
      const { result } = await flashed(file, { decryptionKey: await decryptionKeyOf(variant) });
      expect(result).toMatchObject({
        outcome: "refused-by-preflight",
        message: expect.stringContaining("not for the given key"),
        hint: expect.stringContaining("--encrypt"),
      });
    }));

  it("is told as not encrypted for the board when the board says so", () =>
    inVirtualTime(async () => {
      const { result, session } = await flashed(forAnotherBoard(await encrypted()));
      expect(result).toMatchObject({
        outcome: "not-running",
        cause: "signature",
        message: expect.stringContaining("not encrypted for the board's key"),
      });
      expect(await stands(session)).toMatchObject({ version: "1.0.0" });
    }));

  it("with a changed body shows it only to the key that opens it, and to the board", () =>
    inVirtualTime(async () => {
      const file = Uint8Array.from(await encrypted());
      file[parseImage(file).header.headerSize + 100]! ^= 1;
      const opened = await flashed(file, { decryptionKey: await decryptionKeyOf(variant) });
      expect(opened.result.outcome).toBe("refused-by-preflight");
      expect(resultOf(opened.result, "hash")).toBe("fail");
      const closed = await flashed(file);
      expect(closed.result).toMatchObject({ outcome: "not-running", cause: "signature" });
    }));
});

it("every reason that our bootloader knows has words", async () => {
  const source = readFileSync(new URL("../../firmware-fixtures/boot/image.c", import.meta.url), "utf8");
  const { explainOldImage } = await import("../../src/update/explain-outcome.js");
  const reasons = [...source.matchAll(/\[VERIFY_[A-Z_]+\] = "([a-z-]+)"/g)].map(([, reason]) => reason!);
  expect(reasons).toContain("decryption-key");
  const board: BoardFacts = {
    ...{ name: "board", server: "application", bufSize: 1024, bufSizeFrom: "server" },
    ...{ images: [], reportsTrust: true },
  };
  for (const reason of reasons.filter((each) => each !== "ok")) {
    const event = { type: "verify-failed", image: 0, slot: 1, reason, value: 0 } as const;
    const sent = { hash: new Uint8Array(32), imageNumber: 0 };
    const { message } = explainOldImage(board, { ...board, events: [event] }, sent);
    expect(message).not.toContain(`(${reason})`);
  }
});
