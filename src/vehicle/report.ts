import { toHex } from "../bytes.js";
import { runningSlot } from "../session/board-facts.js";
import type { BoardFacts } from "../session/facts.js";
import type { JsonObject } from "../tuf/canonical-json.js";
import { signReport, writeManifest } from "../uptane/manifest.js";
import { ecuKey } from "../uptane-store/ecu-keys.js";
import type { VehicleFacts } from "../uptane-store/primary.js";
import type { KnownImage, VehicleState } from "../uptane-store/vehicle-state.js";

/** What a board says of itself, or why it says nothing. */
export interface BoardReading {
  readonly serial: string;
  /** Under which it was reached. */
  readonly address: string;
  /** Its own identity; absent when it shows none. */
  readonly identity?: string | undefined;
  readonly readAt: string;
  /** Absent when it did not answer. */
  readonly facts?: BoardFacts;
  readonly failure?: string;
}

/** What stands in a report for an image that no metadata here names: aktualizr's word. */
const UNKNOWN = { path: "unknown", length: 0, hashes: {} } as const;

/**
 * The vehicle version manifest: a report for each board, signed by the bridge that holds its key, with what the board itself
 * said as evidence, and all of them signed by the Primary. Nothing here asks whether metadata has expired.
 *
 * @param vehicle - its id, its Primary and its ECUs
 * @param state - of the vehicle on this host; its counters go up
 * @param readings - what each board said
 * @param now - the time that the bridge trusts
 * @param software - name and version of the Primary's own software
 * @returns the bytes of the manifest, JSON
 */
export async function vehicleManifest(
  vehicle: VehicleFacts,
  state: VehicleState,
  readings: readonly BoardReading[],
  { now, software }: { now: Date; software: string },
): Promise<Uint8Array> {
  const reports = [];
  for (const { serial } of vehicle.ecus) {
    const reading = readings.find((one) => one.serial === serial);
    reports.push(await reportOf(serial, reading, { vehicle, state, now }));
  }
  const primary = nextReport(vehicle.primary, state, now);
  reports.push(
    await signReport(
      { ...primary, installed: UNKNOWN, custom: { signedBy: "the Primary itself", software } },
      ecuKey(state, vehicle.primary).signer,
    ),
  );
  const { report } = state;
  return writeManifest(
    { vehicle: vehicle.id, primary: vehicle.primary, reports, ...(report && { installation: report }) },
    ecuKey(state, vehicle.primary).signer,
  );
}

async function reportOf(
  serial: string,
  reading: BoardReading | undefined,
  { vehicle, state, now }: { vehicle: VehicleFacts; state: VehicleState; now: Date },
) {
  const content = nextReport(serial, state, now);
  const custom: JsonObject = {
    signedBy: `the bridge ${vehicle.primary}, which holds the key of this ECU`,
    ...(reading && { evidence: evidenceOf(reading) }),
  };
  return signReport(
    { ...content, installed: installedOn(serial, reading, state), custom },
    ecuKey(state, serial).signer,
  );
}

/** The counter is on the disk before anything is signed with it. */
function nextReport(serial: string, state: VehicleState, now: Date) {
  const { time: last } = state.ecu(serial);
  const latest = last && Date.parse(last) > now.getTime() ? last : seconds(now);
  const { counter, attacks = "" } = state.changeEcu(serial, (ecu) => ({
    ...ecu,
    counter: ecu.counter + 1,
    time: latest,
  }));
  return { ecu: serial, counter, attacks, time: latest, previousTime: last ?? latest };
}

function installedOn(serial: string, reading: BoardReading | undefined, state: VehicleState) {
  const running = runningOn(reading);
  const hash = running?.hash && toHex(running.hash);
  const candidates: (KnownImage | undefined)[] = [
    state.ecu(serial).installed,
    state.installation?.images[serial],
  ];
  const known = candidates.find((image) => image !== undefined && image.imageHash === hash);
  return known ? { path: known.path, length: known.length, hashes: known.hashes } : UNKNOWN;
}

function runningOn(reading: BoardReading | undefined) {
  return reading?.facts && runningSlot(reading.facts, 0)?.content;
}

function evidenceOf(reading: BoardReading): JsonObject {
  const { address, identity, readAt, failure, facts } = reading;
  const running = runningOn(reading);
  return {
    address,
    readAt,
    ...(identity !== undefined && { identity }),
    ...(failure !== undefined && { failure }),
    ...(facts && { server: facts.server }),
    ...(running && {
      running: {
        version: running.version,
        ...(running.hash && { imageHash: toHex(running.hash) }),
        ...(running.confirmed !== undefined && { confirmed: running.confirmed }),
      },
    }),
  };
}

const seconds = (time: Date): string => time.toISOString().replace(/\.\d+Z$/, "Z");
