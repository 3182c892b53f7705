import { CborError } from "../smp/cbor.js";
import { osParams } from "../smp/groups/os-first.js";
import { DeviceError } from "../smp/message.js";
import { ShapeError } from "../smp/schema.js";
import type { Client } from "./client.js";
import { RequestTimeout } from "./request-timeout.js";

/** A request that the device has not got: it answered what was asked behind it. */
export class PassedOver extends Error {}

export interface LossProbeOptions {
  /** Silence after which it is asked for the first time. */
  soonMs: number;
  /** How many questions may wait at the server together with the request. */
  most: number;
  /** How long their answers count. */
  patienceMs: number;
}

/** Silence after which, at the latest, another question is asked. */
const ASK_AGAIN_MS = 1000;

/**
 * Asks behind a request, so that an answer to one that never arrived is not waited for: a server answers one after the
 * other, so when it answers a question that was asked behind the request, it has not got it. One that is busy erasing
 * answers neither yet. Tells `passedOver` once; what it returns ends the asking.
 */
export function askBehind(
  client: Client,
  { soonMs, most, patienceMs }: LossProbeOptions,
  passedOver: () => void,
): () => void {
  let questions: AbortController | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const end = () => {
    isOver = true;
    clearTimeout(timer);
    questions?.abort(new DOMException("The request was abandoned.", "AbortError"));
  };
  const passOver = () => {
    if (isOver) return;
    end();
    passedOver();
  };
  const askAfter = (waitMs: number, left: number) => {
    timer = setTimeout(() => {
      questions ??= new AbortController();
      // Where the pipe is gone, the request says so itself.
      answersQuestion(client, { signal: questions.signal, timeoutMs: patienceMs }).then(
        (is) => is && passOver(),
        () => {},
      );
      if (left > 1) askAfter(Math.min(waitMs * 2, ASK_AGAIN_MS), left - 1);
    }, waitMs);
  };
  askAfter(soonMs, most);
  return end;
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
