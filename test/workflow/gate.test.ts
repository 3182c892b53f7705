import { describe, expect, it } from "vitest";
import { fixtureKey } from "../../src/board/catalog.js";
import { LAYOUT } from "../../src/board/layout.js";
import { fromHex } from "../../src/bytes.js";
import { parseImage } from "../../src/image/image.js";
import { type SignOptions, signImage } from "../../src/image/sign.js";
import { BOOT_MODES } from "../../src/smp/groups/os.js";
import type { BoardFacts } from "../../src/workflow/facts.js";
import { type FlashOptions, flash } from "../../src/workflow/flash.js";
import { checkAgainstBoard, GATE_CHECKS, type GateCheckName, readVersion } from "../../src/workflow/gate.js";
import { restart } from "../../src/workflow/restart.js";
import { run } from "../../src/workflow/run.js";
import { type Bench, type BenchOptions, bench, image, tell, trustedKey } from "../support/workflow-board.js";
import { inVirtualTime } from "../support/workflow-clock.js";

const key = () => fixtureKey("ed25519-1");

async function signed(options: Partial<SignOptions> & { body?: Uint8Array } = {}): Promise<Uint8Array> {
  const { body = new Uint8Array(4096).fill(0x5a), ...rest } = options;
  const made = await signImage(body, {
    key: await key(),
    version: "2.0.0",
    securityCounter: 2,
    headerSize: LAYOUT.imageHeaderSize,
    padHeader: true,
    slotSize: LAYOUT.slotSize,
    ...rest,
  });
  return made.image;
}

function changed(file: Uint8Array, offset: number, bits: number): Uint8Array {
  const copy = Uint8Array.from(file);
  copy[offset]! ^= bits;
  return copy;
}

interface Case {
  refuses: GateCheckName;
  why: string;
  file: () => Promise<Uint8Array>;
  board?: BenchOptions;
  options?: FlashOptions;
  /** Brings the board into the state in which it refuses. */
  before?: (bench: Bench) => Promise<void>;
  says: RegExp;
}

/** Every check of the gate, by a real board and an image it must not get. */
const CASES: readonly Case[] = [
  {
    refuses: "structure",
    why: "a file that is no image",
    file: async () => new Uint8Array(5000).fill(0x20),
    says: /starts with 0x20202020, not with MCUboot's/,
  },
  {
    refuses: "structure",
    why: "an image cut in the middle",
    file: async () => (await image("good-b")).subarray(0, 20_000),
    says: /20000/,
  },
  {
    refuses: "flags",
    why: "two kinds of encryption flagged at once",
    file: async () => changed(await image("good-b"), 16, 0x0c),
    says: /Two kinds of encryption/,
  },
  {
    refuses: "bootable",
    why: "an image marked as not bootable",
    file: async () => changed(await image("good-b"), 16, 0x10),
    says: /boot/,
  },
  {
    refuses: "tlv-types",
    why: "an unknown TLV among the unprotected ones",
    file: async () => strangeTlv(await image("good-b")),
    says: /TLV/,
  },
  {
    refuses: "hash",
    why: "one changed bit in the body",
    file: async () => changed(await image("good-b"), 0x1000, 0x01),
    says: /was changed/,
  },
  {
    refuses: "signature",
    why: "a key that was not named",
    file: () => image("good-b", { key: "foreign-ed25519" }),
    says: /key/,
  },
  {
    refuses: "signature",
    why: "no key to check it with",
    file: () => image("good-b"),
    options: { keys: [] },
    says: /no key/i,
  },
  {
    refuses: "trusted-key",
    why: "a good signature by a key that the board does not trust",
    file: () => image("good-b", { key: "foreign-ed25519" }),
    options: { keys: [] },
    says: /the board trusts 99638d140e14/,
  },
  {
    refuses: "fits-slot",
    why: "an image larger than the bootloader allows",
    file: () => signed({ body: new Uint8Array(125_000).fill(1) }),
    says: /more than the 122880 that the bootloader allows/,
  },
  {
    refuses: "fits-slot",
    why: "an image number that the board does not have",
    file: () => image("good-b"),
    options: { imageNumber: 1 },
    says: /no image number 1/,
  },
  {
    refuses: "security-counter",
    why: "a counter below the stored one",
    file: () => image("good-b", { counter: 0 }),
    says: /Security counter 0 is below the 1/,
  },
  {
    refuses: "security-counter",
    why: "no counter at all",
    file: async () => {
      const { securityCounter: _none, ...rest } = { securityCounter: 2, version: "2.0.0" };
      const made = await signImage(new Uint8Array(4096).fill(0x5a), {
        key: await key(),
        headerSize: LAYOUT.imageHeaderSize,
        padHeader: true,
        slotSize: LAYOUT.slotSize,
        ...rest,
      });
      return made.image;
    },
    says: /carries no security counter; the board has 1 stored/,
  },
  {
    refuses: "version",
    why: "an older version on a board that prevents downgrades",
    file: () => image("good-b", { version: "0.9.0", variant: "downgrade-version" }),
    board: { variant: "downgrade-version" },
    says: /older than the running 1\.0\.0/,
  },
  {
    refuses: "slot-free",
    why: "another image is on trial",
    file: () => image("good-a", { version: "3.0.0", counter: 3 }),
    before: async ({ session }) => {
      await tell(session, await image("good-b"), { confirm: false });
    },
    says: /2\.0\.0 is on trial: writing now would destroy/,
  },
  {
    refuses: "slot-free",
    why: "another image is marked for the next boot",
    file: () => image("good-a", { version: "3.0.0", counter: 3 }),
    before: async ({ session }) => {
      const keys = [await trustedKey()];
      for await (const event of flash(session, await image("good-b"), { keys }))
        if (event.step === "marked") break;
    },
    says: /Slot 1 holds 2\.0\.0, which is already marked/,
  },
  {
    refuses: "way-back",
    why: "a board in serial recovery, when nobody agreed to that",
    file: () => image("good-b"),
    before: async ({ session }) => {
      await run(restart(session, { bootMode: BOOT_MODES.recovery }));
    },
    says: /written straight over the primary slot/,
  },
];

/** Behind the last unprotected TLV one more, of a type no bootloader knows. */
function strangeTlv(file: Uint8Array): Uint8Array {
  const parsed = parseImage(file);
  const area = parsed.header.headerSize + parsed.header.bodySize + parsed.header.protectedSize;
  const bytes = Buffer.concat([file.subarray(0, parsed.size), fromHex("7700040001020304")]);
  bytes.writeUInt16LE(bytes.readUInt16LE(area + 2) + 8, area + 2);
  return new Uint8Array(bytes);
}

describe("the gate refuses, with the reason, before a byte is sent", () => {
  it.each(CASES.map((one) => [`${one.refuses}: ${one.why}`, one] as const))(
    "%s",
    (_title, { refuses, file, board, options, before, says }) =>
      inVirtualTime(async () => {
        const on = await bench(board);
        await before?.(on);
        const flashed = on.board.readFlash(0, LAYOUT.flashSize);
        on.trace.length = 0;
        const { result, steps } = await tell(on.session, await file(), options);
        expect(result).toMatchObject({ outcome: "refused-by-gate", says: expect.any(String) });
        const check = result.gate.find(({ name }) => name === refuses);
        expect(check).toMatchObject({
          result: "fail",
          says: expect.stringMatching(says),
          hint: expect.any(String),
        });
        expect(result.says).toBe(result.gate.find((one) => one.result === "fail")?.says);
        expect(steps).toEqual(["board", "gate"]);
        expect(on.trace.filter(({ header }) => header?.op === "write" && header.group === 1)).toEqual([]);
        expect(Buffer.compare(on.board.readFlash(0, LAYOUT.flashSize), flashed)).toBe(0);
      }),
  );

  it("has a case for every one of its checks that can refuse", () => {
    const onlyNotes = "power-cut";
    expect(new Set([...CASES.map(({ refuses }) => refuses), onlyNotes])).toEqual(new Set(GATE_CHECKS));
  });
});

describe("a check that may be skipped", () => {
  it("is made and told all the same, and the flash goes on", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const { result } = await tell(session, await image("good-b"), { keys: [], skip: ["signature"] });
      expect(result.gate.find(({ name }) => name === "signature")).toMatchObject({ result: "fail" });
      expect(result).toMatchObject({ outcome: "confirmed" });
    }));

  it("is only that one: another failure still refuses", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const file = changed(await image("good-b"), 0x1000, 1);
      const { result } = await tell(session, file, { skip: ["signature"] });
      expect(result).toMatchObject({ outcome: "refused-by-gate", says: expect.stringMatching(/changed/) });
    }));

  it("is never the structure: there would be nothing to judge by", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const { result } = await tell(session, new Uint8Array(4000), { skip: "all" });
      expect(result).toMatchObject({ outcome: "refused-by-gate" });
    }));
});

describe("what a board does not report", () => {
  const silent: BoardFacts = {
    name: "x",
    server: "application",
    bufSize: 384,
    bufSizeFrom: "assumed",
    reportsTrust: false,
    images: [],
  };
  const judge = async (facts: Partial<BoardFacts>) =>
    Object.fromEntries(
      checkAgainstBoard({
        image: parseImage(await image("good-b")),
        facts: { ...silent, ...facts },
        imageNumber: 0,
        throughRecovery: false,
      }).map(({ name, result }) => [name, result]),
    );

  it("is unknown, never passed", async () => {
    expect(await judge({})).toEqual({
      "trusted-key": "unknown",
      "fits-slot": "unknown",
      "security-counter": "unknown",
      version: "unknown",
      "slot-free": "pass",
      "way-back": "unknown",
      "power-cut": "unknown",
    });
  });

  it("but a board without an image group takes no image", async () => {
    expect(await judge({ noImageGroup: true })).toMatchObject({ "slot-free": "fail" });
  });

  it("is filled in by a known file: its counter stops an older image", async () => {
    const content = {
      version: "1.5.0",
      active: true,
      confirmed: true,
      pending: false,
      permanent: false,
      bootable: true,
      securityCounter: { value: 7, source: "known-file" as const },
    };
    const verdicts = await judge({ images: [{ image: 0, slots: [{ image: 0, slot: 0, content }] }] });
    expect(verdicts).toMatchObject({ "security-counter": "fail", version: "pass" });
  });

  it("modes without a trial boot are a warning", async () => {
    for (const mode of [0, 2, 4, 6]) {
      expect(await judge({ bootloader: { mode, modeName: "x" } })).toMatchObject({ "way-back": "warn" });
    }
  });

  it("a known file gives the size of what runs: a pair that MCUboot may not bring through a power cut is noted", async () => {
    const running = (bytes: number) => {
      const content = {
        version: "1.0.0",
        active: true,
        confirmed: true,
        pending: false,
        permanent: false,
        bootable: true,
        imageSize: { value: bytes, source: "known-file" as const },
      };
      return { images: [{ image: 0, slots: [{ image: 0, slot: 0, size: 0x20000, content }] }] };
    };
    const { size } = parseImage(await image("good-b"));
    const offset = { bootloader: { mode: 9, modeName: "swap using offset" } };
    const move = { bootloader: { mode: 3, modeName: "swap using move" } };
    expect(await judge({ ...running(size + 2 * 4096), ...offset })).toMatchObject({ "power-cut": "warn" });
    expect(await judge({ ...running(size + 2 * 1024), ...offset })).toMatchObject({ "power-cut": "warn" });
    expect(await judge({ ...running(size), ...offset })).toMatchObject({ "power-cut": "pass" });
    expect(await judge({ ...running(size + 2 * 4096), ...move })).toMatchObject({ "power-cut": "pass" });
    expect(await judge({ ...running(0x1ffff), ...move })).toMatchObject({ "power-cut": "warn" });
    expect(await judge(offset)).toMatchObject({ "power-cut": "unknown" });
  });

  it("slot sizes alone bound the image, for certain where the mode has no trailer to guess", async () => {
    const images = [{ image: 0, slots: [{ image: 0, slot: 1, size: 4096 }] }];
    expect(await judge({ images, bootloader: { mode: 6 } })).toMatchObject({ "fits-slot": "fail" });
    expect(await judge({ images, bootloader: { mode: 3 } })).toMatchObject({ "fits-slot": "warn" });
  });
});

describe("versions as boards write them", () => {
  it.each([
    ["1.2.3", { major: 1, minor: 2, revision: 3, build: 0 }],
    ["1.2.3.4", { major: 1, minor: 2, revision: 3, build: 4 }],
    ["<???>", undefined],
    ["1.2.3.x", undefined],
    ["", undefined],
  ])("%s", (text, version) => expect(readVersion(text)).toEqual(version));
});
