import type { Board } from "../../../src/board/board.js";
import type { ByteStream } from "../../../src/transport/transport.js";
import { CdcAcm } from "./cdc-acm.js";
import { EmulatedDevice, type UsbFunction } from "./device.js";
import type { RedirPort } from "./redir-port.js";

/** QEMU's controller stops for a minute when a device vanishes while it is being reset; so a board takes its time. */
const RESTART_MS = 700;

export interface UsbBoardOptions {
  readonly serialNumber?: string | undefined;
  readonly product?: string | undefined;
  /** Interfaces besides the two serial ports; numbers from 4 and endpoints from 5 are free. */
  readonly more?: readonly UsbFunction[];
}

/** Numbers of the control interfaces: SMP, then the log. */
export const SMP_INTERFACE = 0;
export const LOG_INTERFACE = 2;

/**
 * One of our emulated boards as a USB device: its SMP UART is a CDC-ACM port, its log UART a second one. As on a real
 * board the device is gone while the board restarts, and enumerates anew.
 */
export class UsbBoard {
  readonly board: Board;
  readonly port: RedirPort;
  readonly smp: CdcAcm;
  readonly device: EmulatedDevice;
  /** Times the device was plugged in, by a hand or by the board's own start. */
  enumerations = 0;
  /** Bytes the board's UART has received over USB. */
  received = 0;
  /** Called after each packet that was received. */
  onReceived: (total: number) => void = () => {};
  readonly #uart: ByteStream;
  #isInserted = false;
  #restarts = 0;
  #switching: Promise<void> = Promise.resolve();

  private constructor(board: Board, uart: ByteStream, port: RedirPort, options: UsbBoardOptions) {
    this.board = board;
    this.port = port;
    this.#uart = uart;
    this.smp = new CdcAcm({ firstInterface: SMP_INTERFACE, firstEndpoint: 1, name: "SMP" });
    const log = new CdcAcm({ firstInterface: LOG_INTERFACE, firstEndpoint: 3, name: "Log" });
    const { serialNumber, product = "Bootproof board", more = [] } = options;
    const shape = { vendorId: 0x2fe3, productId: 0x0004, release: 0x0100, manufacturer: "Bootproof" };
    this.device = new EmulatedDevice({ ...shape, product, serialNumber }, [this.smp, log, ...more]);
    this.smp.onData = async (bytes) => {
      await uart.write(bytes);
      this.received += bytes.length;
      this.onReceived(this.received);
    };
    board.log.onLine((line) => {
      if (log.lines.dtr) log.send(Buffer.from(`${line}\r\n`));
    });
    board.onEvent((event) => {
      if (event.kind === "reset") void this.#restart();
      else if (!event.on) void this.#do(() => this.port.unplug());
    });
    void this.#forward();
  }

  /** A board that is on, not yet plugged in. */
  static async build(board: Board, port: RedirPort, options: UsbBoardOptions = {}): Promise<UsbBoard> {
    return new UsbBoard(board, await board.connect(), port, options);
  }

  /** Plugs it in. A board without power stays silent on the bus, as one that USB does not feed. */
  plug(): Promise<void> {
    this.#isInserted = true;
    return this.#do(() => this.#appear());
  }

  /** Pulls the cable; the board itself goes on running. */
  unplug(): Promise<void> {
    this.#isInserted = false;
    return this.#do(() => this.port.unplug());
  }

  async close(): Promise<void> {
    await this.unplug();
    await this.#uart.close();
    await this.board.close();
  }

  /** A bootloader may reset again before the device was ever back; on the bus that is one absence. */
  async #restart(): Promise<void> {
    const restart = ++this.#restarts;
    await this.#do(() => this.port.unplug());
    await new Promise((resolve) => setTimeout(resolve, RESTART_MS));
    if (restart === this.#restarts) await this.#do(() => this.#appear());
  }

  async #appear(): Promise<void> {
    if (!this.#isInserted || !this.board.isOn || this.port.device) return;
    this.enumerations++;
    await this.port.plug(this.device);
  }

  async #forward(): Promise<void> {
    try {
      // Without DTR nobody listens, and a firmware keeps quiet.
      for await (const chunk of this.#uart.chunks) if (this.smp.lines.dtr) this.smp.send(chunk);
    } catch {
      // The board was closed: its UART is lost, which is how the story of this device ends.
    }
  }

  #do(act: () => Promise<void>): Promise<void> {
    const done = this.#switching.then(act);
    // The next act starts after this one either way; its caller hears of a failure.
    this.#switching = done.catch(() => {});
    return done;
  }
}
