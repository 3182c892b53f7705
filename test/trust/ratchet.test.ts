import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { boardIdentityOf } from "../../src/boards/board-identity.js";
import { orderOfVersions, ratchetOf } from "../../src/cli/audit/ratchet-memory.js";
import type { Device } from "../../src/devices/device.js";
import { type BoardIdentity, EMPTY_RATCHET, type RatchetImage } from "../../src/trust/ratchet.js";
import { mergeRatchets, withConfirmed, withIntent } from "../../src/trust/ratchet-changes.js";
import { parseRatchet } from "../../src/trust/ratchet-file.js";
import { judgeByRatchet } from "../../src/trust/ratchet-verdict.js";
import { RatchetStore } from "../../src/trust-store/ratchet-store.js";
import { type Cut, cutDisk, Killed, type NamesAfterCut, PowerDisk } from "../support/cut-disk.js";

const BOARD: BoardIdentity = { id: "usb-683001122", from: "usb-serial-number" };
const image = (counter: number | undefined, version = "1.0.0"): RatchetImage => ({
  hash: `${counter ?? 99}`.padStart(2, "0").repeat(32),
  version,
  ...(counter === undefined ? {} : { counter }),
});
const at = "2031-02-03T04:05:06.007Z";
const confirmed = (counter: number | undefined, version?: string) =>
  withConfirmed(EMPTY_RATCHET, BOARD.id!, 0, { ...image(counter, version), at }, orderOfVersions);
const judge = (
  state: typeof EMPTY_RATCHET,
  offered: RatchetImage,
  board: BoardIdentity = BOARD,
  number = 0,
) => judgeByRatchet(state, board, number, offered, orderOfVersions);

describe("the ratchet", () => {
  it("refuses a lower counter, and none, after one was confirmed here, and says when", () => {
    const state = confirmed(7, "2.0.0");
    expect(judge(state, image(6, "9.0.0"))).toMatchObject({
      result: "fail",
      message:
        "This host confirmed counter 7 (version 2.0.0) on this board on 2031-02-03; the image has counter 6.",
    });
    expect(judge(state, image(undefined, "9.0.0")).message).toMatch(/carries no security counter\.$/);
    expect(judge(state, image(7, "1.0.0")).result).toBe("pass");
    expect(judge(state, image(8, "1.0.0")).result).toBe("pass");
  });

  it("knows boards and image numbers apart, and boards without identity as unprotected", () => {
    const state = confirmed(7);
    expect(judge(state, image(1), { id: "usb-other", from: "usb-serial-number" }).result).toBe("pass");
    expect(judge(state, image(1), BOARD, 1).result).toBe("pass");
    expect(judge(state, image(1), { reason: "it is a plain serial line." })).toMatchObject({
      result: "unknown",
      message: "Unprotected by this host's memory: it is a plain serial line.",
    });
  });

  it("counts an intent whose end nobody saw like a confirmation", () => {
    const state = withIntent(confirmed(3), BOARD.id!, 0, { ...image(7, "2.0.0"), at });
    expect(judge(state, image(5))).toMatchObject({
      result: "fail",
      message: /was about to confirm counter 7 .*, but was interrupted; the image has counter 5/,
    });
    expect(judge(state, image(7, "2.0.0")).result).toBe("pass");
  });

  it("keeps the highest of many intents, however old it is", () => {
    let state = withIntent(EMPTY_RATCHET, BOARD.id, 0, { ...image(9), at: "2026-01-01T00:00:00.000Z" });
    for (let run = 0; run < 40; run++)
      state = withIntent(state, BOARD.id, 0, {
        ...image(3),
        hash: (run + 1).toString(16).padStart(4, "0"),
        at: "2026-01-02T00:00:00.000Z",
      });
    expect(judgeByRatchet(state, BOARD, 0, image(8), orderOfVersions).result).toBe("fail");
    expect(state.boards[BOARD.id]!.images[0]!.intents).toHaveLength(16);
  });

  it("never goes back when an older image is confirmed after all", () => {
    const state = withConfirmed(
      confirmed(7, "2.0.0"),
      BOARD.id!,
      0,
      { ...image(5, "1.0.0"), at },
      orderOfVersions,
    );
    expect(judge(state, image(6)).message).toMatch(/confirmed counter 7 \(version 2\.0\.0\)/);
  });

  it("warns of an older version where no image has a counter", () => {
    const state = confirmed(undefined, "2.0.0+5");
    expect(judge(state, image(undefined, "2.0.0+4"))).toMatchObject({
      result: "warn",
      message: /2\.0\.0\+5/,
    });
    expect(judge(state, image(undefined, "2.0.0+5")).result).toBe("pass");
  });

  it("joins another host's memory upwards only", () => {
    const mine = confirmed(7, "2.0.0");
    expect(mergeRatchets(mine, confirmed(3, "1.0.0"), orderOfVersions).boards).toEqual(mine.boards);
    const raised = mergeRatchets(confirmed(3, "1.0.0"), mine, orderOfVersions);
    expect(judge(raised, image(6)).result).toBe("fail");
    expect(parseRatchet(JSON.stringify(raised))).toEqual(raised);
  });

  it.each([
    ["text", "nonsense"],
    ["another format", '{"v":2,"generation":1,"boards":{}}'],
    ["an unknown field", '{"v":1,"generation":1,"boards":{},"more":1}'],
    ["a negative counter", JSON.stringify(confirmed(7)).replace('"counter":7', '"counter":-1')],
    ["a version that is none", JSON.stringify(confirmed(7)).replaceAll("1.0.0", "one")],
  ])("refuses to import %s", (_, text) => {
    expect(() => parseRatchet(text)).toThrow(/not an export of a ratchet/);
  });
});

describe("what signed metadata states", () => {
  const by = "ab".repeat(32);
  const vouched = (release: number, versions: Record<string, number>): RatchetImage => ({
    ...image(7),
    release,
    metadata: { by, versions },
  });
  const state = withConfirmed(
    EMPTY_RATCHET,
    BOARD.id!,
    0,
    { ...vouched(5, { root: 2, snapshot: 8, targets: 6 }), at },
    orderOfVersions,
  );

  it("a lower release counter is refused, whatever the security counter says", () => {
    expect(judge(state, { ...image(9), release: 4 })).toMatchObject({
      result: "fail",
      message:
        "This host confirmed release 5 (version 1.0.0) on this board on 2031-02-03; the image is release 4.",
    });
    expect(judge(state, { ...image(9), release: 5 }).result).toBe("pass");
  });

  it("an image that comes without metadata is a warning after one with a release counter", () => {
    expect(judge(state, image(9))).toMatchObject({ result: "warn", message: /without signed metadata/ });
    expect(judge(state, image(6)).result).toBe("fail");
  });

  it("older metadata of the same repository is refused; a newer root begins anew", () => {
    const offered = (versions: Record<string, number>, from = by) =>
      judge(state, { ...vouched(5, versions), metadata: { by: from, versions } });
    expect(offered({ root: 2, snapshot: 7, targets: 6 })).toMatchObject({
      result: "fail",
      message:
        "Version 8 of snapshot has vouched for an image on this board; this update comes with version 7.",
    });
    expect(offered({ root: 1, snapshot: 9, targets: 9 }).result).toBe("fail");
    expect(offered({ root: 3, snapshot: 1, targets: 1 }).result).toBe("pass");
    expect(offered({ root: 1, snapshot: 1 }, "cd".repeat(32)).result).toBe("pass");
  });

  it("is joined upwards only, and read back as it was written", () => {
    const other = withConfirmed(
      EMPTY_RATCHET,
      BOARD.id!,
      0,
      { ...vouched(3, { root: 2, snapshot: 9, targets: 2 }), at },
      orderOfVersions,
    );
    const joined = mergeRatchets(state, other, orderOfVersions);
    expect(joined.boards[BOARD.id!]!.images[0]).toMatchObject({
      release: { release: 5 },
      metadata: { [by]: { root: 2, snapshot: 9, targets: 6 } },
    });
    expect(parseRatchet(JSON.stringify(joined))).toEqual(joined);
    const damaged = JSON.stringify(joined).replace('"release":5', '"release":-5');
    expect(() => parseRatchet(damaged)).toThrow(/not an export of a ratchet/);
  });

  it("an intent with a higher release counter outlives the confirmation of a lower one", () => {
    const intended = withIntent(state, BOARD.id!, 0, { ...image(8), release: 9, at });
    const later = withConfirmed(
      intended,
      BOARD.id!,
      0,
      { ...image(8), hash: "ee".repeat(32), release: 6, at },
      orderOfVersions,
    );
    expect(judge(later, { ...image(9), release: 8 })).toMatchObject({
      result: "fail",
      message: /was about to confirm release 9/,
    });
  });
});

describe("the ratchet on a disk", () => {
  function folder(): string {
    const path = mkdtempSync(join(tmpdir(), "bootproof-ratchet-"));
    onTestFinished(() => rmSync(path, { recursive: true, force: true }));
    return path;
  }

  it("finds out a file that was changed by hand, and one that is gone", async () => {
    const store = new RatchetStore({ folder: folder() });
    const port = ratchetOf(BOARD, store);
    await port.confirmed(0, image(7));
    const file = join(store.folder, "state/ratchet.json");
    const content = readFileSync(file, "utf8");
    writeFileSync(file, content.replace('"counter": 7', '"counter": 1'));
    expect(() => store.read()).toThrow(expect.objectContaining({ code: "ratchet-edited" }));
    await expect(port.judge(0, image(5))).rejects.toThrow(/was edited/);
    await expect(port.intend(0, image(8))).rejects.toThrow(/was edited/);
    rmSync(file);
    expect(() => store.read()).toThrow(expect.objectContaining({ code: "ratchet-vanished" }));
    writeFileSync(file, content);
    expect((await port.judge(0, image(5))).result).toBe("fail");
    rmSync(join(store.folder, "state/key"));
    expect(() => store.read()).toThrow(expect.objectContaining({ code: "ratchet-edited" }));
  });

  it("keeps what many runs on one host confirm at once", async () => {
    const path = folder();
    const runs = Array.from({ length: 12 }, (_, at) => {
      const board: BoardIdentity = { id: `board-${at % 4}`, from: "usb-serial-number" };
      return ratchetOf(board, new RatchetStore({ folder: path })).confirmed(0, image(at));
    });
    await Promise.all(runs);
    const { boards } = new RatchetStore({ folder: path }).read();
    expect(Object.values(boards).map((board) => board.images[0]?.counter?.counter)).toEqual(
      expect.arrayContaining([8, 9, 10, 11]),
    );
  });

  const gone = { host: "h", pid: 1, start: "", isAlive: () => false };

  /** An update's dealings with the memory, with the board's confirmation in their middle. */
  async function update(disk: RatchetStore, onConfirm: () => void): Promise<void> {
    const port = ratchetOf(BOARD, disk);
    await port.intend(0, image(7, "2.0.0"));
    onConfirm();
    await port.confirmed(0, image(7, "2.0.0"));
  }

  const endings: [string, Cut, NamesAfterCut | undefined][] = [
    ["kill -9 before a write", "before", undefined],
    ["kill -9 in the middle of a write", "half", undefined],
    ["a power cut that loses what was not synced", "half", "synced"],
    ["a power cut that keeps the names", "half", "all"],
  ];

  it.each(endings)(
    "refuses the older build once a confirmation was sent, whatever came after: %s",
    async (_, cut, names) => {
      let sentAndCut = 0;
      for (const before of [undefined, 3])
        for (let change = 0; ; change++) {
          const disk = new PowerDisk();
          const options = { folder: "/ratchet", owner: gone };
          if (before !== undefined)
            await ratchetOf(BOARD, new RatchetStore({ ...options, disk })).confirmed(0, image(before));
          const base = disk.afterPowerCut("all");
          const killed = new RatchetStore({ ...options, disk: cutDisk(base, change, cut) });
          let wasSent = false;
          const ended = await update(killed, () => {
            wasSent = true;
          }).then(
            () => true,
            (error) => {
              if (!(error instanceof Killed)) throw error;
              return false;
            },
          );
          const left = names === undefined ? base : base.afterPowerCut(names);
          const port = ratchetOf(BOARD, new RatchetStore({ ...options, disk: left }));
          const older = await port.judge(0, image(5));
          if (wasSent) expect(older.result, `cut at change ${change}`).toBe("fail");
          if (before !== undefined) expect((await port.judge(0, image(2))).result).toBe("fail");
          await port.confirmed(0, image(8, "3.0.0"));
          expect((await port.judge(0, image(7))).result).toBe("fail");
          if (ended) break;
          if (wasSent) sentAndCut++;
        }
      expect(sentAndCut).toBeGreaterThan(5);
    },
  );
});

describe("a board's identity", () => {
  const device = (fields: Partial<Device>): Device => ({
    vendorId: "2fe3",
    productId: "0001",
    usbPort: "1-1",
    serialNumber: "A1B2C3D4",
    state: "application",
    maybe: [],
    isProbe: false,
    ports: [],
    interfaces: [],
    ...fields,
  });

  it("is the serial number of a device that shows itself as the board", () => {
    expect(boardIdentityOf(device({}))).toEqual({ id: "usb-A1B2C3D4", from: "usb-serial-number" });
    const recovery = device({ productId: "0100", state: "mcuboot-recovery" });
    expect(boardIdentityOf(recovery)).toEqual(boardIdentityOf(device({})));
  });

  it.each<[string, Device | undefined, RegExp]>([
    ["a probe", device({ isProbe: true }), /probe or adapter/],
    [
      "an adapter of unknown make",
      device({ state: "unknown" }),
      /it is not known whether the device is the board/,
    ],
    ["a plain serial line", undefined, /plain serial line/],
    ["none", device({ serialNumber: undefined as never }), /no serial number/],
    ["zeros", device({ serialNumber: "00000000" }), /no serial number/],
  ])("is not that of %s", (_, found, reason) => {
    expect(boardIdentityOf(found)).toMatchObject({ reason });
    expect(boardIdentityOf(found).id).toBeUndefined();
  });

  it("is none where two devices share it", () => {
    const one = device({});
    const twin = device({ usbPort: "1-2" });
    expect(boardIdentityOf(one, [one, twin])).toMatchObject({ reason: /two devices here/ });
  });
});
