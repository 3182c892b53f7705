import { describe, expect, it } from "vitest";
import { toHex } from "../../src/bytes.js";
import { slotOffset } from "../../src/emulator/layout.js";
import { restart } from "../../src/session/restart.js";
import { run } from "../../src/session/run.js";
import type { Session } from "../../src/session/session.js";
import { imageErase } from "../../src/smp/groups/image.js";
import { BOOT_MODES } from "../../src/smp/groups/os.js";
import { type UploadEvent, type UploadOptions, upload } from "../../src/update/upload.js";
import { type Bench, bench, image } from "../support/workflow-board.js";
import { inVirtualTime } from "../support/workflow-clock.js";
import { type Fault, isUpload, type Passing } from "../support/workflow-wire.js";

async function send(session: Session, file: Uint8Array, options: UploadOptions = {}) {
  const events: UploadEvent[] = [];
  const result = await run(upload(session, file, options), (event) => events.push(event));
  return { result, events, steps: events.map(({ step }) => step) };
}

/** What lies in the slot is what was sent, to the byte. */
function expectSlot({ board }: Bench, file: Uint8Array, slot = 1, number = 0): void {
  const held = board.readFlash(slotOffset(number, slot), file.length);
  expect(Buffer.compare(held, file), "the slot holds the file").toBe(0);
}

/** Something goes wrong once, with the upload message that carries this offset to the board, or its answer back. */
function onceAt(
  offset: number,
  fate: ReturnType<Fault>,
  direction: Passing["direction"] = "to-board",
): Fault {
  let armed = false;
  let done = false;
  return (message) => {
    if (!isUpload(message) || done) return "pass";
    if (message.direction === "to-board") armed = (message.fields.off as number) >= offset;
    if (!armed || message.direction !== direction) return "pass";
    done = true;
    return fate;
  };
}

describe("an upload", () => {
  it.each(["good", "small-buffer", "p256", "overwrite"])("to the %s board arrives byte for byte", (variant) =>
    inVirtualTime(async () => {
      const on = await bench({ variant });
      const file = await image("good-b", { variant });
      const { result, events } = await send(on.session, file);
      expectSlot(on, file);
      expect(result).toMatchObject({ sentBytes: file.length, resumedAt: 0 });
      expect(events.at(-1)).toEqual({ step: "sent", sent: file.length, total: file.length });
    }),
  );

  it("fills every message to the server's last byte", () =>
    inVirtualTime(async () => {
      for (const variant of ["good", "small-buffer"]) {
        const { session, trace } = await bench({ variant });
        await send(session, await image("good-b", { variant }));
        const longest = Math.max(
          ...trace.filter((one) => one.direction === "sent").map((one) => one.hex.length / 2),
        );
        expect(longest).toBe(session.client.largestMessage);
      }
    }));

  it("with every length around a chunk arrives whole", () =>
    inVirtualTime(async () => {
      const whole = await image("good-b");
      const on = await bench();
      for (let length = 1900; length < 1975; length++) {
        await send(on.session, whole.subarray(0, length));
        expectSlot(on, whole.subarray(0, length));
      }
    }));

  it("of an image with another number goes to its own slot", () =>
    inVirtualTime(async () => {
      const on = await bench({ variant: "two-images" });
      const file = await image("part-b", { variant: "two-images" });
      await send(on.session, file, { image: 1 });
      expectSlot(on, file, 1, 1);
    }));

  it("of a version that is not higher is refused by the board when asked to", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const file = await image("good-b", { version: "0.1.0" });
      await expect(send(session, file, { upgrade: true })).rejects.toMatchObject({ code: "group-error" });
    }));

  it("in serial recovery goes to the primary slot", () =>
    inVirtualTime(async () => {
      const on = await bench();
      await run(restart(on.session, { bootMode: BOOT_MODES.recovery }));
      const file = await image("good-b");
      await send(on.session, file);
      expectSlot(on, file, 0);
    }));
});

/** Where the link goes away: in the first chunk, behind it, in the middle, and in the last. */
const OFFSETS = [0, 1, 10_000, 22_222, 44_000] as const;

describe("resumes after a lost link", () => {
  it.each(OFFSETS)("that was pulled at offset %i: nothing is sent again that has arrived", (offset) =>
    inVirtualTime(async () => {
      const on = await bench({ fault: onceAt(offset, "pull-cable") });
      const file = await image("good-b");
      const { result, steps } = await send(on.session, file);
      expect(steps).toContain("link-lost");
      expectSlot(on, file);
      // Less when the answer to a chunk that had arrived was lost with the link.
      expect(result.sentBytes).toBeLessThanOrEqual(file.length);
    }),
  );

  it.each(OFFSETS)("whose last answer was lost with it at offset %i", (offset) =>
    inVirtualTime(async () => {
      const on = await bench({ fault: onceAt(offset, "pull-cable", "to-host") });
      const file = await image("good-b");
      await send(on.session, file);
      expectSlot(on, file);
    }),
  );

  it.each(OFFSETS.slice(2))("in a new host program, which sends only the rest from %i on", (offset) =>
    inVirtualTime(async () => {
      const on = await bench();
      const file = await image("good-b");
      const first = upload(on.session, file);
      for await (const event of first) if (event.step === "sent" && event.sent >= offset) break;
      const { result, steps } = await send(await on.anotherSession(), file);
      expect(steps).toContain("resumed");
      expect(result.resumedAt).toBeGreaterThanOrEqual(offset);
      expect(result.sentBytes).toBeLessThanOrEqual(file.length - result.resumedAt + 1024);
      expectSlot(on, file);
    }),
  );

  it("but never with another file: that one begins at its beginning", () =>
    inVirtualTime(async () => {
      const on = await bench();
      const first = upload(on.session, await image("good-b"));
      for await (const event of first) if (event.step === "sent" && event.sent > 20_000) break;
      const other = await image("good-a", { version: "7.0.0" });
      const { result } = await send(await on.anotherSession(), other);
      expect(result).toMatchObject({ resumedAt: 0, sentBytes: other.length });
      expectSlot(on, other);
    }));

  it("a link that goes away for ever ends it with the board's name and the time waited", () =>
    inVirtualTime(async () => {
      const { session, board } = await bench({ fault: onceAt(9000, "pass") });
      const workflow = upload(session, await image("good-b"), { reconnectWithinMs: 5000 });
      await workflow.next();
      await workflow.next();
      await board.powerOff();
      await expect(run(workflow)).rejects.toMatchObject({
        code: "away",
        message: expect.stringMatching(/wasm:good/),
      });
    }));
});

describe("a board that loses its power in the middle", () => {
  it.each([
    [1000, 2],
    [20_000, 2],
    [40_000, 2],
    [1000, 30],
    [20_000, 30],
    [40_000, 30],
  ])("at %i bytes, and has it back after %i seconds: the upload ends well", (offset, seconds) =>
    inVirtualTime(async () => {
      const on = await bench();
      const file = await image("good-b");
      let cut = false;
      const events: UploadEvent[] = [];
      await run(upload(on.session, file), (event) => {
        events.push(event);
        if (cut || event.step !== "sent" || event.sent < offset) return;
        cut = true;
        void on.board.powerOff();
        setTimeout(() => void on.board.powerOn(), seconds * 1000);
      });
      // A short absence is bridged by asking again; only a long one is a lost link.
      expect(events.some(({ step }) => step === "link-lost")).toBe(seconds > 10);
      // The board has forgotten the upload and asks for its beginning.
      expect(events.filter((event) => event.step === "sent" && event.sent === 0)).toHaveLength(2);
      expectSlot(on, file);
    }),
  );
});

describe("a board that comes back as another server", () => {
  it("in serial recovery is sent nothing more: the rest would be written over its primary slot", () =>
    inVirtualTime(async () => {
      const on = await bench();
      const primary = slotOffset(0, 0);
      let cut = false;
      const work = run(upload(on.session, await image("good-b")), (event) => {
        if (cut || event.step !== "sent" || event.sent < 20_000) return;
        cut = true;
        void on.board.powerOff();
        // Nothing to start any more: the bootloader waits for an image.
        on.board.writeFlash(primary, new Uint8Array(32).fill(0xff));
        setTimeout(() => void on.board.powerOn(), 30_000);
      });
      const rest = () => Buffer.from(on.board.readFlash(primary + 32, 4096)).toString("hex");
      const before = rest();
      await expect(work).rejects.toMatchObject({ code: "other-server", hint: expect.stringMatching(/info/) });
      expect(rest()).toBe(before);
    }));
});

describe("a bad line", () => {
  it.each(["drop", "damage"] as const)(
    "that has a share of all messages %sped: all arrive in the end",
    (fate) =>
      inVirtualTime(async () => {
        for (const direction of ["to-board", "to-host"] as const) {
          const on = await bench({
            timeoutMs: 300,
            fault: (message) =>
              message.direction === direction && isUpload(message) && message.index % 3 === 0 ? fate : "pass",
          });
          const file = await image("good-b");
          await send(on.session, file);
          expectSlot(on, file);
        }
      }),
  );

  it("that loses each message of the upload once, in either direction", () =>
    inVirtualTime(async () => {
      for (const direction of ["to-board", "to-host"] as const) {
        const seen = new Set<unknown>();
        const on = await bench({
          timeoutMs: 300,
          fault: (message) => {
            const key = `${message.direction} ${message.fields.off} ${message.header.op}`;
            if (!isUpload(message) || message.direction !== direction || seen.has(key)) return "pass";
            seen.add(key);
            return "drop";
          },
        });
        const file = (await image("good-b")).subarray(0, 12_000);
        await send(on.session, file);
        expect(seen.size).toBeGreaterThan(10);
        expectSlot(on, file);
      }
    }));
});

describe("offsets that make no sense end it", () => {
  const rewriteAnswer = (off: (real: number, file: number) => number, from = 5000): Fault => {
    let total = 0;
    return (message) => {
      if (!isUpload(message)) return "pass";
      if (message.direction === "to-board") {
        total = (message.fields.len as number | undefined) ?? total;
        return "pass";
      }
      const real = message.fields.off as number;
      return real < from ? "pass" : { fields: { ...message.fields, off: off(real, total) } };
    };
  };

  it("behind the end of the file", () =>
    inVirtualTime(async () => {
      const { session } = await bench({ fault: rewriteAnswer((_real, total) => total + 1) });
      const file = await image("good-b");
      await expect(send(session, file)).rejects.toMatchObject({
        code: "upload-bad-offset",
        offset: file.length + 1,
        hint: expect.stringMatching(/erase/),
      });
    }));

  it("the same one for ever", () =>
    inVirtualTime(async () => {
      const { session } = await bench({ fault: rewriteAnswer(() => 4096) });
      await expect(send(session, await image("good-b"))).rejects.toMatchObject({ code: "upload-stuck" });
    }));

  it("zero for ever: a board that forgets every upload", () =>
    inVirtualTime(async () => {
      const { session } = await bench({ fault: rewriteAnswer(() => 0, 0) });
      await expect(send(session, await image("good-b"))).rejects.toMatchObject({ code: "upload-stuck" });
    }));

  it("two in turn, for ever: progress that is none", () =>
    inVirtualTime(async () => {
      let turn = 0;
      const { session } = await bench({ fault: rewriteAnswer(() => (turn++ % 2 ? 4096 : 8192)) });
      await expect(send(session, await image("good-b"))).rejects.toMatchObject({ code: "upload-stuck" });
    }));

  it("but one step back now and then is only a repeat", () =>
    inVirtualTime(async () => {
      let answers = 0;
      const on = await bench({
        fault: (message) => {
          if (!isUpload(message) || message.direction === "to-board" || ++answers % 5 !== 0) return "pass";
          const off = message.fields.off as number;
          return off < 45_000 ? { fields: { ...message.fields, off: Math.max(0, off - 100) } } : "pass";
        },
      });
      const file = await image("good-b");
      await send(on.session, file);
      expectSlot(on, file);
    }));
});

describe("what the board finds", () => {
  it("bytes changed where no CRC could see it: the board's own check says so", () =>
    inVirtualTime(async () => {
      const { session } = await bench({
        fault: (message) => {
          if (!isUpload(message) || message.direction !== "to-board" || message.fields.off === 0)
            return "pass";
          const data = Uint8Array.from(message.fields.data as Uint8Array);
          data[0]! ^= 0xff;
          return { fields: { ...message.fields, data } };
        },
      });
      await expect(send(session, await image("good-b"))).rejects.toMatchObject({
        code: "upload-damaged",
        hint: expect.stringMatching(/erase/),
      });
    }));

  it("a file larger than the slot is refused at the first chunk", () =>
    inVirtualTime(async () => {
      const { session, trace } = await bench();
      const file = new Uint8Array(200_000);
      file.set((await image("good-b")).subarray(0, 512));
      await expect(send(session, file)).rejects.toMatchObject({ code: "group-error" });
      expect(
        trace.filter(({ command, direction }) => command === "image upload" && direction === "sent"),
      ).toHaveLength(1);
    }));

  it("after an upload that went wrong the slot can be erased and used", () =>
    inVirtualTime(async () => {
      const on = await bench();
      const file = await image("good-b");
      for await (const event of upload(on.session, file)) if (event.step === "sent" && event.sent > 0) break;
      await on.session.client.send(imageErase, {});
      expect(toHex(on.board.readFlash(slotOffset(0, 1), 32))).toBe("ff".repeat(32));
      await send(on.session, file);
      expectSlot(on, file);
    }));
});

describe("a board that answers everything but the upload", () => {
  const ignoring = (from: number) =>
    bench({
      fault: (message) =>
        isUpload(message) && message.direction === "to-board" && (message.fields.off as number) >= from
          ? "drop"
          : "pass",
    });

  it.each([0, 8192])("is told as that, soon, when it ignores byte %s and what follows", (from) =>
    inVirtualTime(async () => {
      const { session } = await ignoring(from);
      const start = performance.now();
      const error = await send(session, await image("good-b")).catch((caught: unknown) => caught);
      expect(error).toMatchObject({
        code: "unanswered",
        message: expect.stringMatching(/^The board answers other commands, not this upload at byte \d+\.$/),
        hint: expect.stringMatching(/frames of several lines get lost .*Cortex-M23/),
      });
      expect((error as { offset: number }).offset).toBeGreaterThanOrEqual(from === 0 ? 0 : 4096);
      // By the clock of this test, which passes only while everybody waits.
      expect(performance.now() - start).toBeLessThan(45_000);
    }),
  );
});

describe("an image number that the board does not have", () => {
  const slotInfo =
    (ids: readonly number[] | undefined): Fault =>
    ({ direction, header }) => {
      if (direction === "to-board" || header.group !== 1 || header.id !== 6) return "pass";
      if (ids === undefined) return { fields: { rc: 8 } };
      const slots = ids.map((id, slot) => ({ slot, size: 131072, upload_image_id: id }));
      return { fields: { images: [{ image: 0, slots }] } };
    };

  it.each([
    ["as slot info says", slotInfo([0, 0]), /it has 1, numbered from 0\.$/],
    ["as its list without numbers says", slotInfo(undefined), /it has 1, numbered from 0\.$/],
    ["but takes for a slot of its own (direct upload)", slotInfo([1, 2]), /takes 1 for slot 0 of image 0/],
  ] as const)("is refused before a byte is sent, %s", (_title, fault, message) =>
    inVirtualTime(async () => {
      const on = await bench({ fault });
      const upload1 = run(upload(on.session, await image("good-b"), { image: 1 }));
      await expect(upload1).rejects.toMatchObject({
        code: "no-such-image",
        message: expect.stringMatching(message),
      });
      expect(on.trace.filter(({ header }) => header?.group === 1 && header.id === 1)).toEqual([]);
    }),
  );
});
