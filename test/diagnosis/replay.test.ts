import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { fromHex, toHex } from "../../src/bytes.js";
import { Replay } from "../../src/diagnosis/replay.js";

/** Golden bytes of the facts: G02 and G03, params G05 and G06. */
const golden = JSON.parse(
  readFileSync(new URL("../vectors/smp/golden.json", import.meta.url), "utf8"),
) as unknown;
const echo = fromHex("0a00000900004200a161646568656c6c6f");
const echoed = fromHex("0b00000a00004200bf61726568656c6c6fff");
const params = fromHex("0800000100000106a0");
const answered = fromHex("0900001900000106bf686275665f73697a65190800696275665f636f756e7404ff");

const sent = (bytes: Uint8Array) => ({ direction: "sent" as const, bytes });
const received = (bytes: Uint8Array) => ({ direction: "received" as const, bytes });
const withSeq = (bytes: Uint8Array, seq: number) => bytes.map((byte, index) => (index === 6 ? seq : byte));

test("the golden bytes used here are those of the vectors", () => {
  const all = JSON.stringify(golden);
  for (const bytes of [echo, echoed, params]) expect(all).toContain(toHex(bytes));
});

describe("a recorded device", () => {
  test("answers with the caller's sequence number", () => {
    const replay = new Replay([sent(echo), received(echoed), sent(params), received(answered)]);
    expect(replay.size).toBe(2);
    expect(replay.answer(withSeq(params, 200))).toEqual({
      messages: [withSeq(answered, 200)],
      from: "recorded",
    });
    expect(replay.answer(withSeq(echo, 0))).toEqual({ messages: [withSeq(echoed, 0)], from: "recorded" });
  });

  test("is silent where it was, and answers the repeat that it answered", () => {
    const replay = new Replay([sent(echo), sent(echo), received(echoed)]);
    expect(replay.answer(echo).messages).toEqual([]);
    expect(replay.answer(echo).messages).toEqual([echoed]);
    // From the beginning again.
    expect(replay.answer(echo).messages).toEqual([]);
  });

  test("answers late, twice, or with another's number as it did", () => {
    const stray = withSeq(echoed, 0x40);
    const replay = new Replay([sent(echo), received(stray), received(echoed), received(echoed)]);
    expect(replay.answer(withSeq(echo, 10)).messages).toEqual([
      withSeq(echoed, 8),
      withSeq(echoed, 10),
      withSeq(echoed, 10),
    ]);
  });

  test("refuses what it was never asked, as an unknown command", () => {
    const replay = new Replay([sent(echo), received(echoed)]);
    const other = withSeq(params, 7);
    expect(replay.answer(other)).toEqual({
      messages: [fromHex("0900000500000706a1627263" + "08")],
      from: "unknown",
    });
    expect(new Replay([]).answer(echo).from).toBe("unknown");
  });

  test("one request with other contents is another request", () => {
    const replay = new Replay([sent(echo), received(echoed)]);
    const changed = echo.with(echo.length - 1, 0x70);
    expect(replay.answer(changed).from).toBe("unknown");
  });

  test("what is not a message is refused, and records that are none are only answers", () => {
    const broken = Uint8Array.of(1, 2, 3);
    const replay = new Replay([received(echoed), sent(broken), sent(echo), received(broken)]);
    expect(replay.size).toBe(1);
    expect(replay.answer(echo).messages).toEqual([broken]);
    expect(() => replay.answer(broken)).toThrow(expect.objectContaining({ code: "message-too-short" }));
  });
});
