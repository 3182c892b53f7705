import { isObject, type JsonObject, parseJson } from "../../tuf/canonical-json.js";
import { verifyNatively } from "../../tuf-store/native-signatures.js";
import { UptaneError } from "../../uptane/error.js";
import { type KnownVehicle, parseManifest, verifyManifest } from "../../uptane/manifest.js";
import { readAs, readInput, writeOutput } from "../files.js";
import { printable, table } from "../output.js";
import type { CommonOptions, Context } from "../verb-context.js";

export interface ManifestOptions extends CommonOptions {
  vehicle: string;
  remember?: boolean;
}

/** Reads a version manifest as a Director does: checks it against the enrolled keys, and shows what runs where. */
export async function manifest(file: string, options: ManifestOptions, { out }: Context): Promise<void> {
  const enrolled = await readAs(options.vehicle, (bytes) => parseJson(bytes, "The file of enrolled keys"));
  const known = knownVehicle(enrolled as JsonObject);
  const read = parseManifest(readInput(file));
  await verifyManifest(read, known, { verify: verifyNatively, now: new Date() });
  if (options.remember) writeOutput(options.vehicle, withCounters(enrolled as JsonObject, read.reports));
  const reports = [...read.reports.values()];
  const rows = reports.map(({ ecu, installed, counter, time, attacks, custom = {} }) => [
    printable(ecu),
    printable(installed.path),
    String(counter),
    printable(time),
    typeof custom.signedBy === "string" ? printable(custom.signedBy) : "-",
    printable(attacks) || "-",
  ]);
  out.result(
    {
      vehicle: known.id,
      primary: known.primary,
      reports,
      ...(read.installation && { installation: read.installation }),
    },
    `${printable(known.id)}: ${reports.length} reports, all signed\n${table(["ECU", "IMAGE", "COUNTER", "TIME", "SIGNED BY", "ATTACKS"], rows)}`,
  );
}

function knownVehicle(enrolled: JsonObject): KnownVehicle {
  const { vehicle, primary, ecus } = isObject(enrolled) ? enrolled : ({} as JsonObject);
  if (typeof vehicle !== "string" || typeof primary !== "string" || !isObject(ecus)) throw notEnrolled();
  const entries = Object.entries(ecus).map(([serial, entry]) => {
    const key = isObject(entry) ? entry.key : undefined;
    const text = isObject(key) && isObject(key.keyval) ? key.keyval.public : undefined;
    if (!isObject(entry) || !isObject(key) || typeof text !== "string") throw notEnrolled();
    const { keytype, scheme } = key;
    if (typeof keytype !== "string" || typeof scheme !== "string") throw notEnrolled();
    const counter = typeof entry.counter === "number" ? { counter: entry.counter } : {};
    return [serial, { key: { keytype, scheme, public: text, raw: key }, ...counter }] as const;
  });
  return { id: vehicle, primary, ecus: new Map(entries) };
}

function notEnrolled(): UptaneError {
  return new UptaneError("bad-manifest", "vehicle", "This is not a file of a vehicle's enrolled keys.", {
    hint: "bootproof uptane enroll writes one.",
  });
}

function withCounters(enrolled: JsonObject, reports: ReadonlyMap<string, { counter: number }>): string {
  const ecus = Object.fromEntries(
    Object.entries(enrolled.ecus as JsonObject).map(([serial, entry]) => [
      serial,
      { ...(entry as JsonObject), counter: reports.get(serial)!.counter },
    ]),
  );
  return `${JSON.stringify({ ...enrolled, ecus }, undefined, 2)}\n`;
}
