import type { Setting } from "./row.js";

const BAUDS = [115200, 1_000_000];
const DELAYS = [0, 5, 16];
const BUFFERS = [256, 384, 512, 1024, 2048];

/** Buffers enough for the longest delay at a megabaud. */
const MANY = 8;

function over(settings: Omit<Setting, "baud" | "delayMs">, bauds = BAUDS, delays = DELAYS): Setting[] {
  return bauds.flatMap((baud) => delays.map((delayMs) => ({ ...settings, baud, delayMs })));
}

/** The lines that are measured, a row each. */
export const matrix: readonly Setting[] = [
  ...BUFFERS.flatMap((buffer) => over({ board: "wasm", buffer, bufferCount: MANY })),
  ...BUFFERS.flatMap((buffer) => over({ board: "wasm", buffer, bufferCount: 1 })),
  // The usual number of buffers, where it holds the window back.
  ...[256, 1024].flatMap((buffer) => over({ board: "wasm", buffer, bufferCount: 4 })),
  ...over({ board: "wasm", buffer: 256, bufferCount: 2 }),
  ...[512, 1024].flatMap((buffer) => [
    ...over({ board: "wasm", buffer, bufferCount: MANY, errorRate: 1e-4 }),
    ...over({ board: "wasm", buffer, bufferCount: 1, errorRate: 1e-4 }, BAUDS, [0]),
  ]),
  // QEMU's UART takes about 50 kB/s: a megabaud would measure that.
  ...over({ board: "mps2_an385.serial_recovery" }, [115200]),
  ...over({ board: "mps2_an385.serial_recovery_buf1024" }, [115200]),
  ...over({ board: "mps2_an385.serial_recovery_buf2048" }, [115200]),
  ...over({ board: "mps2_an385.serial_recovery_raw" }, [115200]),
  ...over({ board: "mps2_an385.serial_recovery", recovery: true }, [115200]),
  ...over({ board: "mps2_an385.serial_recovery_raw", recovery: true }, [115200]),
  ...over({ board: "qemu_cortex_m0.serial" }, [115200], [0, 16]),
];
