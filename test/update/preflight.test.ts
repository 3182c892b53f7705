import { describe, expect, it } from "vitest";
import { fromHex } from "../../src/bytes.js";
import { orderOfVersions } from "../../src/cli/audit/ratchet-memory.js";
import { fixtureKey } from "../../src/emulator/catalog.js";
import { LAYOUT } from "../../src/emulator/layout.js";
import { withMadeTrailer } from "../../src/mcuboot/file-tail.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { type SignOptions, signImage } from "../../src/mcuboot/sign.js";
import { TLV } from "../../src/mcuboot/tlv.js";
import type { BoardFacts } from "../../src/session/facts.js";
import { restart } from "../../src/session/restart.js";
import { run } from "../../src/session/run.js";
import { BOOT_MODES } from "../../src/smp/groups/os.js";
import { EMPTY_RATCHET, type RatchetPort } from "../../src/trust/ratchet.js";
import { withConfirmed } from "../../src/trust/ratchet-changes.js";
import { judgeByRatchet } from "../../src/trust/ratchet-verdict.js";
import { type FlashOptions, flash } from "../../src/update/flash.js";
import { readVersion } from "../../src/update/mode-checks.js";
import { checkAgainstBoard } from "../../src/update/preflight.js";
import { PREFLIGHT_CHECKS, type PreflightCheckName } from "../../src/update/preflight-check.js";
import { revertsUnconfirmed } from "../../src/update/revert-checks.js";
import { inputFile } from "../support/input-files.js";
import { signedByHand } from "../support/signed-by-hand.js";
import { type Bench, type BenchOptions, bench, image, tell, trustedKey } from "../support/workflow-board.js";
import { inVirtualTime } from "../support/workflow-clock.js";

const key = () => fixtureKey("ed25519-1");

/** Its counter of 64 steps is used up: what the board stores cannot be raised any more. */
const usedUp = await image("good-a", { variant: "finite-counter", counter: 64 });

/** 4096 bytes of 0x5a, as xz 5.4.1 compresses them: these tests run where there is no xz, too. */
const PACKED = new Uint8Array(
  Buffer.from("e00fff001966002d6ffbbffea3b15ee5f83fb2aa2655f868704170150e2418cf00", "hex"),
);

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
  refuses: PreflightCheckName;
  why: string;
  file: () => Promise<Uint8Array>;
  board?: BenchOptions;
  options?: FlashOptions;
  /** Brings the board into the state in which it refuses. */
  before?: (bench: Bench) => Promise<void>;
  message: RegExp;
  /** What the hint must say. */
  tries?: RegExp;
}

/** Every check of the preflight, by a real board and an image it must not get. */
const CASES: readonly Case[] = [
  {
    refuses: "structure",
    why: "a file that is not an image",
    file: async () => new Uint8Array(5000).fill(0x20),
    message: /starts with 0x20202020, not with MCUboot's/,
  },
  {
    refuses: "structure",
    why: "an image cut in the middle",
    file: async () => (await image("good-b")).subarray(0, 20_000),
    message: /20000/,
  },
  {
    refuses: "dependencies",
    why: "a dependency that no bootloader can read",
    file: async () =>
      signedByHand(await key(), new Uint8Array(4096), [
        { type: TLV.SEC_CNT, value: Uint8Array.of(2, 0, 0, 0) },
        { type: TLV.DEPENDENCY, value: new Uint8Array(8) },
      ]),
    message: /DEPENDENCY TLV at \d+ has 8 bytes, not 12/,
  },
  {
    refuses: "security-counter",
    why: "a security counter that no bootloader can read",
    file: async () =>
      signedByHand(await key(), new Uint8Array(4096), [{ type: TLV.SEC_CNT, value: new Uint8Array(8) }]),
    message: /SEC_CNT TLV at \d+ has 8 bytes, not 4/,
  },
  {
    refuses: "decryption",
    why: "an image that the given key does not open",
    file: async () => signed({ encrypt: { key: (await fixtureKey("p256-1")).publicKey } }),
    options: { decryptionKey: await fixtureKey("x25519-1") },
    message: /not for the given key/,
    tries: /--encrypt/,
  },
  {
    refuses: "compressed-body",
    why: "a compressed image that becomes another one than it states",
    file: async () =>
      signed({ compression: { kind: "lzma2", compress: async () => changed(PACKED, 8, 0x01) } }),
    board: { variant: "compressed" },
    message: /does not decompress|damaged/,
  },
  {
    refuses: "compression",
    why: "a compressed image for a bootloader that swaps",
    file: async () => signed({ compression: { kind: "lzma2", compress: async () => PACKED } }),
    message: /^Mode swap using move: bootloaders decompress images only in overwrite-only mode\.$/,
    tries: /without --compress/,
  },
  {
    refuses: "flags",
    why: "two kinds of encryption flagged at once",
    file: async () => changed(await image("good-b"), 16, 0x0c),
    message: /Two kinds of encryption/,
  },
  {
    refuses: "bootable",
    why: "an image marked as not bootable",
    file: async () => changed(await image("good-b"), 16, 0x10),
    message: /boot/,
  },
  {
    refuses: "tlv-types",
    why: "an unknown TLV among the unprotected ones",
    file: async () => strangeTlv(await image("good-b")),
    message: /TLV/,
  },
  {
    refuses: "hash",
    why: "one changed bit in the body",
    file: async () => changed(await image("good-b"), 0x1000, 0x01),
    message: /was changed/,
  },
  {
    refuses: "signature",
    why: "a key that was not named",
    file: () => image("good-b", { key: "foreign-ed25519" }),
    message: /^None of the given keys signed the image/,
    tries: /signer's public key/,
  },
  {
    refuses: "signature",
    why: "no signature at all",
    file: () =>
      signImage(new Uint8Array(4096).fill(0x5a), {
        version: "2.0.0",
        securityCounter: 2,
        headerSize: LAYOUT.imageHeaderSize,
        padHeader: true,
        slotSize: LAYOUT.slotSize,
      }).then((made) => made.image),
    message: /^The image is not signed/,
    tries: /bootproof sign --key FILE/,
  },
  {
    refuses: "signature",
    why: "no key to check it with",
    file: () => image("good-b"),
    options: { keys: [] },
    message: /no key/i,
  },
  {
    refuses: "trailer",
    why: "a trailer that makes permanent what shall be left on trial",
    file: async () => {
      const plain = await signed({});
      return withMadeTrailer(plain, parseImage(plain), { intent: "confirmed", slotSize: LAYOUT.slotSize });
    },
    options: { confirm: false },
    message: /permanent without a trial boot, and the command leaves it on trial/,
  },
  {
    refuses: "trusted-key",
    why: "a good signature by a key that the board does not trust",
    file: () => image("good-b", { key: "foreign-ed25519" }),
    options: { keys: [] },
    message: /the board trusts 99638d140e14/,
  },
  {
    refuses: "fits-slot",
    why: "an image larger than the bootloader allows",
    file: () => signed({ body: new Uint8Array(125_000).fill(1) }),
    message: /more than the 122880 that the bootloader allows/,
  },
  {
    refuses: "fits-slot",
    why: "an image number that the board does not have",
    file: () => image("good-b"),
    options: { imageNumber: 1 },
    message: /no image number 1/,
  },
  {
    refuses: "security-counter",
    why: "a counter below the stored one",
    file: () => image("good-b", { counter: 0 }),
    message: /Security counter 0 is below the 1/,
  },
  {
    refuses: "security-counter",
    why: "a counter to which the stored one cannot be raised",
    file: () => image("good-b", { variant: "finite-counter", counter: 65 }),
    board: { variant: "finite-counter", install: usedUp },
    message:
      /^Security counter 65 is above the 64 that the board has stored, which has no steps left to be raised\.$/,
    tries: /security counter 64:/,
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
    message: /carries no security counter; the board has 1 stored/,
  },
  {
    refuses: "version",
    why: "an older version on a board that prevents downgrades",
    file: () => image("good-b", { version: "0.9.0", variant: "downgrade-version" }),
    board: { variant: "downgrade-version" },
    message: /older than the running 1\.0\.0/,
  },
  {
    refuses: "ratchet",
    why: "this host has confirmed a higher counter on this board",
    file: () => image("good-b"),
    options: { ratchet: rememberingCounter(7) },
    message:
      /^This host confirmed counter 7 \(version 3\.0\.0\) on this board on 2031-02-03; the image has counter 2\.$/,
  },
  {
    refuses: "board",
    why: "an update that was made for another board",
    file: () => image("good-b"),
    options: { binding: { boards: ["nrf52840dk/nrf52840"] } },
    message: /^The update is for nrf52840dk\/nrf52840; the board reports \S+\.$/,
  },
  {
    refuses: "upgrade-mode",
    why: "an application built for swap using offset behind a bootloader that swaps by moving",
    file: () => image("good-b"),
    board: {
      fault: ({ direction, header, fields }) =>
        direction === "to-host" && header.group === 0 && header.id === 8 && "mode" in fields
          ? { fields: { mode: 9 } }
          : "pass",
    },
    message:
      /mode is swap using move, the application was built for mode swap using offset\. Its uploads begin one sector/,
  },
  {
    refuses: "slot-free",
    why: "another image is on trial",
    file: () => image("good-a", { version: "3.0.0", counter: 3 }),
    before: async ({ session }) => {
      await tell(session, await image("good-b"), { confirm: false });
    },
    message: /2\.0\.0 is on trial: writing now would destroy/,
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
    message: /Slot 1 holds 2\.0\.0, which is already marked/,
  },
  {
    refuses: "revert-possible",
    why: "a board in serial recovery, when nobody agreed to that",
    file: () => image("good-b"),
    before: async ({ session }) => {
      await run(restart(session, { bootMode: BOOT_MODES.recovery }));
    },
    message: /straight over the primary slot/,
  },
];

/** A host's memory of a board on which it confirmed an image with this counter. */
function rememberingCounter(counter: number): RatchetPort {
  const mark = { hash: "00".repeat(32), version: "3.0.0", counter, at: "2031-02-03T04:05:06.007Z" };
  const state = withConfirmed(EMPTY_RATCHET, "board", 0, mark, orderOfVersions);
  const board = { id: "board", from: "usb-serial-number" } as const;
  const never = async () => expect.unreachable("nothing is confirmed after a refusal");
  return {
    judge: async (number, offered) => judgeByRatchet(state, board, number, offered, orderOfVersions),
    intend: never,
    confirmed: never,
    notConfirmed: never,
  };
}

/** Behind the last unprotected TLV one more, of a type no bootloader knows. */
function strangeTlv(file: Uint8Array): Uint8Array {
  const parsed = parseImage(file);
  const area = parsed.header.headerSize + parsed.header.bodySize + parsed.header.protectedSize;
  const bytes = Buffer.concat([file.subarray(0, parsed.size), fromHex("7700040001020304")]);
  bytes.writeUInt16LE(bytes.readUInt16LE(area + 2) + 8, area + 2);
  return new Uint8Array(bytes);
}

describe("the preflight refuses, with the reason, before a byte is sent", () => {
  it.each(CASES.map((one) => [`${one.refuses}: ${one.why}`, one] as const))(
    "%s",
    (_title, { refuses, file, board, options, before, message, tries = /./ }) =>
      inVirtualTime(async () => {
        const on = await bench(board);
        await before?.(on);
        const flashed = on.board.readFlash(0, LAYOUT.flashSize);
        on.trace.length = 0;
        const { result, steps } = await tell(on.session, await file(), options);
        expect(result).toMatchObject({ outcome: "refused-by-preflight", message: expect.any(String) });
        const check = result.preflight.find(({ name }) => name === refuses);
        expect(check).toMatchObject({
          result: "fail",
          message: expect.stringMatching(message),
          hint: expect.stringMatching(tries),
        });
        expect(result.message).toBe(result.preflight.find((one) => one.result === "fail")?.message);
        expect(steps).toEqual(["board", "preflight"]);
        expect(on.trace.filter(({ header }) => header?.op === "write" && header.group === 1)).toEqual([]);
        expect(Buffer.compare(on.board.readFlash(0, LAYOUT.flashSize), flashed)).toBe(0);
      }),
  );

  it("has a case for every one of its checks that can refuse", () => {
    const onlyNotes = ["power-cut-safe", "start"];
    expect(new Set([...CASES.map(({ refuses }) => refuses), ...onlyNotes])).toEqual(
      new Set(PREFLIGHT_CHECKS),
    );
  });
});

it("says of a key that the image names and the board trusts no more than that, though the signature is another's", () =>
  inVirtualTime(async () => {
    const { session } = await bench();
    const good = await image("good-b");
    // The last byte is the signature's.
    const { result } = await tell(session, changed(good, parseImage(good).size - 1, 0x01));
    const told = Object.fromEntries(result.preflight.map((one) => [one.name, one]));
    expect(told["trusted-key"]).toMatchObject({
      result: "pass",
      message:
        "The board trusts key 99638d140e14, which the image names; the signature is checked separately.",
    });
    expect(told.signature).toMatchObject({ result: "fail" });
    expect(result).toMatchObject({ outcome: "refused-by-preflight", message: told.signature!.message });
  }));

describe("a check that may be skipped", () => {
  it("is made and told all the same, and the flash goes on", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const { result } = await tell(session, await image("good-b"), { keys: [], skip: ["signature"] });
      expect(result.preflight.find(({ name }) => name === "signature")).toMatchObject({ result: "fail" });
      expect(result).toMatchObject({ outcome: "confirmed" });
    }));

  it("an odd security counter does not hinder a board that keeps none", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const bytes = inputFile("sec8.bin");
      const { result } = await tell(session, bytes, { skip: "all", confirm: false, dryRun: true });
      expect(result.preflight.find(({ name }) => name === "security-counter")).toMatchObject({
        result: "fail",
      });
      expect(result).toMatchObject({ outcome: "dry-run" });
      expect(result.message).toMatch(/^Nothing was sent\. The preflight failed in .*security-counter/);
      expect(result.preflight.find(({ name }) => name === "trusted-key")?.message).toMatch(
        /^The image names no key; the board trusts/,
      );
      const good = await tell(session, await image("good-b"), { dryRun: true });
      expect(good.result.message).toBe("The preflight passed; nothing was sent.");
    }));

  it("is only that one: another failure still refuses", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const file = changed(await image("good-b"), 0x1000, 1);
      const { result } = await tell(session, file, { skip: ["signature"] });
      expect(result).toMatchObject({
        outcome: "refused-by-preflight",
        message: expect.stringMatching(/changed/),
      });
    }));

  it("is never the structure: there would be nothing to judge by", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const { result } = await tell(session, new Uint8Array(4000), { skip: "all" });
      expect(result).toMatchObject({ outcome: "refused-by-preflight" });
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
      "revert-possible": "unknown",
      "power-cut-safe": "unknown",
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
    for (const mode of [0, 2, 4, 6, 7, 8]) {
      expect(await judge({ bootloader: { mode, modeName: "x" } })).toMatchObject({
        "revert-possible": "warn",
      });
    }
  });

  it("modes with a trial boot pass, direct-XIP with revert among them", async () => {
    for (const mode of [1, 3, 5, 9]) {
      expect(await judge({ bootloader: { mode, modeName: "x" } })).toMatchObject({
        "revert-possible": "pass",
      });
      expect(revertsUnconfirmed({ ...silent, bootloader: { mode } })).toBe(true);
    }
  });

  it("of a number that is not known nothing is said, least of all that there is no trial boot", async () => {
    for (const mode of [-1, 10, 42]) {
      expect(await judge({ bootloader: { mode, modeName: "x" } })).toMatchObject({
        "revert-possible": "unknown",
        "power-cut-safe": "unknown",
      });
      expect(revertsUnconfirmed({ ...silent, bootloader: { mode } })).toBe(true);
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
    expect(await judge({ ...running(size + 2 * 4096), ...offset })).toMatchObject({
      "power-cut-safe": "warn",
    });
    expect(await judge({ ...running(size + 2 * 1024), ...offset })).toMatchObject({
      "power-cut-safe": "warn",
    });
    expect(await judge({ ...running(size), ...offset })).toMatchObject({ "power-cut-safe": "pass" });
    expect(await judge({ ...running(size + 2 * 4096), ...move })).toMatchObject({ "power-cut-safe": "pass" });
    expect(await judge({ ...running(0x1ffff), ...move })).toMatchObject({ "power-cut-safe": "warn" });
    expect(await judge(offset)).toMatchObject({ "power-cut-safe": "unknown" });
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

describe("an encrypted image", () => {
  const encrypted = async (options: Partial<SignOptions> = {}) =>
    signed({ encrypt: { key: (await fixtureKey("p256-1")).publicKey }, ...options });

  it("has its signature judged; its digest too with the key that decrypts it", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const file = await encrypted();
      const results = async (options: FlashOptions) => {
        const { result } = await tell(session, file, { dryRun: true, ...options });
        const of = (wanted: string) => result.preflight.find(({ name }) => name === wanted)?.result;
        return [result.outcome, of("signature"), of("hash")];
      };
      expect(await results({})).toEqual(["dry-run", "pass", "unknown"]);
      const decryptionKey = await fixtureKey("p256-1");
      expect(await results({ decryptionKey })).toEqual(["dry-run", "pass", "pass"]);
      const stranger = [(await fixtureKey("ed25519-2")).publicKey];
      expect(await results({ keys: stranger })).toEqual(["refused-by-preflight", "fail", "unknown"]);
    }));

  it("with a pure signature names the key that is missing", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const { result } = await tell(session, await encrypted({ pure: true, hash: "sha512" }));
      expect(result).toMatchObject({
        outcome: "refused-by-preflight",
        hint: expect.stringContaining("--decrypt-key"),
      });
    }));

  it("that the board takes and does not list is told as that", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      await expect(tell(session, await encrypted())).rejects.toMatchObject({
        code: "not-listed",
        message: expect.stringContaining("knows no encrypted images"),
      });
    }));
});
