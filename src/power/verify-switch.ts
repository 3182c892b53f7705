import { setTimeout as delay } from "node:timers/promises";
import { PowerError, type PowerSwitch } from "./power.js";

/** How it is seen whether a board is alive. */
export interface LivenessProbe {
  /** In words: `its USB device`, `its answers`. */
  readonly what: string;
  /** A text while it is there, which differs after it was without power where that can be told; undefined while it is away. */
  sample(signal: AbortSignal | undefined): Promise<string | undefined>;
  /** How often the board has started since it was given power, by its own count, where it keeps one and can be asked. */
  boots?(signal: AbortSignal | undefined): Promise<number | undefined>;
}

export type ProofEvent =
  | { step: "alive"; what: string }
  | { step: "off"; action: string }
  | { step: "gone"; what: string; afterMs: number }
  | { step: "on"; action: string }
  | { step: "back"; what: string; afterMs: number };

export interface ProofOptions {
  signal?: AbortSignal | undefined;
  /** How long the board may live on after its power went: capacitors, batteries. Default 5000. */
  goneWithinMs?: number | undefined;
  /** How long it may take to come back. Default 30000. */
  backWithinMs?: number | undefined;
  /** How long it must stay away while the power is off. Default 1000. */
  stayAwayMs?: number | undefined;
}

export interface PowerProof {
  /** It was seen to begin anew, not only to be away. */
  restarted: boolean;
  goneAfterMs: number;
  backAfterMs: number;
}

const FIRST_BOOT = 1;
/** Between two looks. */
const LOOK_MS = 100;

/**
 * Proves that a switch switches: the board is there, goes away, stays away, and comes back, started anew where it can tell. Hubs claim to switch and leave
 * the power on, and Linux may switch it on again (uhubctl issues 319 and 324); only the board can tell. The power is given
 * back whatever happens.
 *
 * @param power - the switch
 * @param vitals - looks whether the board is there, and which start this is
 * @param options - limits in milliseconds; `signal`
 * @returns after how many milliseconds the board was gone and back, and whether it began anew
 * @throws PowerError `still-powered`, `not-back`; what the switch throws
 */
export async function* provePower(
  power: PowerSwitch,
  vitals: LivenessProbe,
  options: ProofOptions = {},
): AsyncGenerator<ProofEvent, PowerProof, void> {
  const { signal, goneWithinMs = 5000, backWithinMs = 30_000, stayAwayMs = 1000 } = options;
  const before = await vitals.sample(signal);
  if (before === undefined) {
    throw new PowerError(
      "not-back",
      `${capital(vitals.what)} is not visible before the test, so nothing can be proven.`,
      {
        hint: "Switch the board on first, and check with bootproof devices that it is listed.",
      },
    );
  }
  const bootsBefore = (await vitals.boots?.(signal)) ?? FIRST_BOOT;
  yield { step: "alive", what: vitals.what };
  let goneAfterMs: number;
  yield { step: "off", action: power.describe("off") };
  try {
    await power.off(signal);
    const gone = await until(vitals, (now) => now === undefined, goneWithinMs, signal);
    if (gone === undefined) throw stillPowered(power, vitals, goneWithinMs);
    goneAfterMs = gone.afterMs;
    yield { step: "gone", what: vitals.what, afterMs: goneAfterMs };
    const early = await until(vitals, (now) => now !== undefined, stayAwayMs, signal);
    if (early !== undefined) throw cameBackAlone(vitals);
  } finally {
    // Not with the signal: a bench that is interrupted here would be left without power.
    await power.on();
  }
  yield { step: "on", action: power.describe("on") };
  const back = await until(vitals, (now) => now !== undefined, backWithinMs, signal);
  if (back === undefined) {
    throw new PowerError(
      "not-back",
      `${capital(vitals.what)} did not come back within ${backWithinMs / 1000} s.`,
      {
        hint: "The power is on again. Does the board start by itself, or does it wait for a button?",
      },
    );
  }
  yield { step: "back", what: vitals.what, afterMs: back.afterMs };
  // A board that had started once counts one again: only a count above that tells anything.
  const bootsAfter = bootsBefore > FIRST_BOOT ? await vitals.boots?.(signal) : undefined;
  if (bootsAfter === bootsBefore) throw onlyHidden(vitals, bootsAfter);
  const restarted = back.observed !== before || (bootsAfter !== undefined && bootsAfter < bootsBefore);
  return { restarted, goneAfterMs, backAfterMs: back.afterMs };
}

function onlyHidden({ what }: LivenessProbe, boots: number): PowerError {
  return new PowerError(
    "still-powered",
    `${capital(what)} disappeared and came back, but the board kept its power: it still counts ${boots} starts since power-on.`,
    {
      hint: "The port was only switched off for USB; the board kept its power. Use another hub, a relay or a command.",
    },
  );
}

function stillPowered(power: PowerSwitch, { what }: LivenessProbe, withinMs: number): PowerError {
  return new PowerError(
    "still-powered",
    `${power.name} was switched off, but ${what} is still there after ${withinMs / 1000} s.`,
    {
      hint: "The hub may only claim to switch its power, or the board has another supply: a battery, a second cable, a debug probe.",
    },
  );
}

function cameBackAlone({ what }: LivenessProbe): PowerError {
  return new PowerError("still-powered", `${capital(what)} came back although the power is off.`, {
    hint: "Something switched it on again (Linux does so on some hubs), or it disconnected for another reason.",
  });
}

async function until(
  vitals: LivenessProbe,
  enough: (now: string | undefined) => boolean,
  withinMs: number,
  signal: AbortSignal | undefined,
): Promise<{ afterMs: number; observed: string | undefined } | undefined> {
  const start = performance.now();
  for (;;) {
    const observed = await vitals.sample(signal);
    const afterMs = performance.now() - start;
    if (enough(observed)) return { afterMs, observed };
    if (afterMs > withinMs) return undefined;
    await delay(LOOK_MS, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
