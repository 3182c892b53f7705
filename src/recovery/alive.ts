import { toHex } from "../bytes.js";
import type { Client } from "../client/client.js";
import { BootproofError } from "../errors.js";
import { type KnownImage, readFacts, runningSlot } from "../session/board-facts.js";
import type { BoardFacts } from "../session/facts.js";
import { isLost } from "../session/reconnect.js";

/** A board that shows signs of life: writing over its primary slot would destroy something that works. */
export interface AliveBoard {
  /** Who answers, and what runs or could be started. */
  message: string;
  /** What it tells of itself; absent when it fell silent while it was asked. */
  facts?: BoardFacts;
}

/**
 * Whether the board behind an open client needs no recovery: its application answers, or its bootloader lists an image
 * in the primary slot, which it only does once hash and signature have verified.
 *
 * @throws the signal's reason; TransportError when the link is lost and may not be
 */
export async function findLife(
  client: Client,
  { signal, known, imageNumber = 0, mayBeLost = true }: FindLifeOptions,
): Promise<AliveBoard | undefined> {
  const facts = await readFacts({ client }, { signal, known }).catch((error: unknown) => {
    signal?.throwIfAborted();
    if (!mayBeLost && isLost(error)) throw error;
    if (error instanceof BootproofError) return undefined;
    throw error;
  });
  const found = facts && runningSlot(facts, imageNumber)?.content;
  const what = found && `version ${found.version}${found.hash ? ` (${toHex(found.hash).slice(0, 12)})` : ""}`;
  if (client.server.mode === "recovery") {
    if (facts === undefined || what === undefined) return undefined;
    return { message: `The primary slot holds a valid image, ${what}; a restart starts it.`, facts };
  }
  const who = client.server.mode === "application" ? "The application answers" : "A server answers";
  const runs = what === undefined ? "." : ` and runs ${what}.`;
  return { message: `${who}${runs}`, ...(facts && { facts }) };
}

export interface FindLifeOptions {
  signal?: AbortSignal | undefined;
  known?: readonly KnownImage[] | undefined;
  /** Which image; default 0. */
  imageNumber?: number | undefined;
  /** False: a link that is lost meanwhile is thrown. Default: the board falls silent. */
  mayBeLost?: boolean | undefined;
}
