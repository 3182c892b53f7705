import { setTimeout as delay } from "node:timers/promises";
import { LabError } from "./lab-error.js";
import {
  CLIENT,
  client,
  endOf,
  type LabPlace,
  labPlaces,
  labReservations,
  startClient,
  suits,
} from "./labgrid-client.js";

/** One place that is wanted, and how far it came. */
interface Want {
  readonly filter: readonly string[];
  /** Of its reservation. */
  token?: string | undefined;
  place?: string | undefined;
  /** Ends when it is acquired. Never rejects. */
  work: Promise<void>;
}

/**
 * How long places are held while others are waited for, milliseconds, at least and at most. It differs at random, so that of
 * two runs that wait for each other's places one gives way first.
 */
const HOLD_MS = { least: 3_000, most: 9_000 };
/** How often giving a place back is tried, and the pause after each, milliseconds. */
const GIVE_BACK = { tries: 5, pauseMs: 2_000 };
/** A reservation without a known token cannot be cancelled; it expires by itself. */
const NAMED_WITHIN_MS = 30_000;

/**
 * Several places at once by labgrid's reservations. A reservation of labgrid is one place; its queue decides who gets which.
 * Each is acquired as soon as it is allocated, because a reservation that nobody uses expires after a minute. Two runs that each
 * hold what the other waits for would wait for ever: who holds places that others are in the queue for gives them back while
 * it cannot go on, and keeps its older place in the queue for the rest.
 */
export class PlaceQueue {
  readonly #wants: Want[];
  readonly #signal: AbortSignal;
  readonly #stop = new AbortController();
  readonly #note: (text: string) => void;
  #places: LabPlace[] = [];
  #failure: unknown;

  constructor(wanted: readonly (readonly string[])[], signal: AbortSignal, note: (text: string) => void) {
    this.#wants = wanted.map((filter) => ({ filter, work: Promise.resolve() }));
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
    this.#note = note;
  }

  /** The names of the places, acquired. @throws LabError */
  async takeAll(): Promise<string[]> {
    this.#places = await labPlaces();
    this.#mustExist();
    this.#tellWhoHolds();
    for (const want of this.#wants) want.work = this.#obtain(want);
    const giveWay = this.#giveWayNowAndThen();
    try {
      // A place that was given back is in the queue again.
      while (this.#wants.some(({ place }) => place === undefined)) {
        await Promise.all(this.#wants.map(({ work }) => work));
        if (this.#failure !== undefined) throw this.#failure;
        this.#signal.throwIfAborted();
      }
    } finally {
      this.#stop.abort();
      await giveWay;
    }
    return this.#wants.map(({ place }) => place!);
  }

  /** Gives everything back. @returns sentences about what could not be */
  async giveBack(): Promise<string[]> {
    this.#stop.abort();
    const said = await Promise.all(
      this.#wants.map(async (want) => {
        await want.work;
        for (let tried = 1; ; tried++) {
          try {
            await letGo(want);
            return [];
          } catch (error) {
            if (tried < GIVE_BACK.tries && (error as LabError).code !== "no-labgrid") {
              await delay(GIVE_BACK.pauseMs);
              continue;
            }
            return want.place === undefined
              ? []
              : [
                  `Place ${want.place} is still acquired: ${(error as Error).message} Release it: ${releaseLine(want.place)}`,
                ];
          }
        }
      }),
    );
    return said.flat();
  }

  #mustExist(): void {
    for (const { filter } of this.#wants) {
      const asked = this.#wants.filter((other) => `${other.filter}` === `${filter}`).length;
      const there = this.#places.filter((place) => suits(place, filter)).length;
      if (there >= asked) continue;
      const has = there === 0 ? "no place" : there === 1 ? "one place" : `${there} places`;
      throw new LabError(
        "no-such-place",
        `The lab has ${has} with ${filter.join(" ")}${there === 0 ? "" : `; ${asked} are wanted`}.`,
        { hint: `${CLIENT} -v places lists all with their tags.` },
      );
    }
  }

  /** Labgrid keeps a place acquired for whoever took it, even if he is gone: he has to be asked. */
  #tellWhoHolds(): void {
    const taken = this.#places.filter(
      (place) => place.holder !== undefined && this.#wants.some(({ filter }) => suits(place, filter)),
    );
    for (const { name, holder, changed } of taken) {
      const since = changed === undefined ? "" : ` since ${changed.replace(/\..*/, "")}`;
      this.#note(
        `Place ${name} is acquired by ${holder}${since}. If nobody uses it any more: ${releaseLine(name)}`,
      );
    }
  }

  async #obtain(want: Want): Promise<void> {
    try {
      if (this.#signal.aborted) return;
      await this.#reserve(want);
      if (this.#signal.aborted) return;
      const said = await client("-p", `+${want.token}`, "acquire");
      const name = /^acquired place (.+)$/m.exec(said)?.[1];
      if (name === undefined) throw new LabError("lab-failed", `${CLIENT} acquire named no place.`);
      want.place = name;
    } catch (error) {
      this.#failure ??= error;
      // The others have nothing to wait for any more.
      this.#stop.abort();
    }
  }

  /** Until its reservation is allocated, or this run ends. */
  async #reserve(want: Want): Promise<void> {
    const words = ["reserve", "--wait", "--shell", ...want.filter];
    const child = startClient(words);
    let said = "";
    // Only once it has named its token can the reservation be cancelled.
    const leave = () => {
      if (want.token !== undefined) child.kill("SIGKILL");
      else late ??= setTimeout(() => child.kill("SIGKILL"), NAMED_WITHIN_MS);
    };
    let late: NodeJS.Timeout | undefined;
    child.stdout?.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString("utf8")).slice(0, 1000);
      want.token ??= /LG_TOKEN=(\w+)\s/.exec(said)?.[1];
      if (this.#signal.aborted) leave();
    });
    this.#signal.addEventListener("abort", leave, { once: true });
    try {
      await endOf(child, words);
    } catch (error) {
      if (!this.#signal.aborted) throw error;
    } finally {
      clearTimeout(late);
      this.#signal.removeEventListener("abort", leave);
    }
    if (want.token === undefined && !this.#signal.aborted)
      throw new LabError("lab-failed", `${CLIENT} reserve named no token.`);
  }

  async #giveWayNowAndThen(): Promise<void> {
    try {
      for (;;) {
        const ms = HOLD_MS.least + Math.random() * (HOLD_MS.most - HOLD_MS.least);
        await delay(ms, undefined, { signal: this.#signal });
        if (this.#held().length === 0 || this.#held().length === this.#wants.length) continue;
        const ours = new Set(this.#wants.map(({ token }) => token));
        const others = (await labReservations()).filter(
          ({ state, token }) => state === "waiting" && !ours.has(token),
        );
        const held = this.#held();
        if (held.length === this.#wants.length || this.#signal.aborted) continue;
        for (const want of held) {
          const place = this.#places.find(({ name }) => name === want.place);
          if (!place || !others.some(({ filter }) => suits(place, filter))) continue;
          this.#note(
            `Place ${place.name} is released, because others wait for it and this run cannot begin yet.`,
          );
          want.work = this.#queueAgain(want);
        }
      }
    } catch (error) {
      // The end of this run; that the queue could not be looked at keeps nobody from waiting on.
      if (!this.#signal.aborted) this.#note(`${(error as Error).message}`);
    }
  }

  #held(): Want[] {
    return this.#wants.filter(({ place }) => place !== undefined);
  }

  async #queueAgain(want: Want): Promise<void> {
    // Not held any more for everybody who looks, and still to be given back if this fails.
    const given: Want = { ...want };
    want.place = undefined;
    try {
      await letGo(given);
      want.token = undefined;
    } catch (error) {
      want.place = given.place;
      this.#failure ??= error;
      this.#stop.abort();
      return;
    }
    await this.#obtain(want);
  }
}

/** Releases its place and cancels its reservation. What labgrid does not know any more is given back. */
async function letGo(want: Want): Promise<void> {
  if (want.token === undefined) return;
  // By its token: the place may have been released and acquired by somebody else meanwhile.
  if (want.place !== undefined) await unlessGone(client("-p", `+${want.token}`, "release"));
  want.place = undefined;
  await unlessGone(client("cancel-reservation", want.token));
  want.token = undefined;
}

async function unlessGone(asked: Promise<unknown>): Promise<void> {
  try {
    await asked;
  } catch (error) {
    if (!/matches nothing|is not acquired|does not exist/.test((error as Error).message)) throw error;
  }
}

const releaseLine = (place: string) => `${CLIENT} -p ${place} release`;
