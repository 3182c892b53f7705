import type { Fields } from "./yaml-facts.js";

/** Which ECU of a vehicle a board is. */
export interface EcuEntry {
  readonly serial: string;
  /** Hardware id, as Director and Image repository spell it. */
  readonly hardwareId: string;
  /** Other boards may go on without it when it does not pass. */
  readonly mayStayBehind: boolean;
}

/** The vehicle that boards of a board file form. Paths are absolute, addresses as they stand. */
export interface VehicleEntry {
  readonly id: string;
  /** Serial of the Primary: this host itself. */
  readonly primary: string;
  readonly director: RepositoryEntry;
  readonly images: RepositoryEntry;
  readonly ecus: readonly (EcuEntry & { readonly board: string })[];
}

export interface RepositoryEntry {
  /** An address or a folder. */
  readonly from: string;
  /** File of the root to trust the first time. */
  readonly root?: string;
}

/** Reads a board's `ecu`. Throws `FactsError`. */
export function readEcu(fields: Fields | undefined): EcuEntry | undefined {
  if (!fields) return undefined;
  const ecu = {
    serial: fields.required("serial"),
    hardwareId: fields.required("hardware"),
    mayStayBehind: fields.flag("may-stay-behind") ?? false,
  };
  fields.finish();
  return ecu;
}

/** Reads a board file's `vehicle`; undefined when it has none. Throws `FactsError`. */
export function readVehicleEntry(
  contents: Fields,
  boards: readonly { readonly name: string; readonly ecu?: EcuEntry | undefined }[],
  at: (path: string) => string,
): VehicleEntry | undefined {
  const fields = contents.object("vehicle");
  const ecus = boards.flatMap(({ name, ecu }) => (ecu ? [{ ...ecu, board: name }] : []));
  // Boards may say what they are for bundles, which ask for no vehicle.
  if (!fields) return undefined;
  const place = (name: string): RepositoryEntry => {
    const from = fields.required(name);
    const root = fields.text(`${name}-root`);
    return {
      from: /^https?:\/\//i.test(from) ? from : at(from),
      ...(root !== undefined && { root: at(root) }),
    };
  };
  const vehicle = {
    id: fields.required("id"),
    primary: fields.required("primary"),
    director: place("director"),
    images: place("images"),
    ecus,
  };
  fields.finish();
  if (ecus.length === 0) throw fields.fault("no board of the vehicle has an ecu.");
  const serials = [vehicle.primary, ...ecus.map(({ serial }) => serial)];
  const twice = serials.find((serial, index) => serials.indexOf(serial) !== index);
  if (twice !== undefined) throw fields.fault(`two ECUs have the serial ${twice}.`);
  return vehicle;
}
