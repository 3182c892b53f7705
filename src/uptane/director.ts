import { isObject, type JsonObject } from "../tuf/canonical-json.js";
import type { Metadata, TargetFile } from "../tuf/metadata-types.js";
import { UptaneError } from "./error.js";

/** One ECU of a vehicle; a board. */
export interface Ecu {
  readonly serial: string;
  readonly hardwareId: string;
  /** Of the image that is installed; absent when none is known. */
  readonly releaseCounter?: number | undefined;
}

/** The vehicle whose directions are checked. */
export interface Vehicle {
  /** Without it, an empty list of targets cannot be told from another vehicle's. */
  readonly id?: string | undefined;
  readonly ecus: readonly Ecu[];
}

/** Which target the Director directs an ECU to. */
export interface Assignment {
  readonly ecu: Ecu;
  readonly target: TargetFile;
}

/**
 * What the Director directs the ECUs of a vehicle to. No delegations; each ECU at most once, known, and of the hardware
 * that is named; an empty list only with the vehicle's id.
 *
 * Source: Uptane Standard 2.1.0, sections 5.2.7 and 5.4
 *
 * @param targets - the Director's targets metadata, verified
 * @throws UptaneError
 */
export function readAssignments({ signed, raw }: Metadata<"targets">, vehicle: Vehicle): Assignment[] {
  const { delegations } = signed;
  if (delegations && (delegations.succinct || (delegations.roles ?? []).length > 0))
    throw new UptaneError(
      "director-delegates",
      "targets",
      "The Director's targets metadata delegates to other roles.",
    );
  mustBeFor(vehicle, vehicleIdIn(raw), signed.targets.size === 0);
  const assignments: Assignment[] = [];
  for (const target of signed.targets.values())
    for (const [serial, hardwareId] of ecusOf(target)) {
      const ecu = vehicle.ecus.find((known) => known.serial === serial);
      mustFit(target, serial, hardwareId, ecu);
      const other = assignments.find((entry) => entry.ecu.serial === serial)?.target.path;
      if (other !== undefined)
        throw new UptaneError(
          "ecu-twice",
          serial,
          `The Director directs ECU ${serial} to ${other} and to ${target.path}.`,
        );
      assignments.push({ ecu, target });
    }
  return assignments;
}

/** The vehicle's id in the custom data of the Director's targets metadata. */
function vehicleIdIn(raw: JsonObject): string | undefined {
  const id = isObject(raw.custom) ? raw.custom.vehicleId : undefined;
  return typeof id === "string" ? id : undefined;
}

function mustBeFor(vehicle: Vehicle, named: string | undefined, isEmpty: boolean): void {
  if (named === undefined) {
    if (!isEmpty) return;
    throw new UptaneError(
      "wrong-vehicle",
      "targets",
      "The Director directs nothing and names no vehicle: these may be the orders of another vehicle.",
    );
  }
  if (named === vehicle.id || (vehicle.id === undefined && !isEmpty)) return;
  const ours = vehicle.id === undefined ? "the id of this vehicle was not given" : `this is ${vehicle.id}`;
  throw new UptaneError("wrong-vehicle", named, `The Director's targets are for vehicle ${named}; ${ours}.`);
}

function ecusOf({ path, custom }: TargetFile): [string, string][] {
  const listed = custom?.ecuIdentifiers;
  if (!isObject(listed) || Object.keys(listed).length === 0)
    throw new UptaneError("bad-assignment", path, `The Director lists ${path} for no ECU.`);
  return Object.entries(listed).map(([serial, entry]) => {
    const hardwareId = isObject(entry) ? entry.hardwareId : undefined;
    if (typeof hardwareId === "string") return [serial, hardwareId];
    throw new UptaneError("bad-assignment", path, `The Director names no hardware id for ECU ${serial}.`);
  });
}

function mustFit(
  target: TargetFile,
  serial: string,
  hardwareId: string,
  ecu: Ecu | undefined,
): asserts ecu is Ecu {
  if (!ecu)
    throw new UptaneError(
      "unknown-ecu",
      serial,
      `The Director directs ECU ${serial} to ${target.path}; this vehicle has no such ECU.`,
    );
  if (hardwareId !== ecu.hardwareId)
    throw new UptaneError(
      "wrong-hardware-id",
      serial,
      `The Director directs ECU ${serial} to an image for ${hardwareId}; the ECU is ${ecu.hardwareId}.`,
    );
}
