import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { join } from "node:path";
import { EMPTY_RATCHET, RatchetError, type RatchetState } from "../trust/ratchet.js";
import { parseRatchet } from "../trust/ratchet-file.js";
import { type Disk, realDisk, replaceFile } from "./disk.js";
import { type LockOwner, ProcessLock, thisProcess } from "./process-lock.js";
import { TpmError, type TrustedCounter } from "./tpm-counter.js";

export interface RatchetStoreOptions {
  readonly folder: string;
  /** How long to wait for other processes, milliseconds. Default 30000. */
  readonly waitMs?: number;
  /** Reaches the trusted counter of this index, where the memory is bound to one. */
  readonly trusted?: ((index: number) => TrustedCounter) | undefined;
  /** The counter cannot be asked: told here, and the file is believed; without it that is an error. */
  readonly onNoCounter?: ((error: TpmError) => void) | undefined;
  /** What is kept, where it is not a ratchet. */
  readonly words?: StoreWords;
  /** For tests. */
  readonly disk?: Disk;
  readonly owner?: LockOwner;
}

/** How errors name what a store keeps. */
export interface StoreWords {
  /** `The ratchet`. */
  readonly name: string;
  /** What did not happen when it could not be written, as a sentence. */
  readonly notDone: string;
  /** What to do when it cannot be believed. */
  readonly repair: string;
}

/** Appears whole, with both files: one without the other is an alarm and no first use. */
const STATE_FOLDER = "state";
const STATE_FILE = "ratchet.json";
const KEY_FILE = "key";
const SEAL = /^(.*)\nhmac-sha256 ([0-9a-f]{64})\n$/s;

/**
 * The ratchet of a host on its disk: one JSON file under a seal that only this host's key makes. A change is on the disk
 * before {@link change} returns; a process that is killed leaves the old file or the new one.
 */
export class RatchetStore {
  readonly folder: string;
  readonly #disk: Disk;
  readonly #owner: LockOwner;
  readonly #waitMs: number;
  readonly #words: StoreWords;
  readonly #trusted: RatchetStoreOptions["trusted"];
  readonly #onNoCounter: RatchetStoreOptions["onNoCounter"];

  constructor({ folder, disk, owner, waitMs, words, trusted, onNoCounter }: RatchetStoreOptions) {
    this.#words = words ?? RATCHET;
    this.#trusted = trusted;
    this.#onNoCounter = onNoCounter;
    this.folder = folder;
    this.#disk = disk ?? realDisk;
    this.#owner = owner ?? thisProcess();
    this.#waitMs = waitMs ?? 30_000;
  }

  /** What is remembered. @throws RatchetError `ratchet-edited`, `ratchet-vanished`, `ratchet-restored`; TpmError */
  read(): RatchetState {
    const state = this.#readFile();
    this.#compare(state);
    return state;
  }

  /** How far the trusted counter is behind the file: 1 after a process was killed between the two. */
  #compare({ generation, trustedMemory }: RatchetState, mayBeBehind = 1): number {
    if (trustedMemory === undefined || this.#trusted === undefined) return 0;
    let shows: number;
    try {
      shows = this.#trusted(trustedMemory.index).read();
    } catch (error) {
      if (!(error instanceof TpmError)) throw error;
      if (error.code === "tpm-counter-gone")
        throw new RatchetError(
          "ratchet-restored",
          `The trusted counter of the ratchet is gone. ${error.message}`,
          {
            cause: error,
            hint: RESTORED_HINT,
          },
        );
      if (this.#onNoCounter === undefined) throw error;
      this.#onNoCounter(error);
      return 0;
    }
    const behind = generation + trustedMemory.difference - shows;
    if (behind >= 0 && behind <= mayBeBehind) return behind;
    const message =
      behind < 0
        ? `an older copy was put back: the trusted counter has counted ${-behind} more change(s)`
        : `its trusted counter shows ${shows}, ${behind} less than it should: another TPM, or another copy`;
    throw new RatchetError(
      "ratchet-restored",
      `The ratchet in ${this.folder} is not the newest: ${message}.`,
      {
        hint: RESTORED_HINT,
      },
    );
  }

  #readFile(): RatchetState {
    const folder = join(this.folder, STATE_FOLDER);
    const key = this.#disk.read(join(folder, KEY_FILE));
    const file = this.#disk.read(join(folder, STATE_FILE));
    if (file === undefined) {
      if (key === undefined) return EMPTY_RATCHET;
      throw new RatchetError(
        "ratchet-vanished",
        `${this.#words.name} is gone from ${join(folder, STATE_FILE)}; its key is still there.`,
        {
          hint: this.#words.repair,
        },
      );
    }
    const [, body, seal] = SEAL.exec(new TextDecoder().decode(file)) ?? [];
    const isSealed =
      key !== undefined &&
      body !== undefined &&
      timingSafeEqual(Buffer.from(seal!, "hex"), createHmac("sha256", key).update(body).digest());
    if (isSealed) return parseRatchet(body);
    throw new RatchetError(
      "ratchet-edited",
      `${this.#words.name} in ${join(folder, STATE_FILE)} was edited, is damaged or has lost its key.`,
      { hint: this.#words.repair },
    );
  }

  /**
   * Changes what is remembered, alone among all processes; the result is on the disk.
   *
   * @throws RatchetError, and what `change` throws: then nothing changed
   */
  async change(change: (state: RatchetState) => RatchetState): Promise<RatchetState> {
    const locks = join(this.folder, "lock");
    try {
      this.#disk.makeFolder(locks);
      const options = { waitMs: this.#waitMs, owner: this.#owner };
      const done = await new ProcessLock(this.#disk, locks).hold(options, () => {
        const before = this.read();
        const after = change(before);
        if (after !== before) {
          this.#write(after);
          // First the file, then the counter: whoever is killed between leaves it one behind, which is made up for here.
          for (let behind = this.#compare(after, 2); behind > 0; behind--)
            this.#trusted!(after.trustedMemory!.index).increment();
        }
        return after;
      });
      if (done) return done.result;
    } catch (cause) {
      if (!(cause instanceof Error && "syscall" in cause)) throw cause;
      throw new RatchetError(
        "ratchet-unwritable",
        `${this.#words.name} cannot be written: ${cause.message}.`,
        {
          cause,
          hint: `Make room, or look at the permissions of ${this.folder}. ${this.#words.notDone}`,
        },
      );
    }
    throw new RatchetError(
      "ratchet-busy",
      `Other processes hold ${lowerFirst(this.#words.name)} in ${this.folder}.`,
      {
        hint: "Wait for them to end.",
      },
    );
  }

  #write(state: RatchetState): void {
    const folder = join(this.folder, STATE_FOLDER);
    const body = JSON.stringify(state, undefined, 1);
    const there = this.#disk.read(join(folder, KEY_FILE));
    const key = there ?? new Uint8Array(randomBytes(32));
    const seal = createHmac("sha256", key).update(body).digest("hex");
    const content = new TextEncoder().encode(`${body}\nhmac-sha256 ${seal}\n`);
    if (there !== undefined) {
      replaceFile(this.#disk, join(folder, STATE_FILE), content);
      return;
    }
    const fresh = `${folder}.new`;
    this.#disk.remove(fresh);
    this.#disk.makeFolder(fresh);
    this.#disk.write(join(fresh, KEY_FILE), key, { sync: true });
    replaceFile(this.#disk, join(fresh, STATE_FILE), content);
    this.#disk.rename(fresh, folder);
    this.#disk.syncFolder(this.folder);
  }
}

const RESTORED_HINT =
  "Restore the newest copy. If this is the newest, find out who restored the disk; then run bootproof ratchet unbind, and bind again.";

const RATCHET: StoreWords = {
  name: "The ratchet",
  notDone: "Nothing was confirmed.",
  repair:
    "Restore the file from a backup, or start over: move the folder elsewhere, then import an export with bootproof ratchet import.",
};

const lowerFirst = (text: string): string => text.slice(0, 1).toLowerCase() + text.slice(1);
