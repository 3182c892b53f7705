import { setTimeout as delay } from "node:timers/promises";
import { Client, RequestTimeout } from "../client/client.js";
import { identify } from "../client/connect.js";
import { BootproofError } from "../errors.js";
import { consoleFraming } from "../smp/framing/console.js";
import { rawFraming } from "../smp/framing/raw.js";
import { osConsoleEcho } from "../smp/groups/os-first.js";
import { DeviceError } from "../smp/message.js";
import { TransportError } from "../transport/transport.js";
import type { RecoveryTarget } from "./target.js";

export interface CatchOptions {
  signal?: AbortSignal | undefined;
  /** How long to try. */
  forMs: number;
  /** Speak on this pipe first; it is closed when it leads nowhere. */
  client?: Client | undefined;
}

/**
 * MCUboot's wait-for-DFU window is 500 ms by default and ends at the first valid request: any, and recovery stays. So one
 * is asked for twice as often as would be polite, in both framings while the framing is open, and in the version of old
 * bootloaders every fourth time.
 */
const ASK_MS = 120;
const OLD_VERSION_EVERY = 4;

/**
 * Keeps knocking while a board restarts, and holds the door: the client of a bootloader in serial recovery, or undefined
 * when there was none in time. The port may come and go meanwhile.
 */
export async function catchRecovery(
  target: RecoveryTarget,
  options: CatchOptions,
): Promise<Client | undefined> {
  const { signal, forMs } = options;
  const start = performance.now();
  let client = options.client;
  for (let knock = 0; performance.now() - start < forMs; knock++) {
    signal?.throwIfAborted();
    client ??= await dialQuietly(target, signal);
    if (client === undefined) continue;
    const answerer = await knockOnce(client, knock, signal);
    if (answerer === "recovery") return settled(client, target, signal);
    if (answerer === "lost") {
      await client.close();
      client = undefined;
    }
  }
  await client?.close();
  return undefined;
}

type Answerer = "recovery" | "application" | "nothing" | "lost";

async function knockOnce(client: Client, knock: number, signal: AbortSignal | undefined): Promise<Answerer> {
  const old = knock % OLD_VERSION_EVERY === OLD_VERSION_EVERY - 1;
  try {
    await client.send(
      osConsoleEcho,
      { echo: 0 },
      {
        signal,
        timeoutMs: ASK_MS,
        retries: 0,
        versions: [old ? 1 : 2],
        everyFraming: !client.isFramingKnown,
      },
    );
    return "recovery";
  } catch (error) {
    // An application does not know this command; it may be the one of before the reset.
    if (error instanceof DeviceError) return resting("application", signal);
    if (error instanceof RequestTimeout) return "nothing";
    if (error instanceof TransportError) return "lost";
    if (error instanceof BootproofError) return "nothing";
    throw error;
  }
}

/** Somebody answers at once: knocking on without a rest would only keep it from restarting. */
async function resting(answerer: Answerer, signal: AbortSignal | undefined): Promise<Answerer> {
  await rest(ASK_MS / 2, signal);
  return answerer;
}

/** The bootloader is held; now it can be asked at leisure who it is. */
async function settled(
  client: Client,
  target: RecoveryTarget,
  signal: AbortSignal | undefined,
): Promise<Client> {
  try {
    await identify(client, { ...target.connect, signal });
    return client;
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** A port that comes and goes during a restart is worth trying again; each try costs a little waiting. */
async function dialQuietly(
  target: RecoveryTarget,
  signal: AbortSignal | undefined,
): Promise<Client | undefined> {
  try {
    const stream = await target.dial(signal);
    const framings = target.connect?.framing ? undefined : ([consoleFraming(), rawFraming] as const);
    return new Client(stream, { ...target.connect, framings });
  } catch (error) {
    if (!(error instanceof BootproofError)) throw error;
    await rest(ASK_MS / 2, signal);
    return undefined;
  }
}

async function rest(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => signal?.throwIfAborted());
}
