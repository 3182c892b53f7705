import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { changeLines, type LineChange } from "../../src/transport/lines.js";
import { noPtyReason, openPty } from "../support/pipe-pty.js";

/** What a board sees of a sequence, the kernel's part included. */
async function seen(changes: LineChange[]): Promise<string[]> {
  const log: string[] = [];
  await changeLines("/dev/ttyX", changes, {
    open: async (_path, baudRate) => {
      log.push(`open ${baudRate}`);
      return {
        set: async ({ dtr, rts }) => void log.push(`dtr ${Number(dtr)} rts ${Number(rts)}`),
        close: async () => void log.push("close"),
      };
    },
  });
  return log;
}

describe("a sequence of line changes", () => {
  const cases: [what: string, changes: LineChange[], log: string[]][] = [
    ["the 1200 touch", [{ baudRate: 1200 }, { close: true, waitMs: 1 }], ["open 1200", "close"]],
    [
      "BOOT0 by RTS, NRST by DTR",
      [{ rts: true, dtr: true, waitMs: 1 }, { dtr: false }, { rts: false }],
      ["open 115200", "dtr 1 rts 1", "dtr 0 rts 1", "dtr 0 rts 0", "close"],
    ],
    [
      "a line that is left out stays as it is",
      [{ dtr: false }, { rts: false }, { dtr: true }],
      ["open 115200", "dtr 0 rts 1", "dtr 0 rts 0", "dtr 1 rts 0", "close"],
    ],
    [
      "another rate opens the port anew",
      [{ dtr: true }, { baudRate: 1200 }],
      ["open 115200", "dtr 1 rts 1", "close", "open 1200", "close"],
    ],
    ["nothing", [], []],
  ];
  for (const [what, changes, log] of cases) {
    test(what, async () => {
      expect(await seen(changes)).toEqual(log);
    });
  }

  test("ends with the port closed when the driver refuses", async () => {
    let closed = 0;
    const refusing = changeLines("/dev/ttyX", [{ dtr: false }], {
      open: async () => ({
        set: async () => {
          throw new Error("refused");
        },
        close: async () => void closed++,
      }),
    });
    await expect(refusing).rejects.toThrow("refused");
    expect(closed).toBe(1);
  });

  test("stops when it is aborted", async () => {
    const stop = new AbortController();
    const reason = new Error("stop");
    const running = changeLines("/dev/ttyX", [{ waitMs: 5000 }, { baudRate: 1 }], {
      signal: stop.signal,
      open: async () => ({ set: async () => {}, close: async () => {} }),
    });
    stop.abort(reason);
    await expect(running).rejects.toBe(reason);
  });
});

describe.skipIf(noPtyReason)("on a real terminal", () => {
  test("the 1200 touch leaves the port at 1200 baud, closed", async () => {
    const pty = await openPty();
    try {
      await changeLines(pty.path, [{ baudRate: 1200 }, { close: true }]);
      expect(spawnSync("stty", ["-F", pty.path, "speed"]).stdout.toString().trim()).toBe("1200");
    } finally {
      await pty.unplug();
    }
  });

  test("a port that is not there is named", async () => {
    await expect(changeLines("/dev/no-such-port", [{ dtr: true }])).rejects.toMatchObject({
      code: "not-found",
    });
  });
});
