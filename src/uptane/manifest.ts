import { fromBase64, fromHex, toBase64 } from "../bytes.js";
import {
  canonicalJson,
  isList,
  isObject,
  type Json,
  type JsonObject,
  parseJson,
} from "../tuf/canonical-json.js";
import type { TufKey } from "../tuf/metadata-types.js";
import type { VerifySignature } from "../tuf/signatures.js";
import { UptaneError } from "./error.js";

/** The image that an ECU runs. */
export interface InstalledImage {
  readonly path: string;
  /** Bytes. */
  readonly length: number;
  /** Hash name -> hex. */
  readonly hashes: Readonly<Record<string, string>>;
}

/** What one ECU reports of itself. */
export interface EcuReport {
  readonly ecu: string;
  readonly installed: InstalledImage;
  /** Attacks that the ECU has seen, in words; empty when it has seen none. */
  readonly attacks: string;
  /** The latest time that the ECU knows, and the one it knew at its report before: `YYYY-MM-DDTHH:MM:SSZ`. */
  readonly time: string;
  readonly previousTime: string;
  /** Rises with every report, so that none can be sent twice. */
  readonly counter: number;
  /** More that is signed: evidence from a board, and who holds its key. */
  readonly custom?: JsonObject | undefined;
}

/** Signs the canonical form of a report or manifest. */
export interface ManifestSigner {
  readonly keyid: string;
  /** As `method` spells it: `ed25519`, `rsassa-pss-sha256`, `ecdsa-sha2-nistp256`. */
  readonly method: string;
  readonly sign: (message: Uint8Array) => Promise<Uint8Array>;
}

/** Signed JSON: what is signed, and by whom. */
export interface SignedJson {
  readonly signed: JsonObject;
  readonly signatures: readonly JsonObject[];
}

/**
 * An ECU's version report, signed with its key. A bridge that holds the key of a board that cannot sign says so in
 * `custom`.
 *
 * Source: Uptane Standard 2.1.0, section 5.4.2; the names are aktualizr's
 *
 * @param report - what is installed, with length in bytes and hashes in hex; times as RFC 3339, UTC
 * @param signer - with the ECU's key
 * @returns to be part of a manifest
 */
export async function signReport(report: EcuReport, signer: ManifestSigner): Promise<SignedJson> {
  const { ecu, installed, attacks, time, previousTime, counter, custom } = report;
  return signed(
    {
      ecu_serial: ecu,
      installed_image: {
        filepath: installed.path,
        fileinfo: { length: installed.length, hashes: installed.hashes },
      },
      attacks_detected: attacks,
      timeserver_time: time,
      previous_timeserver_time: previousTime,
      report_counter: String(counter),
      ...(custom && { custom }),
    },
    signer,
  );
}

/** What a Primary says of its vehicle. */
export interface ManifestContent {
  readonly vehicle: string;
  /** Serial of the Primary. */
  readonly primary: string;
  /** Signed reports, the Primary's own included. */
  readonly reports: readonly SignedJson[];
  /** How an installation went, in aktualizr's shape. */
  readonly installation?: JsonObject | undefined;
}

/**
 * The vehicle version manifest as a file: all reports, signed by the Primary.
 *
 * @param content - the vehicle, its Primary, and each ECU's report
 * @param signer - with the Primary's key
 * @returns the bytes of the file, JSON
 * @throws UptaneError `bad-manifest` when two reports are of one ECU, or the Primary has none
 */
export async function writeManifest(content: ManifestContent, signer: ManifestSigner): Promise<Uint8Array> {
  const { vehicle, primary, reports, installation } = content;
  const named = reports.map((report) => [String(report.signed.ecu_serial), report] as const);
  const serials = named.map(([serial]) => serial);
  const twice = serials.find((serial, index) => serials.indexOf(serial) !== index);
  if (twice !== undefined) throw bad(`ECU ${twice} has two reports`);
  if (!serials.includes(primary)) throw bad(`the Primary ${primary} has no report`);
  const manifest = await signed(
    {
      vehicle_id: vehicle,
      primary_ecu_serial: primary,
      ecu_version_manifests: Object.fromEntries(named) as unknown as JsonObject,
      ...(installation && { installation_report: installation }),
    },
    signer,
  );
  return new TextEncoder().encode(`${JSON.stringify(manifest, undefined, 2)}\n`);
}

async function signed(content: JsonObject, { keyid, method, sign }: ManifestSigner): Promise<SignedJson> {
  const sig = toBase64(await sign(canonicalJson(content)));
  return { signed: content, signatures: [{ keyid, method, sig }] };
}

/** A manifest that was read. Nothing in it is verified yet. */
export interface Manifest {
  /** Absent where the way the manifest came says whose it is, as with aktualizr. */
  readonly vehicle?: string;
  readonly primary: string;
  readonly reports: ReadonlyMap<string, EcuReport>;
  readonly installation?: JsonObject;
  /** As it came. */
  readonly raw: SignedJson;
}

/** Longest manifest that is read. */
const MAX_LENGTH = 1_048_576;

/**
 * Reads a vehicle version manifest.
 *
 * @param bytes - JSON, as it came
 * @returns its reports; nothing is verified
 * @throws UptaneError `bad-manifest`; TufError `bad-metadata` when it is no JSON
 */
export function parseManifest(bytes: Uint8Array): Manifest {
  if (bytes.length > MAX_LENGTH) throw bad(`it has more than ${MAX_LENGTH} bytes`);
  const raw = signedJson(parseJson(bytes, "The version manifest"), "it");
  const { vehicle_id: vehicle, primary_ecu_serial: primary, installation_report: installation } = raw.signed;
  const listed = raw.signed.ecu_version_manifests;
  if (typeof primary !== "string") throw bad("primary_ecu_serial is missing");
  if (vehicle !== undefined && typeof vehicle !== "string") throw bad("vehicle_id is not a text");
  if (!isObject(listed)) throw bad("ecu_version_manifests is missing");
  const reports = new Map(
    Object.entries(listed).map(([serial, entry]) => {
      const report = readReport(signedJson(entry, `the report of ${serial}`).signed, serial);
      return [serial, report];
    }),
  );
  return {
    primary,
    reports,
    raw,
    ...(vehicle !== undefined && { vehicle }),
    ...(isObject(installation) && { installation }),
  };
}

function signedJson(value: Json | undefined, what: string): SignedJson {
  if (!isObject(value) || !isObject(value.signed)) throw bad(`${what} has no "signed"`);
  const { signed, signatures } = value;
  if (signatures === undefined || !isList(signatures) || !signatures.every((entry) => isObject(entry)))
    throw bad(`${what} has no list of signatures`);
  return { signed, signatures: signatures as readonly JsonObject[] };
}

function readReport(signed: JsonObject, serial: string): EcuReport {
  const text = (name: string): string => {
    const value = signed[name];
    if (typeof value === "string") return value;
    throw bad(`${name} of ECU ${serial} is missing`);
  };
  if (text("ecu_serial") !== serial)
    throw bad(`the report of ECU ${text("ecu_serial")} stands under ${serial}`);
  const counter = text("report_counter");
  if (!/^\d{1,15}$/.test(counter)) throw bad(`report_counter of ECU ${serial} is not a whole number`);
  return {
    ecu: serial,
    installed: readImage(signed.installed_image, serial),
    attacks: text("attacks_detected"),
    time: text("timeserver_time"),
    previousTime: text("previous_timeserver_time"),
    counter: Number(counter),
    ...(isObject(signed.custom) && { custom: signed.custom }),
  };
}

function readImage(image: Json | undefined, serial: string): InstalledImage {
  const info = isObject(image) ? image.fileinfo : undefined;
  if (!isObject(image) || typeof image.filepath !== "string" || !isObject(info) || !isObject(info.hashes))
    throw bad(`installed_image of ECU ${serial} is missing`);
  const { length, hashes } = info;
  if (typeof length !== "number" || !Number.isSafeInteger(length) || length < 0)
    throw bad(`the image of ECU ${serial} has no length`);
  const texts = Object.entries(hashes).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
  return { path: image.filepath, length, hashes: Object.fromEntries(texts) };
}

/** What a Director knows of a vehicle when its manifest comes. */
export interface KnownVehicle {
  readonly id: string;
  readonly primary: string;
  /** Serial -> its ECU. */
  readonly ecus: ReadonlyMap<string, KnownEcu>;
}

export interface KnownEcu {
  readonly key: TufKey;
  /** Of the last report that was believed; absent when there was none. */
  readonly counter?: number;
}

/**
 * The checks that a Director owes a manifest: of this vehicle, signed by the Primary and each report by its ECU, every
 * known ECU there and no other, no report twice, and no time that is later than now or earlier than the report before.
 *
 * Source: Uptane Standard 2.1.0, section 5.3.2
 *
 * @param manifest - by {@link parseManifest}
 * @param vehicle - its id, its ECUs and their keys, and the reports before
 * @param now - the Director's time
 * @throws UptaneError `wrong-vehicle`, `unknown-ecu`, `manifest-unsigned`, `manifest-implausible`
 */
export async function verifyManifest(
  manifest: Manifest,
  vehicle: KnownVehicle,
  { verify, now }: { verify: VerifySignature; now: Date },
): Promise<void> {
  const named = manifest.vehicle ?? vehicle.id;
  if (named !== vehicle.id || manifest.primary !== vehicle.primary)
    throw new UptaneError(
      "wrong-vehicle",
      named,
      `The manifest is of vehicle ${named} with the Primary ${manifest.primary}, not of ${vehicle.id} with ${vehicle.primary}.`,
    );
  const primary = vehicle.ecus.get(vehicle.primary);
  await mustBeSignedBy(manifest.raw, primary?.key, `The manifest of ${vehicle.id}`, vehicle.primary, verify);
  for (const serial of manifest.reports.keys())
    if (!vehicle.ecus.has(serial))
      throw new UptaneError("unknown-ecu", serial, `The manifest reports ECU ${serial}, which is not known.`);
  for (const [serial, ecu] of vehicle.ecus) await mustBelieve(manifest, serial, ecu, { verify, now });
}

async function mustBelieve(
  manifest: Manifest,
  serial: string,
  { key, counter }: KnownEcu,
  { verify, now }: { verify: VerifySignature; now: Date },
): Promise<void> {
  const report = manifest.reports.get(serial);
  const implausible = (why: string) =>
    new UptaneError(
      "manifest-implausible",
      serial,
      `The report of ECU ${serial} is not to be believed: ${why}.`,
    );
  if (!report) throw implausible("it is missing");
  const listed = manifest.raw.signed.ecu_version_manifests as JsonObject;
  const what = `The report of ECU ${serial}`;
  await mustBeSignedBy(signedJson(listed[serial], what), key, what, serial, verify);
  if (counter !== undefined && report.counter <= counter)
    throw implausible(`its counter is ${report.counter}; ${counter} was there before`);
  const [time, before] = [Date.parse(report.time), Date.parse(report.previousTime)];
  if (Number.isNaN(time) || Number.isNaN(before)) throw implausible("it has no time");
  if (time < before) throw implausible(`its time ${report.time} is before ${report.previousTime}`);
  if (time > now.getTime()) throw implausible(`its time ${report.time} has not come yet`);
}

async function mustBeSignedBy(
  { signed, signatures }: SignedJson,
  key: TufKey | undefined,
  what: string,
  serial: string,
  verify: VerifySignature,
): Promise<void> {
  const message = canonicalJson(signed);
  for (const { sig } of signatures) {
    const bytes = typeof sig === "string" ? signatureBytes(sig) : undefined;
    if (key && bytes && (await verify(key, message, bytes))) return;
  }
  throw new UptaneError("manifest-unsigned", serial, `${what} is not signed by the key of ECU ${serial}.`);
}

/** Base64 as aktualizr writes it, or hex as TUF does. */
function signatureBytes(text: string): Uint8Array | undefined {
  if (/^([0-9a-f]{2})+$/i.test(text)) return fromHex(text);
  try {
    return fromBase64(text);
  } catch {
    return undefined;
  }
}

function bad(why: string): UptaneError {
  return new UptaneError(
    "bad-manifest",
    "manifest",
    `This is not a version manifest that can be used: ${why}.`,
  );
}
