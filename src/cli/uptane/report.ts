import { readFacts } from "../../session/board-facts.js";
import { formatAddress } from "../../transport/address.js";
import { trustedTime } from "../../tuf/trusted-time.js";
import { type BoardReading, vehicleManifest } from "../../vehicle/report.js";
import type { BoardOptions } from "../board-options.js";
import type { Context } from "../context.js";
import { writeOutput } from "../files.js";
import type { ChosenBoard } from "../many-boards/choose-boards.js";
import { commonOf } from "../many-boards/drive-verb.js";
import { openBoard } from "../open-board.js";
import { printable } from "../output.js";
import { timeFloors } from "../tuf/time-floors.js";
import { version } from "../version.js";
import { boardsOf, type OpenVehicle, openVehicle, VEHICLE_WAIT_MS } from "./open-vehicle.js";

export interface VehicleReportOptions extends Omit<BoardOptions, "device"> {
  output: string;
  wait?: number;
}

export async function report(file: string, options: VehicleReportOptions, context: Context): Promise<void> {
  const vehicle = await openVehicle(file);
  const boards = await boardsOf(file, vehicle, context);
  const readings = await vehicle.state.alone(VEHICLE_WAIT_MS, () =>
    writeReport(options.output, vehicle, boards, options, context),
  );
  context.out.result(
    {
      file: options.output,
      vehicle: vehicle.facts.id,
      boards: readings.map(({ facts: _facts, ...rest }) => rest),
    },
    `Wrote ${printable(options.output)}: ${readings.length} boards of ${printable(vehicle.facts.id)}, signed by ${printable(vehicle.facts.primary)}`,
  );
}

/** Reads each board and writes the version manifest. A board that does not answer is reported as that. */
export async function writeReport(
  output: string,
  vehicle: OpenVehicle,
  boards: readonly ChosenBoard[],
  options: Omit<VehicleReportOptions, "output">,
  context: Context,
): Promise<BoardReading[]> {
  const { facts, entry, state } = vehicle;
  const readings = await Promise.all(
    entry.ecus.map(({ board: name, serial }) =>
      read(serial, boards.find((board) => board.name === name)!, options, context),
    ),
  );
  const stored = state.store(facts.primary, "director").readLatestTime();
  const { now } = trustedTime(new Date(), [...(await timeFloors(context.out)), ...(stored ? [stored] : [])]);
  const manifest = await vehicleManifest(facts, state, readings, { now, software: `bootproof ${version()}` });
  writeOutput(output, manifest);
  return readings;
}

async function read(
  serial: string,
  { name, address }: ChosenBoard,
  options: Omit<VehicleReportOptions, "output">,
  context: Context,
): Promise<BoardReading> {
  const common = { serial, address: formatAddress(address), readAt: new Date().toISOString() };
  try {
    const board = await openBoard(address, commonOf(options), context, { withinMs: options.wait });
    try {
      const { id } = board.identity;
      const facts = await readFacts(board.session, { signal: context.signal });
      return { ...common, facts, ...(id !== undefined && { identity: id }) };
    } finally {
      await board.close();
    }
  } catch (error) {
    context.signal.throwIfAborted();
    if (!(error instanceof Error)) throw error;
    context.out.warn(`${printable(name)}: ${printable(error.message)}`);
    return { ...common, failure: error.message };
  }
}
