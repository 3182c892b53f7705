import { describe, expect, it, onTestFinished, test } from "vitest";
import type { Machine } from "../../src/board/board.js";
import { boardVariant, fixtureKey } from "../../src/board/catalog.js";
import { slotOffset } from "../../src/board/layout.js";
import { startBoard } from "../../src/board/start.js";
import { connect } from "../../src/client/connect.js";
import { encodeCbor } from "../../src/smp/cbor.js";
import { consoleFraming } from "../../src/smp/framing/console.js";
import { joinMessage, readMessage } from "../../src/smp/header.js";
import { readFacts, runningSlot } from "../../src/workflow/facts.js";
import { LADDER } from "../../src/workflow/ladder/rungs.js";
import type { DirectWriter, Site } from "../../src/workflow/ladder/site.js";
import { climb, harm, patient, WindowPort } from "../support/recovery-site.js";
import { image } from "../support/workflow-board.js";
import { inVirtualTime } from "../support/workflow-clock.js";
import { BadCable, isUpload } from "../support/workflow-wire.js";

/** What runs, asked by a host that knows nothing of before. */
async function runs(site: Site): Promise<string | undefined> {
  const client = await connect(await site.dial(undefined));
  try {
    const facts = await readFacts({ client } as Parameters<typeof readFacts>[0]);
    return facts.server === "recovery" ? "recovery" : runningSlot(facts)?.content?.version;
  } finally {
    await client.close();
  }
}

test("the ladder goes from what destroys nothing to what a person has to do", () => {
  expect(LADDER.map(({ name }) => name)).toEqual([
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
  expect(LADDER.filter(({ needsConsent }) => needsConsent).map(({ name }) => name)).toEqual([
    "usb-dfu",
    "st-rom",
    "debug-probe",
  ]);
});

describe("a board that boots is brought into recovery by its application", () => {
  it("over retained boot mode, and runs the image afterwards", () =>
    inVirtualTime(async () => {
      const { site } = await patient(undefined);
      const { result, taken, events } = await climb(site, await image("good-b"));
      expect(result).toMatchObject({ outcome: "recovered", rung: "smp-reset" });
      expect(taken).toEqual(["smp-reset"]);
      expect(await runs(site)).toBe("2.0.0");
      expect(events.find(({ step }) => step === "plan")).toMatchObject({
        says: [expect.anything(), expect.stringContaining("straight over the primary slot")],
      });
    }));
});

describe.each([
  ["an empty primary", harm.erasePrimary],
  ["a damaged primary", harm.damagePrimary],
] as const)("a board with %s", (_name, hurt) => {
  it("is in recovery already, and runs the image afterwards", () =>
    inVirtualTime(async () => {
      const { site } = await patient(hurt);
      expect(await runs(site)).toBe("recovery");
      const { result, taken, events } = await climb(site, await image("good-a"));
      expect(result).toMatchObject({ outcome: "recovered", rung: "listen", flash: { outcome: "running" } });
      expect(taken).toEqual(["listen"]);
      expect(events).toContainEqual({
        step: "passed-over",
        rung: "smp-reset",
        why: "The bootloader answers already.",
      });
      expect(await runs(site)).toBe("1.0.0");
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
    ["the file is no image", async () => new Uint8Array(5000).fill(0x42), async () => [], "structure"],
  ];
  for (const [why, file, keys, check] of cases) {
    it(why, async () => {
      let dialled = 0;
      const site: Site = {
        name: "untouched",
        dial: async () => {
          dialled++;
          throw new Error("the board was touched");
        },
      };
      const named = await Promise.all((await keys()).map(async (key) => (await fixtureKey(key)).publicKey));
      const { result } = await climb(site, await file(), {
        keys: named,
        skip: ["signature", "hash", "structure"],
      });
      expect(result.outcome).toBe("refused-by-gate");
      expect(result.gate.find(({ result: one }) => one === "fail")?.name).toBe(check);
      expect(dialled).toBe(0);
    });
  }
});

describe("a wire without checksums", () => {
  it("that loses a byte costs another try, not the board", () =>
    inVirtualTime(async () => {
      const { site, board } = await patient(harm.erasePrimary);
      let spoiled = 0;
      const noisy: Site = {
        ...site,
        dial: async () =>
          new BadCable(await board.connect(), (message) => {
            const { off } = message.fields;
            const isMiddle = message.direction === "to-host" && isUpload(message) && Number(off) > 4000;
            if (!isMiddle || ++spoiled > 2) return "pass";
            return { fields: { rc: 3 } };
          }),
      };
      const { result, events } = await climb(noisy, await image("good-a"));
      expect(events.filter(({ step }) => step === "again")).toHaveLength(2);
      expect(result.outcome).toBe("recovered");
    }));
});

describe("image numbers", () => {
  it("that the bootloader does not have are refused before a byte is sent", () =>
    inVirtualTime(async () => {
      const { site, board } = await patient(harm.erasePrimary);
      const before = board.readFlash(0, 0x40000);
      for (const imageNumber of [1, 2, 4, 255]) {
        const { result } = await climb(site, await image("good-a"), { imageNumber });
        expect(result.outcome).toBe("refused-by-gate");
        expect(result.says).toContain(`no image number ${imageNumber}`);
      }
      expect(board.readFlash(0, 0x40000)).toEqual(before);
      expect(await runs(site)).toBe("recovery");
    }));
});

describe("a board whose bootloader knows no boot mode", () => {
  it("leaves the port free for the rungs that follow", () =>
    inVirtualTime(async () => {
      const { site, board } = await patient(undefined);
      // The application says yes to the boot mode, and the bootloader forgets it with the power.
      const forgetful: Site = {
        ...site,
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
      const { result, taken } = await climb(forgetful, await image("good-b"));
      expect(taken).toEqual(["smp-reset", "listen", "wait-window"]);
      expect(result.outcome).toBe("no-way-in");
      expect(await runs(site)).toBe("1.0.0");
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
    const site: Site = { name: "window", dial: port.dial };
    const { result, taken } = await climb(site, await image("good-a"), { without: ["smp-reset"] });
    expect(taken).toEqual(["listen", "wait-window"]);
    expect(port.phase).toBe("recovery");
    expect(result.rung).toBe("wait-window");
    expect(result.outcome).toBe("recovered");
  });

  it("is caught after the power was switched", async () => {
    const application = await startBoard({ machine: "wasm", variant: "good" });
    const { board: bootloader } = await patient(harm.erasePrimary);
    onTestFinished(() => application.close());
    const port = new WindowPort(application, bootloader);
    const switched: string[] = [];
    const site: Site = {
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
    const { result } = await climb(site, await image("good-a"), { without: ["smp-reset", "wait-window"] });
    expect(switched).toEqual(["off", "on"]);
    expect(result).toMatchObject({ rung: "power-cycle", outcome: "recovered" });
  });
});

describe("a silent board", () => {
  const silent: Site = { name: "silent", dial: async () => (await silence()).stream };

  async function silence() {
    const { ScriptedPipe } = await import("../support/pipe-script.js");
    return { stream: new ScriptedPipe() };
  }

  it("is climbed past every rung, each saying what it lacks", () =>
    inVirtualTime(async () => {
      const { result, taken } = await climb(silent, await image("good-a"));
      expect(result.outcome).toBe("no-way-in");
      expect(taken).toEqual(["listen"]);
      expect(result.tried.map(({ rung }) => rung)).toEqual(LADDER.map(({ name }) => name));
      for (const { why } of result.tried) expect(why.length).toBeGreaterThan(10);
      // Where there is no terminal, whoever reads the log is told what could be done by hand.
      expect(result.tried.at(-1)?.why).toMatch(/By hand: Bring silent into serial recovery: hold the button/);
    }));

  it("is only described on a dry run", () =>
    inVirtualTime(async () => {
      const { result, events } = await climb(silent, await image("good-a"), { dryRun: true });
      expect(result.outcome).toBe("dry-run");
      expect(events.filter(({ step }) => step === "failed")).toEqual([]);
    }));

  const writer = (log: string[]): DirectWriter => ({
    does: "Write pages 4 to 60 of the flash through ST's ROM bootloader.",
    destroys: "What is in the primary slot.",
    write: async (file) => {
      log.push(`wrote ${file.length}`);
      return "Written.";
    },
  });

  it("is written past MCUboot only when somebody has agreed to what that destroys", () =>
    inVirtualTime(async () => {
      const log: string[] = [];
      const file = await image("good-a");
      const site = { ...silent, stRom: writer(log) };
      const refused = await climb(site, file);
      expect(refused.result.outcome).toBe("no-way-in");
      expect(refused.result.tried.find(({ rung }) => rung === "st-rom")?.why).toMatch(
        /Nobody agreed.*pages 4 to 60.*primary slot/,
      );
      expect(log).toEqual([]);
      const asked: string[] = [];
      const agreed = await climb(site, file, {
        consent: async ({ name, destroys }) => {
          asked.push(`${name}: ${destroys}`);
          return true;
        },
      });
      expect(asked).toEqual(["st-rom: What is in the primary slot."]);
      expect(log).toEqual([`wrote ${file.length}`]);
      expect(agreed.result).toMatchObject({ outcome: "written", rung: "st-rom" });
    }));

  it("is left to a person, in words made for the board", () =>
    inVirtualTime(async () => {
      const { KNOWN_BOARDS } = await import("../../src/profiles/boards.js");
      const { site, board } = await patient(harm.erasePrimary);
      let pressed = false;
      let words = "";
      const asleep: Site = {
        ...site,
        dial: async () => (pressed ? board.connect() : (await silence()).stream),
        profile: KNOWN_BOARDS.find(({ id }) => id === "nrf52840dongle"),
        person: async (asked) => {
          words = asked;
          pressed = true;
          return true;
        },
      };
      const { result } = await climb(asleep, await image("good-a"));
      expect(words).toContain("Hold SW1 while you plug the dongle in");
      expect(result).toMatchObject({ outcome: "recovered", rung: "person" });
    }));

  it("is switched by DTR and RTS only when its profile says how", () =>
    inVirtualTime(async () => {
      const { site, board } = await patient(harm.erasePrimary);
      let switched = 0;
      const wired: Site = {
        ...site,
        dial: async () => (switched > 0 ? board.connect() : (await silence()).stream),
        lines: async () => void switched++,
      };
      expect((await climb(wired, await image("good-a"))).result.outcome).toBe("no-way-in");
      expect(switched).toBe(0);
      const profile = {
        id: "own",
        name: "Own board",
        enter: [{ rts: true, waitMs: 100 }, { rts: false }],
        sources: {},
      };
      const { result } = await climb({ ...wired, profile }, await image("good-a"));
      expect(result).toMatchObject({ outcome: "recovered", rung: "lines" });
      expect(switched).toBe(1);
    }));
});

describe("what was written past MCUboot is judged by what runs after the restart", () => {
  /** A programmer that puts the image into the primary slot, and a board that is silent until it has done so. */
  async function onTheBench(): Promise<Site> {
    const { site, board } = await patient(harm.erasePrimary, { off: true });
    const probe: DirectWriter = {
      does: "Use the debug probe.",
      destroys: "What is in the primary slot.",
      write: async (file) => {
        await board.powerOff();
        harm.erasePrimary(board);
        board.writeFlash(slotOffset(0, 0), file);
        await board.powerOn();
        return "Written.";
      },
    };
    await board.powerOff();
    return { ...site, probe };
  }

  it("and recovered when it runs", () =>
    inVirtualTime(async () => {
      const site = await onTheBench();
      const { result } = await climb(site, await image("good-b"), {
        consent: async () => true,
        withinMs: 4000,
      });
      expect(result).toMatchObject({
        outcome: "recovered",
        rung: "debug-probe",
        says: expect.stringContaining("runs version 2.0.0"),
      });
    }));

  it("and not running when the bootloader refuses it", () =>
    inVirtualTime(async () => {
      const site = await onTheBench();
      const keys = [(await fixtureKey("p256-1")).publicKey];
      const foreign = await image("good-b", { variant: "p256" });
      const { result } = await climb(site, foreign, { keys, consent: async () => true, withinMs: 4000 });
      expect(result).toMatchObject({ outcome: "not-running", rung: "debug-probe" });
      expect(result.says).toContain("serial recovery");
    }));
});

describe("an image that the board does not start", () => {
  it("is judged after the reboot: the board is back in recovery", () =>
    inVirtualTime(async () => {
      const { site } = await patient(harm.erasePrimary);
      const keys = [(await fixtureKey("p256-1")).publicKey];
      const foreign = await image("good-b", { variant: "p256" });
      const { result } = await climb(site, foreign, { keys, skip: ["trusted-key"] });
      expect(result.outcome).toBe("not-running");
      expect(result.says).toContain("signed with a key the board does not trust");
      expect(await runs(site)).toBe("recovery");
    }));
});

describe.each(["qemu"] as Machine[])("on the %s board", (machine) => {
  it("a damaged primary is recovered", async () => {
    const { site } = await patient(harm.damagePrimary, { machine });
    const { result } = await climb(site, await image("good-b", { machine }));
    expect(result).toMatchObject({ outcome: "recovered", rung: "listen" });
    expect(await runs(site)).toBe("2.0.0");
  });

  it("a board that boots is reset into recovery and recovered", async () => {
    const { site } = await patient(undefined, { machine });
    const { result } = await climb(site, await image("good-b", { machine }));
    expect(result).toMatchObject({ outcome: "recovered", rung: "smp-reset" });
    expect(await runs(site)).toBe("2.0.0");
  });
});
