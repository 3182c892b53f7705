import { loadSerialport } from "./native-modules.js";
import { openError } from "./serial.js";
import { TransportError } from "./transport.js";

/** A port whose lines can be switched. Tests play one. */
export interface LinePort {
  set(lines: { dtr: boolean; rts: boolean }): Promise<void>;
  close(): Promise<void>;
}

/** A serial port of this machine whose lines can be switched. Throws {@link TransportError}. */
export async function openLines(path: string, baudRate: number): Promise<LinePort> {
  const { SerialPort } = await loadSerialport();
  const open = async () => {
    const port = new SerialPort({ path, baudRate, autoOpen: false, lock: true });
    // A board that vanishes as it is told to is no fault; what uses the port next will find out.
    port.on("error", () => {});
    await done((callback) => port.open(callback)).catch(async (error: Error) => {
      throw await openError(path, error);
    });
    return port;
  };
  let port = await open();
  const close = async () => {
    if (port.isOpen) await done((callback) => port.close(callback)).catch(() => {});
  };
  return {
    close,
    async set(lines) {
      try {
        if (!port.isOpen) port = await open();
        await done((callback) => port.set(lines, callback));
      } catch (cause) {
        // Ports of CDC-ACM devices that declare no break refuse `set` (node-serialport issue 2777); opening and closing
        // does what can be done without.
        if (lines.dtr !== lines.rts) throw cannotSwitch(path, cause);
        await close();
        if (lines.dtr) port = await open();
      }
    },
  };
}

function cannotSwitch(path: string, cause: unknown): TransportError {
  const hint =
    "This adapter can only raise or drop both. Use one with a driver of its own (FTDI, CP210x, CH34x).";
  return new TransportError("failed", path, `The driver of ${path} cannot switch DTR and RTS one by one.`, {
    hint,
    cause,
  });
}

function done(call: (callback: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => call((error) => (error ? reject(error) : resolve())));
}
