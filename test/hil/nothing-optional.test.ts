import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, readFacts, Session, startBoard } from "bootproof";
import { boardVariant, fixtureKey, signedFixture } from "bootproof/boards";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { entryOf } from "../../hil/board-files/board-file.js";
import type { Verdict } from "../../hil/case.js";
import { ImageFactory } from "../../hil/images/image-factory.js";
import { proveAssembled } from "../../hil/prove.js";
import type { ProveOptions } from "../../hil/prove-events.js";
import type { BoardResult } from "../../hil/result.js";
import { drawFacts } from "../../src/cli/draw-facts.js";
import { nothingOptional } from "../support/nothing-optional.js";
import { wireBoard } from "../support/wire-board.js";
import { inVirtualTime } from "../support/workflow-clock.js";
import { BadCable, type Fault } from "../support/workflow-wire.js";

/**
 * A server that answers nothing optional: what it does not say must be neither a value nor a verdict. Behind the cable is
 * a sound board of ours, so a case that does not hold here is one that the board really lets through.
 */
const own = (variant = "good", counter = 4) =>
  signedFixture("good-a", "wasm", boardVariant(variant), { version: "3.0.0", counter });

/** What runs remember of boards: each begins without, but where it is told otherwise. */
const records = mkdtempSync(join(tmpdir(), "records-"));
afterAll(() => rmSync(records, { recursive: true }));

function prove(
  cable: Fault,
  more: Partial<ProveOptions> & { variant?: string; unit?: string | undefined; counter?: number } = {},
): Promise<BoardResult> {
  const { variant = "good", unit, counter, ...options } = more;
  return inVirtualTime(async () => {
    const image = await own(variant, counter);
    const entry = { ...entryOf("tcp:127.0.0.1:1"), startsWithinMs: 3000, unit };
    const board = await wireBoard(entry, { variant, install: image, cable });
    const factory = new ImageFactory({ base: image, key: await fixtureKey("ed25519-1") });
    const assembly = { board, factory, layout: undefined, keys: { accepted: [], refused: [] } };
    const journals = mkdtempSync(join(records, "run-"));
    const { signal } = new AbortController();
    return proveAssembled(entry, assembly, { signal, seed: 3, journals, ...options });
  });
}

const UNPACKING_UNTOLD =
  "The board does not report whether its bootloader decompresses images (claim decompression of the board file).";
const NO_PROGRAMMER = "The board's flash cannot be read and written from outside.";
const NO_SWITCH = "The board's power cannot be switched (field power of the board file).";
const STEP = /^It permanently raises the board's security counter by one/;
const noBody = (behaviour: string) =>
  `No image is given that behaves as "${behaviour}" (field images.${behaviour} of the board file).`;

/** Every case, by what is known to be true of this board and of what it does not say. */
const EXPECTED: Readonly<Record<Verdict, Readonly<Record<string, string | RegExp>>>> = {
  holds: {
    "authenticity/unsigned": /^Refused: .* lists no image in the slot that this one was written to/,
    "authenticity/foreign-key": /^Refused/,
    "authenticity/wrong-signature": /^Refused/,
    "authenticity/signature-cut-short": /^Refused/,
    "authenticity/other-signature": /^Refused/,
    "authenticity/key-hash": /^Refused/,
    "authenticity/body-edited": /^Refused/,
    "authenticity/version-edited": /^Refused/,
    "authenticity/published-key": /from its own image \(it does not list keys\): none is published/,
    "integrity/flip-magic": /^Refused by the board's SMP server/,
    "integrity/flip-load-address": /^Refused/,
    "integrity/flip-header-size": /^Refused by the board's SMP server/,
    "integrity/flip-protected-size": /^Refused by the board's SMP server/,
    "integrity/flip-image-size": /^Refused by the board's SMP server/,
    "integrity/flip-image-size-high": /^Refused by the board's SMP server/,
    "integrity/flip-flags": /^Refused/,
    "integrity/flip-version": /^Refused/,
    "integrity/flip-header-padding": /^Refused/,
    "integrity/flip-body-first": /^Refused/,
    "integrity/flip-body-last": /^Refused/,
    "integrity/flip-hash": /^Refused/,
    "integrity/flip-hash-type": /^Refused by the board's SMP server/,
    "integrity/flip-tlv-magic": /^Refused by the board's SMP server/,
    "integrity/flip-tlv-total": /^Refused/,
    "integrity/flip-protected-tlv": /^Refused/,
    "integrity/truncated-header": /^Refused by the board's SMP server/,
    "integrity/truncated-body-middle": /^Refused by the board's SMP server/,
    "integrity/truncated-body-end": /^Refused by the board's SMP server/,
    "integrity/truncated-tlv": /^Refused by the board's SMP server/,
    "integrity/trailing-garbage": /^It started with its own hash/,
    "integrity/tlv-overflow": /^Refused by the board's SMP server/,
    "integrity/unknown-unprotected-tlv": /^Refused/,
    "integrity/unknown-protected-tlv": /^Accepted/,
    "integrity/two-uploads": /exactly that one ran/,
    "lengths/protected-size-short": /^Refused by the board's SMP server/,
    "lengths/protected-tlv-past-area": /^Refused by the board's SMP server/,
    "lengths/tlv-past-area": /^Refused by the board's SMP server/,
    "lengths/sizes-overflow": /^Refused by the board's SMP server/,
    "compatibility/encrypted-for-another": /^Refused by the board's SMP server/,
    "compatibility/compressed-wrong-hash": /^Refused by the board's SMP server/,
    "compatibility/image-number": "None of the image numbers 1, 2, 7, 63 was accepted.",
    "trial/slots-untouched": /still contains it, unrequested/,
    "trial/never-confirmed": /^The old image came back and is confirmed/,
    "trial/confirmed-stays": "It ran, confirmed, after each of three resets.",
    "trial/upload-while-unconfirmed": /^The upload was refused/,
    "trial/test-then-permanent": /^The second request was refused/,
    "trial/waits-for-confirmation": "It runs and is not confirmed.",
    "trial/test-burns-nothing":
      /^After the trial the old image, with its lower security counter, starts again/,
    "recovery/enter-and-leave": /^Recovery answered "recovery"/,
    "recovery/interrupted": /the second upload runs/,
    "recovery/damaged": "It did not start: the board is in serial recovery.",
    "recovery/unsigned": "It did not start: the board is in serial recovery.",
    "recovery/foreign-key": "It did not start: the board is in serial recovery.",
    "freshness/lower-counter": /^Refused/,
    "freshness/missing-counter": /^Refused/,
    "freshness/counter-edited": /^Refused/,
    "freshness/counter-edited-rehashed": /^Refused/,
    "freshness/unprotected-counter": /^Refused/,
    "freshness/second-unprotected-counter": /^Refused/,
    "freshness/slots-erased":
      /one with an equal counter did, and the stored security counter was not reported/,
    "freshness/recovery-downgrade": /^The old image did not start: .*; the stored security counter was not/,
    "freshness/equal-version": /^Accepted/,
    "freshness/upgrade-flag": /^With the flag it was refused/,
    "link/garbled": /the upload was complete/,
    "link/lost": /the upload was complete/,
    "link/pulled": /the upload was complete/,
    "link/two-hosts": /the upload was complete/,
  },
  // It checks neither vendor ids nor load addresses, and no version: it goes by its security counter.
  "does-not-hold": {
    "compatibility/load-address": /^The board accepted it: version 4\.0\.0/,
    "compatibility/vendor-id": /^The board accepted it: version 4\.0\.0/,
    "compatibility/class-id": /^The board accepted it: version 4\.0\.0/,
    "freshness/lower-version": /^The board accepted it: version 2\.0\.0/,
  },
  "not-judged": {
    "compatibility/not-bootable": /for an unknown reason/,
    "integrity/oversized": NO_PROGRAMMER,
    "freshness/application-raises": noBody("raise-counter"),
    "power-cut/trial": NO_PROGRAMMER,
    "trial/hang": noBody("hang"),
    "trial/crash": noBody("crash"),
    "trial/no-confirm": noBody("no-confirm"),
    "trial/fail-health": noBody("fail-health"),
    "trial/confirm-burns": STEP,
    "recovery/nothing-valid": NO_PROGRAMMER,
    "recovery/image-number": "This may destroy the bootloader: emulated boards only.",
    "freshness/equal-counter": "It was accepted; the stored security counter was not reported.",
    "freshness/cold-boot": NO_SWITCH,
    "freshness/never-back": STEP,
    "power-cut/swap": NO_PROGRAMMER,
    "power-cut/smaller": NO_PROGRAMMER,
    "power-cut/permanent": NO_PROGRAMMER,
    "power-cut/revert": NO_PROGRAMMER,
    "power-cut/counter": NO_PROGRAMMER,
    "power-cut/mark": NO_PROGRAMMER,
    "power-cut/confirm": NO_PROGRAMMER,
    "power-cut/random": NO_PROGRAMMER,
    "power-cut/upload": NO_SWITCH,
    "power-cut/timed": NO_SWITCH,
    "compatibility/other-slot":
      /^The board reports no upgrade mode, so it is not known whether images run where/,
    "compatibility/plain": /^The key that updates of this board are encrypted for is not named/,
    "trial/broken-slot": "No part of this board's flash can be made to fail from here.",
    "decompression/bomb": UNPACKING_UNTOLD,
    "decompression/bomb-that-lies": UNPACKING_UNTOLD,
    "decompression/wrong-hash": UNPACKING_UNTOLD,
    "decompression/wrong-signature": UNPACKING_UNTOLD,
  },
  "not-supported": {
    "trial/one-of-two": "The board has one image only.",
    "compatibility/dependency": "The board has one image only.",
    "rotation/accepted-keys": "The board file names no further accepted key (keys.accepted).",
    "rotation/refused-keys": "The board file names no key that must be refused (keys.refused).",
    "rotation/listed-keys": "The board does not list the keys that it trusts.",
  },
};

describe("prove on a server that answers nothing optional", () => {
  let result: BoardResult;
  beforeAll(async () => {
    result = await prove(nothingOptional());
  });

  it("judges every case as it is, and puts the board back", () => {
    const verdicts = Object.fromEntries(result.cases.map(({ id, verdict }) => [id, verdict]));
    const expected = Object.entries(EXPECTED).flatMap(([verdict, cases]) =>
      Object.keys(cases).map((id) => [id, verdict]),
    );
    expect(verdicts).toEqual(Object.fromEntries(expected));
    const sentences = Object.assign({}, ...Object.values(EXPECTED));
    for (const { id, observed } of result.cases) {
      const wanted = sentences[id];
      if (typeof wanted === "string") expect(observed, id).toBe(wanted);
      else expect(observed, id).toMatch(wanted);
    }
    expect(result.putBack).toMatchObject({ ok: true });
  });

  it("calls no claim shown that has an open case, and never speaks of undefined", () => {
    const holding = result.claims.filter(({ verdict }) => verdict === "holds").map(({ claim }) => claim);
    expect(holding).toEqual([
      "signature",
      "integrity",
      "tlv-allow-list",
      "lengths",
      "image-number",
      "host-confirms",
      "slots-untouched",
      "upgrade-flag",
      "link",
    ]);
    expect(JSON.stringify([result.cases, result.claims, result.initial])).not.toMatch(
      /undefined|NaN|\bnull\b/,
    );
  });
});

const verdicts = ({ cases }: BoardResult) =>
  Object.fromEntries(cases.map(({ id, verdict }) => [id, verdict]));

describe("a board of which a part is told", () => {
  /** Refuses what `isUnknown` names, as a build without it does. */
  const without = (isUnknown: (id: string, isRecovery: boolean) => boolean): Fault =>
    (() => {
      let isRecovery = false;
      return ({ direction, header, fields }) => {
        if (direction === "to-board") return "pass";
        if (header.group === 0 && header.id === 1) isRecovery = fields.rc === undefined || fields.rc === 0;
        return isUnknown(`${header.group}/${header.id}`, isRecovery) ? { fields: { rc: 8 } } : "pass";
      };
    })();

  it("serial recovery tells no counters: they are compared once the application runs again", async () => {
    const result = await prove(
      without((id, isRecovery) => isRecovery && id.startsWith("200/")),
      { cases: ["freshness/recovery-downgrade"] },
    );
    expect(result.cases[0]).toMatchObject({
      verdict: "holds",
      observed: expect.stringMatching(/the stored security counter is 4 as before\.$/),
    });
  });

  it("a trust group without list of keys and events, as for Zephyr: nothing is lost by its presence", async () => {
    const result = await prove(
      without((id) => id === "200/1" || id === "200/3"),
      { cases: ["authenticity/published-key", "authenticity/unsigned", "rotation/listed-keys"] },
    );
    expect(verdicts(result)).toEqual({
      "authenticity/published-key": "holds",
      "authenticity/unsigned": "holds",
      "rotation/listed-keys": "not-supported",
    });
  });

  it("a mode in which nothing is unpacked, so that compressed images need not be tried", async () => {
    const { cases } = await prove(() => "pass", { cases: ["decompression/bomb"] });
    expect(cases[0]).toMatchObject({
      verdict: "not-supported",
      observed: "Mode swap-move: bootloaders decompress images only in overwrite-only mode.",
    });
  });

  it("what counters do is judged over the wire, and a spent one is made up for by signing anew", async () => {
    const sound = await prove(() => "pass", {
      cases: ["trial/test-burns-nothing", "trial/confirm-burns", "freshness/slots-erased"],
      allowDestructive: true,
    });
    expect(verdicts(sound)).toEqual({
      "trial/test-burns-nothing": "holds",
      "trial/confirm-burns": "holds",
      "freshness/slots-erased": "holds",
    });
    expect(sound.putBack).toMatchObject({
      ok: true,
      message: expect.stringMatching(/signed again with security counter 5/),
    });

    const weak = await prove(() => "pass", { variant: "counter-early", cases: ["trial/test-burns-nothing"] });
    expect(verdicts(weak)).toEqual({ "trial/test-burns-nothing": "does-not-hold" });
    expect(weak.putBack).toMatchObject({ ok: true, message: expect.stringMatching(/can never run again/) });
  });

  it("a counter that is not reported is judged by what starts", async () => {
    const cases = ["trial/confirm-burns", "freshness/never-back"];
    const sound = await prove(nothingOptional(), { cases, allowDestructive: true });
    expect(verdicts(sound)).toEqual({ "trial/confirm-burns": "holds", "freshness/never-back": "holds" });
    const weak = await prove(nothingOptional(), { variant: "no-counter", cases, allowDestructive: true });
    expect(verdicts(weak)).toEqual({
      "trial/confirm-burns": "does-not-hold",
      "freshness/never-back": "does-not-hold",
    });
  });

  it("nothing is lower than counter 0: what is equal is not taken for older", async () => {
    const { cases } = await prove(() => "pass", { counter: 0, cases: ["freshness"] });
    const about = "The board's own image carries security counter 0: none is lower.";
    expect(
      cases.filter(({ observed }) => observed === about).map(({ id, verdict }) => [id, verdict]),
    ).toEqual(
      [
        "freshness/lower-counter",
        "freshness/counter-edited",
        "freshness/counter-edited-rehashed",
        "freshness/second-unprotected-counter",
        "freshness/slots-erased",
        "freshness/recovery-downgrade",
      ].map((id) => [id, "not-judged"]),
    );
    expect(cases.filter(({ verdict }) => verdict === "does-not-hold").map(({ id }) => id)).toEqual([
      "freshness/lower-version",
    ]);
  });

  it("the numbers of its slots, where uploads may name them, are no images that it does not have", async () => {
    // As direct upload does it: numbers 1 and 2 are the two slots of image 0, and slot info says so.
    const direct: Fault = ({ direction, header, fields }) => {
      if (header.group !== 1) return "pass";
      if (direction === "to-board" && header.id === 1 && (fields.image === 1 || fields.image === 2))
        return { fields: { ...fields, image: 0 } };
      if (direction === "to-host" && header.id === 6) {
        const slots = [0, 1].map((slot) => ({ slot, size: 131072, upload_image_id: slot + 1 }));
        return { fields: { images: [{ image: 0, slots }] } };
      }
      return "pass";
    };
    const result = await prove(direct, { cases: ["compatibility/image-number"] });
    expect(result.cases[0]).toMatchObject({
      verdict: "holds",
      observed: "None of the image numbers 3, 4, 7, 63 was accepted.",
    });
  });
});

describe("info of a server that answers nothing optional", () => {
  const facts = (cable: Fault) =>
    inVirtualTime(async () => {
      const board = await startBoard({ machine: "wasm", variant: "good", install: await own() });
      const session = await Session.open(async (signal) =>
        connect(new BadCable(await board.connect(), cable), { signal }),
      );
      const told = await readFacts(session);
      await session.close();
      await board.close();
      return told;
    });

  it("states nothing that the board did not say", async () => {
    const told = await facts(nothingOptional());
    expect(told).toEqual({
      name: "wasm:good",
      server: "application",
      bufSize: expect.any(Number),
      bufSizeFrom: "assumed",
      images: [
        {
          image: 0,
          slots: [
            {
              image: 0,
              slot: 0,
              content: {
                version: "3.0.0",
                hash: expect.any(Uint8Array),
                active: true,
                confirmed: true,
                pending: false,
                permanent: false,
                bootable: true,
              },
            },
          ],
        },
      ],
      reportsTrust: false,
    });
    const page = drawFacts(told);
    expect(page).toMatch(/bootloader +mode not reported, downgrade prevention not reported/);
    expect(page).not.toMatch(/undefined|empty|no downgrade/);
  });

  it("not even flags: they are absent, not false", async () => {
    const flagless: Fault = (message) => {
      const outcome = nothingOptional({ hashes: false })(message);
      if (typeof outcome === "string" || !Array.isArray(outcome.fields.images)) return outcome;
      return { fields: { images: outcome.fields.images.map(({ slot, version }) => ({ slot, version })) } };
    };
    const told = await facts(flagless);
    expect(told.images).toEqual([
      { image: 0, slots: [{ image: 0, slot: 0, content: { version: "3.0.0" } }] },
    ]);
    expect(drawFacts(told)).toMatch(/^0 +0 +3\.0\.0 +- +not reported *$/m);
  });
});

describe("steps of a stored counter that nobody can give back", () => {
  const cases = ["trial/confirm-burns"];
  const journals = join(records, "spent");
  const run = async (unit?: string, isAllowed = true) => {
    const spent: string[] = [];
    const result = await prove(() => "pass", {
      variant: "finite-counter",
      unit,
      cases,
      journals,
      allowDestructive: isAllowed,
      onEvent: (event) => event.kind === "case" && event.spends !== undefined && spent.push(event.spends),
    });
    return { result, spent, found: result.cases[0]! };
  };

  it("are said before, spent once a board, and remembered with what they have shown", async () => {
    expect((await run("7", false)).spent).toEqual([]);

    const first = await run("7");
    expect(first.spent).toEqual([
      "It raises the stored security counter by one, permanently, and only once for this board. It is 4 now (60 steps left).",
    ]);
    expect(first.found).toMatchObject({ verdict: "holds" });
    expect(first.result.initial).toMatchObject({ counters: { 0: 4 }, stepsLeft: { 0: 60 } });
    expect(first.result.putBack.message).toMatch(/stored security counter 5 \(59 steps left\)/);

    const again = await run("7");
    expect(again.spent).toEqual([]);
    expect(again.found).toMatchObject({
      verdict: "holds",
      observed: expect.stringMatching(
        /^Shown on \d{4}-\d\d-\d\d, and not tried again: 4 before the confirmation, 5 after/,
      ),
    });
    expect(again.result.initial?.counters).toEqual({ 0: 4 });

    // Nothing says that it is the same board, so what was shown then counts for nothing now.
    for (const unit of [undefined, "8"]) {
      const other = await run(unit);
      expect(other.spent).toEqual([]);
      expect(other.found).toMatchObject({
        verdict: "not-judged",
        observed: expect.stringMatching(
          /nothing says that this is the same board .* the case does not run again/,
        ),
      });
    }
  });

  it("count as spent when the run that spent them did not end", async () => {
    const [file] = readdirSync(join(journals, "spent-steps"));
    const path = join(journals, "spent-steps", file!);
    const step = { at: "2026-01-02T03:04:05.678Z", unit: "7" };
    writeFileSync(path, JSON.stringify({ "trial/confirm-burns": step }));
    expect((await run("7")).found).toMatchObject({
      verdict: "not-judged",
      observed: expect.stringMatching(/without a result: it did not end\./),
    });

    writeFileSync(path, "{");
    const { result } = await run("7");
    expect(result.unusable).toMatch(/^The record of used counter steps .* cannot be read: .* Delete it/);
    expect(result.putBack).toMatchObject({ ok: true });
  });
});
