import { setTimeout as delay } from "node:timers/promises";
import { CborError } from "../smp/cbor.js";
import { osParams } from "../smp/groups/os.js";
import { DeviceError } from "../smp/message.js";
import { ShapeError } from "../smp/schema.js";
import type { Client } from "./client.js";
import { RequestTimeout } from "./request-timeout.js";

/** A request that the device has not got: it answered what was asked behind it. */
export class PassedOver extends Error {}

export interface AskBehindOptions {
  /** Silence after which it is asked for the first time. */
  soonMs: number;
  /** How many questions may wait at the server together with the request. */
  most: number;
  /** How long their answers count. */
  patienceMs: number;
  signal: AbortSignal;
}

/** Silence after which, at the latest, another question is asked. */
const ASK_AGAIN_MS = 1000;

/**
 * Waits for `answer`, but not for one to a request that never arrived: a server answers one after the other, so when it
 * answers a question that was asked behind the request, it has not got it. One that is busy erasing answers neither yet.
 * Throws {@link PassedOver}, or as `answer` does.
 */
export async function unlessPassedOver<Res>(
  client: Client,
  answer: Promise<Res>,
  { soonMs, most, patienceMs, signal }: AskBehindOptions,
): Promise<Res> {
  const end = new AbortController();
  const stop = AbortSignal.any([signal, end.signal]);
  const over = answer.then(
    () => "over" as const,
    () => "over" as const,
  );
  let hear = () => {};
  const heard = new Promise<"passed over">((resolve) => {
    hear = () => resolve("passed over");
  });
  try {
    let waitMs = soonMs;
    for (let asked = 0; asked < most; asked++) {
      const late = delay(waitMs, "late" as const, { signal: stop }).catch(() => "over" as const);
      const first = await Promise.race([over, heard, late]);
      if (first === "over") return await answer;
      if (first === "passed over") throw new PassedOver();
      // Where the pipe is gone, the request says so itself.
      answersQuestion(client, { signal: stop, timeoutMs: patienceMs }).then(
        (is) => is && hear(),
        () => {},
      );
      waitMs = Math.min(waitMs * 2, ASK_AGAIN_MS);
    }
    if ((await Promise.race([over, heard])) === "passed over") throw new PassedOver();
    return await answer;
  } finally {
    end.abort(new DOMException("Nobody waits for the question any more.", "AbortError"));
  }
}

async function answersQuestion(
  client: Client,
  options: { signal: AbortSignal; timeoutMs: number },
): Promise<boolean> {
  try {
    const question = await client.post(osParams, {}, options);
    await question.answer;
    return true;
  } catch (error) {
    if (error instanceof DeviceError || error instanceof ShapeError || error instanceof CborError)
      return true;
    if (error instanceof RequestTimeout) return false;
    throw error;
  }
}
