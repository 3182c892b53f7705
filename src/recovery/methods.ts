import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "../client/client.js";
import { connect } from "../client/connect.js";
import { BootproofError } from "../errors.js";
import type { LineStep } from "../profiles/profile.js";
import { isAway } from "../session/reconnect.js";
import { restart } from "../session/restart.js";
import { run } from "../session/run.js";
import { Session } from "../session/session.js";
import { BOOT_MODES, osReset } from "../smp/groups/os.js";
import { DeviceError } from "../smp/message.js";
import { catchRecovery } from "./catch-recovery.js";
import type { DirectWriter, RecoveryTarget } from "./target.js";

export type RecoveryMethodName =
  | "smp-reset"
  | "listen"
  | "wait-window"
  | "lines"
  | "touch-1200"
  | "power-cycle"
  | "usb-dfu"
  | "st-rom"
  | "debug-probe"
  | "person";

/** What came of a recovery method. */
export type MethodResult =
  /** The bootloader's serial recovery answers. */
  | { kind: "in"; session: Session }
  /** The image was written past MCUboot. */
  | { kind: "written"; message: string }
  | { kind: "failed"; why: string };

/** What is known when a recovery method is considered. */
export interface RecoveryFacts {
  readonly target: RecoveryTarget;
  readonly file: Uint8Array;
  /** The same as the slot that runs must hold it, which is not encrypted; undefined when nothing here decrypts it. */
  readonly plain: Uint8Array | undefined;
  /** Who answered when the list of recovery methods was set up; undefined when nobody did. */
  readonly client: Client | undefined;
  readonly silence: string;
}

export interface MethodOptions {
  signal?: AbortSignal | undefined;
  /** How long a bootloader's port may take to appear after a restart. */
  withinMs: number;
  onProgress?: (done: number, total: number) => void;
}

export interface RecoveryMethod {
  readonly name: RecoveryMethodName;
  /** What it will do. */
  summary(at: RecoveryFacts): string;
  /** What is lost by it even if it works. */
  destroys(at: RecoveryFacts): string;
  /** It writes flash without MCUboot: somebody has to agree. */
  readonly needsConsent: boolean;
  /** Why it cannot be tried here; undefined when it can. */
  unavailable(at: RecoveryFacts): string | undefined;
  attempt(at: RecoveryFacts, options: MethodOptions): Promise<MethodResult>;
}

const NOTHING = "Nothing: the slots stay as they are.";
/** Only what runs is lost: RAM, open connections, an update that is on trial (a restart reverts it). */
const A_RESTART = "Nothing in flash, but the board restarts: an image on trial is reverted.";

/** Least destructive first. The order is the promise: a recovery method is tried only when those above it have failed. */
export const RECOVERY_METHODS: readonly RecoveryMethod[] = [
  {
    name: "smp-reset",
    summary: () =>
      "Ask the application to restart into the bootloader's serial recovery (retained boot mode).",
    destroys: () => A_RESTART,
    needsConsent: false,
    unavailable: ({ client }) =>
      client === undefined ? NOBODY_TO_ASK : isRecovery(client) ? IN_RECOVERY : undefined,
    attempt: resetIntoRecovery,
  },
  {
    name: "listen",
    summary: () => "Check whether serial recovery already answers, in both framings and both SMP versions.",
    destroys: () => NOTHING,
    needsConsent: false,
    unavailable: () => undefined,
    attempt: listen,
  },
  {
    name: "wait-window",
    summary: () =>
      "Restart the application and keep sending requests, to catch the bootloader's wait-for-DFU window.",
    destroys: () => A_RESTART,
    needsConsent: false,
    unavailable: ({ client }) => (client === undefined ? NOBODY_TO_ASK : undefined),
    attempt: catchWindow,
  },
  lineMethod("lines", (steps) => steps.every(({ baudRate }) => baudRate !== TOUCH)),
  lineMethod("touch-1200", (steps) => steps.some(({ baudRate }) => baudRate === TOUCH)),
  {
    name: "power-cycle",
    summary: ({ target }) => `Switch the power off and on and keep sending requests. ${switching(target)}`,
    destroys: () => "Nothing in flash, unless the board writes to it at this moment.",
    needsConsent: false,
    unavailable: ({ target }) =>
      target.power === undefined
        ? (target.absent?.["power-cycle"] ??
          "No power switch is configured for this board (field `power` in the config file).")
        : undefined,
    attempt: cyclePower,
  },
  writerMethod("usb-dfu", "It has no USB DFU device.", (target) => target.usbDfu),
  writerMethod(
    "st-rom",
    "It is not known to have ST's ROM bootloader on a serial port here.",
    (target) => target.stRom,
  ),
  writerMethod("debug-probe", "No debug tool is installed.", (target) => target.probe),
  {
    name: "person",
    summary: ({ target }) => `Ask you: ${wordsFor(target)}`,
    destroys: () => A_RESTART,
    needsConsent: false,
    unavailable: ({ target }) =>
      target.person === undefined
        ? `There is no terminal to ask for confirmation. To do it yourself: ${wordsFor(target)}`
        : undefined,
    attempt: askPerson,
  },
];

const NOBODY_TO_ASK = "No application answers, so none can be asked to restart.";
const IN_RECOVERY = "The bootloader already answers.";
const TOUCH = 1200;

function isRecovery(client: Client): boolean {
  return client.server.mode === "recovery";
}

/** A session that begins with a client that is there, and dials anew when that is lost. */
export function sessionFrom(client: Client, target: RecoveryTarget): Promise<Session> {
  let first: Client | undefined = client;
  return Session.open(async (signal) => {
    const open = first;
    first = undefined;
    return open ?? connect(await target.dial(signal), { ...target.connect, signal });
  });
}

async function inRecovery(
  client: Client | undefined,
  target: RecoveryTarget,
  why: string,
): Promise<MethodResult> {
  if (client === undefined) return { kind: "failed", why };
  if (isRecovery(client)) return { kind: "in", session: await sessionFrom(client, target) };
  await client.close();
  return { kind: "failed", why };
}

async function resetIntoRecovery(
  { target, client }: RecoveryFacts,
  options: MethodOptions,
): Promise<MethodResult> {
  const { signal, withinMs } = options;
  const session = await sessionFrom(client!, target);
  try {
    await run(restart(session, { signal, withinMs, bootMode: BOOT_MODES.recovery }));
    if (isRecovery(session.client)) return { kind: "in", session };
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof BootproofError)) throw error;
    await session.close();
    return { kind: "failed", why: error.message };
  }
  // The recovery methods that follow need the port.
  await session.close();
  const why =
    "It did not enter serial recovery: its application or its bootloader was built without retained boot mode (CONFIG_BOOT_SERIAL_BOOT_MODE).";
  return { kind: "failed", why };
}

async function listen({ target, client }: RecoveryFacts, { signal }: MethodOptions): Promise<MethodResult> {
  if (client !== undefined && isRecovery(client)) return inRecovery(client, target, "");
  // The client of before holds the port, and may be dead after the recovery methods above.
  await client?.close();
  try {
    const fresh = await connect(await target.dial(signal), { ...target.connect, signal, probes: 3 });
    if (isRecovery(fresh)) return inRecovery(fresh, target, "");
    await fresh.close();
    return { kind: "failed", why: "The application answers, not the bootloader." };
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof BootproofError)) throw error;
    return { kind: "failed", why: error.message };
  }
}

/** From the request on: Zephyr restarts 250 ms after its answer, a swap may come first, then the window. */
const WINDOW_MS = 5000;

async function catchWindow({ target }: RecoveryFacts, { signal }: MethodOptions): Promise<MethodResult> {
  const client = await connect(await target.dial(signal), { ...target.connect, signal });
  try {
    await client.send(osReset, {}, { signal });
  } catch (error) {
    // Boards often restart before they have answered; one that refuses does not restart.
    if (error instanceof DeviceError) {
      await client.close();
      return { kind: "failed", why: error.message };
    }
    if (!isAway(error)) throw error;
  }
  const caught = await catchRecovery(target, { signal, forMs: WINDOW_MS, client });
  return inRecovery(
    caught,
    target,
    "The bootloader has no wait-for-DFU window, or a shorter one than could be caught.",
  );
}

function lineMethod(
  name: "lines" | "touch-1200",
  fits: (steps: readonly LineStep[]) => boolean,
): RecoveryMethod {
  const how =
    name === "lines"
      ? "Switch DTR and RTS as this board is wired"
      : "Open the port at 1200 baud and close it";
  return {
    name,
    summary: () => `${how}, then check whether serial recovery answers.`,
    destroys: () => A_RESTART,
    needsConsent: false,
    unavailable: ({ target }) => {
      if (target.lines === undefined) return "This link has no control lines.";
      const steps = target.profile?.enter;
      return steps === undefined || !fits(steps)
        ? "No profile states that this board reacts to it (field `enter`)."
        : undefined;
    },
    attempt: async ({ target }, { signal, withinMs }) => {
      await target.lines!(target.profile!.enter!, signal);
      const caught = await catchRecovery(target, { signal, forMs: withinMs });
      return inRecovery(caught, target, "It had no effect.");
    },
  };
}

function switching({ power }: RecoveryTarget): string {
  return power?.describe ? `${power.describe("off")} ${power.describe("on")}` : `By ${power?.name}.`;
}

/** How long a board stays without power: its capacitors are empty then. */
const OFF_MS = 2000;

async function cyclePower(
  { target }: RecoveryFacts,
  { signal, withinMs }: MethodOptions,
): Promise<MethodResult> {
  const power = target.power!;
  await power.off(signal);
  // Abort only shortens the wait: whatever happens, the board gets its power back.
  await delay(OFF_MS, undefined, { signal }).catch(() => undefined);
  const knocking = catchRecovery(target, { signal, forMs: withinMs });
  const [caught, on] = await Promise.allSettled([knocking, power.on()]);
  if (caught.status === "rejected") throw caught.reason;
  if (on.status === "rejected") {
    await caught.value?.close();
    throw on.reason;
  }
  return inRecovery(caught.value, target, "The board came back without serial recovery, or not at all.");
}

/** MCUboot decrypts an update on its way into the primary slot, and nothing that lies there already. */
const ENCRYPTED =
  "The image is encrypted, and what is written without the bootloader is not decrypted: add --decrypt-key FILE.";

function writerMethod(
  name: "usb-dfu" | "st-rom" | "debug-probe",
  absent: string,
  pick: (target: RecoveryTarget) => DirectWriter | undefined,
): RecoveryMethod {
  return {
    name,
    summary: ({ target }) => pick(target)?.summary ?? "",
    destroys: ({ target }) => pick(target)?.destroys ?? "",
    needsConsent: true,
    unavailable: ({ target, plain }) => {
      const writer = pick(target);
      if (writer === undefined) return target.absent?.[name] ?? absent;
      return plain === undefined && !writer.decrypts ? ENCRYPTED : undefined;
    },
    attempt: async ({ target, file, plain }, { signal, onProgress }) => {
      try {
        const writer = pick(target)!;
        const message = await writer.write(writer.decrypts ? file : plain!, {
          signal,
          ...(onProgress && { onProgress }),
        });
        return { kind: "written", message };
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof BootproofError)) throw error;
        return { kind: "failed", why: error.message };
      }
    },
  };
}

/** What a person is asked to do, in words made for the board when it is known. */
export function wordsFor({ profile, name }: RecoveryTarget): string {
  const known = profile?.recoveryByHand;
  if (known !== undefined) return known;
  const board = profile?.name ?? name;
  return `Put ${board} into serial recovery: hold the button that its bootloader watches (mcuboot-button0 in its board files) while you press and release reset, or while you plug it in.`;
}

async function askPerson(
  { target }: RecoveryFacts,
  { signal, withinMs }: MethodOptions,
): Promise<MethodResult> {
  const willing = await target.person!(wordsFor(target), signal);
  if (!willing) return { kind: "failed", why: "It was not done." };
  const caught = await catchRecovery(target, { signal, forMs: withinMs });
  return inRecovery(caught, target, "Serial recovery did not answer afterwards.");
}
