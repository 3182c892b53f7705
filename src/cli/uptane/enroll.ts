import { type EcuKey, ecuKey } from "../../uptane-store/ecu-keys.js";
import { writeOutput } from "../files.js";
import { printable } from "../output.js";
import type { CommonOptions, Context } from "../verb-context.js";
import { openVehicle } from "./open-vehicle.js";

export interface EnrollOptions extends CommonOptions {
  output: string;
  force?: boolean;
}

/** Makes the keys of a vehicle's ECUs, and writes their public halves for the Director. */
export async function enroll(
  file: string,
  { output, force = false }: EnrollOptions,
  { out }: Context,
): Promise<void> {
  const { facts, state } = await openVehicle(file);
  const published = ({ id, key }: EcuKey) => ({ keyid: id, key: key.raw });
  const ecus = Object.fromEntries([
    [facts.primary, published(ecuKey(state, facts.primary))],
    ...facts.ecus.map(({ serial, hardwareId }) => [
      serial,
      { hardwareId, ...published(ecuKey(state, serial)) },
    ]),
  ]);
  const enrolled = { vehicle: facts.id, primary: facts.primary, ecus };
  writeOutput(output, `${JSON.stringify(enrolled, undefined, 2)}\n`, { overwrite: force });
  out.result(
    { file: output, ...enrolled },
    `Wrote ${printable(output)}: ${facts.ecus.length + 1} keys of ${printable(facts.id)}, held by this bench\nGive it to the Director; it tells which manifests are this vehicle's.`,
  );
}
