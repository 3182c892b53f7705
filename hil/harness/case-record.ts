import { type Evidence, Recorder, type RecorderOptions } from "../evidence.js";
import type { LogBuffer } from "../log-buffer.js";

/** The evidence of the case that runs: everything done and seen on the board goes here. */
export class CaseRecord {
  readonly #log: LogBuffer;
  readonly #options: RecorderOptions;
  #recorder: Recorder;
  #logFrom = 0;

  constructor(log: LogBuffer, options: RecorderOptions = {}) {
    this.#log = log;
    this.#options = options;
    this.#recorder = new Recorder(options);
  }

  /** What collects it now; another one after {@link begin}. */
  get recorder(): Recorder {
    return this.#recorder;
  }

  /** A new case begins: its evidence is collected from here on. */
  begin(): void {
    this.#recorder = new Recorder(this.#options);
    this.#logFrom = this.#log.end;
  }

  /** The evidence since {@link begin}. */
  finish(): Evidence {
    return this.#recorder.finish(this.#log.since(this.#logFrom));
  }
}
