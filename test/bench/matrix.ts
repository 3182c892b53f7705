import type { Setting } from "./row.js";

const BAUDS = [115200, 1_000_000];
const DELAYS = [0, 5, 16];
const BUFFERS = [256, 384, 512, 1024, 2048, 4096];

/** Buffers enough for the longest delay at a megabaud. */
const MANY = 8;
const NOISE = 1e-4;

function over(settings: Omit<Setting, "baud" | "delayMs">, bauds = BAUDS, delays = DELAYS): Setting[] {
  return bauds.flatMap((baud) => delays.map((delayMs) => ({ ...settings, baud, delayMs })));
}

/** The lines that are measured, a row each. */
export const matrix: readonly Setting[] = [
  ...[MANY, 4, 2, 1].flatMap((bufferCount) =>
    BUFFERS.flatMap((buffer) => over({ board: "wasm", framing: "console", buffer, bufferCount })),
  ),
  ...BUFFERS.flatMap((buffer) => over({ board: "wasm", framing: "raw", buffer, bufferCount: 4 })),
  ...[MANY, 1].flatMap((bufferCount) =>
    BUFFERS.flatMap((buffer) =>
      over({ board: "wasm", framing: "console", buffer, bufferCount, errorRate: NOISE }),
    ),
  ),
  // No noise on raw framing: it has no check of its bytes, so damage cannot be repaired there, only found by the device's hash.
  ...(["fs put", "fs get"] as const).flatMap((what) =>
    [512, 2048].flatMap((buffer) =>
      over({ board: "wasm", what, framing: "console", buffer, bufferCount: 4 }, BAUDS, [0, 16]),
    ),
  ),
  // QEMU's UART takes about 50 kB/s: a megabaud would measure that.
  ...over({ board: "qemu", framing: "console", buffer: 1024, bufferCount: 4 }, [115200]),
  ...over({ board: "qemu", framing: "raw", buffer: 1024, bufferCount: 4 }, [115200]),
  ...over({ board: "mps2_an385.serial_recovery" }, [115200]),
  ...over({ board: "mps2_an385.serial_recovery_buf1024" }, [115200]),
  ...over({ board: "mps2_an385.serial_recovery_buf2048" }, [115200]),
  ...over({ board: "mps2_an385.serial_recovery_raw" }, [115200]),
  ...over({ board: "mps2_an385.serial_recovery", recovery: true }, [115200]),
  ...over({ board: "mps2_an385.serial_recovery_raw", recovery: true }, [115200]),
  ...over({ board: "qemu_cortex_m0.serial" }, [115200], [0, 16]),
  // These have no slots. They look at their pseudo-terminal every few milliseconds, which counts as theirs.
  ...over({ board: "native_sim.serial_bigrx", what: "fs put" }, [115200], [0, 16]),
  ...over({ board: "native_sim.serial_fs", what: "fs put" }, [115200], [0, 16]),
];
