import type { Device } from "../devices/device.js";
import type { BoardProfile, DebugTool } from "../profiles/profile.js";
import { slotUnknown, WHICH_BOARD } from "./missing-facts.js";

/** What a tool is told: an image in a file, an address in flash, the chip in the tool's own words, and which probe. */
export interface ProbeJob {
  readonly file: string;
  readonly address: number;
  /** Of the slot that begins there. */
  readonly size: number;
  readonly chip: string;
  /** Left out, tools take the first probe they find. */
  readonly probe?: ProbeId | undefined;
}

export interface ProbeId {
  /** Four hex digits each. */
  readonly vendorId: string;
  readonly productId: string;
  readonly serialNumber: string;
}

/** A debug tool, its command lines in order. All write only the sectors that the image touches. */
export interface ProbeTool {
  readonly id: DebugTool;
  readonly program: string;
  /** Shows that it is installed, and does nothing else. */
  readonly version: readonly string[];
  /** It needs no name for the chip. */
  readonly findsChip?: true;
  /** What it reads; default: the bare image. */
  readonly reads?: "intel-hex";
  readonly commands: (job: ProbeJob) => readonly (readonly string[])[];
}

const hex = (address: number) => `0x${address.toString(16)}`;

/** SEGGER's and Nordic's tools know a J-Link by its number, which USB fills up with zeros. */
const numberOf = ({ vendorId, serialNumber }: ProbeId) =>
  vendorId === SEGGER ? serialNumber.replace(/^0+(?=\d)/, "") : serialNumber;
const SEGGER = "1366";

function probeRs(probe: ProbeId | undefined): string[] {
  return probe ? ["--probe", `${probe.vendorId}:${probe.productId}:${probe.serialNumber}`] : [];
}

/** Without a probe it would wait for one for ever. */
function pyocd(probe: ProbeId | undefined): string[] {
  return ["--no-wait", ...(probe ? ["--uid", numberOf(probe)] : [])];
}

/** In the order of preference. Options as in each tool's manual. */
export const PROBE_TOOLS: readonly ProbeTool[] = [
  {
    id: "probe-rs",
    program: "probe-rs",
    version: ["--version"],
    commands: ({ file, address, chip, probe }) => [
      [
        ...["download", "--chip", chip, ...probeRs(probe)],
        ...["--binary-format", "bin", "--base-address", hex(address), "--verify", file],
      ],
      ["reset", "--chip", chip, ...probeRs(probe)],
    ],
  },
  {
    id: "nrfutil",
    program: "nrfutil",
    // nrfutil alone is only an installer of commands.
    version: ["device", "--version"],
    reads: "intel-hex",
    commands: ({ file, chip: core, probe }) => [
      [
        ...["device", "program", "--firmware", file, "--core", core],
        // By default it erases the whole chip.
        ...[
          "--options",
          "chip_erase_mode=ERASE_RANGES_TOUCHED_BY_FIRMWARE,verify=VERIFY_READ,reset=RESET_SYSTEM",
        ],
        ...(probe ? ["--serial-number", numberOf(probe)] : []),
      ],
    ],
  },
  {
    id: "pyocd",
    program: "pyocd",
    version: ["--version"],
    commands: ({ file, address, chip, probe }) => [
      [
        ...["flash", "--target", chip, ...pyocd(probe)],
        ...["--base-address", hex(address), "--format", "bin", file],
      ],
      ["reset", "--target", chip, ...pyocd(probe)],
    ],
  },
  {
    id: "openocd",
    program: "openocd",
    version: ["--version"],
    // `chip` holds the configuration files, as "interface/stlink.cfg target/stm32f4x.cfg".
    commands: ({ file, address, chip, probe }) => [
      [
        ...chip.split(/\s+/).flatMap((config) => ["-f", config]),
        ...(probe ? ["-c", `adapter serial {${numberOf(probe)}}`] : []),
        "-c",
        `program {${file}} ${hex(address)} verify reset exit`,
      ],
    ],
  },
  {
    id: "stm32programmer",
    program: "STM32_Programmer_CLI",
    version: ["--version"],
    findsChip: true,
    commands: ({ file, address, probe }) => [
      [
        ...["-c", "port=SWD", ...(probe ? [`sn=${probe.serialNumber}`] : [])],
        ...["-w", file, hex(address), "-v", "-rst"],
      ],
    ],
  },
];

/** ST-LINKs that can debug; usb.ids. */
const STLINK = /^0483:37(?:4[48abdef]|5[2-57])$/;
const CMSIS_DAP = /CMSIS-DAP/i;

/** True for a debug probe; a serial adapter in front of a board is none. */
export function isDebugProbe({ vendorId, productId, product = "", interfaces }: Device): boolean {
  return (
    vendorId === SEGGER ||
    STLINK.test(`${vendorId}:${productId}`) ||
    [product, ...interfaces.map(({ name = "" }) => name)].some((text) => CMSIS_DAP.test(text))
  );
}

/**
 * The probe at this board: the device itself when it is one, else the only one that is plugged in. Undefined when none is
 * seen; `several` when it could be any of them, and a tool left to itself would write to the first.
 *
 * @param device - the board as it is plugged in
 * @param among - everything that is plugged in
 * @returns ids and serial number
 */
export function probeAt(
  device: Device | undefined,
  among: readonly Device[],
): ProbeId | "several" | undefined {
  const own = device !== undefined && isDebugProbe(device) ? [device] : among.filter(isDebugProbe);
  const [probe, ...others] = own;
  if (others.length > 0) return "several";
  const { vendorId, productId, serialNumber = "" } = probe ?? {};
  // It becomes part of a command line: what no maker of probes gives them is not passed on.
  if (vendorId !== undefined && productId !== undefined && /^[\w-]{1,64}$/.test(serialNumber))
    return { vendorId, productId, serialNumber };
  return among.filter(isDebugProbe).length > 1 ? "several" : undefined;
}

/**
 * Why no tool can be used for this board, whatever is installed; undefined when one could.
 *
 * @param profile - of the board
 * @returns a sentence
 */
export function whyNoTool(profile: BoardProfile | undefined): string | undefined {
  if (profile === undefined) return WHICH_BOARD;
  if (profile.slots === undefined) return slotUnknown(profile);
  return usableTools(profile).length === 0
    ? `What debug tools call the chip of ${profile.name} is not known (field \`chip\` of a profile).`
    : undefined;
}

/**
 * The tools that know the chip of this board, when its primary slot is known too.
 *
 * @param profile - of the board
 * @returns tools, each with the address and size of the slot in bytes and the chip's name
 */
export function usableTools(
  profile: BoardProfile | undefined,
): { tool: ProbeTool; job: Omit<ProbeJob, "file" | "probe"> }[] {
  const [slot] = profile?.slots ?? [];
  if (profile === undefined || slot === undefined) return [];
  return PROBE_TOOLS.flatMap((tool) => {
    const chip = profile.chip?.[tool.id] ?? (tool.findsChip && profile.rom?.kind === "st" ? "" : undefined);
    return chip === undefined ? [] : [{ tool, job: { ...slot, chip } }];
  });
}

/**
 * A command line as a person would type it.
 *
 * @param program - name or path
 * @param args - one word each
 * @returns quoted for a POSIX shell where that is needed
 */
export function commandLine(program: string, args: readonly string[]): string {
  const quoted = args.map((arg) => (/^[\w./:=,@+-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", "'\\''")}'`));
  return [program, ...quoted].join(" ");
}
