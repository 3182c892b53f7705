import type { BoardProfile, DebugTool } from "../../profiles/profile.js";

/** What a tool is told: an image in a file, an address in flash, the chip in the tool's own words. */
export interface ProbeJob {
  readonly file: string;
  readonly address: number;
  readonly chip: string;
}

/** A debug tool, its command lines in order. All write only the sectors that the image touches. */
export interface ProbeTool {
  readonly id: DebugTool;
  readonly program: string;
  /** Shows that it is installed, and does nothing else. */
  readonly version: readonly string[];
  /** It needs no name for the chip. */
  readonly findsChip?: true;
  readonly commands: (job: ProbeJob) => readonly (readonly string[])[];
}

const hex = (address: number) => `0x${address.toString(16)}`;

/** In the order of preference. Options as in each tool's manual. */
export const PROBE_TOOLS: readonly ProbeTool[] = [
  {
    id: "probe-rs",
    program: "probe-rs",
    version: ["--version"],
    commands: ({ file, address, chip }) => [
      [
        "download",
        "--chip",
        chip,
        "--binary-format",
        "bin",
        "--base-address",
        hex(address),
        "--verify",
        file,
      ],
      ["reset", "--chip", chip],
    ],
  },
  {
    id: "pyocd",
    program: "pyocd",
    version: ["--version"],
    commands: ({ file, address, chip }) => [
      ["flash", "--target", chip, "--base-address", hex(address), "--format", "bin", file],
      ["reset", "--target", chip],
    ],
  },
  {
    id: "openocd",
    program: "openocd",
    version: ["--version"],
    // `chip` holds the configuration files, as "interface/stlink.cfg target/stm32f4x.cfg".
    commands: ({ file, address, chip }) => [
      [
        ...chip.split(/\s+/).flatMap((config) => ["-f", config]),
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
    commands: ({ file, address }) => [["-c", "port=SWD", "-w", file, hex(address), "-v", "-rst"]],
  },
];

/** The tools that know the chip of this board, when its primary slot is known too. */
export function usableTools(
  profile: BoardProfile | undefined,
): { tool: ProbeTool; job: Omit<ProbeJob, "file"> }[] {
  const [slot] = profile?.slots ?? [];
  if (profile === undefined || slot === undefined) return [];
  return PROBE_TOOLS.flatMap((tool) => {
    const chip = profile.chip?.[tool.id] ?? (tool.findsChip && profile.rom?.kind === "st" ? "" : undefined);
    return chip === undefined ? [] : [{ tool, job: { address: slot.address, chip } }];
  });
}

/** A command line as a person would type it. */
export function commandLine(program: string, args: readonly string[]): string {
  const quoted = args.map((arg) => (/^[\w./:=,@+-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", "'\\''")}'`));
  return [program, ...quoted].join(" ");
}
