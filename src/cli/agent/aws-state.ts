import { closeSync, existsSync, fsyncSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { BlockMap } from "../../agents/block-map.js";
import { readInput, writeOutput } from "../files.js";
import { AgentStateFolder, count, fields, text } from "./agent-state.js";

/** What the agent must know of one thing after it was stopped at any moment. */
export interface AwsState {
  /** The board that is this thing: another one behind the same name is refused. */
  readonly board?: string;
  readonly job?: {
    readonly id: string;
    readonly execution: number;
    /** Version of the stream that the kept blocks are from. */
    readonly streamVersion?: number;
    /** The last word of the service was heard: from here on only the board decides. */
    readonly committing?: boolean;
    readonly tries: number;
    /** What is to be reported, until the service has taken note of it. */
    readonly outcome?: { readonly status: "SUCCEEDED" | "FAILED" | "REJECTED"; readonly reason: string };
  };
}

/** The folder in which the agent remembers one thing of one account. */
export class AwsStateFolder extends AgentStateFolder<AwsState> {
  constructor(endpoint: string, thing: string) {
    super("aws", endpoint, thing, { parse: readState, none: {} });
  }

  get file(): string {
    return join(this.folder, "payload.bin");
  }

  get #map(): string {
    return join(this.folder, "payload.map");
  }

  /** What is here of a file, block by block. */
  blocks(size: number, blockSize: number): BlockMap {
    const blocks = new BlockMap(size, blockSize);
    if (existsSync(this.#map) && existsSync(this.file) && readInput(this.file).length === size)
      blocks.addBitmap(readInput(this.#map));
    else writeOutput(this.file, new Uint8Array(size), { mode: 0o600 });
    return blocks;
  }

  /** Keeps a block: first its bytes, then that it is here. */
  keep(blocks: BlockMap, index: number, bytes: Uint8Array): void {
    const file = openSync(this.file, "r+");
    try {
      writeSync(file, bytes, 0, bytes.length, index * blocks.blockSize);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    blocks.add(index);
    writeOutput(this.#map, blocks.toBitmap(), { mode: 0o600 });
  }

  /** Keeps a whole file that came at once. */
  keepWhole(blocks: BlockMap, bytes: Uint8Array): void {
    writeOutput(this.file, bytes, { mode: 0o600 });
    for (let index = 0; index < blocks.count; index++) blocks.add(index);
    writeOutput(this.#map, blocks.toBitmap(), { mode: 0o600 });
  }

  forgetFile(): void {
    for (const path of [this.#map, this.file]) rmSync(path, { force: true });
  }
}

function readState(value: unknown): AwsState {
  const { board, job } = fields(value);
  const about = board === undefined ? {} : { board: text(board) };
  if (job === undefined) return about;
  const { id, execution, streamVersion, committing, tries, outcome } = fields(job);
  return {
    ...about,
    job: {
      id: text(id),
      execution: count(execution),
      tries: count(tries),
      ...(streamVersion !== undefined && { streamVersion: count(streamVersion) }),
      ...(committing === true && { committing }),
      ...(outcome !== undefined && { outcome: readOutcome(fields(outcome)) }),
    },
  };
}

function readOutcome({
  status,
  reason,
}: Record<string, unknown>): NonNullable<NonNullable<AwsState["job"]>["outcome"]> {
  if (status !== "SUCCEEDED" && status !== "FAILED" && status !== "REJECTED")
    throw new TypeError("no status");
  return { status, reason: text(reason) };
}
