import { addressMeant, hasBaudBehindPath } from "../boards/address-meant.js";
import { namesDevice, onlyDevice } from "../boards/choose-device.js";
import { type Config, defaultDevice } from "../boards/config.js";
import type { Key } from "../crypto/keys.js";
import { looksLikeDevice } from "../devices/select.js";
import { BootproofError } from "../errors.js";
import type { KnownImage } from "../session/board-facts.js";
import type { Session } from "../session/session.js";
import { type Address, formatAddress } from "../transport/address.js";
import { parseAddress } from "../transport/parse-address.js";
import { TransportError } from "../transport/transport.js";
import type { BoardIdentity } from "../trust/ratchet.js";
import { recorder } from "./audit/recorder.js";
import type { BoardOptions } from "./board-options.js";
import { hintForBoard, isGoneAfterwards } from "./emulated-hint.js";
import { readAs } from "./files.js";
import { readImageFile } from "./firmware-file.js";
import { type OpenBoard, openBoard } from "./open-board.js";
import type { Output } from "./output.js";
import { rememberKeyFile } from "./run-facts.js";
import { type CommonOptions, type Context, commonOptions, inContext, wholeNumber } from "./verb-context.js";

export { several } from "./several.js";
export { type CommonOptions, type Context, commonOptions, inContext, wholeNumber };

/** Runs a command's work with an open session to the board that is meant. */
export async function withBoard(
  options: BoardOptions,
  work: (session: Session, context: Context) => Promise<void>,
): Promise<void> {
  await inContext(options, (context) => onBoard(options, context, (session) => work(session, context)));
}

/**
 * The same for a command that has something to do first: what is wrong with a file is said before a board is disturbed.
 * A board that goes away while it is being spoken to for the first time is waited for, `withinMs` at most (default 60000).
 */
export async function onBoard(
  options: BoardOptions,
  context: Context,
  work: (session: Session, identity: BoardIdentity, board: OpenBoard) => Promise<void>,
  { withinMs }: { withinMs?: number | undefined } = {},
): Promise<void> {
  const address = await chooseDevice(options.device, context);
  const audit = recorder();
  if (audit) audit.board = { address: formatAddress(address) };
  const name = options.device ?? process.env.BOOTPROOF_DEVICE ?? defaultDevice(context.config);
  const board = await openBoard(address, options, context, { withinMs, name });
  if (audit) audit.board = board.about;
  try {
    await work(board.session, board.identity, board);
  } catch (error) {
    if (error instanceof BootproofError && isGoneAfterwards(formatAddress(address))) {
      // Loaded when there is an error: its table names every class.
      const { nextStepFor } = await import("./exit.js");
      Object.assign(error, { hint: hintForBoard(formatAddress(address), nextStepFor(error)) });
    }
    throw error;
  } finally {
    await board.close();
  }
}

/**
 * The board that is meant: `-d`, else BOOTPROOF_DEVICE, else the config file, else the only one that is plugged in. An
 * address, a name of the config file, or what a device shows of itself: serial number, USB port, VID:PID, board name.
 *
 * @throws ChoiceError, SelectionError listing what there is
 */
export async function chooseDevice(asked: string | undefined, { config, signal }: Context): Promise<Address> {
  const named = asked ?? process.env.BOOTPROOF_DEVICE ?? defaultDevice(config);
  if (named !== undefined && named !== "") {
    const text = Object.hasOwn(config.boards, named) ? config.boards[named]! : named;
    return readDevice(text, config, signal);
  }
  const { usbPort, ports } = await onlyDevice(config, signal);
  return parseAddress(usbPort === undefined ? `serial:${ports[0]!.path}` : `port:${usbPort}`);
}

async function readDevice(text: string, config: Config, signal: AbortSignal): Promise<Address> {
  // What is behind a network need not be told apart from names of devices.
  const network = networkAddress(text);
  if (network) return network;
  if (looksLikeDevice(text)) return parseAddress(`port:${text}`);
  try {
    if (hasBaudBehindPath(text))
      throw new TransportError("bad-address", text, `"${text}" is not an address.`);
    return parseAddress(text);
  } catch (error) {
    if (error instanceof TransportError) {
      const meant = addressMeant(text);
      if (meant !== undefined && "refusal" in meant)
        throw new TransportError("bad-address", text, meant.refusal, { cause: error, hint: meant.hint });
      if (meant?.isCertain) return parseAddress(meant.address);
      if (meant !== undefined)
        throw new TransportError("bad-address", text, `"${text}" is not an address.`, {
          cause: error,
          hint: `Write -d ${meant.address} instead.`,
        });
    }
    if (!(error instanceof TransportError) || text.includes(":")) throw error;
    if (await namesDevice(text, config, signal)) return parseAddress(`port:${text}`);
    const names = Object.keys(config.boards);
    throw new TransportError(
      "bad-address",
      text,
      `"${text}" is not an address, a board of the config file, or a device that is plugged in.`,
      {
        hint: `${names.length > 0 ? `Boards of the config file: ${names.join(", ")}. ` : ""}bootproof devices shows what is plugged in.`,
      },
    );
  }
}

function networkAddress(text: string): Address | undefined {
  if (!/^(?:udp|tcp):/.test(text)) return undefined;
  try {
    return parseAddress(text);
  } catch (error) {
    // What is wrong with it is told where all the others are read.
    if (error instanceof TransportError) return undefined;
    throw error;
  }
}

/** Keys to trust, from files; what the user names on the command line comes first, then the config file's. */
export async function readKeys(files: readonly string[], out: Output): Promise<Key[]> {
  // Loaded when there is a key to read: its curves and hashes take as long as all the rest.
  const { parseKey } = await import("../crypto/keys.js");
  const { warnIfPublished } = await import("./published-key.js");
  const keys = await Promise.all(files.map((file) => readAs(file, (content) => parseKey(content))));
  for (const [index, key] of keys.entries()) {
    rememberKeyFile(key, files[index]!);
    warnIfPublished(key, out);
  }
  return keys;
}

/**
 * Images whose hashes may turn up in a slot, from image files and lists of what was released. A file that is neither is
 * worth a word, not an end.
 */
export async function readKnown(files: readonly string[], out: Output): Promise<KnownImage[]> {
  const { knownImages } = await import("../session/known-images.js");
  return files.flatMap((file) => {
    try {
      return knownImages(file, readImageFile(file).bytes);
    } catch (error) {
      if (!(error instanceof BootproofError)) throw error;
      out.note(`Ignored known image: ${file}: ${error.message}`);
      return [];
    }
  });
}
