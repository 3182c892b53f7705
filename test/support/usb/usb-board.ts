import type { Board } from "../../../src/emulator/board.js";
import type { ByteStream } from "../../../src/transport/transport.js";
import { CdcAcm } from "./cdc-acm.js";
import { EmulatedDevice, type UsbFunction } from "./device.js";
import type { UsbPort } from "./port.js";

/** QEMU's controller stops for a minute when a device vanishes while it is being reset; so a board takes its time there. */
const RESTART_MS = 700;

export interface UsbBoardOptions {
  readonly serialNumber?: string | undefined;
  readonly product?: string | undefined;
  /** The bootloader's USB stack tells no serial number, as many do not. */
  readonly anonymousInRecovery?: boolean;
  /**
   * What runs has USB and no ear for SMP, as an application that hangs: it shows itself as the application until
   * {@link UsbBoard.enterRecovery}, whatever the bootloader says.
   */
  readonly isDeaf?: boolean;
  /**
   * With `isDeaf`: once it has power its bootloader is on the bus for so long and takes any request for a visitor who wants
   * serial recovery, as MCUboot's wait-for-DFU does; then what hangs is started. Our own bootloader has no such window.
   */
  readonly windowMs?: number;
  /** How long it is gone from the bus when it restarts. Default 700. */
  readonly restartMs?: number;
  /** Interfaces besides the two serial ports; numbers from 4 and endpoints from 5 are free. */
  readonly more?: readonly UsbFunction[];
}

/** Numbers of the control interfaces: SMP, then the log. */
export const SMP_INTERFACE = 0;
export const LOG_INTERFACE = 2;

/** What our bootloader says on its log when it starts, and when it waits in serial recovery. */
const STARTS = /^boot: boot \d+/;
const WAITS_IN_RECOVERY = /: recovery, value/;

/**
 * One of our emulated boards as a USB device: its SMP UART is a CDC-ACM port, its log UART a second one. As on a real
 * board the device is gone while the board restarts, and enumerates anew; in serial recovery as another device, with one
 * port and MCUboot's default names.
 */
export class UsbBoard {
  readonly board: Board;
  readonly port: UsbPort;
  /** The port of the application. */
  readonly smp: CdcAcm;
  readonly device: EmulatedDevice;
  /** The bootloader, and its port. */
  readonly recovery: EmulatedDevice;
  readonly recoveryPort = new CdcAcm({ firstInterface: 0, firstEndpoint: 1 });
  /** Times the device was plugged in, by a hand or by the board's own start. */
  enumerations = 0;
  /** Bytes the board's UART has received over USB. */
  received = 0;
  /** Called after each packet that was received. */
  onReceived: (total: number, packet: Uint8Array) => void = () => {};
  readonly #uart: ByteStream;
  readonly #restartMs: number;
  #mode: "application" | "recovery" = "application";
  #isDeaf: boolean;
  /** Somebody has spoken to the bootloader since its window opened. */
  #isHeld = false;
  #isInserted = false;
  #restarts = 0;
  #switching: Promise<void> = Promise.resolve();

  private constructor(board: Board, uart: ByteStream, port: UsbPort, options: UsbBoardOptions) {
    this.board = board;
    this.port = port;
    this.#uart = uart;
    this.#restartMs = options.restartMs ?? RESTART_MS;
    this.smp = new CdcAcm({ firstInterface: SMP_INTERFACE, firstEndpoint: 1, name: "SMP" });
    const log = new CdcAcm({ firstInterface: LOG_INTERFACE, firstEndpoint: 3, name: "Log" });
    const { serialNumber, product = "Bootproof board", more = [] } = options;
    const shape = { vendorId: 0x2fe3, productId: 0x0004, release: 0x0100, manufacturer: "Bootproof" };
    this.device = new EmulatedDevice({ ...shape, product, serialNumber }, [this.smp, log, ...more]);
    const inRecovery = { vendorId: 0x2fe3, productId: 0x0100, release: 0x0404, manufacturer: "ZEPHYR" };
    this.recovery = new EmulatedDevice(
      {
        ...inRecovery,
        product: "MCUBOOT",
        serialNumber: options.anonymousInRecovery ? undefined : serialNumber,
      },
      [this.recoveryPort],
    );
    this.#isDeaf = options.isDeaf ?? false;
    this.smp.onData = (bytes) => (this.#isDeaf ? undefined : this.#receive(bytes));
    this.recoveryPort.onData = (bytes) => {
      this.#isHeld = true;
      return this.#receive(bytes);
    };
    for (const line of board.log.lines) this.#hear(line);
    board.log.onLine((line) => {
      this.#hear(line);
      if (log.lines.dtr) log.send(Buffer.from(`${line}\r\n`));
    });
    board.onEvent((event) => {
      if (event.kind === "reset") void this.#restart();
      else if (!event.on) void this.#do(() => this.port.unplug());
      else if (options.windowMs !== undefined) this.#openWindow(options.windowMs);
    });
    void this.#forward();
  }

  /** A board that is on, not yet plugged in. */
  static async build(board: Board, port: UsbPort, options: UsbBoardOptions = {}): Promise<UsbBoard> {
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

  /** What makes a deaf application leave: a reset with a pin held, a touch at 1200 baud. */
  enterRecovery(): void {
    this.#isDeaf = false;
    this.#mode = "recovery";
    void this.#restart();
  }

  get mode(): "application" | "recovery" {
    return this.#mode;
  }

  async close(): Promise<void> {
    await this.unplug();
    await this.#uart.close();
    await this.board.close();
  }

  #openWindow(windowMs: number): void {
    this.#isDeaf = false;
    this.#isHeld = false;
    this.#mode = "recovery";
    setTimeout(() => {
      if (this.#isHeld || !this.board.isOn) return;
      this.#isDeaf = true;
      this.#mode = "application";
      void this.#restart();
    }, windowMs).unref();
  }

  /** A bootloader may reset again before the device was ever back; on the bus that is one absence. */
  async #restart(): Promise<void> {
    const restart = ++this.#restarts;
    await this.#do(() => this.port.unplug());
    await new Promise((resolve) => setTimeout(resolve, this.#restartMs));
    if (restart === this.#restarts) await this.#do(() => this.#appear());
  }

  async #appear(): Promise<void> {
    if (!this.#isInserted || !this.board.isOn || this.port.device) return;
    this.enumerations++;
    await this.port.plug(this.#mode === "recovery" ? this.recovery : this.device);
  }

  #hear(line: string): void {
    if (this.#isDeaf) return;
    if (STARTS.test(line)) this.#mode = "application";
    if (!WAITS_IN_RECOVERY.test(line)) return;
    this.#mode = "recovery";
    // It was back as the application before its bootloader had decided.
    if (this.port.device === this.device) void this.#restart();
  }

  async #receive(bytes: Uint8Array): Promise<void> {
    await this.#uart.write(bytes);
    this.received += bytes.length;
    this.onReceived(this.received, bytes);
  }

  async #forward(): Promise<void> {
    try {
      // Without DTR nobody listens, and a firmware keeps quiet.
      for await (const chunk of this.#uart.chunks) {
        const acm = this.port.device === this.recovery ? this.recoveryPort : this.smp;
        if (acm.lines.dtr && !this.#isDeaf) acm.send(chunk);
      }
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
