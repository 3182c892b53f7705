import { concat, putU16be, putU32be, u16be } from "../bytes.js";
import { BootproofError } from "../errors.js";

/**
 * The serial protocol of the bootloader in the ROM of every STM32: ST's application note AN3155. Pure: each operation is a
 * generator that yields what to send and how much to expect, and is handed the answer; who owns the wire drives it.
 */

export type StRomErrorCode =
  /** It says no: to the command, an address, or what was sent. */
  | "nack"
  /** It answers something that is no answer. */
  | "rom-bad-answer"
  /** It does not have this command. */
  | "no-command"
  /** An address, length or page that cannot be. */
  | "bad-request"
  /** A chip whose pages are not known here. */
  | "unknown-chip"
  /** What was written does not read back. */
  | "not-written";

/** The ROM refused, or made no sense. */
export class StRomError extends BootproofError {
  declare readonly code: StRomErrorCode;
}

/** One turn on the wire: send, then wait for exactly so many bytes. */
export interface Turn {
  readonly send: Uint8Array;
  readonly expect: number;
  readonly timeoutMs: number;
  /** No answer is one too: nothing is handed back. */
  readonly maySilent?: true;
}

/** An operation: yields turns, is given the bytes that were expected, returns its result. */
export type Operation<T> = Generator<Turn, T, Uint8Array>;

/** Even parity, eight bits: the ROM finds out the baud rate from the first byte. AN3155, section 2. */
export const ST_ROM_LINE = { baudRate: 57600, parity: "even" } as const;

const SYNC = 0x7f;
const ACK = 0x79;
const NACK = 0x1f;

export const ST_ROM_COMMANDS = {
  get: 0x00,
  getId: 0x02,
  readMemory: 0x11,
  go: 0x21,
  writeMemory: 0x31,
  erase: 0x43,
  extendedErase: 0x44,
} as const;

/** Most bytes of one read or write. */
export const ST_ROM_BLOCK = 256;

const QUICK_MS = 1000;
/** One sector of 128 KiB takes up to 2 s on an F4; a list of them adds up. */
const ERASE_MS_PER_PAGE = 2500;

export interface StRomInfo {
  /** Of the protocol: 0x31 is 3.1. */
  readonly version: number;
  readonly commands: readonly number[];
  /** Product id: which family of chips. */
  readonly productId: number;
}

/**
 * Says hello. A ROM that has been greeted before, by a command that was cut short, takes the greeting for the first half of
 * a command and waits; greeted once more it refuses, and is ready.
 */
export function* synchronise(): Operation<void> {
  const greeting = { send: Uint8Array.of(SYNC), expect: 1, timeoutMs: QUICK_MS } as const;
  const [first] = yield { ...greeting, maySilent: true };
  const answer = first ?? (yield greeting)[0];
  if (answer !== ACK && answer !== NACK) throw noAnswer("the greeting", answer);
}

/**
 * What this ROM can do, and which chip it is (AN3155, Get and Get ID).
 *
 * @returns version, commands and product id
 * @throws StRomError when it answers something else
 */
export function* identify(): Operation<StRomInfo> {
  yield* command(ST_ROM_COMMANDS.get);
  const list = yield* counted();
  const commands = [...list.subarray(1)];
  yield* command(ST_ROM_COMMANDS.getId);
  const id = yield* counted();
  if (list.length < 2 || id.length !== 2) throw noAnswer("its description", list[0]);
  return { version: list[0]!, commands, productId: u16be(id, 0) };
}

/** Up to {@link ST_ROM_BLOCK} bytes from `address`. A chip with readout protection refuses. */
export function* readMemory(address: number, length: number): Operation<Uint8Array> {
  if (!(length >= 1 && length <= ST_ROM_BLOCK)) throw badRequest(`${length} bytes in one read`);
  yield* command(ST_ROM_COMMANDS.readMemory);
  yield* acknowledged(checked(addressBytes(address)), "the address");
  const count = length - 1;
  const answer = yield {
    send: Uint8Array.of(count, ~count & 0xff),
    expect: 1 + length,
    timeoutMs: QUICK_MS,
  };
  mustAck(answer[0], "the length");
  return answer.subarray(1);
}

/** Writes up to {@link ST_ROM_BLOCK} bytes into erased flash. Whole words: the ROM wants a multiple of four. */
export function* writeMemory(address: number, data: Uint8Array): Operation<void> {
  const whole = data.length >= 4 && data.length <= ST_ROM_BLOCK && data.length % 4 === 0;
  if (!whole || address % 4 !== 0) throw badRequest(`${data.length} bytes at ${hex(address)}`);
  yield* command(ST_ROM_COMMANDS.writeMemory);
  yield* acknowledged(checked(addressBytes(address)), "the address");
  yield* acknowledged(checked(concat(Uint8Array.of(data.length - 1), data)), "the data");
}

/** Erases pages by number, and nothing else: the forms that erase all of the flash are left out on purpose. */
export function* erasePages(pages: readonly number[], info: StRomInfo): Operation<void> {
  const isExtended = info.commands.includes(ST_ROM_COMMANDS.extendedErase);
  const limit = isExtended ? 0xfff0 : 0xff;
  if (pages.length === 0 || pages.some((page) => !(page >= 0 && page < limit)))
    throw badRequest(`an erase of ${pages.length} pages`);
  const timeoutMs = QUICK_MS + ERASE_MS_PER_PAGE * pages.length;
  if (!isExtended) {
    mustHave(info, ST_ROM_COMMANDS.erase);
    yield* command(ST_ROM_COMMANDS.erase);
    yield* acknowledged(checked(Uint8Array.of(pages.length - 1, ...pages)), "the pages", timeoutMs);
    return;
  }
  yield* command(ST_ROM_COMMANDS.extendedErase);
  const body = new Uint8Array(2 + 2 * pages.length);
  putU16be(body, 0, pages.length - 1);
  for (const [index, page] of pages.entries()) putU16be(body, 2 + 2 * index, page);
  yield* acknowledged(checked(body), "the pages", timeoutMs);
}

/** Starts the program whose vector table lies at `address`. The ROM is gone after that. */
export function* go(address: number): Operation<void> {
  yield* command(ST_ROM_COMMANDS.go);
  yield* acknowledged(checked(addressBytes(address)), "the address");
}

function* command(code: number): Operation<void> {
  const [answer] = yield { send: Uint8Array.of(code, ~code & 0xff), expect: 1, timeoutMs: QUICK_MS };
  if (answer === NACK) {
    throw new StRomError("nack", `The ROM refuses command 0x${code.toString(16)}.`, {
      hint: "The chip's flash may be protected against reading (RDP); lifting that erases all of it.",
    });
  }
  mustAck(answer, "a command");
}

/** A count minus one, so many bytes and one more, and an acknowledgement: as Get and Get ID answer. */
function* counted(): Operation<Uint8Array> {
  const [count = 0] = yield { send: new Uint8Array(0), expect: 1, timeoutMs: QUICK_MS };
  const rest = yield { send: new Uint8Array(0), expect: count + 2, timeoutMs: QUICK_MS };
  mustAck(rest.at(-1), "the end of a list");
  return rest.subarray(0, -1);
}

function* acknowledged(send: Uint8Array, what: string, timeoutMs: number = QUICK_MS): Operation<void> {
  const [answer] = yield { send, expect: 1, timeoutMs };
  mustAck(answer, what);
}

function addressBytes(address: number): Uint8Array {
  const bytes = new Uint8Array(4);
  putU32be(bytes, 0, address);
  return bytes;
}

/** Followed by the XOR of all its bytes. */
function checked(bytes: Uint8Array): Uint8Array {
  return concat(bytes, Uint8Array.of(bytes.reduce((sum, byte) => sum ^ byte, 0)));
}

function mustHave({ commands }: StRomInfo, code: number): void {
  if (commands.includes(code)) return;
  throw new StRomError("no-command", `This ROM has no command 0x${code.toString(16)}.`);
}

function mustAck(answer: number | undefined, what: string): void {
  if (answer === ACK) return;
  if (answer === NACK) throw new StRomError("nack", `The ROM refuses ${what}.`);
  throw noAnswer(what, answer);
}

function noAnswer(what: string, answer: number | undefined): StRomError {
  const heard = answer === undefined ? "nothing" : `0x${answer.toString(16)}`;
  return new StRomError("rom-bad-answer", `The answer to ${what} was ${heard}, which ST's ROM never sends.`, {
    hint: "Is the chip in its ROM bootloader (BOOT0 high at reset), and does the line have even parity?",
  });
}

function badRequest(what: string): StRomError {
  return new StRomError("bad-request", `ST's ROM cannot do this at once: ${what}.`);
}

function hex(address: number): string {
  return `0x${address.toString(16)}`;
}
