import { realpathSync } from "node:fs";
import type { Command } from "commander";
import { boardsPluggedIn, follow, followUsb } from "../../boards/choose-device.js";
import { SelectionError } from "../../devices/select.js";
import type { PowerConfig } from "../../power/power.js";
import { type FoundBoard, findClashes } from "../../station/clashes.js";
import { type Address, formatAddress, isPipe } from "../../transport/address.js";
import { parseAddress } from "../../transport/parse-address.js";
import { TransportError } from "../../transport/transport.js";
import { type Context, chooseDevice } from "../context.js";
import { printable } from "../output.js";
import { several } from "../several.js";
import { UsageError } from "../usage-error.js";
import { wholeNumber } from "../verb-context.js";

/** Options that name several boards. */
export interface BoardsOptions {
  device?: string[];
  all?: boolean;
  boards?: string | undefined;
  board?: string[];
  tag?: string[];
  /** Of a lab that labgrid runs. */
  place?: string[];
  /** How many places with the tags. */
  places?: number;
  /** What was acquired for them. */
  taken?: readonly ChosenBoard[];
}

/** A board and the name it has in lines and tables. */
export interface ChosenBoard {
  readonly name: string;
  readonly address: Address;
  /** The switch that the board file names; absent for other boards, which the config file describes. */
  readonly power?: PowerConfig;
  /** What the board file says that it is to Uptane. */
  readonly ecu?: { readonly serial: string; readonly hardwareId: string; readonly mayStayBehind: boolean };
}

/** Adds `--all`, `--boards`, `--board`, `--tag`, `--place`, `--places`; `-d` is the verb's own. */
export function severalBoardsOptions(command: Command): Command {
  const filed = command
    .option("--all", "every board of the config file; without one, everything that is plugged in")
    .option("--boards <file>", "the boards of a board file (bootproof help many-boards)")
    .option("--board <name>", "only this board of the board file (repeatable)", several)
    .option(
      "--tag <tag>",
      "only boards of the board file with this tag; without a file, KEY=VALUE of a place of labgrid (repeatable)",
      several,
    );
  return placeOptions(filed);
}

/** Adds `--place` and `--places`. */
export function placeOptions(command: Command): Command {
  return command
    .option(
      "--place <name>",
      "a place of labgrid, acquired for the run and released at the end (repeatable)",
      several,
    )
    .option(
      "--places <number>",
      "how many places of labgrid with the given --tag KEY=VALUE (default 1)",
      wholeNumber("--places", { min: 1, max: 1000 }),
    );
}

/** True when the boards are places of a lab that labgrid runs. */
export function meansPlaces({ boards, tag = [], place, places }: BoardsOptions): boolean {
  return (
    place !== undefined ||
    places !== undefined ||
    (boards === undefined && tag.some((one) => one.includes("=")))
  );
}

/** True when the command line does not name one board in the usual way. */
export function meansSeveral({ device = [], ...options }: BoardsOptions): boolean {
  const { all, boards, board, tag, place, places } = options;
  return device.length > 1 || [all, boards, board, tag, place, places].some((option) => option !== undefined);
}

/**
 * The boards that are meant, each once. Nothing is opened.
 *
 * @throws UsageError when two names mean one board, or the options contradict each other
 * @throws SelectionError when the board file has no such board
 */
export async function chooseBoards(options: BoardsOptions, context: Context): Promise<ChosenBoard[]> {
  const boards = withNumbers(await named(options, context));
  const places = await Promise.all(boards.map((board) => whereIs(board, context)));
  for (const { kind, names, what } of findClashes(places)) {
    const both = printable(names.join(" and "));
    if (kind === "same-place")
      throw new UsageError(`${both} are one board: ${printable(what)}.`, "Name each board once.");
    context.out.note(
      `${both} show the same serial number ${printable(what)}: they are told apart by their USB ports.`,
    );
  }
  return boards;
}

/** @throws UsageError when `-d`, `--all`, `--boards` and places are given together */
export function mustNameOneWay(options: BoardsOptions): void {
  const { device, all, boards, tag, place, places } = options;
  const lab = place ? "--place" : places === undefined ? "--tag KEY=VALUE" : "--places";
  const ways = [
    device && "-d",
    all && "--all",
    boards && "--boards",
    meansPlaces(options) ? lab : undefined,
  ].filter((way) => way !== undefined);
  if (ways.length > 1)
    throw new UsageError(`${ways.join(" and ")} cannot be combined: each says which boards are meant.`);
  if (place && (tag || places !== undefined))
    throw new UsageError("--place names its places; --tag and --places let labgrid choose them.");
  if (places !== undefined && tag === undefined)
    throw new UsageError(
      "--places counts places with certain tags.",
      "Add --tag KEY=VALUE, as labgrid has it.",
    );
}

async function named(options: BoardsOptions, context: Context): Promise<ChosenBoard[]> {
  const { device, boards, taken } = options;
  mustNameOneWay(options);
  if (taken !== undefined) return [...taken];
  if (meansPlaces(options))
    throw new UsageError(
      "This command takes no places of labgrid.",
      "flash, recover and prove do (bootproof help many-boards).",
    );
  if (boards !== undefined) return ofBoardFile(boards, options, context);
  if (options.board ?? options.tag)
    throw new UsageError("--board and --tag choose from a board file.", "Name it with --boards FILE.");
  if (device !== undefined) return Promise.all(device.map((name) => ofName(name, name, context)));
  const configured = Object.keys(context.config.boards);
  if (configured.length > 0) return Promise.all(configured.map((name) => ofName(name, name, context)));
  return pluggedIn(context);
}

async function ofName(name: string, device: string, context: Context): Promise<ChosenBoard> {
  return { name, address: await chooseDevice(device, context) };
}

async function ofBoardFile(
  file: string,
  { board, tag }: BoardsOptions,
  context: Context,
): Promise<ChosenBoard[]> {
  const { boardAddresses } = await import("bootproof/prove");
  const there = boardAddresses(file);
  const list = (words: readonly string[]) => (words.length > 0 ? words.join(", ") : "none");
  for (const name of board ?? [])
    if (!there.some((entry) => entry.name === name))
      throw new SelectionError(
        "no-board",
        name,
        `${file} has no board "${name}".`,
        `Its boards: ${list(there.map((one) => one.name))}.`,
      );
  const tags = [...new Set(there.flatMap((entry) => entry.tags))];
  for (const wanted of tag ?? [])
    if (!tags.includes(wanted))
      throw new SelectionError(
        "no-board",
        wanted,
        `No board of ${file} has the tag "${wanted}".`,
        `Its tags: ${list(tags)}.`,
      );
  const meant = there.filter(
    ({ name, tags: its }) =>
      (board === undefined || board.includes(name)) && (tag ?? []).every((wanted) => its.includes(wanted)),
  );
  if (meant.length === 0)
    throw new SelectionError(
      "no-board",
      [...(board ?? []), ...(tag ?? [])].join(" "),
      `No board of ${file} matches all of --board and --tag.`,
      `Its boards and their tags: ${there.map(({ name, tags: its }) => `${name} (${list(its)})`).join(", ")}.`,
    );
  return Promise.all(
    meant.map(async ({ name, address, why, power, ecu }) => {
      if (address === undefined) throw new UsageError(`${name}: ${why}.`, "Choose boards with --board.");
      return { ...(await ofName(name, address, context)), ...(power && { power }), ...(ecu && { ecu }) };
    }),
  );
}

/** The hardware ids of a board file's boards, as far as it names them. */
export async function hardwareOf(file: string): Promise<{ name: string; hardwareId: string }[]> {
  const { boardAddresses } = await import("bootproof/prove");
  return boardAddresses(file).flatMap(({ name, ecu }) => (ecu ? [{ name, hardwareId: ecu.hardwareId }] : []));
}

/** The vehicle that the boards of a board file form, if they form one. */
export async function vehicleIn(file: string) {
  const { readVehicle } = await import("bootproof/prove");
  return readVehicle(file);
}

/** The vehicle that the boards of a board file form. @throws UsageError when they form none */
export async function vehicleOf(file: string) {
  const vehicle = await vehicleIn(file);
  if (vehicle) return vehicle;
  throw new UsageError(`${file} describes no vehicle.`, "bootproof help uptane shows a board file with one.");
}

async function pluggedIn({ config, signal }: Context): Promise<ChosenBoard[]> {
  const usable = await boardsPluggedIn(config, signal);
  return usable.map(({ usbPort, serialNumber, serialIsShared, ports }) => {
    const { path } = ports[0]!;
    const name = (serialIsShared ? undefined : serialNumber) ?? usbPort ?? path;
    return { name, address: parseAddress(usbPort === undefined ? `serial:${path}` : `port:${usbPort}`) };
  });
}

/** Several emulated boards of one variant have one name: a number tells them apart. */
function withNumbers(boards: readonly ChosenBoard[]): ChosenBoard[] {
  const seen = new Map<string, number>();
  return boards.map((board) => {
    const { name } = board;
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return { ...board, name: count === 1 ? name : `${name}#${count}` };
  });
}

async function whereIs({ name, address }: ChosenBoard, context: Context): Promise<FoundBoard> {
  if (!isPipe(address)) {
    // Without a flash file each is a board of its own.
    return address.flash === undefined ? { name } : { name, place: realPath(address.flash) };
  }
  const { config, signal } = context;
  try {
    if (address.kind === "port" || address.kind === "serial") {
      const followed = await follow(address, config, signal);
      if (followed === undefined && address.kind === "serial") return { name, place: realPath(address.path) };
      if (followed === undefined) return { name };
      const { path } = await followed.address(signal);
      const { serialNumber } = followed.device;
      return { name, place: path, ...(serialNumber === undefined ? {} : { serialNumber }) };
    }
    if (address.kind === "usb") {
      const device = (await followUsb(address, config, signal))?.device;
      return device?.usbPort === undefined ? { name } : { name, place: `USB port ${device.usbPort}` };
    }
  } catch (error) {
    // A board that is not there now has no place; its own run says so.
    if (error instanceof SelectionError || error instanceof TransportError) return { name };
    throw error;
  }
  return { name, place: formatAddress(address) };
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // A flash file that does not exist yet is made under this name.
    return path;
  }
}
