import { describe, expect, it } from "vitest";
import { slotOffset } from "../../src/emulator/layout.js";
import { isQemuInstalled } from "../../src/emulator/qemu-process.js";
import { restart } from "../../src/session/restart.js";
import { run } from "../../src/session/run.js";
import { imageList, imageMark } from "../../src/smp/groups/image.js";
import { osBootloaderInfo } from "../../src/smp/groups/os.js";
import { upload } from "../../src/update/upload.js";
import { bench, image, stands, tell } from "../support/workflow-board.js";
import { inVirtualTime } from "../support/workflow-clock.js";

/** MCUmgr's number of the mode, and what an update from version 1.0.0 to 2.0.0 comes to. */
const TESTED = [
  ["offset", 9],
  ["offset-one-more", 9],
  ["scratch", 1],
  ["xip-revert", 5],
  ["ramload-revert", 6],
  ["large-sectors", 3],
  ["uneven-sectors", 1],
  ["write-16", 9],
  ["erased-0", 9],
] as const;

describe.each(TESTED)("the %s board", (variant, mode) => {
  it("tells its mode, is flashed, and keeps what was confirmed", () =>
    inVirtualTime(async () => {
      const { session } = await bench({ variant });
      expect(await session.client.send(osBootloaderInfo, { query: "mode" })).toMatchObject({ mode });
      const { result } = await tell(session, await image("good-b", { variant }));
      expect(result).toMatchObject({ outcome: "confirmed", version: "2.0.0" });
      await run(restart(session));
      expect(await stands(session)).toEqual({ version: "2.0.0", confirmed: true, counter: 2 });
    }));

  it("goes back from what was not confirmed, and the counter stays", () =>
    inVirtualTime(async () => {
      const { session } = await bench({ variant });
      const { result } = await tell(session, await image("good-b", { variant }), { confirm: false });
      expect(result).toMatchObject({ outcome: "on-trial" });
      await run(restart(session));
      expect(await stands(session)).toEqual({ version: "1.0.0", confirmed: true, counter: 1 });
    }));
});

/** Boards that pick by version: nothing is tried, nothing goes back. */
describe.each([
  ["xip", 4],
  ["ramload", 6],
] as const)("the %s board", (variant, mode) => {
  it("tells its mode, runs the higher version from the next boot on, and burns the counter at once", () =>
    inVirtualTime(async () => {
      const { session } = await bench({ variant });
      expect(await session.client.send(osBootloaderInfo, { query: "mode" })).toMatchObject({ mode });
      await run(upload(session, await image("good-b", { variant })));
      await run(restart(session));
      expect(await stands(session)).toEqual({ version: "2.0.0", confirmed: true, counter: 2 });
    }));

  it("goes on with what it has when the other image is no higher", () =>
    inVirtualTime(async () => {
      const { session } = await bench({ variant });
      await run(upload(session, await image("good-b", { variant, version: "1.0.0" })));
      await run(restart(session));
      expect(await stands(session)).toEqual({ version: "1.0.0", confirmed: true, counter: 1 });
    }));
});

describe.each([
  ["single", 0],
  ["fwloader", 7],
] as const)("the %s board", (variant, mode) => {
  it("tells its mode, and its application takes no image", () =>
    inVirtualTime(async () => {
      const { session } = await bench({ variant });
      expect(await session.client.send(osBootloaderInfo, { query: "mode" })).toMatchObject({ mode });
      await expect(run(upload(session, await image("good-b", { variant })))).rejects.toMatchObject({
        code: "group-error",
      });
    }));
});

describe("the fwloader board", () => {
  it("runs the loader when it is asked for, which replaces the application", () =>
    inVirtualTime(async () => {
      const variant = "fwloader";
      const { board, session } = await bench({ variant });
      await board.powerOff();
      board.writeFlash(slotOffset(0, 1), await image("good-a", { variant, version: "0.9.0" }));
      await board.powerOn();
      await run(restart(session, { bootMode: 1 }));
      expect(await stands(session)).toMatchObject({ version: "0.9.0", confirmed: false });
      await run(upload(session, await image("good-b", { variant })));
      await run(restart(session));
      expect(await stands(session)).toMatchObject({ version: "2.0.0" });
    }));
});

describe.each(["encrypted-x25519", "encrypted-p256", "encrypted-rsa"])("the %s board", (variant) => {
  it("installs an image that is encrypted for it", () =>
    inVirtualTime(async () => {
      const { session } = await bench({ variant });
      const file = await image("good-b", { variant, encrypted: true });
      await run(upload(session, file));
      const { images } = await session.client.send(imageList, {});
      await session.client.send(imageMark, {
        hash: images.find(({ slot }) => slot === 1)!.hash!,
        confirm: true,
      });
      await run(restart(session));
      expect(await stands(session)).toEqual({ version: "2.0.0", confirmed: true, counter: 2 });
    }));

  it("refuses one that is encrypted for another board", () =>
    inVirtualTime(async () => {
      const { session } = await bench({ variant });
      const file = Uint8Array.from(await image("good-b", { variant, encrypted: true }));
      file[file.length - 1]! ^= 1; // the wrapped key is the last TLV
      await run(upload(session, file));
      const { images } = await session.client.send(imageList, {});
      await session.client.send(imageMark, {
        hash: images.find(({ slot }) => slot === 1)!.hash!,
        confirm: true,
      });
      await run(restart(session));
      expect(await stands(session)).toEqual({ version: "1.0.0", confirmed: true, counter: 1 });
    }));
});

/** The same programs, linked for the place where they run. */
describe.each([
  ["offset", 0],
  ["xip-revert", 1],
  ["ramload-revert", 0],
] as const)("the %s board in QEMU", (variant, slot) => {
  it("is flashed and keeps what was confirmed", async ({ skip }) => {
    skip(!isQemuInstalled(), "qemu-system-arm is not installed");
    const { session } = await bench({ variant, machine: "qemu" });
    const { result } = await tell(session, await image("good-b", { variant, machine: "qemu", slot }));
    expect(result).toMatchObject({ outcome: "confirmed", version: "2.0.0" });
    await run(restart(session));
    expect(await stands(session)).toEqual({ version: "2.0.0", confirmed: true, counter: 2 });
  });
});
