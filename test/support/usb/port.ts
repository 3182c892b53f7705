import type { EmulatedDevice } from "./device.js";

/** A socket into which emulated devices are plugged, whatever carries them to the machine that uses them. */
export interface UsbPort {
  /** What is plugged in. */
  readonly device: EmulatedDevice | undefined;
  plug(device: EmulatedDevice): Promise<void>;
  /** Pulls the plug. Harmless when nothing is in it. */
  unplug(): Promise<void>;
  /** Takes the socket away for good. */
  close(): Promise<void>;
}
