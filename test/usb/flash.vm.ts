import { readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from "vitest";
import { toHex } from "../../src/bytes.js";
import { boardVariant, fixtureKeyPath } from "../../src/emulator/catalog.js";
import { LAYOUT } from "../../src/emulator/layout.js";
import { signedFixture } from "../../src/emulator/signed-fixture.js";
import { startBoard } from "../../src/emulator/start.js";
import { decodeCbor } from "../../src/smp/cbor.js";
import { consoleFraming } from "../../src/smp/framing/console.js";
import { readMessage } from "../../src/smp/header.js";
import { RedirPort } from "../support/usb/redir-port.js";
import { SMP_INTERFACE, UsbBoard } from "../support/usb/usb-board.js";
import { fileAppears, fileDisappears } from "../support/usb-vm/eventually.js";
import { UsbMachine } from "../support/usb-vm/machine.js";

const why = inject("noUsbMachine");
const tty = (serialNumber: string) => `/dev/serial/by-id/usb-Bootproof_Bootproof_board_${serialNumber}-if00`;
const ADDRESSES = [
  ["the kernel's driver", `serial:${tty("LAB-1")}`],
  ["the USB library", `usb:2fe3:0004:LAB-1?interface=${SMP_INTERFACE}`],
] as const;
/** How long a cable stays out; the kernel needs half a second to see it. */
const OUT_MS = 1500;

describe.skipIf(why !== "")(`A board on USB, from plug-in to a confirmed image${why && `: ${why}`}`, () => {
  let machine: UsbMachine;
  let ports: RedirPort[];
  let board: UsbBoard;
  let neighbour: UsbBoard;
  let pulls = 0;
  beforeAll(async () => {
    machine = await UsbMachine.shared();
    ports = [new RedirPort(machine, "4"), new RedirPort(machine, "5")];
    const variant = boardVariant("good");
    await machine.write("/tmp/image.bin", await signedFixture("good-b", "qemu", variant));
    await machine.write("/tmp/key.pem", readFileSync(fixtureKeyPath(variant.keys[0]!)));
  });
  beforeEach(async () => {
    pulls = 0;
    [board, neighbour] = (await Promise.all(
      ["LAB-1", "LAB-2"].map(async (serialNumber, index) =>
        UsbBoard.build(await startBoard({ machine: "qemu", variant: "good" }), ports[index]!, {
          serialNumber,
        }),
      ),
    )) as [UsbBoard, UsbBoard];
    await board.plug();
    await neighbour.plug();
    await fileAppears(machine, tty("LAB-1"));
    await fileAppears(machine, tty("LAB-2"));
  });
  afterEach(async () => {
    await board.close();
    await neighbour.close();
    await fileDisappears(machine, tty("LAB-1"));
    await fileDisappears(machine, tty("LAB-2"));
    expect(machine.uncaught.splice(0)).toEqual([]);
  });
  afterAll(async () => {
    for (const port of ports ?? []) await port.close();
  });

  const flashOf = (one: UsbBoard) => toHex(one.board.readFlash(0, LAYOUT.flashSize));
  const flash = (address: string) =>
    machine.bootproof(["flash", "/tmp/image.bin", "--key", "/tmp/key.pem", "--json", "-d", address]);

  /** Pulls the cable once, and puts it back after a while. */
  function pull(): void {
    pulls++;
    void board.unplug().then(() => setTimeout(() => void board.plug(), OUT_MS));
  }

  /** Pulls it when `isTime` says so of what the board has received. */
  function pullWhen(isTime: (total: number, packet: Uint8Array) => boolean): void {
    board.onReceived = (total, packet) => {
      if (!isTime(total, packet)) return;
      board.onReceived = () => {};
      pull();
    };
  }

  it("flashes; the board with the same name beside it stays as it was", async () => {
    const before = flashOf(neighbour);
    const end = await flash(ADDRESSES[0][1]);
    expect(end).toMatchObject({ code: 0 });
    expect(JSON.parse(end.stdout)).toMatchObject({ outcome: "confirmed" });
    // The first start, the test boot; the board went away and came back by itself.
    expect(board.enumerations).toBeGreaterThanOrEqual(2);
    expect(neighbour.received).toBe(0);
    expect(flashOf(neighbour)).toBe(before);
  });

  it("flashes two boards of one kind at once, by a program each", async () => {
    const ends = await Promise.all([
      flash(ADDRESSES[0][1]),
      flash(`usb:2fe3:0004:LAB-2?interface=${SMP_INTERFACE}`),
    ]);
    for (const end of ends) {
      expect({ ...end, stderr: end.stderr.slice(-2000) }).toMatchObject({ code: 0 });
      expect(JSON.parse(end.stdout)).toMatchObject({ outcome: "confirmed" });
    }
    for (const one of [board, neighbour]) {
      expect(one.received).toBeGreaterThan(30_000);
      expect(one.enumerations).toBeGreaterThanOrEqual(2);
    }
  });

  const STAGES: readonly [stage: string, way: (typeof ADDRESSES)[number], arrange: () => void][] = [
    ["as its port is opened", ADDRESSES[0], () => pullAsOpened()],
    ["as its port is opened", ADDRESSES[1], () => pullAsOpened()],
    ["at the first question", ADDRESSES[0], () => pullWhen(() => true)],
    ["at the first question", ADDRESSES[1], () => pullWhen(() => true)],
    ["in the middle of the upload", ADDRESSES[0], () => pullWhen((total) => total > 20_000)],
    ["in the middle of the upload", ADDRESSES[1], () => pullWhen((total) => total > 20_000)],
    ["while it restarts", ADDRESSES[0], () => void pullAtRestart()],
    ["before the answer to the confirmation", ADDRESSES[1], () => pullAtConfirmation()],
  ];

  /** Before a byte was said. */
  function pullAsOpened(): void {
    board.smp.onLines = () => {
      board.smp.onLines = () => {};
      pull();
    };
  }

  /** The board has begun to restart; its own absence from the bus and that of the cable become one. */
  function pullAtRestart(): void {
    const stop = board.board.onEvent(({ kind }) => {
      if (kind !== "reset") return;
      stop();
      pull();
    });
  }

  /** It has heard the request, and its answer meets no cable. */
  function pullAtConfirmation(): void {
    const decoder = consoleFraming().decoder();
    pullWhen((_, packet) =>
      decoder.push(packet).some((item) => {
        if (item.kind !== "message") return false;
        const { header, payload } = readMessage(item.bytes);
        const isState = header.group === 1 && header.id === 0 && header.op === "write";
        return isState && (decodeCbor(payload) as { confirm?: boolean }).confirm === true;
      }),
    );
  }

  it.each(STAGES)(
    "goes on where it was when the cable is pulled %s, through %s",
    async (_, [, address], arrange) => {
      arrange();
      const end = await flash(address);
      expect({ ...end, stderr: end.stderr.slice(-2000) }).toMatchObject({ code: 0 });
      expect(JSON.parse(end.stdout)).toMatchObject({ outcome: "confirmed" });
      expect(neighbour.received).toBe(0);
      expect(pulls).toBe(1);
    },
  );
});
