import { createHash } from "node:crypto";
import { parseImage, type TraceRecord } from "bootproof";
import { TLV } from "bootproof/mcuboot";
import type { KeepImage } from "./keep-images.js";
import type { LogLine } from "./log-buffer.js";
import type { Snapshot } from "./snapshot.js";

/** Messages kept of a case, from its beginning and its end, and hex digits kept of each. */
const KEPT_MESSAGES = { first: 40, last: 40 } as const;
const KEPT_HEX = 160;
const KEPT_LINES = 400;

export interface Message {
  readonly at: number;
  readonly direction: "sent" | "received";
  readonly command?: string;
  /** Header and payload, cut. */
  readonly hex: string;
  /** Bytes of the whole message. */
  readonly length: number;
  readonly payload?: string;
}

/** An image file that was given to the board. */
export interface Offered {
  readonly what: string;
  readonly size: number;
  /** Of the whole file, hex. */
  readonly sha256: string;
  /** Its own image hash, when it can be read. */
  readonly imageHash?: string;
  /** What in it is random, so that another run offers a file with another digest: a salt, a content key. */
  readonly random?: readonly string[];
  readonly delivery: string;
  /** Where it was written to, when that was asked for. */
  readonly path?: string;
}

/** One power cut and what came of it. */
export interface CutRecord {
  readonly scenario: string;
  /** Flash operation, or milliseconds after the start, at which power failed. */
  readonly at: number;
  readonly unit: "operation" | "ms" | "byte";
  readonly kind: string;
  readonly ended: string;
  readonly ok: boolean;
}

/** What was seen in one case: enough to check the verdict without the board. */
export interface Evidence {
  /** What was done and seen, in order. */
  readonly notes: readonly { readonly at: number; readonly message: string }[];
  readonly snapshots: readonly Snapshot[];
  readonly offered: readonly Offered[];
  readonly messages: readonly Message[];
  /** How many there were; the report keeps the first and the last. */
  readonly messageCount: number;
  readonly log: readonly LogLine[];
  readonly cuts: readonly CutRecord[];
}

/** How much is kept beyond what a report needs. */
export interface RecorderOptions {
  /** Every message, whole. */
  readonly everything?: boolean | undefined;
  readonly keepImage?: KeepImage | undefined;
}

/** Collects evidence while a case runs. */
export class Recorder {
  readonly #options: RecorderOptions;
  readonly #notes: { at: number; message: string }[] = [];
  readonly #snapshots: Snapshot[] = [];
  readonly #offered: Offered[] = [];
  readonly #first: Message[] = [];
  #last: Message[] = [];
  #count = 0;
  readonly #cuts: CutRecord[] = [];

  constructor(options: RecorderOptions = {}) {
    this.#options = options;
  }

  note(message: string): void {
    this.#notes.push({ at: Date.now(), message });
  }

  addSnapshot(snapshot: Snapshot): void {
    this.#snapshots.push(snapshot);
  }

  offered(what: string, file: Uint8Array, delivery: string): void {
    const sha256 = createHash("sha256").update(file).digest("hex");
    const imageHash = imageHashOf(file);
    const random = delivery === "given" ? [] : randomPartsOf(file);
    const path = this.#options.keepImage?.(file, what);
    this.#offered.push({
      what,
      size: file.length,
      sha256,
      ...(imageHash && { imageHash }),
      ...(random.length > 0 && { random }),
      delivery,
      ...(path === undefined ? {} : { path }),
    });
    const anew = random.length > 0 ? `, with ${random.join(" and ")} generated again` : "";
    this.note(`${delivery}: ${what} (${file.length} bytes, sha256 ${sha256.slice(0, 12)}${anew})`);
  }

  traced(record: TraceRecord): void {
    const kept = this.#options.everything ? record.hex.length : KEPT_HEX;
    const message = {
      at: record.at,
      direction: record.direction,
      ...(record.command === undefined ? {} : { command: record.command }),
      hex: record.hex.slice(0, kept),
      length: record.hex.length / 2,
      ...(record.payload === undefined ? {} : { payload: JSON.stringify(record.payload).slice(0, kept * 2) }),
    };
    this.#count++;
    if (this.#options.everything || this.#first.length < KEPT_MESSAGES.first) this.#first.push(message);
    else this.#last = [...this.#last, message].slice(-KEPT_MESSAGES.last);
  }

  cut(record: CutRecord): void {
    this.#cuts.push(record);
  }

  finish(log: readonly LogLine[]): Evidence {
    return {
      notes: this.#notes,
      snapshots: this.#snapshots,
      offered: this.#offered,
      messages: [...this.#first, ...this.#last],
      messageCount: this.#count,
      log: log.length <= KEPT_LINES ? log : [...log.slice(0, KEPT_LINES / 2), ...log.slice(-KEPT_LINES / 2)],
      cuts: this.#cuts,
    };
  }
}

/** Of a file that was made for this run; the same is made again but for these. */
function randomPartsOf(file: Uint8Array): string[] {
  const types = new Set(tlvTypesOf(file));
  return RANDOM_PARTS.filter(([, its]) => its.some((type) => types.has(type))).map(([name]) => name);
}

/** What is random in every encrypted image. */
export const CONTENT_KEY = "its content key";

const RANDOM_PARTS: readonly (readonly [name: string, types: readonly number[]])[] = [
  ["the salt of its RSA signature", [TLV.RSA2048_PSS, TLV.RSA3072_PSS]],
  [CONTENT_KEY, [TLV.ENC_RSA2048, TLV.ENC_KW, TLV.ENC_EC256, TLV.ENC_X25519, TLV.ENC_X25519_SHA512]],
];

function tlvTypesOf(file: Uint8Array): number[] {
  try {
    return parseImage(file).tlvs.map(({ type }) => type);
  } catch {
    // As for the hash: many bad images have no structure to read.
    return [];
  }
}

/** The image hash of a file in hex; undefined when it cannot be read as an image. */
export function imageHashOf(file: Uint8Array): string | undefined {
  try {
    const { imageHash } = parseImage(file);
    return imageHash && Buffer.from(imageHash.value).toString("hex");
  } catch {
    // Bad images are what this is for: many have no structure to read a hash from.
    return undefined;
  }
}
