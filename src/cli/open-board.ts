import type { BoardDetails, IdentitySource } from "../boards/board-description.js";
import { boardIdentityOf } from "../boards/board-identity.js";
import { type Followed, follow, followUsb, openable } from "../boards/choose-device.js";
import type { Config } from "../boards/config.js";
import type { Client, ClientOptions } from "../client/client.js";
import { type ConnectOptions, connect } from "../client/connect.js";
import type { Device } from "../devices/device.js";
import type { FollowedUsb } from "../devices/follow-usb.js";
import type { Board, Machine } from "../emulator/board.js";
import { readIdentity } from "../session/read-identity.js";
import { retryUntilBack } from "../session/retry-until-back.js";
import { OtherBoardError } from "../session/same-board.js";
import { type Recognise, Session } from "../session/session.js";
import { consoleFraming } from "../smp/framing/console.js";
import { rawFraming } from "../smp/framing/raw.js";
import { type Address, formatAddress, isPipe, type PipeAddress } from "../transport/address.js";
import { openStream } from "../transport/open-stream.js";
import type { ByteStream } from "../transport/transport.js";
import type { EventInput } from "../trust/events.js";
import type { BoardIdentity } from "../trust/ratchet.js";
import { observeCommands } from "./audit/board-events.js";
import { emulatedIdentity } from "./audit/ratchet-memory.js";
import { type EventSink, recorder } from "./audit/recorder.js";
import type { BoardOptions } from "./board-options.js";
import { followChanges } from "./interruption.js";
import { recallLink, rememberLink } from "./link-memory.js";
import { type Output, printable } from "./output.js";
import { traceTo } from "./trace-file.js";
import type { Context } from "./verb-context.js";

/** An open session to a board. */
export interface OpenBoard {
  readonly session: Session;
  readonly identity: BoardIdentity;
  /** As events of the audit log name it. */
  readonly about: NonNullable<EventInput["board"]>;
  readonly audit?: EventSink | undefined;
  /** The device behind the address, where one is listed. */
  readonly device?: Device | undefined;
  /** Lets go of the link; an emulated board of this process is switched off. */
  close(): Promise<void>;
}

/**
 * Opens a session to the board at an address; waits for a listed board that goes away meanwhile. `name`: the board's name
 * in the config file, which may say what to ask it for its identity.
 */
export async function openBoard(
  address: Address,
  options: BoardOptions,
  context: Context,
  { withinMs, name }: { withinMs?: number | undefined; name?: string | undefined } = {},
): Promise<OpenBoard> {
  const { signal, out } = context;
  const reached = await reach(address, options, context);
  const { open, isKnown, audit, device, close } = reached;
  const onLost = (why: string) =>
    out.note(`The link was lost before the board could be asked: ${printable(why)} Waiting for the board...`);
  try {
    // Behind a network a link that ends at once has its reasons there: somebody else has the port.
    const isHere = isKnown || address.kind === "serial";
    const attempt = () => Session.open(open, signal);
    const session = await (isHere
      ? retryUntilBack(attempt, { signal, withinMs, wasListed: isKnown, onLost })
      : attempt());
    const closeAll = async () => {
      try {
        await session.close();
      } finally {
        await close();
      }
    };
    const asked = name === undefined ? undefined : ownDetails(context.config, name)?.identity;
    const { identity, about } = await tellIdentity(reached, session, asked, signal);
    const isTracked = isKnown || !isPipe(address);
    session.expect(sameIdentity(session, { identity, asked, isTracked }, (text) => out.note(text)));
    return { session, identity, about, audit, device, close: closeAll };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Asks for the identity again where the board told one before. Of any other board behind the bare name of a port or a network
 * address, only what it runs can be compared: that is said, once.
 */
function sameIdentity(
  session: Session,
  before: { identity: BoardIdentity; asked: IdentitySource | undefined; isTracked: boolean },
  note: (text: string) => void,
): Recognise {
  const { identity, asked, isTracked } = before;
  let isSaid = isTracked;
  return async (client, signal) => {
    if (asked && identity.id !== undefined && identity.from === "smp" && client.server.mode !== "recovery") {
      const now = await readIdentity(session, asked, { signal });
      if ("id" in now) {
        if (now.id === identity.id) return;
        throw new OtherBoardError(client.name, `reported ${identity.id}`, `reports the identity ${now.id}`);
      }
    }
    if (isSaid) return;
    isSaid = true;
    note(
      `The link to ${printable(client.name)} was opened again. The board there reports no identity of its own: only what it runs shows that it is the same one.`,
    );
  };
}

function ownDetails({ details }: Config, name: string): BoardDetails | undefined {
  return Object.hasOwn(details, name) ? details[name] : undefined;
}

/** What the board is known by: what its device shows, else what it tells itself where the config file says how to ask. */
async function tellIdentity(
  reached: Reach,
  session: Session,
  asked: IdentitySource | undefined,
  signal: AbortSignal,
): Promise<Pick<Reach, "identity" | "about">> {
  if (reached.identity.id !== undefined || asked === undefined) return reached;
  // Whatever a bootloader answers there, it is not what the application would have told.
  if (session.client.server.mode === "recovery")
    return reached.nameIt({
      reason: "serial recovery answers, and only the application tells the board's identity.",
    });
  const identified = await readIdentity(session, asked, { signal });
  return reached.nameIt("id" in identified ? { id: identified.id, from: "smp" } : identified);
}

/** What the board at an address is known by, without speaking to it. */
export async function identityAt(address: Address, { config, signal }: Context): Promise<BoardIdentity> {
  if (!isPipe(address)) return emulatedIdentity(address.flash);
  return (await followPipe(address, config, signal))?.identity ?? boardIdentityOf(undefined);
}

interface Reach {
  open(signal: AbortSignal | undefined): Promise<Client>;
  /** It is a device that was listed here, and will be known again when it comes back. */
  readonly isKnown: boolean;
  readonly identity: BoardIdentity;
  readonly about: OpenBoard["about"];
  readonly audit: EventSink | undefined;
  readonly device?: Device | undefined;
  /** The board has told who it is: its events from here on say so. */
  nameIt(identity: BoardIdentity): Pick<Reach, "identity" | "about">;
  close(): Promise<void>;
}

/** How to open the way to an address, now and again later. An emulated board runs until `close`. */
async function reach(
  address: Address,
  options: BoardOptions,
  { out, config, signal }: Context,
): Promise<Reach> {
  let about: OpenBoard["about"] = { address: formatAddress(address) };
  const run = recorder();
  const audit: EventSink | undefined = run && { record: (event) => run.record({ board: about, ...event }) };
  const named = (identity: BoardIdentity): Pick<Reach, "identity" | "about" | "audit" | "nameIt"> => {
    about = { ...(identity.id && { id: identity.id }), ...about };
    return { identity, about, audit, nameIt: named };
  };
  const recordChange = audit && observeCommands(audit);
  const followChange = followChanges(about.address ?? "");
  const onCommand: ClientOptions["onCommand"] = (command, request, answer) => {
    recordChange?.(command, request, answer);
    followChange(command, request, answer);
  };
  const clientOptions = {
    onCommand,
    ...(options.timeout === undefined ? {} : { timeoutMs: options.timeout, probeTimeoutMs: options.timeout }),
    ...(options.log ? { onText: (line: string) => out.note(`log: ${printable(line)}`) } : {}),
    ...(options.trace === undefined ? {} : { trace: traceTo(options.trace) }),
  };
  const client = (stream: ByteStream, how: AbortSignal | undefined, link: Partial<ConnectOptions>) =>
    connect(stream, { ...clientOptions, ...link, signal: how });
  if (isPipe(address)) {
    const followed = await followPipe(address, config, signal);
    const { serialNumber, serialIsShared } = followed?.device ?? {};
    const key = serialNumber !== undefined && !serialIsShared ? serialNumber : formatAddress(address);
    let last: Client | undefined;
    let path: string | undefined;
    const remember = () => last && rememberLink(key, last.pacing.memory);
    return {
      isKnown: followed !== undefined,
      device: followed?.device,
      ...named(followed?.identity ?? boardIdentityOf(undefined)),
      open: async (how) => {
        remember();
        // Only a port is still to be found.
        const known = (await followed?.address(how)) ?? address;
        const where = known.kind === "port" ? await openable(known, config, how) : known;
        if (where.kind === "serial") {
          if (path !== undefined && path !== where.path)
            out.note(`The board is back on ${printable(where.path)}; it was on ${printable(path)}.`);
          path = where.path;
        }
        const stream = await openStream(where, { signal: how });
        const noticeMs = address.kind === "tcp" ? EMULATOR_START_MS : undefined;
        last = await client(stream, how, { ...framingIn(address), noticeMs, memory: recallLink(key) });
        return last;
      },
      close: async () => void remember(),
    };
  }
  const board = await startEmulated(address.kind, address.variant, address.flash);
  if (options.log) followLog(board, out);
  const open = async (how: AbortSignal | undefined) => client(await board.connect(), how, EMULATED);
  return { open, isKnown: false, ...named(emulatedIdentity(address.flash)), close: () => board.close() };
}

/** What is behind a TCP port may be an emulator that was started a moment ago: it listens before its board's first word. */
export const EMULATOR_START_MS = 250;

/** A board of this machine is meant, and not the name of its port; what is behind a network is just an address. */
async function followPipe(
  address: PipeAddress,
  config: Config,
  signal: AbortSignal,
): Promise<(Followed | (FollowedUsb & { readonly identity: BoardIdentity })) | undefined> {
  if (address.kind === "port" || address.kind === "serial") return follow(address, config, signal);
  return address.kind === "usb" ? followUsb(address, config, signal) : undefined;
}

/** What the emulated boards speak need not be found out. */
const EMULATED = { framing: consoleFraming() };

/** The framing that stands in the address. */
function framingIn(address: PipeAddress): Pick<ConnectOptions, "framing"> {
  const framing = "framing" in address ? address.framing : undefined;
  if (framing === undefined) return {};
  return { framing: framing === "raw" ? rawFraming : consoleFraming() };
}

export async function startEmulated(
  machine: Machine,
  variant: string,
  flashFile: string | undefined,
): Promise<Board> {
  const { startBoard } = await import("../emulator/start.js");
  return startBoard({ machine, variant, flashFile });
}

/** The emulated boards have a log UART of their own. */
export function followLog(board: Board, out: Output): void {
  board.log.onLine((line) => out.note(`log: ${printable(line)}`));
}
