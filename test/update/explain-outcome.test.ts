import { describe, expect, it } from "vitest";
import type { BoardFacts, BootEvent, SlotContent } from "../../src/session/facts.js";
import { explainOldImage } from "../../src/update/explain-outcome.js";

const SENT = new Uint8Array(32).fill(7);
const OTHER = new Uint8Array(32).fill(1);

function content(fields: Partial<SlotContent>): SlotContent {
  return {
    version: "1.0.0",
    active: false,
    confirmed: false,
    pending: false,
    permanent: false,
    bootable: true,
    ...fields,
  };
}

function board(fields: Partial<BoardFacts>, secondary?: SlotContent): BoardFacts {
  const primary = content({ hash: OTHER, active: true, confirmed: true });
  const slots = [
    { image: 0, slot: 0, content: primary },
    { image: 0, slot: 1, ...(secondary && { content: secondary }) },
  ];
  return {
    name: "x",
    server: "application",
    bufSize: 384,
    bufSizeFrom: "server",
    reportsTrust: false,
    images: [{ image: 0, slots }],
    ...fields,
  };
}

const explain = (after: BoardFacts, events: BootEvent[] = []) =>
  explainOldImage(board({ events }), after, { hash: SENT, imageNumber: 0 }).message;

describe("what is told when the old image runs", () => {
  it("the board's own reasons come first, each in words", () => {
    const reasons = [
      "hash",
      "signature",
      "unknown-key",
      "no-signature",
      "counter-low",
      "counter-missing",
      "counter-exhausted",
      "version",
    ];
    const told = reasons.map((reason) =>
      explain(board({ events: [{ type: "verify-failed", image: 0, slot: 1, reason }] })),
    );
    expect(new Set(told).size).toBe(reasons.length);
    for (const sentence of told)
      expect(sentence).toMatch(/^The board runs version 1\.0\.0, .* refused the image because its? /);
  });

  it("a reason nobody knows is quoted", () => {
    const events = [{ type: "verify-failed", image: 0, slot: 1, reason: "moon-phase" }];
    expect(explain(board({ events }))).toMatch(/did not verify \(moon-phase\)/);
  });

  it("old events of the ring are not taken for new ones", () => {
    const old: BootEvent[] = [
      { type: "verify-failed", image: 0, slot: 1, reason: "hash" },
      { type: "started", image: 0, slot: 0 },
    ];
    const news: BootEvent[] = [
      { type: "swapped", image: 0, slot: 0 },
      { type: "reverted", image: 0, slot: 0 },
    ];
    expect(explain(board({ events: [old[1]!, ...news] }), old)).toMatch(/reverted it: it was not confirmed/);
    expect(explain(board({ events: old }, content({ hash: SENT })), old)).toMatch(/back in the other slot/);
  });

  it("events of another image do not count", () => {
    const events = [{ type: "verify-failed", image: 1, slot: 1, reason: "hash" }];
    expect(explain(board({ events }))).not.toMatch(/hash/);
  });

  it("without events the slots tell", () => {
    expect(explain(board({}, content({ hash: SENT, pending: true })))).toMatch(
      /still waits for the next boot/,
    );
    expect(explain(board({}, content({ hash: SENT })))).toMatch(
      /back in the other slot: it was started and reverted/,
    );
    expect(explain(board({}))).toMatch(/no longer in any slot: the bootloader has most likely refused/);
  });

  it("what recovery wrote over the primary slot was refused and erased by nobody", () => {
    const { message, hint } = explainOldImage(board({ server: "recovery" }), board({}), {
      hash: SENT,
      imageNumber: 0,
    });
    expect(message).toMatch(/something has replaced it/);
    expect(message).not.toMatch(/refused/);
    expect(hint).toContain("-device loader");
  });

  it("a board in serial recovery has found nothing that it may start", () => {
    expect(explain(board({ server: "recovery" }))).toMatch(/serial recovery: it found no image/);
  });

  it("a board that lists nothing is not guessed about", () => {
    expect(explain(board({ images: [] }))).toMatch(/does not report which image it runs/);
  });

  it.each<[string, BoardFacts]>([
    ["signature", board({ events: [{ type: "verify-failed", image: 0, slot: 1, reason: "unknown-key" }] })],
    ["signature", board({ events: [{ type: "verify-failed", image: 0, slot: 1, reason: "hash" }] })],
    ["rollback", board({ events: [{ type: "verify-failed", image: 0, slot: 1, reason: "counter-low" }] })],
    ["rollback", board({ events: [{ type: "downgrade-refused", image: 0, slot: 1, reason: "version" }] })],
    ["other", board({ events: [{ type: "verify-failed", image: 0, slot: 1, reason: "size" }] })],
    ["other", board({ events: [{ type: "dependency", image: 0, slot: 1 }] })],
    ["reverted", board({ bootloader: { mode: 3 } }, content({ hash: SENT }))],
    ["not-told", board({}, content({ hash: SENT }))],
    ["not-told", board({})],
    ["not-told", board({ images: [] })],
  ])("the cause for programs is %s", (cause, after) => {
    const before = board({ events: [] });
    expect(explainOldImage(before, after, { hash: SENT, imageNumber: 0 }).cause).toBe(cause);
  });
});
