import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { BoardEntry } from "../../hil/board-files/board-entry.js";
import type { Verdict } from "../../hil/case.js";
import { CASES } from "../../hil/cases/all.js";
import { proveBoard } from "../../hil/prove.js";
import { Random } from "../../hil/random.js";
import type { BoardResult } from "../../hil/result.js";
import { noRealServersReason, type RealServer, realServers, serverName } from "../support/real-servers.js";

/**
 * `prove` on every ready-built Zephyr server with MCUboot that runs here: each verdict is held against what is known of
 * that build. They are built without signatures and counters, in two modes: the M0 swaps by offset, the others load the
 * higher version into RAM. Their emulator writes slot 0 again at each reset and forgets the flash with its power.
 *
 * What needs an upload takes seconds of processor time: of those a few a run, chosen by a seed that is printed.
 * BOOTPROOF_FUZZ_SEED repeats a choice, BOOTPROOF_REAL_CASES=all runs every case on every server.
 */
const { BOOTPROOF_REAL_CASES: wanted, BOOTPROOF_FUZZ_SEED: given } = process.env;
const seed = Number(given ?? Math.floor(Math.random() * 2 ** 31));
const UPLOADS = { qemu_cortex_m0: 6, mps2_an385: 1 } as const;

type Expected = readonly [Verdict, string | RegExp];

const NO_SIGNATURE: Expected = ["not-supported", "Images of this board carry no signature."];
const NO_COUNTER: Expected = ["not-supported", "The board's own image carries no security counter."];
const NO_PROGRAMMER: Expected = ["not-judged", "The board's flash cannot be read and written from outside."];
const FORGETS: Expected = ["not-judged", /^This machine loses its flash contents with its power/];
const NONE_LOWER: Expected = ["not-judged", "The board's own version is 0.0.0: none is lower."];
const NO_MODE: Expected = [
  "not-judged",
  /^The board reports no upgrade mode, and none of its images ran on trial/,
];
const noBody = (name: string): Expected => [
  "not-judged",
  `No image is given that behaves as "${name}" (field images.${name} of the board file).`,
];
const NO_RECOVERY: Expected = [
  "not-judged",
  /"recovery" was not reached: Serial recovery did not answer: version 0\.0\.0/,
];
const UNPACKS_UNTOLD: Expected = [
  "not-judged",
  /^The board does not report whether its bootloader decompresses images/,
];
/** Slot 0 is written anew at each reset, so what comes back was not brought back by the bootloader. */
const REWRITTEN: Expected = ["not-judged", /^The old image runs, but not because of the bootloader/];
const RECOVERY_REWRITTEN: Expected = [
  "not-judged",
  /this emulator writes its files into the primary slot at each reset\.$/,
];

/** It runs, and so it was accepted: there is nothing in these builds that would look at it. */
const RUNS: Expected = ["does-not-hold", "The board accepted it: version 1.0.0 with its hash runs."];
const COMPLETE: Expected = [
  "holds",
  /^After \d faults the upload was complete, and what runs has the hash of what was sent\.$/,
];
/** The application checks no image number in a build with one pair: an upload for any of them lands in that pair. */
const ANY_NUMBER: Expected = [
  "does-not-hold",
  "Taken: 1, 2, 7, 63 of 1, 2, 7, 63. It reports 0 as its own numbers.",
];

/** MCUboot walks over the TLVs without a look at the end of their area; the hash is good, and nothing else is asked for. */
const LENGTH_BELIEVED: Expected = [
  "does-not-hold",
  /^The board accepted it: version 1\.0\.0 \([0-9a-f]{12}\) runs, which was not on the board before\.$/,
];

/** What is true of all of them, whatever their mode. */
const EVERYWHERE: Readonly<Record<string, Expected>> = {
  "authenticity/unsigned": RUNS,
  ...each(
    NO_SIGNATURE,
    "authenticity",
    "foreign-key wrong-signature signature-cut-short other-signature key-hash",
  ),
  ...each(NO_SIGNATURE, "authenticity", "body-edited version-edited published-key"),
  "integrity/flip-magic": [
    "holds",
    /^Refused by the board's SMP server.*: image upload: This is not an MCUboot image/,
  ],
  "integrity/flip-protected-tlv": NO_COUNTER,
  "integrity/trailing-garbage": ["holds", /^It started with its own hash/],
  "integrity/oversized": NO_PROGRAMMER,
  "integrity/unknown-protected-tlv": ["holds", "Accepted: version 1.0.0 with its hash runs."],
  "integrity/two-uploads": ["holds", "The second one runs: version 1.0.0 with its hash runs."],
  "compatibility/image-number": ANY_NUMBER,
  "compatibility/dependency": ["not-supported", "The board has one image only."],
  ...each(RUNS, "compatibility", "vendor-id class-id"),
  "compatibility/other-slot": [
    "not-judged",
    /^The board reports no upgrade mode, so it is not known whether/,
  ],
  "compatibility/plain": ["not-judged", /^The key that updates of this board are encrypted for is not named/],
  "lengths/protected-tlv-past-area": LENGTH_BELIEVED,
  ...each(UNPACKS_UNTOLD, "decompression", "bomb bomb-that-lies wrong-hash"),
  "decompression/wrong-signature": NO_SIGNATURE,
  "trial/one-of-two": ["not-supported", "The board has one image only."],
  "trial/broken-slot": ["not-judged", "No part of this board's flash can be made to fail from here."],
  ...each(NO_COUNTER, "freshness", "application-raises"),
  ...each(NO_COUNTER, "power-cut", "trial"),
  "rotation/accepted-keys": ["not-supported", /^The board file names no further accepted key/],
  "rotation/refused-keys": ["not-supported", /^The board file names no key that must be refused/],
  "rotation/listed-keys": NO_SIGNATURE,
  ...each(NO_COUNTER, "trial", "test-burns-nothing confirm-burns"),
  "recovery/nothing-valid": NO_PROGRAMMER,
  ...each(NO_COUNTER, "freshness", "lower-counter equal-counter counter-edited counter-edited-rehashed"),
  ...each(NO_COUNTER, "freshness", "unprotected-counter second-unprotected-counter cold-boot slots-erased"),
  ...each(NO_COUNTER, "freshness", "recovery-downgrade never-back"),
  "freshness/missing-counter": [
    "does-not-hold",
    /^The running image carries no security counter, and the board starts it/,
  ],
  ...each(NONE_LOWER, "freshness", "lower-version upgrade-flag"),
  ...each(COMPLETE, "link", "garbled lost pulled two-hosts"),
  ...each(NO_PROGRAMMER, "power-cut", "swap smaller permanent revert counter mark confirm random"),
  ...each(FORGETS, "power-cut", "upload timed"),
};

const SAYS_NO: Expected = [
  "holds",
  /^Refused: its log says "E: Image in the secondary slot is not valid!"\.$/,
];
/** Nothing in the slot that Zephyr could read a hash of, so that nobody can ask for it. */
const NOT_LISTED: Expected = [
  "holds",
  /^Refused by the board's SMP server.*: it lists no image with a hash in that slot/,
];

/** Zephyr 4.4 for the M0, swap using offset, its log on the SMP line, no serial recovery. */
const SWAPS: Readonly<Record<string, Expected>> = {
  ...EVERYWHERE,
  ...each(
    SAYS_NO,
    "integrity",
    "flip-load-address flip-protected-size flip-flags flip-version flip-header-padding",
  ),
  ...each(SAYS_NO, "integrity", "flip-body-first flip-body-last flip-hash flip-tlv-total truncated-tlv"),
  ...each(SAYS_NO, "integrity", "unknown-unprotected-tlv"),
  ...each(
    NOT_LISTED,
    "integrity",
    "flip-header-size flip-image-size flip-image-size-high flip-hash-type flip-tlv-magic",
  ),
  ...each(NOT_LISTED, "integrity", "truncated-header truncated-body-middle truncated-body-end tlv-overflow"),
  ...each(SAYS_NO, "compatibility", "encrypted-for-another compressed-wrong-hash"),
  ...each(SAYS_NO, "lengths", "protected-size-short sizes-overflow"),
  "lengths/tlv-past-area": LENGTH_BELIEVED,
  "trial/slots-untouched": ["holds", "After the start slot 1 still contains it, unrequested."],
  "compatibility/not-bootable": [
    "holds",
    /^Refused: the previous image still runs, and the log, which mentions swaps, mentions none\.$/,
  ],
  // Only direct-XIP and RAM load look at where an image was linked for.
  "compatibility/load-address": RUNS,
  ...each(REWRITTEN, "trial", "never-confirmed confirmed-stays upload-while-unconfirmed test-then-permanent"),
  "trial/hang": noBody("hang"),
  "trial/crash": noBody("crash"),
  "trial/no-confirm": noBody("no-confirm"),
  "trial/fail-health": noBody("fail-health"),
  "trial/waits-for-confirmation": ["holds", "It runs and is not confirmed."],
  ...each(NO_RECOVERY, "recovery", "enter-and-leave interrupted damaged unsigned foreign-key image-number"),
  ...each(NO_SIGNATURE, "recovery", "unsigned foreign-key"),
  "freshness/equal-version": ["holds", "Accepted: version 0.0.0 with its hash runs."],
};

const GONE: Expected = [
  "holds",
  /^Refused: the previous image still runs, and the board lists no image in the slot that this one was written to\.$/,
];
const PASSED_OVER: Expected = [
  "holds",
  /^Refused: the previous image still runs although this one's version is higher\.$/,
];

/** Zephyr 4.4 and later for the MPS2 with an M3: the higher version runs in RAM; serial recovery; nobody hears its log. */
const LOADS: Readonly<Record<string, Expected>> = {
  ...EVERYWHERE,
  ...each(
    GONE,
    "integrity",
    "flip-load-address flip-header-size flip-protected-size flip-image-size flip-image-size-high",
  ),
  ...each(
    GONE,
    "integrity",
    "flip-flags flip-version flip-header-padding flip-body-first flip-body-last flip-hash",
  ),
  ...each(
    GONE,
    "integrity",
    "flip-hash-type flip-tlv-magic flip-tlv-total truncated-header truncated-body-middle",
  ),
  ...each(GONE, "integrity", "truncated-body-end truncated-tlv tlv-overflow unknown-unprotected-tlv"),
  ...each(PASSED_OVER, "compatibility", "encrypted-for-another compressed-wrong-hash not-bootable"),
  ...each(GONE, "lengths", "protected-size-short tlv-past-area"),
  "lengths/sizes-overflow": PASSED_OVER,
  "trial/slots-untouched": [
    "not-supported",
    "The board chooses by version what to start: nothing is requested.",
  ],
  // It would be loaded to where no RAM is.
  "compatibility/load-address": GONE,
  ...each(NO_MODE, "trial", "never-confirmed hang crash no-confirm fail-health confirmed-stays"),
  ...each(NO_MODE, "trial", "upload-while-unconfirmed test-then-permanent waits-for-confirmation"),
  "recovery/enter-and-leave": [
    "holds",
    /^Recovery answered \(it has no echo\); after the reset version 0\.0\.0/,
  ],
  ...each(RECOVERY_REWRITTEN, "recovery", "interrupted damaged"),
  ...each(NO_SIGNATURE, "recovery", "unsigned foreign-key"),
  // MCUboot's recovery for Zephyr looks the number up in a table of one row, and reads on behind its end: what it takes
  // depends on the build.
  "recovery/image-number": [
    "does-not-hold",
    /^Taken: 2(, \d)+ of 1, 2, 3, 4, 5, 6, 7, 8, 9\. It does not report the numbers of its slots\.$/,
  ],
  "freshness/equal-version": [
    "not-judged",
    /^It was skipped: of two equal versions a bootloader of this kind starts the one in the primary slot\.$/,
  ],
};

/** The MCUboot of Zephyr 4.4.0; the later one looks at where an unprotected TLV ends. */
const LOADS_OF_4_4_0 = { ...LOADS, "lengths/tlv-past-area": LENGTH_BELIEVED };

function each(expected: Expected, room: string, names: string): Record<string, Expected> {
  return Object.fromEntries(names.split(" ").map((name) => [`${room}/${name}`, expected]));
}

const withMcuboot = realServers().filter(({ mcuboot, qemu_cmd }) => mcuboot && qemu_cmd !== null);
function expectedOf({ target, artifact }: RealServer): Readonly<Record<string, Expected>> {
  if (target === "qemu_cortex_m0") return SWAPS;
  return artifact.startsWith("zephyr_4.4.0_") ? LOADS_OF_4_4_0 : LOADS;
}
/** Its uploads break off now and then for a reason that is not understood (test/update/real-servers.test.ts). */
const UPLOADS_BREAK_OFF = "serial_recovery_raw";

/** Nothing is sent for these, or next to nothing. */
const WITHOUT_UPLOAD: readonly string[] = [
  "integrity/flip-magic",
  "compatibility/image-number",
  "recovery/enter-and-leave",
  "recovery/image-number",
  "freshness/missing-counter",
];
const OBSTACLES = [NO_SIGNATURE, NO_COUNTER, NO_PROGRAMMER, FORGETS, NONE_LOWER, NO_RECOVERY, UNPACKS_UNTOLD];

function isCheap(server: RealServer, id: string): boolean {
  const expected = expectedOf(server)[id]!;
  return (
    WITHOUT_UPLOAD.includes(id) ||
    OBSTACLES.includes(expected) ||
    /names no|is given that|one image only|reports no upgrade mode, so|is not named|can be made to fail/.test(
      String(expected[1]),
    )
  );
}

/** All that costs little, and some of the rest. */
function chosenFor(server: RealServer, dice: Random): string[] {
  const ids = CASES.map(({ id }) => id);
  if (wanted === "all") return ids;
  const costly = ids.filter((id) => !isCheap(server, id));
  const count = server.config === UPLOADS_BREAK_OFF ? 0 : UPLOADS[server.target as keyof typeof UPLOADS];
  const sample = Array.from({ length: count }, () => dice.pick(costly));
  return ids.filter((id) => isCheap(server, id) || sample.includes(id));
}

function entryFor(server: RealServer): BoardEntry {
  const folder = process.env.BOOTPROOF_REAL_SERVERS!;
  return {
    name: serverName(server),
    reach: {
      kind: "machine",
      // Without it an emulator answers in 45 milliseconds instead of one.
      launch: server.qemu_cmd!.replace("<PORT>", "{port}").replace("wait=off", "wait=off,nodelay=on"),
      folder,
      keepsFlash: false,
    },
    image: join(folder, server.artifact.replace(/(\.merged)?\.hex$/, ".signed.bin")),
    images: {},
    keys: { signing: "none", accepted: [], refused: [] },
    startsWithinMs: 60_000,
  };
}

describe.skipIf(noRealServersReason !== undefined)("prove on servers that nobody here wrote", () => {
  const results = new Map<string, BoardResult>();

  beforeAll(async () => {
    console.log(`cases chosen by seed ${seed}`);
    const dice = new Random(seed);
    const proofs = withMcuboot.map(async (server) => {
      const { signal } = new AbortController();
      const cases = chosenFor(server, dice);
      results.set(serverName(server), await proveBoard(entryFor(server), { signal, seed, cases }));
    });
    await Promise.all(proofs);
  }, 900_000);

  it("finds some of each mode", () => {
    expect(new Set(withMcuboot.map(({ target }) => target))).toEqual(new Set(Object.keys(UPLOADS)));
  });

  it.each([SWAPS, LOADS])("every case has an expectation, and each is of a case", (expected) => {
    expect(Object.keys(expected).sort()).toEqual(CASES.map(({ id }) => id).sort());
  });

  it.each(withMcuboot.map((server) => [serverName(server), server] as const))("%s", (name, server) => {
    const result = results.get(name)!;
    expect(result.unusable).toBeUndefined();
    expect(result.putBack).toMatchObject({ ok: true });
    expect(result.cases.length).toBeGreaterThan(30);
    for (const { id, verdict, observed } of result.cases) {
      const [should, words] = expectedOf(server)[id]!;
      expect([verdict, observed], id).toEqual([
        should,
        typeof words === "string" ? words : expect.stringMatching(words),
      ]);
    }
  });
});
