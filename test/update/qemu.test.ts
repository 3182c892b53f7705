import { beforeEach, describe, expect, it } from "vitest";
import { restart } from "../../src/session/restart.js";
import { run } from "../../src/session/run.js";
import { flash } from "../../src/update/flash.js";
import { bench, image, stands, tell, trustedKey } from "../support/workflow-board.js";
import { noQemuReason } from "../support/workflow-qemu.js";

/** The core of the update once more on the other machine: an ARM core in QEMU, in real time, its flash a file. */
describe("on the board in QEMU", () => {
  beforeEach(({ skip }) => {
    if (noQemuReason !== undefined) skip(noQemuReason);
  });
  const onQemu = (id: string, signing: Parameters<typeof image>[1] = {}) =>
    image(id, { ...signing, machine: "qemu" });

  it("a good update is confirmed and burns its counter; the next, unconfirmed, is reverted; an older one is refused", async () => {
    const { session } = await bench({ machine: "qemu" });
    const good = await tell(session, await onQemu("good-b"));
    expect(good.result).toMatchObject({ outcome: "confirmed", version: "2.0.0" });
    await run(restart(session));
    const updated = { version: "2.0.0", confirmed: true, counter: 2 };
    expect(await stands(session)).toEqual(updated);

    const trial = await tell(session, await onQemu("good-a", { version: "3.0.0", counter: 3 }), {
      confirm: false,
    });
    expect(trial.result).toMatchObject({ outcome: "on-trial" });
    expect(await stands(session)).toEqual({ version: "3.0.0", confirmed: false, counter: 2 });
    await run(restart(session));
    expect(await stands(session)).toEqual(updated);

    const old = await onQemu("good-a", { version: "4.0.0", counter: 1 });
    expect((await tell(session, old)).result).toMatchObject({ outcome: "refused-by-preflight" });
    expect((await tell(session, old, { skip: "all" })).result).toMatchObject({
      outcome: "not-running",
      message: expect.stringMatching(/anti-rollback/),
    });
    expect(await stands(session)).toEqual(updated);
  });

  it.each(["crash", "hang"])("an image that does %s is reverted, and that is told", async (id) => {
    const { session } = await bench({ machine: "qemu" });
    const { result } = await tell(session, await onQemu(id));
    expect(result).toMatchObject({ outcome: "not-running", message: expect.stringMatching(/reverted/) });
    expect(await stands(session)).toEqual({ version: "1.0.0", confirmed: true, counter: 1 });
  });

  it("QEMU killed in the middle of the upload is a power cut: the upload ends well when it is back", async () => {
    const { session, board } = await bench({ machine: "qemu" });
    const file = await onQemu("good-b");
    let cut: Promise<void> | undefined;
    const result = await run(flash(session, file, { keys: [await trustedKey()] }), (event) => {
      if (event.step !== "sent" || event.sent < file.length / 2) return;
      cut ??= board.powerOff().then(() => board.powerOn());
    });
    await cut;
    expect(result).toMatchObject({ outcome: "confirmed" });
  });
});
