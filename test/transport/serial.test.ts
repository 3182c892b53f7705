import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { connect } from "../../src/client/connect.js";
import { openStream } from "../../src/transport/open-stream.js";
import { openError, openSerial } from "../../src/transport/serial.js";
import { type ByteStream, TransportError } from "../../src/transport/transport.js";
import { noPtyReason, openPty, type Pty } from "../support/pipe-pty.js";

let cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const act of cleanUp.reverse()) await act();
  cleanUp = [];
});

const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable("it succeeded"),
    (error: unknown) => error as TransportError,
  );

test("a port that does not exist names the ports that do", async () => {
  const error = await failureOf(openSerial({ path: "/dev/ttyNOPE0", baudRate: 115200 }));
  expect(error).toBeInstanceOf(TransportError);
  expect(error).toMatchObject({ code: "not-found", pipe: "/dev/ttyNOPE0" });
  expect(error.hint).toMatch(/This machine has no serial ports|Ports here: /);
});

test("a file that is no serial port fails with the reason", async () => {
  const path = join(mkdtempSync(join(tmpdir(), "no-port-")), "file");
  writeFileSync(path, "");
  const error = await failureOf(openSerial({ path, baudRate: 115200 }));
  expect(error.code).toBe("failed");
  expect(error.hint).toBe("Is it a serial port?");
});

describe("what serialport says when it cannot open", () => {
  const cases = [
    { message: "Error: No such file or directory, cannot open /dev/ttyACM9", code: "not-found" },
    { message: "Opening COM9: File not found", code: "not-found" },
    { message: "Error: Permission denied, cannot open /dev/ttyACM9", code: "permission" },
    { message: "Error Resource temporarily unavailable Cannot lock port", code: "busy" },
    { message: "Error: Device or resource busy, cannot open /dev/ttyACM9", code: "busy" },
    { message: "Opening COM9: Access denied", code: "busy" },
    { message: "Error: Inappropriate ioctl for device, cannot open /dev/ttyACM9", code: "failed" },
  ];
  for (const { message, code } of cases) {
    test(`${message} -> ${code}`, async () => {
      const cause = new Error(message);
      expect(await openError("/dev/ttyACM9", cause)).toMatchObject({ code, pipe: "/dev/ttyACM9", cause });
    });
  }
});

describe("a pseudo-terminal", () => {
  beforeEach(({ skip }) => {
    if (noPtyReason) skip(noPtyReason);
  });

  async function pty(): Promise<Pty> {
    const made = await openPty();
    cleanUp.push(() => made.unplug());
    return made;
  }

  async function open(path: string): Promise<ByteStream> {
    const stream = await openStream({ kind: "serial", path, baudRate: 115200 });
    cleanUp.push(() => stream.close());
    return stream;
  }

  test("every byte value passes in both directions", async () => {
    const device = await pty();
    const stream = await open(device.path);
    const every = Buffer.from(Array.from({ length: 1024 }, (_, n) => n % 256));
    await stream.write(every);
    const arrived = await device.heard((all) => all.length >= every.length);
    expect(arrived.equals(every)).toBe(true);

    device.say(every);
    let back = Buffer.alloc(0);
    for await (const chunk of stream.chunks) {
      back = Buffer.concat([back, chunk]);
      if (back.length >= every.length) break;
    }
    expect(back.equals(every)).toBe(true);
  });

  test("a port that is already open here is busy", async () => {
    const device = await pty();
    await open(device.path);
    const error = await failureOf(openSerial({ path: device.path, baudRate: 115200 }));
    expect(error.code).toBe("busy");
    expect(error.message).toContain("already open in this program");
  });

  test("a port another program has locked names the program", async () => {
    const device = await pty();
    const holder = spawn("flock", [device.path, "-c", "echo locked; read wait"], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    cleanUp.push(() => holder.stdin.end());
    await new Promise((resolve) => holder.stdout.once("data", resolve));
    const error = await failureOf(openSerial({ path: device.path, baudRate: 115200 }));
    expect(error.code).toBe("busy");
    expect(error.message).toMatch(/held by (flock|sh) \(process \d+\)/);
    // The program that plays the device is not in the way.
    expect(`${error.message} ${error.hint}`).not.toContain("socat");
  });

  test("silence names a program that reads the port without a lock, and not the device at the far side", async () => {
    const device = await pty();
    const stream = await open(device.path);
    expect(stream.explainSilence?.()).toBeUndefined();
    const reader = spawn("cat", [device.path], { stdio: "ignore" });
    const gone = new Promise((resolve) => reader.once("exit", resolve));
    cleanUp.push(() => {
      reader.kill();
      return gone;
    });
    // It has the port open as soon as it has begun: until then nobody is found.
    let clue: ReturnType<NonNullable<ByteStream["explainSilence"]>>;
    while (clue === undefined && reader.exitCode === null) {
      clue = stream.explainSilence?.();
      await delay(10);
    }
    expect(clue).toEqual({
      message: `cat (process ${reader.pid}) has the port open too and may have taken the answers.`,
      hint: "Close cat, then try again.",
    });
    const silence = await connect(stream, { probes: 2, probeTimeoutMs: 50 }).catch((error: unknown) => error);
    expect(silence).toMatchObject({ code: "timeout", message: expect.stringContaining("cat (process") });
  });

  test("a device that vanishes ends the reading as lost, and writing too", async () => {
    const device = await pty();
    const stream = await open(device.path);
    const reading = failureOf(
      (async () => {
        for await (const _ of stream.chunks);
      })(),
    );
    await device.unplug();
    expect((await reading).code).toBe("lost");
    await expect(stream.write(Uint8Array.of(1))).rejects.toMatchObject({ code: "lost" });
    await stream.close();
  });

  test("a device that vanished before anybody read is lost as well", async () => {
    const device = await pty();
    const reading = failureOf(
      (async () => {
        for await (const _ of (await open(device.path)).chunks);
      })(),
    );
    await device.unplug();
    const error = await reading;
    expect(["lost", "not-found", "failed"]).toContain(error.code);
  });

  test("lines that a pseudo-terminal does not have can only be switched on", async () => {
    const device = await pty();
    const error = await failureOf(openSerial({ path: device.path, baudRate: 115200, dtr: false }));
    expect(error.code).toBe("failed");
    expect(error.message).toContain("cannot switch DTR and RTS");
  });

  test("closing ends the reading; closing twice is harmless", async () => {
    const device = await pty();
    const stream = await open(device.path);
    const reading = (async () => {
      for await (const _ of stream.chunks);
    })();
    await stream.close();
    await stream.close();
    await reading;
    await expect(stream.write(Uint8Array.of(1))).rejects.toMatchObject({ code: "failed" });
  });

  test("an aborted open throws the reason", async () => {
    const reason = new Error("stop");
    const opening = openSerial(
      { path: (await pty()).path, baudRate: 115200 },
      { signal: AbortSignal.abort(reason) },
    );
    await expect(opening).rejects.toBe(reason);
  });
});
