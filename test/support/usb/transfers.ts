import type { EmulatedDevice } from "./device.js";

/**
 * Transfers under way between a host and a device, whatever carries them. Reads are held until the device has something to
 * say; writes of one endpoint reach the device one after the other.
 */
export class Transfers<Id> {
  readonly #device: EmulatedDevice;
  readonly #underWay = new Map<Id, { endpoint: number; takeBack: () => void }>();
  readonly #writing = new Map<number, Promise<void>>();

  constructor(device: EmulatedDevice) {
    this.#device = device;
  }

  /** `done` hears the bytes, or that the device has no such endpoint; nothing when it is cancelled. */
  read(id: Id, endpoint: number, length: number, done: (answer: Uint8Array | "stall") => void): void {
    const pipe = this.#device.pipes.get(endpoint);
    if (!pipe) {
      done("stall");
      return;
    }
    let isDone = false;
    const takeBack = pipe.request(length, (bytes) => {
      isDone = true;
      this.#underWay.delete(id);
      done(bytes);
    });
    if (!isDone) this.#underWay.set(id, { endpoint, takeBack });
  }

  write(id: Id, endpoint: number, bytes: Uint8Array, done: (answer: "done" | "stall") => void): void {
    let isCancelled = false;
    const takeBack = () => {
      isCancelled = true;
    };
    this.#underWay.set(id, { endpoint, takeBack });
    const before = this.#writing.get(endpoint) ?? Promise.resolve();
    const work = before.then(async () => {
      if (isCancelled) return;
      const answer = await this.#device.receive(endpoint, bytes);
      if (isCancelled) return;
      this.#underWay.delete(id);
      done(answer);
    });
    this.#writing.set(endpoint, work);
  }

  /** The endpoint of the one that was cancelled; undefined when there is none: it had ended. */
  cancel(id: Id): number | undefined {
    const found = this.#underWay.get(id);
    this.#underWay.delete(id);
    found?.takeBack();
    return found?.endpoint;
  }

  /** Takes everything back. */
  clear(): void {
    for (const id of [...this.#underWay.keys()]) this.cancel(id);
    this.#writing.clear();
  }
}
