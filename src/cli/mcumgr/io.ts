import type { PipeAddress } from "../../transport/address.js";
import type { ByteStream } from "../../transport/transport.js";
import type { Settlement } from "../audit/ratchet-guard.js";
import type { Watch } from "./request.js";

/** What has to be asked before a board is made to run an image, and is told what it was made to do. */
export interface LinkGuard {
  readonly watch?: Watch;
  /** Each throws when this host's memory or the policy refuses it. */
  upload(file: Uint8Array, imageNumber: number): Promise<void>;
  mark(request: { hash?: Uint8Array; confirm: boolean }): Promise<Settlement>;
  restart(): Promise<void>;
}

/** What a run of mcumgr touches outside its own head: terminal, home folder, links, clock. */
export interface McumgrIo {
  out(text: string): void;
  err(text: string): void;
  /** The folder of the connection profiles; undefined where there is none, or none that can be found. */
  readonly home: string | undefined;
  /** Columns of the terminal that stdout shows on and that controls the session; 0 without one. */
  readonly columns: number;
  /** Why a path is no serial port, as far as can be seen without opening it. */
  deviceProblem(path: string): string | undefined;
  openSerial(path: string, baudRate: number): Promise<ByteStream>;
  /** The guard of the board at an address; absent in runs that nobody guards. */
  guardFor?(address: PipeAddress): Promise<LinkGuard>;
  openUdp(host: string, port: number): Promise<ByteStream>;
  /** Calls `then` after `ms` milliseconds, unless the function it returns is called before. */
  after(ms: number, then: () => void): () => void;
  /** Milliseconds of a clock that only goes forward. */
  now(): number;
}
