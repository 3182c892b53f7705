/** What is true of one upgrade mode; the columns of {@link UPGRADE_MODES}. */
export interface UpgradeModeFacts {
  /** Short name, in options, files and JSON. */
  readonly name: string;
  /**
   * What MCUmgr's bootloader information and BLINFO report (MCUboot, boot_status.h, `MCUBOOT_MODE_*`). RAM load reports the
   * same number with and without revert.
   */
  readonly number: number;
  /** For people. */
  readonly title: string;
  /** Unconfirmed images run for one trial boot; the next boot reverts to the old image. */
  readonly reverts: boolean;
  /**
   * Who decides which image runs. `trailer`: a request in the secondary's trailer; `version`: the higher version of two
   * slots; `only`: there is one slot; `entrance`: the application, unless a pin, a boot mode or its absence asks for the loader.
   */
  readonly picks: "trailer" | "version" | "only" | "entrance";
  /** An upload runs only after it was marked, in its trailer. */
  readonly marked: boolean;
  /** Where images run. `either`: in the slot they were written to. */
  readonly runsIn: "primary" | "either" | "ram";
  /** What the secondary slot is for. */
  readonly secondary: "update" | "loader" | "none";
  /** The slots are exchanged, so that the old image stays; undefined: nothing is exchanged. */
  readonly swap: SwapFacts | undefined;
  /** What bounds the largest image (bootutil_max_image_size); see `largestImage`. */
  readonly sizeRule: SizeRule;
}

export interface SwapFacts {
  /** Where the bootloader notes how far a swap has come. */
  readonly progressIn: "primary" | "scratch";
  /** Status entries per sector. */
  readonly statusEntries: 2 | 3;
  /** The sector of the secondary in which updates begin. */
  readonly updateSector: 0 | 1;
}

/**
 * `spare-in-primary`, `spare-in-secondary`: slot without the trailer's sectors and one sector more; `scratch`: the trailer,
 * and what the scratch area's own trailer needs; `swap-info`: up to the trailer's field swap_info; `trailer`: primary slot
 * without its trailer.
 */
export type SizeRule = "spare-in-primary" | "spare-in-secondary" | "scratch" | "swap-info" | "trailer";

/** All ways in which MCUboot can be built to start images. One row per mode; everything that depends on the mode reads it here. */
const ROWS = [
  {
    name: "swap-move",
    number: 3,
    title: "swap using move",
    reverts: true,
    picks: "trailer",
    marked: true,
    runsIn: "primary",
    secondary: "update",
    swap: { progressIn: "primary", statusEntries: 3, updateSector: 0 },
    sizeRule: "spare-in-primary",
  },
  {
    name: "swap-offset",
    number: 9,
    title: "swap using offset",
    reverts: true,
    picks: "trailer",
    marked: true,
    runsIn: "primary",
    secondary: "update",
    swap: { progressIn: "primary", statusEntries: 2, updateSector: 1 },
    sizeRule: "spare-in-secondary",
  },
  {
    name: "swap-scratch",
    number: 1,
    title: "swap using scratch",
    reverts: true,
    picks: "trailer",
    marked: true,
    runsIn: "primary",
    secondary: "update",
    swap: { progressIn: "scratch", statusEntries: 3, updateSector: 0 },
    sizeRule: "scratch",
  },
  // MCUBOOT_OVERWRITE_ONLY_FAST copies the image instead of the whole slot and reports the same number.
  {
    name: "overwrite-only",
    number: 2,
    title: "overwrite only",
    reverts: false,
    picks: "trailer",
    marked: true,
    runsIn: "primary",
    secondary: "update",
    swap: undefined,
    sizeRule: "swap-info",
  },
  {
    name: "direct-xip",
    number: 4,
    title: "direct-XIP without revert",
    reverts: false,
    picks: "version",
    marked: false,
    runsIn: "either",
    secondary: "update",
    swap: undefined,
    sizeRule: "swap-info",
  },
  {
    name: "direct-xip-revert",
    number: 5,
    title: "direct-XIP with revert",
    reverts: true,
    picks: "version",
    marked: true,
    runsIn: "either",
    secondary: "update",
    swap: undefined,
    sizeRule: "swap-info",
  },
  {
    name: "ram-load",
    number: 6,
    title: "RAM load",
    reverts: false,
    picks: "version",
    marked: false,
    runsIn: "ram",
    secondary: "update",
    swap: undefined,
    sizeRule: "swap-info",
  },
  {
    name: "ram-load-revert",
    number: 6,
    title: "RAM load with revert",
    reverts: true,
    picks: "version",
    marked: true,
    runsIn: "ram",
    secondary: "update",
    swap: undefined,
    sizeRule: "swap-info",
  },
  {
    name: "single-slot",
    number: 0,
    title: "single slot",
    reverts: false,
    picks: "only",
    marked: false,
    runsIn: "primary",
    secondary: "none",
    swap: undefined,
    sizeRule: "trailer",
  },
  {
    name: "single-slot-ram-load",
    number: 8,
    title: "single slot RAM load",
    reverts: false,
    picks: "only",
    marked: false,
    runsIn: "ram",
    secondary: "none",
    swap: undefined,
    sizeRule: "trailer",
  },
  {
    name: "firmware-loader",
    number: 7,
    title: "firmware loader",
    reverts: false,
    picks: "entrance",
    marked: false,
    runsIn: "primary",
    secondary: "loader",
    swap: undefined,
    sizeRule: "trailer",
  },
] as const satisfies readonly UpgradeModeFacts[];

/** Short name of an upgrade mode. */
export type UpgradeMode = (typeof ROWS)[number]["name"];

/** Modes in which the trailers ask for an upgrade. */
export type SwapMode = Extract<(typeof ROWS)[number], { picks: "trailer" }>["name"];

/** The table: see {@link UpgradeModeFacts} for its columns. */
export const UPGRADE_MODES: readonly (UpgradeModeFacts & { readonly name: UpgradeMode })[] = ROWS;

/** Short names, in the order in which help lists them. */
export const UPGRADE_MODE_NAMES: readonly UpgradeMode[] = ROWS.map(({ name }) => name);

/**
 * What is true of a mode.
 *
 * @param name - one of {@link UPGRADE_MODE_NAMES}
 * @returns its row of the table
 */
export function upgradeMode(name: UpgradeMode): (typeof UPGRADE_MODES)[number] {
  return UPGRADE_MODES.find((row) => row.name === name)!;
}

/**
 * The modes that report a number: none for a number that is not known here, which says nothing of trial boots either; two
 * where the number leaves open whether the bootloader reverts.
 *
 * @param number - as MCUmgr reports it; undefined when it reports none
 * @returns rows of the table
 */
export function upgradeModesOfNumber(number: number | undefined): readonly (typeof UPGRADE_MODES)[number][] {
  return UPGRADE_MODES.filter((row) => row.number === number);
}

/**
 * The mode that reports a number, the one without revert where two do; undefined for an unknown number.
 *
 * @param number - as MCUmgr reports it; undefined when it reports none
 * @returns a row of the table
 */
export function upgradeModeOfNumber(number: number | undefined): (typeof UPGRADE_MODES)[number] | undefined {
  return upgradeModesOfNumber(number)[0];
}

/**
 * A mode whose trailers ask for upgrades; undefined for the others.
 *
 * @param name - of a mode
 * @returns the same name, as a mode that swaps or overwrites
 */
export function swapModeOf(name: UpgradeMode | undefined): SwapMode | undefined {
  return name !== undefined && upgradeMode(name).picks === "trailer" ? (name as SwapMode) : undefined;
}
