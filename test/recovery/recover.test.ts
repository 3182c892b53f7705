import { describe, expect, it, onTestFinished, test } from "vitest";
import { equal } from "../../src/bytes.js";
import { connect } from "../../src/client/connect.js";
import type { Board, Machine } from "../../src/emulator/board.js";
import { boardVariant, fixtureKey } from "../../src/emulator/catalog.js";
import { LAYOUT, slotOffset } from "../../src/emulator/layout.js";
import { startBoard } from "../../src/emulator/start.js";
import { type SignOptions, signImage } from "../../src/mcuboot/sign.js";
import { RECOVERY_METHODS } from "../../src/recovery/methods.js";
import type { DirectWriter, RecoveryTarget } from "../../src/recovery/target.js";
import { readFacts, runningSlot } from "../../src/session/board-facts.js";
import { restart } from "../../src/session/restart.js";
import { run } from "../../src/session/run.js";
import { Session } from "../../src/session/session.js";
import { encodeCbor } from "../../src/smp/cbor.js";
import { consoleFraming } from "../../src/smp/framing/console.js";
import { BOOT_MODES } from "../../src/smp/groups/os.js";
import { joinMessage, readMessage } from "../../src/smp/header.js";
import { harm, patient, recoverTarget, WindowPort } from "../support/recovery-target.js";
import { image, trustedKey } from "../support/workflow-board.js";
import { inVirtualTime } from "../support/workflow-clock.js";
import { BadCable, isUpload } from "../support/workflow-wire.js";

/** Somebody agreed to write over a board that works. */
const althoughAlive = { althoughAlive: async () => true };

/** What runs, asked by a host that knows nothing of before. */
async function runs(target: RecoveryTarget): Promise<string | undefined> {
  const client = await connect(await target.dial(undefined));
  try {
    const facts = await readFacts({ client } as Parameters<typeof readFacts>[0]);
    return facts.server === "recovery" ? "recovery" : runningSlot(facts)?.content?.version;
  } finally {
    await client.close();
  }
}

test("the list of recovery methods goes from what destroys nothing to what a person has to do", () => {
  expect(RECOVERY_METHODS.map(({ name }) => name)).toEqual([
    "smp-reset",
    "listen",
    "wait-window",
    "lines",
    "touch-1200",
    "power-cycle",
    "usb-dfu",
    "st-rom",
    "debug-probe",
    "person",
  ]);
  // What writes flash past MCUboot, and nothing else, needs somebody's word.
  expect(RECOVERY_METHODS.filter(({ needsConsent }) => needsConsent).map(({ name }) => name)).toEqual([
    "usb-dfu",
    "st-rom",
    "debug-probe",
  ]);
});

describe("a board that boots is brought into recovery by its application", () => {
  it("over retained boot mode, and runs the image afterwards", () =>
    inVirtualTime(async () => {
      const { target } = await patient(undefined);
      const { result, taken, events } = await recoverTarget(target, await image("good-b"), althoughAlive);
      expect(result).toMatchObject({ outcome: "recovered", method: "smp-reset" });
      expect(taken).toEqual(["smp-reset"]);
      expect(await runs(target)).toBe("2.0.0");
      expect(events.find(({ step }) => step === "plan")).toMatchObject({
        messages: [expect.anything(), expect.stringContaining("Overwrite the primary slot")],
      });
    }));
});

describe.each([
  ["an empty primary", harm.erasePrimary],
  ["a damaged primary", harm.damagePrimary],
] as const)("a board with %s", (_name, hurt) => {
  it("is in recovery already, and runs the image afterwards", () =>
    inVirtualTime(async () => {
      const { target } = await patient(hurt);
      expect(await runs(target)).toBe("recovery");
      const { result, taken, events } = await recoverTarget(target, await image("good-a"));
      expect(result).toMatchObject({ outcome: "recovered", method: "listen", flash: { outcome: "running" } });
      expect(taken).toEqual(["listen"]);
      expect(events).toContainEqual({
        step: "passed-over",
        method: "smp-reset",
        why: "The bootloader already answers.",
      });
      expect(await runs(target)).toBe("1.0.0");
    }));
});

describe("nothing is done to the board when", () => {
  const cases: [
    why: string,
    file: () => Promise<Uint8Array>,
    keys: () => Promise<string[]>,
    check: string,
  ][] = [
    [
      "the signature is of a key that was not named",
      () => image("good-b"),
      async () => ["p256-1"],
      "signature",
    ],
    ["no key was named", () => image("good-b"), async () => [], "signature"],
    [
      "a byte of the file is another",
      async () => {
        const file = await image("good-b");
        file[0x500]! ^= 1;
        return file;
      },
      async () => boardVariant("good").keys.slice(0, 1) as string[],
      "hash",
    ],
    ["the file is not an image", async () => new Uint8Array(5000).fill(0x42), async () => [], "structure"],
  ];
  for (const [why, file, keys, check] of cases) {
    it(why, async () => {
      let dialled = 0;
      const target: RecoveryTarget = {
        name: "untouched",
        dial: async () => {
          dialled++;
          throw new Error("the board was touched");
        },
      };
      const named = await Promise.all((await keys()).map(async (key) => (await fixtureKey(key)).publicKey));
      const { result } = await recoverTarget(target, await file(), {
        keys: named,
        skip: ["structure"],
      });
      expect(result.outcome).toBe("refused-by-preflight");
      expect(result.preflight.find(({ result: one }) => one === "fail")?.name).toBe(check);
      expect(dialled).toBe(0);
    });
  }
});

describe("a board that is alive", () => {
  it("because its application answers is left alone, and flash is named", () =>
    inVirtualTime(async () => {
      const { target, board } = await patient(undefined);
      const before = board.readFlash(0, 0x80000);
      const restarts = countRestarts(board);
      const { result, taken, events } = await recoverTarget(target, await image("good-b"));
      expect(result.outcome).toBe("alive");
      expect(result.message).toMatch(/application answers and runs version 1\.0\.0/);
      expect(result.hint).toContain("bootproof flash");
      expect(taken).toEqual([]);
      expect(events.some(({ step }) => step === "alive")).toBe(true);
      expect(equal(board.readFlash(0, 0x80000), before)).toBe(true);
      expect(restarts()).toBe(0);
    }));

  it("because its bootloader lists a valid image in the primary slot is left alone too", () =>
    inVirtualTime(async () => {
      const { target, board } = await patient(undefined);
      await intoRecovery(target);
      const before = board.readFlash(0, 0x80000);
      const { result } = await recoverTarget(target, await image("good-b"));
      expect(result.outcome).toBe("alive");
      expect(result.message).toMatch(/primary slot holds a valid image, version 1\.0\.0/);
      expect(equal(board.readFlash(0, 0x80000), before)).toBe(true);
      const agreed = await recoverTarget(target, await image("good-b"), althoughAlive);
      expect(agreed.result.outcome).toBe("recovered");
    }));

  it("and was silent at first is found out before a byte is written", () =>
    inVirtualTime(async () => {
      const { target, board } = await patient(undefined);
      await intoRecovery(target);
      const before = board.readFlash(0, 0x80000);
      let pressed = false;
      const asleep: RecoveryTarget = {
        ...target,
        dial: async () => (pressed ? board.connect() : (await silence()).stream),
        person: async () => {
          pressed = true;
          return true;
        },
      };
      const { result, taken } = await recoverTarget(asleep, await image("good-b"));
      expect(taken).toEqual(["listen", "person"]);
      expect(result).toMatchObject({ outcome: "alive", method: "person" });
      expect(equal(board.readFlash(0, 0x80000), before)).toBe(true);
    }));

  const refusals: [check: string, file: () => Promise<Uint8Array>, keys: string, message: RegExp][] = [
    ["trusted-key", () => image("good-b", { variant: "p256" }), "p256-1", /the board trusts/],
    ["fits-slot", () => oversized(), "ed25519-1", /more than the/],
    ["security-counter", () => oldCounter(), "ed25519-1", /Security counter 0 is below/],
  ];
  for (const [check, file, key, message] of refusals) {
    it(`refuses by ${check} before it is restarted, as flash does`, () =>
      inVirtualTime(async () => {
        const { target, board } = await patient(undefined);
        const restarts = countRestarts(board);
        const keys = [(await fixtureKey(key)).publicKey];
        const { result, taken } = await recoverTarget(target, await file(), { keys, ...althoughAlive });
        expect(result.outcome).toBe("refused-by-preflight");
        expect(result.message).toMatch(message);
        expect(result.preflight.find(({ result: one }) => one === "fail")?.name).toBe(check);
        expect(taken).toEqual([]);
        expect(restarts()).toBe(0);
      }));
  }
});

describe("a board whose bootloader checks no signature", () => {
  it("is recovered with an unsigned image once the signature is skipped, as with flash", () =>
    inVirtualTime(async () => {
      const { target } = await patient(harm.erasePrimary);
      const refused = await recoverTarget(target, await image("good-a"), { keys: [] });
      expect(refused.result).toMatchObject({ outcome: "refused-by-preflight" });
      expect(refused.result.hint).toContain("--skip signature");
      const { result } = await recoverTarget(target, await image("good-a"), {
        keys: [],
        skip: ["signature"],
      });
      expect(result.outcome).toBe("recovered");
    }));
});

/** An image with more bytes than a slot. */
async function oversized(): Promise<Uint8Array> {
  return signed({ body: new Uint8Array(LAYOUT.slotSize).fill(0x5a), slotSize: 0 });
}

async function oldCounter(): Promise<Uint8Array> {
  return signed({ body: new Uint8Array(4096).fill(0x5a), securityCounter: 0 });
}

async function signed({
  body,
  ...options
}: Partial<SignOptions> & { body: Uint8Array }): Promise<Uint8Array> {
  const made = await signImage(body, {
    key: await fixtureKey("ed25519-1"),
    version: "2.0.0",
    securityCounter: 2,
    headerSize: LAYOUT.imageHeaderSize,
    padHeader: true,
    slotSize: LAYOUT.slotSize,
    ...options,
  });
  return made.image;
}

function countRestarts(board: Board): () => number {
  let restarts = 0;
  board.onEvent((event) => void (event.kind === "reset" && restarts++));
  return () => restarts;
}

async function intoRecovery(target: RecoveryTarget): Promise<void> {
  const client = await connect(await target.dial(undefined));
  const session = await Session.open(async () => client);
  await run(restart(session, { bootMode: BOOT_MODES.recovery }));
  await session.close();
}

async function silence() {
  const { ScriptedPipe } = await import("../support/pipe-script.js");
  return { stream: new ScriptedPipe() };
}

describe("a wire without checksums", () => {
  it("that loses a byte costs another try, not the board", () =>
    inVirtualTime(async () => {
      const { target, board } = await patient(harm.erasePrimary);
      let spoiled = 0;
      const noisy: RecoveryTarget = {
        ...target,
        dial: async () =>
          new BadCable(await board.connect(), (message) => {
            const { off } = message.fields;
            const isMiddle = message.direction === "to-host" && isUpload(message) && Number(off) > 4000;
            if (!isMiddle || ++spoiled > 2) return "pass";
            return { fields: { rc: 3 } };
          }),
      };
      const { result, events } = await recoverTarget(noisy, await image("good-a"));
      expect(events.filter(({ step }) => step === "again")).toHaveLength(2);
      expect(result.outcome).toBe("recovered");
    }));
});

describe("image numbers", () => {
  it("that the bootloader does not have are refused before a byte is sent", () =>
    inVirtualTime(async () => {
      const { target, board } = await patient(harm.erasePrimary);
      const before = board.readFlash(0, 0x40000);
      for (const imageNumber of [1, 2, 4, 255]) {
        const { result } = await recoverTarget(target, await image("good-a"), { imageNumber });
        expect(result.outcome).toBe("refused-by-preflight");
        expect(result.message).toContain(`no image number ${imageNumber}`);
      }
      expect(board.readFlash(0, 0x40000)).toEqual(before);
      expect(await runs(target)).toBe("recovery");
    }));
});

describe("a board whose bootloader knows no boot mode", () => {
  it("leaves the port free for the recovery methods that follow", () =>
    inVirtualTime(async () => {
      const { target, board } = await patient(undefined);
      // The application says yes to the boot mode, and the bootloader forgets it with the power.
      const forgetful: RecoveryTarget = {
        ...target,
        dial: async () => {
          const stream = await board.connect();
          return {
            name: stream.name,
            chunks: stream.chunks,
            close: () => stream.close(),
            write: (bytes) => stream.write(withoutBootMode(bytes)),
          };
        },
      };
      const { result, taken } = await recoverTarget(forgetful, await image("good-b"), althoughAlive);
      expect(taken).toEqual(["smp-reset", "listen", "wait-window"]);
      expect(result.outcome).toBe("no-way-in");
      expect(await runs(target)).toBe("1.0.0");
    }));
});

/** The same frames, resets without their boot mode. */
function withoutBootMode(bytes: Uint8Array): Uint8Array {
  const out: Uint8Array[] = [];
  for (const item of consoleFraming().decoder().push(bytes)) {
    if (item.kind !== "message") continue;
    const { header, payload } = readMessage(item.bytes);
    const { length: _length, ...rest } = header;
    const isReset = header.group === 0 && header.id === 5;
    out.push(
      consoleFraming().encode(isReset ? joinMessage(rest, encodeCbor({})) : joinMessage(rest, payload)),
    );
  }
  return out.length > 0 ? Buffer.concat(out) : bytes;
}

describe("the wait-for-DFU window", () => {
  it("is caught after a reset of an application without boot mode", async () => {
    const application = await startBoard({ machine: "wasm", variant: "good" });
    const { board: bootloader } = await patient(harm.erasePrimary);
    onTestFinished(() => application.close());
    const port = new WindowPort(application, bootloader);
    const target: RecoveryTarget = { name: "window", dial: port.dial };
    const { result, taken } = await recoverTarget(target, await image("good-a"), {
      without: ["smp-reset"],
      ...althoughAlive,
    });
    expect(taken).toEqual(["listen", "wait-window"]);
    expect(port.phase).toBe("recovery");
    expect(result.method).toBe("wait-window");
    expect(result.outcome).toBe("recovered");
  });

  it("is caught after the power was switched", async () => {
    const application = await startBoard({ machine: "wasm", variant: "good" });
    const { board: bootloader } = await patient(harm.erasePrimary);
    onTestFinished(() => application.close());
    const port = new WindowPort(application, bootloader);
    const switched: string[] = [];
    const target: RecoveryTarget = {
      name: "window",
      dial: port.dial,
      power: {
        name: "a relay",
        off: async () => {
          switched.push("off");
          await application.powerOff();
        },
        on: async () => {
          switched.push("on");
          await application.powerOn();
          port.restart();
        },
      },
    };
    const { result } = await recoverTarget(target, await image("good-a"), {
      without: ["smp-reset", "wait-window"],
      ...althoughAlive,
    });
    expect(switched).toEqual(["off", "on"]);
    expect(result).toMatchObject({ method: "power-cycle", outcome: "recovered" });
  });
});

describe("a silent board", () => {
  const silent: RecoveryTarget = { name: "silent", dial: async () => (await silence()).stream };

  it("is climbed past every recovery method, each saying what it lacks", () =>
    inVirtualTime(async () => {
      const { result, taken } = await recoverTarget(silent, await image("good-a"));
      expect(result.outcome).toBe("no-way-in");
      expect(taken).toEqual(["listen"]);
      expect(result.tried.map(({ method }) => method)).toEqual(RECOVERY_METHODS.map(({ name }) => name));
      for (const { why } of result.tried) expect(why.length).toBeGreaterThan(10);
      // Where there is no terminal, whoever reads the log is told what could be done by hand.
      expect(result.tried.at(-1)?.why).toMatch(
        /To do it yourself: Put silent into serial recovery: hold the button/,
      );
    }));

  it("is only described on a dry run", () =>
    inVirtualTime(async () => {
      const { result, events } = await recoverTarget(silent, await image("good-a"), { dryRun: true });
      expect(result.outcome).toBe("dry-run");
      expect(events.filter(({ step }) => step === "failed")).toEqual([]);
    }));

  const writer = (log: string[]): DirectWriter => ({
    summary: "Write pages 4 to 60 of the flash through ST's ROM bootloader.",
    destroys: "The contents of the primary slot.",
    write: async (file) => {
      log.push(`wrote ${file.length}`);
      return "Written.";
    },
  });

  it("is written past MCUboot only when somebody has agreed to what that destroys", () =>
    inVirtualTime(async () => {
      const log: string[] = [];
      const file = await image("good-a");
      const target = { ...silent, stRom: writer(log) };
      const refused = await recoverTarget(target, file);
      expect(refused.result.outcome).toBe("no-way-in");
      expect(refused.result.tried.find(({ method }) => method === "st-rom")?.why).toMatch(
        /It needs consent.*pages 4 to 60.*primary slot/,
      );
      expect(log).toEqual([]);
      const asked: string[] = [];
      const agreed = await recoverTarget(target, file, {
        consent: async ({ name, destroys }) => {
          asked.push(`${name}: ${destroys}`);
          return true;
        },
      });
      expect(asked).toEqual(["st-rom: The contents of the primary slot."]);
      expect(log).toEqual([`wrote ${file.length}`]);
      expect(agreed.result).toMatchObject({ outcome: "written", method: "st-rom" });
    }));

  it("is left to a person, in words made for the board", () =>
    inVirtualTime(async () => {
      const { KNOWN_BOARDS } = await import("../../src/profiles/boards.js");
      const { target, board } = await patient(harm.erasePrimary);
      let pressed = false;
      let words = "";
      const asleep: RecoveryTarget = {
        ...target,
        dial: async () => (pressed ? board.connect() : (await silence()).stream),
        profile: KNOWN_BOARDS.find(({ id }) => id === "nrf52840dongle"),
        person: async (asked) => {
          words = asked;
          pressed = true;
          return true;
        },
      };
      const { result } = await recoverTarget(asleep, await image("good-a"));
      expect(words).toContain("Hold SW1 while you plug the dongle in");
      expect(result).toMatchObject({ outcome: "recovered", method: "person" });
    }));

  it("is switched by DTR and RTS only when its profile says how", () =>
    inVirtualTime(async () => {
      const { target, board } = await patient(harm.erasePrimary);
      let switched = 0;
      const wired: RecoveryTarget = {
        ...target,
        dial: async () => (switched > 0 ? board.connect() : (await silence()).stream),
        lines: async () => void switched++,
      };
      expect((await recoverTarget(wired, await image("good-a"))).result.outcome).toBe("no-way-in");
      expect(switched).toBe(0);
      const profile = {
        id: "own",
        name: "Own board",
        enter: [{ rts: true, waitMs: 100 }, { rts: false }],
        sources: {},
      };
      const { result } = await recoverTarget({ ...wired, profile }, await image("good-a"));
      expect(result).toMatchObject({ outcome: "recovered", method: "lines" });
      expect(switched).toBe(1);
    }));
});

/** A programmer that puts the image into the primary slot, and a board that is silent until it has done so. */
async function onTheBench(variant = "good"): Promise<RecoveryTarget> {
  const { target, board } = await patient(harm.erasePrimary, { off: true, variant });
  const probe: DirectWriter = {
    summary: "Use the debug probe.",
    destroys: "The contents of the primary slot.",
    write: async (file) => {
      await board.powerOff();
      harm.erasePrimary(board);
      board.writeFlash(slotOffset(0, 0), file);
      await board.powerOn();
      return "Written.";
    },
  };
  await board.powerOff();
  return { ...target, probe };
}

describe("what was written past MCUboot is judged by what runs after the restart", () => {
  it("and recovered when it runs", () =>
    inVirtualTime(async () => {
      const target = await onTheBench();
      const { result } = await recoverTarget(target, await image("good-b"), {
        consent: async () => true,
        withinMs: 4000,
      });
      expect(result).toMatchObject({
        outcome: "recovered",
        method: "debug-probe",
        message: expect.stringContaining("runs version 2.0.0"),
      });
    }));

  it("and not running when the bootloader refuses it", () =>
    inVirtualTime(async () => {
      const target = await onTheBench();
      const keys = [(await fixtureKey("p256-1")).publicKey];
      const foreign = await image("good-b", { variant: "p256" });
      const { result } = await recoverTarget(target, foreign, {
        keys,
        consent: async () => true,
        withinMs: 4000,
      });
      expect(result).toMatchObject({ outcome: "not-running", method: "debug-probe" });
      expect(result.message).toContain("serial recovery");
    }));
});

describe("an encrypted image that is written past MCUboot, which decrypts only what it swaps in", () => {
  const variant = "encrypted-x25519";

  it("is written decrypted, as the bootloader would leave it, with the key; without it the method is closed", () =>
    inVirtualTime(async () => {
      const file = await image("good-b", { variant, encrypted: true });
      const keys = [await trustedKey(variant)];
      const how = { keys, consent: async () => true, withinMs: 4000, without: ["person" as const] };
      const closed = await recoverTarget(await onTheBench(variant), file, how);
      expect(closed.result.outcome).toBe("no-way-in");
      const { why } = closed.result.tried.find(({ method }) => method === "debug-probe")!;
      expect(why).toContain("--decrypt-key");
      const decryptionKey = await fixtureKey("x25519-1");
      const { result } = await recoverTarget(await onTheBench(variant), file, { ...how, decryptionKey });
      expect(result).toMatchObject({ outcome: "recovered", method: "debug-probe" });
    }));
});

describe.each([
  ["encrypted-x25519", "x25519-1"],
  ["encrypted-rsa", "decrypt-rsa2048-1"],
])("an encrypted image on the %s board", (variant, key) => {
  it("goes through serial recovery decrypted, when the bootloader decrypts only what it swaps in", () =>
    inVirtualTime(async () => {
      const { target } = await patient(harm.erasePrimary, { variant });
      const keys = [await trustedKey(variant)];
      const file = await image("good-b", { variant, encrypted: true });
      const { result } = await recoverTarget(target, file, { keys });
      expect(result).toMatchObject({
        outcome: "not-running",
        hint: expect.stringContaining("--decrypted and --decrypt-key"),
      });
      expect((await recoverTarget(target, file, { keys, decrypted: true })).result.outcome).toBe(
        "refused-by-preflight",
      );
      const again = await recoverTarget(target, file, {
        keys,
        decrypted: true,
        decryptionKey: await fixtureKey(key),
      });
      expect(again.result.outcome).toBe("recovered");
    }));
});

describe("an image that the board does not start", () => {
  it("is judged after the reboot: the board is back in recovery", () =>
    inVirtualTime(async () => {
      const { target } = await patient(harm.erasePrimary);
      const keys = [(await fixtureKey("p256-1")).publicKey];
      const foreign = await image("good-b", { variant: "p256" });
      const { result } = await recoverTarget(target, foreign, { keys, skip: ["trusted-key"] });
      expect(result.outcome).toBe("not-running");
      expect(result.message).toContain("signed with a key that the board does not trust");
      expect(await runs(target)).toBe("recovery");
    }));
});

describe.each(["qemu"] as Machine[])("on the %s board", (machine) => {
  it("a damaged primary is recovered", async () => {
    const { target } = await patient(harm.damagePrimary, { machine });
    const { result } = await recoverTarget(target, await image("good-b", { machine }));
    expect(result).toMatchObject({ outcome: "recovered", method: "listen" });
    expect(await runs(target)).toBe("2.0.0");
  });

  it("a board that boots is reset into recovery and recovered", async () => {
    const { target } = await patient(undefined, { machine });
    const { result } = await recoverTarget(target, await image("good-b", { machine }), althoughAlive);
    expect(result).toMatchObject({ outcome: "recovered", method: "smp-reset" });
    expect(await runs(target)).toBe("2.0.0");
  });
});
