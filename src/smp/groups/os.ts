import { command } from "../command.js";
import { bool, int, object, optional, record, text, uint, uint64 } from "../schema.js";
import { osConsoleEcho, osEcho, osParams } from "./os-first.js";

/** Group 0, the operating system. Zephyr, smp_group_0.rst. */
const group = 0;

export { osConsoleEcho, osEcho, osParams };

/** `Z_THREAD_*` bits of a task's `state`. Zephyr, kernel_structs.h. */
export const TASK_STATES = {
  dummy: 0x01,
  pending: 0x02,
  sleeping: 0x04,
  dead: 0x08,
  suspended: 0x10,
  aborting: 0x20,
  suspending: 0x40,
  queued: 0x80,
} as const;

const task = object({
  /** Priority; negative is cooperative. */ prio: int,
  /** Number of the task in this answer. */ tid: uint,
  /** Bits of {@link TASK_STATES}. */ state: uint,
  /** Most stack used so far, in units of 4 bytes. */ stkuse: optional(uint),
  /** Stack size, in units of 4 bytes. */ stksiz: optional(uint),
  /** The same under the name some servers give it. */ stksize: optional(uint),
  /** Context switches. */ cswcnt: optional(uint64),
  /** Time spent running, in kernel ticks or cycles. */ runtime: optional(uint64),
  /** Mynewt's watchdog check-ins; 0 elsewhere. */ last_checkin: optional(uint64),
  next_checkin: optional(uint64),
});

/** What every thread does and needs. Figures a build does not collect are left out. Can exceed the server buffer (EMSGSIZE). */
export const osTaskStats = command({
  name: "os task-stats",
  does: "read state and stack of every thread",
  group,
  id: 2,
  op: "read",
  request: {},
  response: { /** By thread name, or by priority when names are not built in. */ tasks: record(task) },
});

/** Memory pools. Documented, but Zephyr never had it (ENOTSUP); answered by Mynewt's descendants. */
export const osMemoryPools = command({
  name: "os memory-pools",
  does: "read the state of every memory pool",
  group,
  id: 3,
  op: "read",
  request: {},
  /** By pool name. */
  response: record(
    object({
      /** Block size, bytes. */ blksiz: uint,
      /** Blocks in the pool. */ nblks: uint,
      /** Blocks free now. */ nfree: uint,
      /** Fewest blocks ever free. */ min: uint,
    }),
  ),
});

/** The device's clock. Group error RTC_NOT_SET before it was set. */
export const osDatetimeRead = command({
  name: "os datetime get",
  does: "read the device's clock",
  group,
  id: 4,
  op: "read",
  request: {},
  response: { /** `YYYY-MM-DDTHH:MM:SS`, a fraction may follow; no time zone. */ datetime: text },
});

/** Set the device's clock. */
export const osDatetimeWrite = command({
  name: "os datetime set",
  does: "set the device's clock",
  group,
  id: 4,
  op: "write",
  repeatable: true,
  request: {
    /** `YYYY-MM-DDTHH:MM:SS`, a fraction may follow; 19 to 25 characters, no time zone. */ datetime: text,
  },
  response: {},
});

/** Boot modes of {@link osReset}. Zephyr, boot_mode.h, `BOOT_MODE_TYPES`. */
export const BOOT_MODES = { normal: 0, recovery: 1 } as const;

/** Restart. The answer comes first, the restart about 250 ms later. EBUSY when the application does not want to now. */
export const osReset = command({
  name: "os reset",
  does: "restart the device",
  group,
  id: 5,
  op: "write",
  request: {
    /** Restart although the application says it is busy. A boolean: servers ignore the integer the documents speak of. */
    force: optional(bool),
    /** One of {@link BOOT_MODES}, at most 255. Silently ignored by builds without retained boot mode. */
    boot_mode: optional(uint),
  },
  response: {},
});

/** Names and versions of the operating system and the hardware. Group error INVALID_FORMAT for an unknown letter. */
export const osInfo = command({
  name: "os info",
  does: "read names and versions of the operating system and hardware",
  group,
  id: 7,
  op: "read",
  request: {
    /**
     * Letters, any of: s kernel name, n node name, r kernel release, v kernel version, b build date, m machine,
     * p processor, i hardware platform, o operating system, a all. Default s.
     */
    format: optional(text),
  },
  response: { /** The values separated by spaces, always in the order s n r v b m p i o. */ output: text },
});

/**
 * Which bootloader the application was built for: its own build settings, not what the bootloader says. Without a query
 * the name; with `mode` the mode. Group error QUERY_YIELDS_NO_ANSWER for other queries, unless a vendor added them.
 */
export const osBootloaderInfo = command({
  name: "os bootloader-info",
  does: "read which bootloader, in which mode, the application was built for",
  group,
  id: 8,
  op: "read",
  request: { /** `mode`, or a vendor's own. */ query: optional(text) },
  response: {
    /** `MCUboot`; only without a query. */ bootloader: optional(text),
    /** MCUboot, boot_status.h, `MCUBOOT_MODE_*`, -1 for unknown; only for the query `mode`. */ mode: optional(
      int,
    ),
    /** True when older versions are refused; does not tell versions from security counters. Absent means false. */
    "no-downgrade": optional(bool),
  },
});

/** All of the group. */
export const osCommands = [
  osEcho,
  osConsoleEcho,
  osTaskStats,
  osMemoryPools,
  osDatetimeRead,
  osDatetimeWrite,
  osReset,
  osParams,
  osInfo,
  osBootloaderInfo,
] as const;
