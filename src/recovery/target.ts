import type { ConnectOptions } from "../client/connect.js";
import type { BoardProfile, LineStep } from "../profiles/profile.js";
import type { ByteStream } from "../transport/transport.js";

/**
 * A board that does not boot, and what is at hand to get at it. Whatever is absent closes the recovery methods that need it; each
 * says so.
 */
export interface RecoveryTarget {
  /** What a person would call the board. */
  readonly name: string;
  /** Opens the pipe to its SMP port, wherever that is now. Throws `TransportError`. */
  dial(signal: AbortSignal | undefined): Promise<ByteStream>;
  readonly connect?: Omit<ConnectOptions, "signal"> | undefined;
  readonly profile?: BoardProfile | undefined;
  /** Changes the control lines of its serial port. Absent: the pipe has none. */
  readonly lines?:
    | ((steps: readonly LineStep[], signal: AbortSignal | undefined) => Promise<void>)
    | undefined;
  readonly power?: PowerSource | undefined;
  /** Bootloaders that write flash themselves, each behind its own recovery method. */
  readonly usbDfu?: DirectWriter | undefined;
  readonly stRom?: DirectWriter | undefined;
  readonly probe?: DirectWriter | undefined;
  /** Why one of these is absent, in words for who could bring it about. */
  readonly absent?:
    | Readonly<Partial<Record<"power-cycle" | "usb-dfu" | "st-rom" | "debug-probe", string>>>
    | undefined;
  /** Asks a person to do something; false when there is nobody. */
  readonly person?: ((words: string, signal: AbortSignal | undefined) => Promise<boolean>) | undefined;
}

export interface PowerSource {
  readonly name: string;
  /** What switching will do, who else loses power included. */
  describe?(action: "on" | "off"): string;
  off(signal?: AbortSignal): Promise<void>;
  on(signal?: AbortSignal): Promise<void>;
}

/** Something that writes the primary slot without MCUboot's help. */
export interface DirectWriter {
  /** What it will do, before it does it: a command line, a list of pages. */
  readonly summary: string;
  /** What is gone afterwards. */
  readonly destroys: string;
  /** It hands the image to a bootloader that decrypts, instead of writing the slot that runs. Default: no. */
  readonly decrypts?: boolean | undefined;
  /** Writes the image and starts the board. Resolves with a sentence; throws a `BootproofError`. */
  write(
    file: Uint8Array,
    how: { signal?: AbortSignal | undefined; onProgress?: (done: number, total: number) => void },
  ): Promise<string>;
}
