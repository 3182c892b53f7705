import { toHex } from "../bytes.js";
import type { Client } from "../client/client.js";
import { BootproofError } from "../errors.js";
import { imageList } from "../smp/groups/image.js";
import { DeviceError } from "../smp/message.js";
import { runningSlot, slotsOf } from "./board-facts.js";
import type { BoardFacts } from "./facts.js";
import type { Recognise, Session } from "./session.js";

/** Where a board was, another one answers. */
export class OtherBoardError extends BootproofError {
  declare readonly code: "other-board";

  /**
   * @param name - the port or address, or the board's name
   * @param was - what was there before, as the end of a sentence
   * @param is - what is there now, likewise
   */
  constructor(name: string, was: string, is: string) {
    super(
      "other-board",
      `Another board answers on ${name}: it ${is}; the board there before ${was}. Nothing was written to it.`,
      {
        hint: "Look which board is plugged in here (bootproof info). Plug the board of before in again, or, if you mean this one or another program has updated it, repeat the job. bootproof help many-boards says how boards are told apart.",
      },
    );
  }
}

/** What a board was last known to run. What is not known is absent. */
export interface LastKnown {
  /** Image hash, hex. */
  readonly hash?: string | undefined;
  readonly version?: string | undefined;
}

/** A board that is recognised by what it runs. */
export interface KnownByImage {
  /** What `Session.expect` takes; it throws OtherBoardError when an image runs that the board cannot run by now. */
  readonly recognise: Recognise;
  /** From here on it may run these, too: image hashes of what was sent to it. */
  allow(hashes: readonly Uint8Array[]): void;
}

/**
 * Recognises a board by what it runs. Serial recovery, and servers that list no images or no hashes, tell nothing and pass.
 *
 * @param before - what the board reported when it was last asked
 * @returns how to ask again, and how to add images that it is given
 */
export function knownByImage(before: BoardFacts): KnownByImage {
  const mayRun = mayRunNext(before);
  const allow = (hashes: readonly Uint8Array[]) => void mayRun.push(...hashes.map(toHex));
  const { content } = runningSlot(before) ?? {};
  // A board that did not tell before what it runs cannot be recognised by it.
  if (before.server !== "application" || content?.hash === undefined)
    return { recognise: async () => {}, allow };
  const known = { hash: toHex(content.hash), version: content.version };
  const recognise: Recognise = async (client, signal) => {
    if (client.server.mode === "recovery") return;
    mustBeOneOf(client.name, known, mayRun, await runningNow(client, signal));
  };
  return { recognise, allow };
}

/**
 * What a board may run by itself: the same image, one that is marked for the next boot, or, as long as the running one is not
 * confirmed, the one that it reverts to.
 *
 * @param before - what the board reported
 * @returns image hashes of image 0, hex
 */
export function mayRunNext(before: BoardFacts): string[] {
  const isOnTrial = runningSlot(before)?.content?.confirmed === false;
  const running = runningSlot(before);
  return slotsOf(before).flatMap((slot) => {
    const { hash, pending, permanent } = slot.content ?? {};
    const isNext = slot === running || isOnTrial || pending || permanent;
    return hash !== undefined && isNext ? [toHex(hash)] : [];
  });
}

/**
 * Runs a workflow that tells which board it means once it knows; afterwards the session does not expect it any more.
 *
 * @param session - the board
 * @param workflow - is given what to call with how the board is recognised
 * @returns what the workflow returns
 */
export async function* whileExpecting<Event, Result>(
  session: Session,
  workflow: (expect: (recognise: Recognise) => void) => AsyncGenerator<Event, Result, void>,
): AsyncGenerator<Event, Result, void> {
  const ends: (() => void)[] = [];
  try {
    return yield* workflow((recognise) => void ends.push(session.expect(recognise)));
  } finally {
    for (const end of ends) end();
  }
}

/**
 * Compares what a board runs with what it ran before.
 *
 * @param name - the port or address
 * @param known - what it ran before
 * @param mayRun - image hashes, hex, that it may run now
 * @param running - what it runs; without a hash nothing can be told
 * @throws OtherBoardError when another image runs
 */
export function mustBeOneOf(
  name: string,
  known: LastKnown,
  mayRun: readonly string[],
  running: { readonly hash?: Uint8Array | undefined; readonly version?: string } | undefined,
): void {
  if (running?.hash === undefined || mayRun.includes(toHex(running.hash))) return;
  const now = { hash: toHex(running.hash), version: running.version };
  throw new OtherBoardError(name, `ran ${imageWords(known)}`, `runs ${imageWords(now)}`);
}

/**
 * Asks a board what it runs as image 0.
 *
 * @param client - the open link
 * @param signal - aborts with its own reason
 * @returns undefined when it lists no running image
 * @throws TransportError, RequestTimeout
 */
export async function runningNow(
  client: Client,
  signal: AbortSignal | undefined,
): Promise<{ readonly hash?: Uint8Array | undefined; readonly version?: string } | undefined> {
  try {
    const { images } = await client.send(imageList, {}, { signal });
    return images.find(({ image = 0, active }) => image === 0 && active);
  } catch (error) {
    if (error instanceof DeviceError) return undefined;
    throw error;
  }
}

function imageWords({ version, hash }: LastKnown): string {
  const short = hash === undefined ? "" : ` (${hash.slice(0, 12)})`;
  return `${version === undefined ? "another image" : `version ${version}`}${short}`;
}
