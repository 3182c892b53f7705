/** Runs a recorded scenario on our bootloader and says where it behaves otherwise. */

import { createHash } from "node:crypto";
import { toHex } from "../../src/bytes.js";
import type { CutKind } from "../../src/emulator/flash.js";
import { LAYOUT } from "../../src/emulator/layout.js";
import type { Provision } from "../../src/emulator/provision.js";
import { areaOf, HarnessBoard } from "./mcuboot-board.js";
import {
  type BootOutcome,
  beginsLike,
  type Counter,
  type CutSweep,
  imageBytes,
  imageNames,
  isImage,
  type Recording,
  type Scenario,
  type SlotName,
  type Slots,
  type Step,
  sha256,
  type TraceEntry,
} from "./mcuboot-recordings.js";

export interface Difference {
  /** Which quantity: `image`, `counter`, `ops`, ... */
  what: string;
  /** Where in the scenario: step number and what it did. */
  where: string;
  expected: unknown;
  got: unknown;
  /** What our bootloader logged in the boots concerned. */
  log: string;
  /** How MCUboot's boots concerned ended. */
  results: BootOutcome["result"][];
  /** After a power cut: ours ends as MCUboot's update does without one, in every byte of the slots. */
  asUncut?: boolean;
  /** The same for the images that run and the stored counters. */
  sameImages?: boolean;
  /** After a half-done operation: how many bytes it had. */
  tornBytes?: number;
}

/** What was compared, for the summary. */
export interface Tally {
  scenarios: number;
  boots: number;
  sweeps: number;
  cuts: number;
  secondCuts: number;
  tracedOperations: number;
  replayedStates: number;
}

/** One in so many, picked by the seed. */
export interface Sample {
  oneIn: number;
  seed: number;
}

/** A device boots again until a boot changes nothing; the recordings stop at the same number. */
const MOST_BOOTS = 6;
const MAGICS: Record<number, string> = {
  8: "77c295f360d2ef7f3552500f2cb67980",
  16: "10002de15d29410b8d77679c110f1f8a",
  32: "20002de15d29410b8d77679c110f1f8a",
};
const TRAILER_FLAGS = [null, "01", "05"];
const AREAS: Record<number, SlotName> = {
  1: "primary",
  2: "secondary",
  3: "scratch",
  4: "primary_1",
  5: "secondary_1",
};

export class Replay {
  readonly differences: Difference[] = [];
  readonly #recording: Recording;
  readonly #provision: Provision;
  readonly #tally: Tally;
  #board: HarnessBoard;
  #where = "";
  #log = "";
  #results: BootOutcome["result"][] = [];
  /** Bytes of the operation that was cut in half, if one was. */
  #tornBytes: number | undefined;

  /** Power cuts and rows of a matrix that are tried; absent: all of them. */
  readonly #sample: Sample | undefined;

  constructor(recording: Recording, provision: Provision, tally: Tally, sample?: Sample) {
    this.#sample = sample;
    this.#recording = recording;
    this.#provision = provision;
    this.#tally = tally;
    this.#board = HarnessBoard.make(provision);
  }

  run(scenario: Scenario): Difference[] {
    this.#tally.scenarios++;
    if (scenario.counter !== undefined) this.#setCounter(scenario.counter);
    scenario.steps.forEach((step, index) => {
      this.#where = `step ${index} (${step.do})`;
      this.#step(step);
    });
    return this.differences;
  }

  #step(step: Step): void {
    switch (step.do) {
      case "write":
        this.#program(step.slot, step.off, imageBytes(step.image).subarray(0, step.cut_to));
        break;
      case "write_bytes":
        this.#program(step.slot, step.off, Buffer.from(step.hex, "hex"));
        break;
      case "fill":
        this.#program(step.slot, step.off, new Uint8Array(step.len).fill(step.byte));
        break;
      case "erase":
        this.#program(
          step.slot,
          step.off ?? 0,
          new Uint8Array(step.len ?? areaOf(step.slot, this.#board.geometry).size).fill(
            this.#board.flash.erased,
          ),
        );
        break;
      case "set_counter":
        this.#setCounter(step.value);
        break;
      case "set_pin":
        this.#board.pin = Boolean(step.value);
        break;
      case "set_pending":
        this.#answer(
          step.image_index ?? 0,
          this.#board.setPending(step.image_index ?? 0, step.permanent),
          step,
        );
        break;
      case "set_confirmed":
        this.#request(step.image_index ?? 0, "primary", true, true, step);
        break;
      case "set_next":
        this.#request(0, step.slot, step.active, step.confirm, step);
        if (step.tail_after !== undefined)
          this.#compare("tail", step.tail_after, toHex(this.#board.slot(step.slot).subarray(-64)));
        break;
      case "set_pending_cut":
        this.#requestCut(step);
        break;
      case "boot":
        this.#bootStep(step);
        break;
      case "cut_sweep":
        this.#sweep(step);
        break;
      case "trailer_matrix":
        this.#matrix(step);
        break;
    }
  }

  /** Is the n-th of a kind among those that are tried? */
  #isTried(kind: string, n: number): boolean {
    if (!this.#sample) return true;
    const digest = createHash("sha256")
      .update(`${this.#sample.seed} ${this.#recording.config.id} ${kind} ${n}`)
      .digest();
    return digest.readUInt32LE(0) % this.#sample.oneIn === 0;
  }

  // --- the bench

  #program(slot: SlotName, offset: number, bytes: Uint8Array): void {
    const area = areaOf(slot, this.#board.geometry);
    const start = offset < 0 ? area.size + offset : offset;
    this.#board.flash.program(area.offset + start, bytes.subarray(0, area.size - start));
  }

  #setCounter(value: Counter): void {
    const values = Array.isArray(value) ? value : [value];
    while (values.length < this.#provision.images) values.push(values[0]!);
    this.#board.setCounters(values);
  }

  #request(
    image: number,
    slot: SlotName,
    active: boolean,
    confirm: boolean,
    expected: { rc: number; state?: unknown },
  ): void {
    const name = (image === 1 ? `${slot}_1` : slot) as SlotName;
    this.#answer(image, this.#board.setNext(name, active, confirm), expected);
  }

  #answer(image: number, rc: number | undefined, expected: { rc: number; state?: unknown }): void {
    this.#log = "";
    this.#results = [];
    this.#compare("rc", expected.rc, rc);
    if (expected.state !== undefined) this.#compare("state", expected.state, this.#board.state(image));
  }

  #requestCut(step: Extract<Step, { do: "set_pending_cut" }>): void {
    const uncut = this.#board.copy();
    const before = uncut.flash.operations;
    uncut.setPending(0, step.permanent);
    this.#compare("ops", step.operations, uncut.flash.operations - before);
    for (const { cut_before, state, boots } of step.results) {
      const board = this.#board.copy();
      board.setPending(0, step.permanent, cut_before);
      this.#compare("state", state, board.state());
      this.#compareChain(boots, this.#chain(board, undefined, boots), `cut before ${cut_before}`);
    }
  }

  // --- boots

  #bootStep(step: Extract<Step, { do: "boot" }>): void {
    const watch = step.trace && this.#watchTrace(step.trace);
    const board = watch ? this.#board.copy(watch.sink) : this.#board;
    this.#board = board;
    this.#log = "";
    this.#results = [step.result];
    const got = this.#bootOnce(board, step);
    this.#compareOutcome(step, got, "");
    this.#compare("ops", step.ops, got.ops);
    if (step.state !== undefined) this.#compare("state", step.state, board.state());
    if (watch) this.#compare("trace", undefined, watch.firstDifference());
  }

  /** One whole boot, told in the recording's words; `expected` only helps to name the image. */
  #bootOnce(board: HarnessBoard, expected?: BootOutcome): BootOutcome {
    this.#tally.boots++;
    const before = board.flash.operations;
    const end = board.boot();
    this.#log += board.log;
    const outcome: BootOutcome = {
      result: end.kind === "start" || end.kind === "start-ram" ? "boots" : "fails",
      ops: board.flash.operations - before,
    };
    if (end.kind === "start") {
      const slot = slotOf(board, end.offset);
      if (slot !== "primary") outcome.slot = slot;
      outcome.image = imageIn(board.slot(slot), expected?.image);
      if (this.#provision.images === 2) outcome.image_1 = imageIn(board.slot("primary_1"), expected?.image_1);
    }
    if (end.kind === "start-ram") this.#describeLoaded(board, outcome, expected);
    if (this.#provision.ram) outcome.ram_sha256 = ramHash(board.ram);
    if (!this.#provision.policy.includes("no-counter"))
      outcome.counter =
        this.#provision.images === 2 ? [board.counter(0), board.counter(1)] : board.counter(0);
    return outcome;
  }

  /** RAM load: which image, where, and from which slot the log says it came. */
  #describeLoaded(board: HarnessBoard, outcome: BootOutcome, expected?: BootOutcome): void {
    const at = Number(expected?.loaded_at ?? this.#provision.ram!.start) - this.#provision.ram!.start;
    outcome.image = imageIn(board.ram.subarray(at), expected?.image);
    outcome.loaded_at = `0x${(this.#provision.ram!.start + at).toString(16)}`;
    outcome.slot = /slot 1: started/.test(board.log) ? "secondary" : "primary";
  }

  /** Boots until a boot makes no operation. The content of the slots after each is kept as hashes. */
  #chain(board: HarnessBoard, confirmIf?: string, expected?: BootOutcome[]): Observed[] {
    const chain: Observed[] = [];
    this.#log = "";
    while (chain.length < MOST_BOOTS) {
      const outcome: Observed = {
        ...this.#bootOnce(board, expected?.[chain.length]),
        hashes: hashes(board, this.#recording),
      };
      chain.push(outcome);
      if (chain.length === 1 && confirmIf !== undefined && outcome.image === confirmIf) {
        board.setNext(outcome.slot ?? "primary", true, true);
        outcome.afterwards = "confirmed";
        continue;
      }
      if (outcome.ops === 0) break;
    }
    return chain;
  }

  // --- power cuts

  #sweep(sweep: CutSweep): void {
    this.#tally.sweeps++;
    const where = this.#where;
    const start = this.#board;
    const watch = sweep.trace && this.#watchTrace(sweep.trace);
    const sizes: number[] = [];
    const uncut = start.copy((offset, bytes) => {
      sizes.push(bytes.length);
      watch?.sink(offset, bytes);
    });
    const first = this.#bootOnce(uncut);
    const operations = first.ops!;
    const confirm = sweep.confirm_after_first_boot_of;
    this.#compare("ops", sweep.operations, operations);
    const wanted = sweep.outcomes[sweep.uncut]!;
    this.#compareChain(wanted, this.#chain(start.copy(), confirm, wanted), "uncut");
    const differs = watch?.firstDifference();
    if (watch) this.#compare("trace", undefined, differs);
    const kind: CutKind = sweep.half_done ? "half-done" : "before";
    for (let n = 1; n <= operations; n++) {
      if (sweep.cuts && operations === sweep.operations && !sweep.cuts.includes(n)) continue;
      if (!this.#isTried(`cut ${sweep.name} ${where}`, n)) continue;
      this.#where = `${where}, cut at ${n}`;
      const board = start.copy();
      board.boot({ at: n, kind });
      this.#tally.cuts++;
      this.#tornBytes = sweep.half_done ? sizes[n - 1] : undefined;
      this.#compareToRuns(sweep, sweep.runs, operations === sweep.operations ? n : undefined, board, "cut");
    }
    this.#tornBytes = undefined;
    if (sweep.trace && differs !== undefined && !sweep.half_done)
      this.#resumeRecorded(sweep, sweep.trace, where);
    for (const second of sweep.second_cut ?? []) this.#secondCut(sweep, second, operations, where);
    this.#where = where;
  }

  #secondCut(
    sweep: CutSweep,
    second: NonNullable<CutSweep["second_cut"]>[number],
    operations: number,
    where: string,
  ): void {
    const half = this.#board.copy();
    half.boot({ at: second.first_cut });
    const recovery = this.#bootOnce(half.copy()).ops!;
    const alike = operations === sweep.operations && recovery === second.recovery_ops;
    if (operations === sweep.operations) this.#compare("recovery ops", second.recovery_ops, recovery);
    for (let n = 1; n <= recovery; n++) {
      if (!this.#isTried(`second cut ${sweep.name} ${where} ${second.first_cut}`, n)) continue;
      this.#where = `${where}, cuts at ${second.first_cut} and ${n}`;
      const board = half.copy();
      board.boot({ at: n });
      this.#tally.secondCuts++;
      this.#compareToRuns(sweep, second.runs, alike ? n : undefined, board, "second cut");
    }
  }

  /** Hands our bootloader every half-done state MCUboot would have left. */
  #resumeRecorded(sweep: CutSweep, trace: TraceEntry[], where: string): void {
    const mcuboot = new TracePlayer(this.#board.copy(), this.#provision);
    trace.forEach((entry, index) => {
      this.#where = `${where}, MCUboot's own state at ${index + 1}`;
      if (this.#isTried(`state ${sweep.name} ${where}`, index)) {
        this.#tally.replayedStates++;
        this.#compareToRuns(sweep, sweep.runs, index + 1, mcuboot.board.copy(), "resume");
      }
      mcuboot.apply(entry);
    });
  }

  /** With the same operations the n-th cut must end alike; otherwise in one of the recorded ways. */
  #compareToRuns(
    sweep: CutSweep,
    runs: CutSweep["runs"],
    n: number | undefined,
    board: HarnessBoard,
    what: string,
  ): void {
    const index = n === undefined ? undefined : runs.find(([from, to]) => from <= n && n <= to)?.[2];
    const candidates = index === undefined ? sweep.outcomes : [sweep.outcomes[index]!];
    const chain = this.#chain(board, sweep.confirm_after_first_boot_of, candidates[0]);
    if (candidates.some((candidate) => this.#chainDifference(candidate, chain) === undefined)) return;
    const nearest = candidates.length === 1 ? this.#chainDifference(candidates[0]!, chain)!.what : "outcome";
    this.#results = candidates.flat().map(({ result }) => result);
    this.#differ(
      `${what}: ${nearest}`,
      candidates.map((one) => one.map(brief)),
      chain.map(brief),
      sweep.outcomes[sweep.uncut]!,
      chain,
    );
  }

  // --- the trailer matrix

  #matrix(step: Extract<Step, { do: "trailer_matrix" }>): void {
    const { upload_offset_secondary: upload } = this.#recording.config;
    const expected = step.boots.flatMap(([outcome, repeat]) => Array<number | null>(repeat).fill(outcome));
    this.#program("primary", 0, imageBytes("A.ed25519"));
    this.#program("secondary", upload, imageBytes("B.ed25519"));
    const before = this.#board;
    for (let row = 0; row < 729; row++) {
      if (!this.#isTried("row", row)) continue;
      this.#where = `row ${row}`;
      this.#log = "";
      this.#results = ["boots"];
      const board = before.copy();
      const digits = [...row.toString(3).padStart(6, "0")].map(Number);
      putTrailer(board, this.#provision, "secondary", digits.slice(0, 3));
      putTrailer(board, this.#provision, "primary", digits.slice(3));
      this.#compare("swap type", step.swap_type[row], board.state()[0][0]);
      const want = step.outcomes[expected[row] ?? -1];
      if (!want) continue;
      const got = this.#bootOnce(board, { result: "boots", ...want });
      this.#compare("image", want.image, got.image);
      if (got.counter !== undefined) this.#compare("counter", want.counter, got.counter);
      this.#compare("state", want.state, board.state());
      this.#compare("in secondary", want.in_secondary ?? "no image", inSecondary(board, want.in_secondary));
    }
  }

  // --- comparing

  #watchTrace(trace: TraceEntry[]): {
    sink: (offset: number, bytes: Uint8Array) => void;
    firstDifference(): string | undefined;
  } {
    const mcuboot = new TracePlayer(this.#board.copy(), this.#provision);
    let done = 0;
    let difference: string | undefined;
    const sink = (offset: number, bytes: Uint8Array) => {
      const entry = trace[done++];
      if (difference !== undefined) return;
      this.#tally.tracedOperations++;
      if (!entry) difference = `operation ${done} is not in the recording`;
      else if (!isSameChange(mcuboot.apply(entry), offset, bytes))
        difference = `operation ${done}: ${JSON.stringify(entry).slice(0, 60)} expected, offset ${offset}, ${bytes.length} bytes done`;
    };
    return {
      sink,
      firstDifference: () =>
        difference ?? (done === trace.length ? undefined : `${done} operations of ${trace.length}`),
    };
  }

  #compareOutcome(expected: BootOutcome, got: BootOutcome, note: string): void {
    const said = this.#outcomeDifference(expected, { ...got, hashes: hashes(this.#board, this.#recording) });
    for (const { what, want, have } of said) this.#differ(note + what, want, have);
  }

  #outcomeDifference(expected: BootOutcome, got: Observed): { what: string; want: unknown; have: unknown }[] {
    const pairs: [string, unknown, unknown][] = [
      ["result", expected.result, got.result],
      ["image", expected.image, got.image],
      ["image_1", expected.image_1, got.image_1],
      ["slot", expected.slot, got.slot],
      ["loaded_at", expected.loaded_at, got.loaded_at],
      ["ram_sha256", expected.ram_sha256, got.ram_sha256],
      ["counter", expected.counter, got.counter],
      ["afterwards", expected.afterwards, got.afterwards],
    ];
    for (const [slot, content] of Object.entries(expected.slots ?? {}))
      pairs.push([slot, this.#recording.contents[content], got.hashes[slot as SlotName]]);
    return pairs
      .filter(([, want, have]) => JSON.stringify(want) !== JSON.stringify(have))
      .map(([what, want, have]) => ({ what, want, have }));
  }

  #chainDifference(expected: BootOutcome[], got: Observed[]): { what: string } | undefined {
    for (let boot = 0; boot < Math.min(expected.length, got.length); boot++) {
      const [difference] = this.#outcomeDifference(expected[boot]!, got[boot]!);
      if (difference) return { what: difference.what };
    }
    return expected.length === got.length ? undefined : { what: "number of boots" };
  }

  #compareChain(expected: BootOutcome[], got: Observed[], note: string): void {
    const difference = this.#chainDifference(expected, got);
    this.#results = expected.map(({ result }) => result);
    if (difference) this.#differ(`${note}: ${difference.what}`, expected.map(brief), got.map(brief));
  }

  #compare(what: string, expected: unknown, got: unknown): void {
    if (JSON.stringify(expected) !== JSON.stringify(got)) this.#differ(what, expected, got);
  }

  #differ(what: string, expected: unknown, got: unknown, uncut?: BootOutcome[], chain?: Observed[]): void {
    this.differences.push({
      what,
      where: this.#where,
      expected,
      got,
      log: this.#log,
      results: this.#results,
      ...(uncut && chain
        ? {
            asUncut: this.#chainDifference(uncut, chain) === undefined,
            sameImages: uncut.map(brief).join() === chain.map(brief).join(),
          }
        : {}),
      ...(this.#tornBytes === undefined ? {} : { tornBytes: this.#tornBytes }),
    });
  }
}

type Observed = BootOutcome & { hashes: Partial<Record<SlotName, string>> };

function hashes(board: HarnessBoard, recording: Recording): Partial<Record<SlotName, string>> {
  const slots = Object.keys(recording.config.slots) as SlotName[];
  return Object.fromEntries(slots.map((slot) => [slot, sha256(board.slot(slot))]));
}

/** The slot whose image body begins at a flash offset. Throws when none does. */
function slotOf(board: HarnessBoard, offset: number): SlotName {
  for (const slot of ["primary", "secondary"] as const) {
    const header = board.slot(slot);
    if (offset === areaOf(slot, board.geometry).offset + header[8]! + header[9]! * 256) return slot;
  }
  throw new Error(`Started at flash offset ${offset}.`);
}

function ramHash(ram: Uint8Array): string {
  return ram.every((byte) => byte === 0) ? "zeros" : sha256(ram).slice(0, 16);
}

/** The expected image if all its bytes are there, else the longest known one that is. */
function imageIn(bytes: Uint8Array, expected?: string): string | undefined {
  const isThere = (name: string) => {
    if (!beginsLike(name, bytes)) return false; // many images are large: they are built when they are wanted
    const image = imageBytes(name);
    return image.length <= bytes.length && Buffer.compare(bytes.subarray(0, image.length), image) === 0;
  };
  if (expected !== undefined && isImage(expected) && isThere(expected)) return expected;
  return imageNames()
    .filter(isThere)
    .sort((a, b) => imageBytes(b).length - imageBytes(a).length)[0];
}

/** `name@0xoffset` of the image that lies in the secondary. */
function inSecondary(board: HarnessBoard, expected: string | undefined): string {
  const [name, offset] = expected?.split("@") ?? [];
  const found = imageIn(board.slot("secondary").subarray(Number(offset ?? 0)), name);
  return found === undefined ? "no image" : `${found}@${offset ?? "0x0"}`;
}

/** What an operation changed; of a raise only that it was one, for its place in flash is ours. */
type Change = { offset: number; bytes: Uint8Array } | "raise";

/** Repeats MCUboot's operations on a flash of ours. */
class TracePlayer {
  readonly board: HarnessBoard;
  readonly #images: number;
  #raises = 0;

  constructor(board: HarnessBoard, provision: Provision) {
    this.board = board;
    this.#images = provision.images;
  }

  apply(entry: TraceEntry): Change {
    const { flash } = this.board;
    if (entry[0] === "n") {
      // with two images each is raised once, the first one first
      this.board.advanceCounter(this.#raises++ % this.#images, entry[1]);
      return "raise";
    }
    const start = (area: number) => areaOf(AREAS[area]!, this.board.geometry).offset;
    const offset = start(entry[1]) + entry[2];
    const length = entry[0] === "w" ? entry[3].length / 2 : entry[3];
    if (entry[0] === "e") flash.erase(offset, length);
    else if (entry[0] === "w") flash.write(offset, Buffer.from(entry[3], "hex"));
    else flash.write(offset, flash.bytes.slice(start(entry[4]) + entry[5]).subarray(0, length));
    return { offset, bytes: flash.bytes.subarray(offset, offset + length) };
  }
}

function isSameChange(change: Change, offset: number, bytes: Uint8Array): boolean {
  if (change === "raise") return offset >= LAYOUT.counters.offset;
  return change.offset === offset && Buffer.compare(change.bytes, bytes) === 0;
}

function putTrailer(board: HarnessBoard, provision: Provision, slot: SlotName, digits: number[]): void {
  const { offset, size } = areaOf(slot, board.geometry);
  const align = provision.align ?? 8;
  const room = Math.max(16, align);
  const magics = [null, MAGICS[align]!, MAGICS[align === 8 ? 16 : 8]!];
  const fields = [
    [16, magics[digits[0]!]],
    [room + align, TRAILER_FLAGS[digits[1]!]],
    [room + 2 * align, TRAILER_FLAGS[digits[2]!]],
  ] as const;
  for (const [below, hex] of fields)
    if (hex) board.flash.program(offset + size - below, Buffer.from(hex, "hex"));
}

/** For messages. */
function brief({ result, image, image_1, counter, afterwards }: BootOutcome & { slots?: Slots }): string {
  return [result, image, image_1, counter, afterwards].filter((one) => one !== undefined).join(" ");
}

export function newTally(): Tally {
  return {
    scenarios: 0,
    boots: 0,
    sweeps: 0,
    cuts: 0,
    secondCuts: 0,
    tracedOperations: 0,
    replayedStates: 0,
  };
}
