import { describe, expect, it } from "vitest";
import { latencySetting } from "../../src/diagnosis/advice.js";
import { diagnose } from "../../src/diagnosis/diagnose.js";
import { restart } from "../../src/session/restart.js";
import { run } from "../../src/session/run.js";
import { BOOT_MODES } from "../../src/smp/groups/os.js";
import { bench } from "../support/workflow-board.js";
import { inVirtualTime } from "../support/workflow-clock.js";

describe("what doctor finds on a link", () => {
  it("a board that loses long messages and answers short ones is told as that", () =>
    inVirtualTime(async () => {
      const { session } = await bench({
        fault: ({ direction, fields }) =>
          direction === "to-board" && String(fields.d ?? "").length > 80 ? "drop" : "pass",
      });
      const found = await diagnose(session.client);
      expect(found).toMatchObject({
        losesLongMessages: true,
        advice: {
          setting: expect.stringMatching(/117129/),
          why: expect.stringMatching(/Cortex-M0, M0\+, M23/),
        },
      });
      expect(found.longestRoundTripMs).toBeUndefined();
    }));

  it("in serial recovery an option that no release has is advised with what it needs", () =>
    inVirtualTime(async () => {
      // As released bootloaders: the size of the buffer is not told.
      const { session } = await bench({
        fault: ({ direction, header }) =>
          direction === "to-host" && header.group === 0 && header.id === 6 ? { fields: { rc: 8 } } : "pass",
      });
      await run(restart(session, { bootMode: BOOT_MODES.recovery }));
      const { advice } = await diagnose(session.client, { baudRate: 2_000_000 });
      expect(advice).toMatchObject({
        setting: "CONFIG_BOOT_SERIAL_RAW_PROTOCOL=y",
        needs: expect.stringMatching(/newer than 2\.4\.0/),
      });
    }));

  it("and with the board's own MCUboot, where its recovery tells that", () =>
    inVirtualTime(async () => {
      const { session } = await bench({
        fault: ({ direction, header, fields }) =>
          direction === "to-host" && header.group === 200 && header.id === 2
            ? { fields: { ...fields, version: "2.3.0" } }
            : "pass",
      });
      await run(restart(session, { bootMode: BOOT_MODES.recovery }));
      const { advice } = await diagnose(session.client, { baudRate: 2_000_000 });
      expect(advice?.needs).toMatch(/newer than 2\.4\.0 .*; this board has 2\.3\.0$/);
    }));

  it("a slow adapter is set right where each system has the setting", () => {
    expect(latencySetting("linux")).toMatch(/\/sys\/bus\/usb-serial/);
    expect(latencySetting("win32")).toMatch(/Device Manager/);
    for (const platform of ["win32", "darwin"] as const)
      expect(latencySetting(platform)).not.toMatch(/\/sys/);
  });
});
