import { createInterface } from "node:readline/promises";
import type { BoardDetails } from "../boards/board-description.js";
import { boardIdentityOf } from "../boards/board-identity.js";
import {
  deviceMeant,
  devicesHere,
  type Followed,
  follow,
  followUsb,
  openable,
} from "../boards/choose-device.js";
import { defaultDevice } from "../boards/config.js";
import { connect } from "../client/connect.js";
import type { Key } from "../crypto/keys.js";
import type { Device } from "../devices/device.js";
import { allProfiles } from "../devices/list.js";
import { SelectionError } from "../devices/select.js";
import type { Board } from "../emulator/board.js";
import { type PowerConfig, PowerError, type PowerSwitch } from "../power/power.js";
import { powerSwitch } from "../power/switch.js";
import type { BoardProfile } from "../profiles/profile.js";
import type { RecoverOptions } from "../recovery/recover-events.js";
import { stRomWriter, whyNoRom } from "../recovery/st-rom.js";
import type { DirectWriter, RecoveryTarget } from "../recovery/target.js";
import { usbDfuWriter, whyNoDfu } from "../recovery/usb-dfu.js";
import type { Session } from "../session/session.js";
import { trustBoot } from "../smp/groups/trust.js";
import { ST_ROM_LINE } from "../st-rom/an3155.js";
import { type Address, formatAddress, isPipe } from "../transport/address.js";
import { openStream } from "../transport/open-stream.js";
import type { ByteStream } from "../transport/transport.js";
import type { BoardIdentity } from "../trust/ratchet.js";
import { observeCommands } from "./audit/board-events.js";
import { recordedSwitch } from "./audit/power-events.js";
import { emulatedIdentity } from "./audit/ratchet-memory.js";
import { type EventSink, recorder } from "./audit/recorder.js";
import type { BoardOptions } from "./board-options.js";
import { type Context, chooseDevice } from "./context.js";
import { debugProbe } from "./debug-probe.js";
import { followLog, startEmulated } from "./open-board.js";
import { printable } from "./output.js";
import { traceTo } from "./trace-file.js";
import { UsageError } from "./usage-error.js";

/** A board on the bench, answering or not, and what the config file knows of it. */
export interface RecoverySetup {
  readonly target: RecoveryTarget;
  readonly address: Address;
  /** The device behind a serial address. */
  readonly followed?: Followed;
  /** What the board is known by, although it may not answer. */
  readonly identity: BoardIdentity;
  /** Where events of the board go. */
  readonly audit?: EventSink;
  readonly power?: PowerConfig;
  close(): Promise<void>;
}

export interface TargetOptions extends BoardOptions {
  /** Short name of the profile that holds for this board. */
  profile?: string;
  /** Keys that may have signed what is written. */
  keys?: readonly Key[];
  /** Checks of the preflight that may fail. */
  mayFail?: RecoverOptions["skip"];
  /** Nobody sits here who could be asked for a hand. */
  asksNobody?: boolean;
}

/** A board that was chosen already, as one of several. */
export interface TargetChoice {
  readonly name: string;
  readonly address: Address;
  /** The switch that a board file names. */
  readonly power?: PowerConfig;
}

/**
 * What is at hand to get at the board that is meant, or at one that was `chosen` already. Unlike a session it does not need
 * the board to answer.
 */
export async function recoverySetup(
  options: TargetOptions,
  context: Context,
  chosen?: TargetChoice,
): Promise<RecoverySetup> {
  const { config } = context;
  const address = chosen?.address ?? (await chooseDevice(options.device, context));
  const name = chosen?.name ?? options.device ?? process.env.BOOTPROOF_DEVICE ?? defaultDevice(config);
  const details = { ...detailsOf(name, context), ...(chosen?.power && { power: chosen.power }) };
  const named = profileOf(options.profile ?? details.profile, context);
  const way = await wayTo(address, context);
  try {
    return await targetAt(way, address, named ?? way.device?.profile, details, options, context);
  } catch (error) {
    await way.close();
    throw error;
  }
}

async function targetAt(
  way: Way,
  address: Address,
  profile: BoardProfile | undefined,
  details: BoardDetails,
  options: TargetOptions,
  { config, signal, out }: Context,
): Promise<RecoverySetup> {
  const onText = options.log ? (line: string) => out.note(`log: ${printable(line)}`) : undefined;
  if (way.board && options.log) followLog(way.board, out);
  const { followed } = way;
  const power = details.power && switchOf(details.power, way.device);
  const among = isPipe(address) ? await devicesHere(config, signal) : [];
  const probe = await debugProbe({ profile, device: way.device, among }, signal);
  const identity = identityAt(way, address, { among, asked: details.identity });
  const audit = sinkFor(identity, address);
  const usbDfu = usbDfuWriter(way.device, profile, {
    keys: options.keys,
    skip: options.mayFail,
  });
  const target: RecoveryTarget = {
    name: formatAddress(address),
    dial: way.dial,
    connect: {
      ...(options.timeout === undefined
        ? {}
        : { timeoutMs: options.timeout, probeTimeoutMs: options.timeout }),
      ...(onText && { onText }),
      ...(audit && { onCommand: observeCommands(audit) }),
      ...(options.trace === undefined ? {} : { trace: traceTo(options.trace) }),
    },
    ...(profile && { profile }),
    ...(power && typeof power !== "string" ? { power: recordedSwitch(power, audit) } : {}),
    ...(followed && { lines: async (steps, how) => playLines(followed, steps, how) }),
    ...romMethod(pathOf(address, followed), profile),
    ...(typeof probe === "string" ? {} : { probe }),
    ...(usbDfu && { usbDfu }),
    absent: {
      ...whyAbsent(probe, profile, way.device),
      ...(typeof power === "string" ? { "power-cycle": power } : {}),
    },
    ...(canAsk() && !options.asksNobody ? { person: (words, how) => askPerson(words, how) } : {}),
  };
  signal.throwIfAborted();
  return {
    target,
    address,
    ...(followed && { followed }),
    identity,
    ...(audit && { audit }),
    ...(details.power && { power: details.power }),
    close: way.close,
  };
}

/**
 * A board in a bootloader may show itself as another device; an emulated one is its flash file. What the application tells of
 * itself no serial recovery does, and the port that a board is behind is no identity.
 */
function identityAt(
  { device }: Way,
  address: Address,
  { among, asked }: { among: readonly Device[]; asked: BoardDetails["identity"] },
): BoardIdentity {
  const identity = isPipe(address) ? boardIdentityOf(device, among) : emulatedIdentity(address.flash);
  if (identity.id !== undefined || asked === undefined) return identity;
  return {
    reason: "only the board's application tells its identity, and recovery works without the application.",
  };
}

/** Events of the board that is recovered. */
function sinkFor({ id }: BoardIdentity, address: Address): EventSink | undefined {
  const run = recorder();
  const board = { ...(id !== undefined && { id }), address: formatAddress(address) };
  return run && { record: (event) => run.record({ board, ...event }) };
}

function detailsOf(named: string | undefined, { config }: Context): BoardDetails {
  return named !== undefined && Object.hasOwn(config.details, named) ? config.details[named]! : {};
}

function profileOf(id: string | undefined, { config }: Context): BoardProfile | undefined {
  if (id === undefined) return undefined;
  const profiles = allProfiles(config.profiles);
  const found = profiles.find((profile) => profile.id === id);
  if (found) return found;
  throw new UsageError(
    `There is no profile "${id}".`,
    `There are: ${profiles.map((profile) => profile.id).join(", ")}.`,
  );
}

interface Way {
  dial(signal: AbortSignal | undefined): Promise<ByteStream>;
  readonly followed?: Followed;
  readonly device?: Device;
  readonly board?: Board;
  close(): Promise<void>;
}

async function wayTo(address: Address, { config, signal }: Context): Promise<Way> {
  if (!isPipe(address)) {
    const board = await startEmulated(address.kind, address.variant, address.flash);
    return { dial: () => board.connect(), board, close: () => board.close() };
  }
  const close = async () => {};
  if (address.kind === "usb") {
    const followed = await followUsb(address, config, signal);
    const dial = async (how: AbortSignal | undefined) =>
      openStream((await followed?.address(how)) ?? address, { signal: how });
    return { dial, ...(followed && { device: followed.device }), close };
  }
  if (address.kind !== "serial" && address.kind !== "port")
    return { dial: (how) => openStream(address, { signal: how }), close };
  try {
    const followed = await follow(address, config, signal);
    const dial = async (how: AbortSignal | undefined) =>
      openStream((await followed?.address(how)) ?? (await openable(address, config, how)), { signal: how });
    return { dial, ...(followed && { followed, device: followed.device }), close };
  } catch (error) {
    if (!(error instanceof SelectionError)) throw error;
    // A board in a USB bootloader has no serial port, one without power is nowhere: what needs no port may still reach it.
    const device = await deviceMeant(address, config, signal).catch((absent: unknown) => {
      if (absent instanceof SelectionError && absent.code === "no-board") return undefined;
      throw absent;
    });
    // It may have one later, when what is written runs.
    const dial = async (how: AbortSignal | undefined) =>
      openStream(await openable(address, config, how), { signal: how });
    return { dial, ...(device && { device }), close };
  }
}

async function playLines(
  followed: Followed,
  steps: Parameters<NonNullable<RecoveryTarget["lines"]>>[0],
  signal: AbortSignal | undefined,
): Promise<void> {
  const { changeLines } = await import("../transport/lines.js");
  const { path } = await followed.address(signal);
  await changeLines(path, steps, { signal });
}

type PathOf = (signal: AbortSignal | undefined) => Promise<string>;

/** Where the serial port is now; undefined when there is none. */
function pathOf(address: Address, followed: Followed | undefined): PathOf | undefined {
  if (followed) return async (signal) => (await followed.address(signal)).path;
  return address.kind === "serial" ? async () => address.path : undefined;
}

function romMethod(
  path: PathOf | undefined,
  profile: BoardProfile | undefined,
): Pick<RecoveryTarget, "stRom"> {
  if (path === undefined) return {};
  const open = async (signal: AbortSignal | undefined) => {
    const { openRomPort } = await import("../transport/rom-port.js");
    return openRomPort(await path(signal), { ...ST_ROM_LINE, enter: profile?.rom?.enter, signal });
  };
  const writer = stRomWriter(profile, { open });
  return writer ? { stRom: writer } : {};
}

/** A board that is not plugged in does not show on which port of which hub it hangs: the other recovery methods stay open. */
function switchOf(config: PowerConfig, device: Device | undefined): PowerSwitch | string {
  try {
    return powerSwitch(config, device?.usbPort);
  } catch (error) {
    if (error instanceof PowerError) return `${error.message} ${error.hint ?? ""}`.trim();
    throw error;
  }
}

/** What would have to be known or there for the recovery methods that write flash themselves. */
function whyAbsent(
  probe: DirectWriter | string,
  profile: BoardProfile | undefined,
  device: Device | undefined,
): RecoveryTarget["absent"] {
  const dfu = whyNoDfu(device, profile);
  const rom = whyNoRom(profile);
  return {
    ...(dfu === undefined ? {} : { "usb-dfu": dfu }),
    "st-rom": rom ?? "There is no serial port on which its ROM could be reached.",
    ...(typeof probe === "string" ? { "debug-probe": probe } : {}),
  };
}

/** Somebody sits at a terminal: words can be read there and a key pressed. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}

/** Asks a question whose answer is Enter for yes, or n. */
export async function askPerson(words: string, signal: AbortSignal | undefined): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const question = `\n${words}\nPress Enter when it is done, or n to leave it: `;
    const answer = signal ? await terminal.question(question, { signal }) : await terminal.question(question);
    return !/^n/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}

/** Asks a question that only the typed word `yes` agrees to. */
export async function askForYes(words: string, signal: AbortSignal | undefined): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const question = `\n${words}\nType yes to go on: `;
    const answer = signal ? await terminal.question(question, { signal }) : await terminal.question(question);
    return answer.trim().toLowerCase() === "yes";
  } finally {
    terminal.close();
  }
}

/** What a board shows of itself by answering; undefined while it does not. */
export function lookBySmp(
  target: RecoveryTarget,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  return askQuietly(target, signal, async (session) => {
    const { restartFingerprint } = await import("../session/board-facts.js");
    return restartFingerprint(session, signal);
  });
}

/** How often the board has started, when it answers and counts. */
export function countBoots(
  target: RecoveryTarget,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  return askQuietly(
    target,
    signal,
    async ({ client }) => (await client.send(trustBoot, {}, { signal })).boots,
  );
}

async function askQuietly<T>(
  target: RecoveryTarget,
  signal: AbortSignal | undefined,
  ask: (session: Session) => Promise<T>,
): Promise<T | undefined> {
  const { Session } = await import("../session/session.js");
  const open = async (how: AbortSignal | undefined) =>
    connect(await target.dial(how), { ...target.connect, signal: how, probes: 1, probeTimeoutMs: 700 });
  try {
    const session = await Session.open(open, signal);
    try {
      return await ask(session);
    } finally {
      await session.close();
    }
  } catch {
    // Silence, a port that is gone, half an answer, a board that counts nothing: there is nothing to know.
    signal?.throwIfAborted();
    return undefined;
  }
}
