import type { Client } from "../client/client.js";
import { windowSizes } from "../client/flow-control.js";
import { rawFraming } from "../smp/framing/raw.js";
import type { Advice, Measured } from "./diagnosis.js";
import { uploadRate } from "./link-rate.js";

/** A change that brings less is not worth a new firmware. */
const WORTH = 1.1;
/** An erase as long as this makes the first chunk of an upload look like a silent board to many clients. */
const LONG_ERASE_MS = 2000;

/** The one change that would help most: what loses data first, then what makes uploads fastest. */
export function advise(client: Client, measured: Measured, version: string | undefined): Advice | undefined {
  const { server, losesBursts, losesLongMessages, overShell, eraseMs } = measured;
  const isRecovery = server.mode === "recovery";
  if (losesLongMessages) {
    return {
      setting:
        "a Zephyr in which the header of each line is read byte by byte (zephyr issue 117129, August 2026)",
      why: `Short messages are answered, one of ${measured.largestMessage} bytes never is, so uploads cannot work. On cores without unaligned access (Cortex-M0, M0+, M23) Zephyr's serial and shell transports fault at messages of several lines; on others look for a buffer or stack that is too small.`,
    };
  }
  if (losesBursts) {
    const lines = Math.ceil((measured.largestMessage + 4) / BYTES_A_LINE);
    const setting = isRecovery
      ? "CONFIG_BOOT_LINE_BUFS"
      : overShell
        ? "CONFIG_MCUMGR_TRANSPORT_SHELL_RX_BUF_COUNT"
        : "CONFIG_UART_MCUMGR_RX_BUF_COUNT";
    return {
      setting: `${setting}=${lines}`,
      why: `The server loses messages of more than two lines, so each line has to be followed by a pause; its longest message has ${lines}.`,
    };
  }
  // Reckoned as a gain, since without a known line only rounds were measured.
  const now = uploadRate(shapeOf(client, measured));
  const best = alternatives(client, measured)
    .map((one) => {
      const gain = uploadRate({ ...shapeOf(client, measured), ...one.change }) / now;
      return { ...one, uploadRate: measured.uploadRate * gain };
    })
    .sort((a, b) => b.uploadRate - a.uploadRate)[0];
  if (best && best.uploadRate > measured.uploadRate * WORTH) {
    const { setting, why, needs, uploadRate: rate } = best;
    const has = version === undefined ? "" : `; this board has ${version}`;
    return { setting, why, ...(needs === undefined ? {} : { needs: needs + has }), uploadRate: rate };
  }
  if (eraseMs !== undefined && eraseMs > LONG_ERASE_MS) {
    return {
      setting: isRecovery ? "CONFIG_BOOT_ERASE_PROGRESSIVELY=y" : "CONFIG_IMG_ERASE_PROGRESSIVELY=y",
      why: "The slot is erased in one go before the first chunk is answered.",
    };
  }
  return undefined;
}

const BYTES_A_LINE = 93;
const LARGE_BUFFER = 2048;
const FAST_BAUD = 1_000_000;
/** What FTDI's adapters hold answers back for, unless told otherwise, and what is left of it then. */
const ADAPTER_LATENCY = { usualMs: 12, leastMs: 2 } as const;

function shapeOf(client: Client, { server, baudRate, latencyMs }: Measured) {
  const window = windowSizes(server, client.framing.name).safe;
  return { framing: client.framing, bufSize: server.bufSize, baudRate, latencyMs, window };
}

/** Options that no release up to 2.4.0 has. */
const AFTER_2_4 = "MCUboot newer than 2.4.0 (its main branch; no release has it yet)";

interface Alternative extends Advice {
  readonly change: Partial<ReturnType<typeof shapeOf>>;
}

function alternatives(client: Client, measured: Measured): Alternative[] {
  const { server, baudRate, latencyMs, overShell } = measured;
  const isRecovery = server.mode === "recovery";
  const { name } = client.framing;
  const rows: (Alternative & { fits: boolean })[] = [
    {
      fits: server.bufSizeFrom === "assumed",
      setting: isRecovery ? "CONFIG_BOOT_MGMT_MCUMGR_PARAMS=y" : "CONFIG_MCUMGR_GRP_OS_MCUMGR_PARAMS=y",
      why: "The server does not say how large its buffers are, so the smallest usual size is assumed.",
      ...(isRecovery ? { needs: AFTER_2_4 } : {}),
      change: { bufSize: isRecovery ? 1024 : server.bufSize, window: isRecovery ? 1 : 3 },
    },
    {
      fits: server.bufSizeFrom === "server" && server.bufSize < LARGE_BUFFER && name !== "datagram",
      setting: isRecovery
        ? `CONFIG_BOOT_SERIAL_MAX_RECEIVE_SIZE=${LARGE_BUFFER}`
        : `CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE=${LARGE_BUFFER}`,
      why: `A buffer of ${server.bufSize} bytes makes many small messages.`,
      change: { bufSize: LARGE_BUFFER },
    },
    {
      fits: !isRecovery && name !== "raw" && server.bufCount !== undefined && server.bufCount < 4,
      setting: "CONFIG_MCUMGR_TRANSPORT_NETBUF_COUNT=4",
      why: "With so few buffers the next request has to wait for the answer to the one before.",
      change: { window: 3 },
    },
    {
      fits: name === "console" && baudRate !== undefined && !overShell,
      setting: isRecovery
        ? "CONFIG_BOOT_SERIAL_RAW_PROTOCOL=y"
        : "CONFIG_MCUMGR_TRANSPORT_RAW_UART=y with CONFIG_UART_MCUMGR_RAW_PROTOCOL=y",
      why: "Console framing sends a third more bytes; raw framing adds none, but it has no checksum either.",
      needs: isRecovery ? AFTER_2_4 : "Zephyr 4.4",
      change: { framing: rawFraming, window: 1 },
    },
    {
      fits: baudRate !== undefined && baudRate < FAST_BAUD,
      setting: `current-speed = <${FAST_BAUD}> at the UART's devicetree node, and ?baud=${FAST_BAUD} here`,
      why: `The line itself is the limit at ${baudRate} baud.`,
      change: { baudRate: FAST_BAUD },
    },
    {
      fits: latencyMs > ADAPTER_LATENCY.usualMs && baudRate !== undefined,
      setting: latencySetting(process.platform),
      why: `Each round takes ${Math.round(latencyMs)} ms more than its bytes need; many adapters hold back answers for 16 ms.`,
      change: { latencyMs: ADAPTER_LATENCY.leastMs },
    },
  ];
  return rows.filter(({ fits }) => fits);
}

/** How the USB adapter is told not to hold answers back, in the words of this machine. */
export function latencySetting(platform: NodeJS.Platform): string {
  switch (platform) {
    case "win32":
      return "latency timer of the USB adapter: 1 ms in the Device Manager (the port's properties, Port Settings, Advanced)";
    case "linux":
      return "latency_timer of the USB adapter: 1 in /sys/bus/usb-serial/devices/ttyUSB*/latency_timer";
    default:
      return "latency timer of the USB adapter: 1 ms in the settings of its driver";
  }
}
