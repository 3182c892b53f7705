import { sha256Hex } from "../../tuf/hashes.js";
import { repositoryFetch } from "../../tuf-store/open-repository.js";
import { withDelegationsFolder } from "../../uptane/verify.js";
import { type VehicleFacts, type VerifiedDirections, verifyForVehicle } from "../../uptane-store/primary.js";
import { VehicleState } from "../../uptane-store/vehicle-state.js";
import { noteSourceRefusal, recordSourceRefusal } from "../audit/source-refusal.js";
import { readInput } from "../files.js";
import { type ChosenBoard, chooseBoards, vehicleOf } from "../many-boards/choose-boards.js";
import { printable } from "../output.js";
import { timeFloors } from "../tuf/time-floors.js";
import type { Context } from "../verb-context.js";
import { uptanePlace } from "./place.js";
import { vehicleFolder } from "./vehicle-folder.js";

/** A vehicle of a board file, and what is kept of it here. */
export interface OpenVehicle {
  readonly facts: VehicleFacts;
  readonly entry: Awaited<ReturnType<typeof vehicleOf>>;
  readonly state: VehicleState;
}

/** Longer than an installation takes that somebody else has begun. */
export const VEHICLE_WAIT_MS = 30_000;

export async function openVehicle(file: string): Promise<OpenVehicle> {
  const entry = await vehicleOf(file);
  const { id, primary, ecus } = entry;
  const facts = { id, primary, ecus: ecus.map(({ serial, hardwareId }) => ({ serial, hardwareId })) };
  return { facts, entry, state: new VehicleState(vehicleFolder(id)) };
}

/** The boards of the vehicle, in the order of the file. */
export function boardsOf(file: string, { entry }: OpenVehicle, context: Context): Promise<ChosenBoard[]> {
  return chooseBoards({ boards: file, board: entry.ecus.map(({ board }) => board) }, context);
}

/** Full verification, by the Primary and for each board. */
export async function verifyVehicle(
  { facts, entry, state }: OpenVehicle,
  { out, signal }: Context,
): Promise<VerifiedDirections> {
  const way = (from: string) => withDelegationsFolder(repositoryFetch(uptanePlace(from), signal));
  const root = (file: string | undefined) => (file === undefined ? undefined : readInput(file));
  const verified = await verifyForVehicle(facts, state, {
    director: way(entry.director.from),
    images: way(entry.images.from),
    clock: new Date(),
    floors: await timeFloors(out),
    roots: { director: root(entry.director.root), images: root(entry.images.root) },
  }).catch(recordSourceRefusal);
  const { clockBehindMs, source, now } = verified.time;
  if (clockBehindMs !== undefined)
    out.warn(
      `This computer's clock is behind: by the ${source} it is at least ${now.toISOString()}. That time is used.`,
    );
  for (const [serial, error] of verified.refused) {
    noteSourceRefusal(error, { ecu: serial });
    out.warn(`ECU ${printable(serial)}: ${printable(error.message)}`);
  }
  return verified;
}

/** Hash of the Director's first root: under it the ratchet remembers versions of metadata. */
export function directorId({ facts, state }: OpenVehicle): string {
  return sha256Hex(state.store(facts.primary, "director").firstRoot() ?? new Uint8Array());
}
