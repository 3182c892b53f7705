import { type Stats, statSync } from "node:fs";

/** What was most likely meant by a text that is no address, and what follows from that. */
export type Meant =
  /** It can only be this: a device file that exists. */
  | { readonly address: string; readonly isCertain: true }
  | { readonly address: string; readonly isCertain: false }
  /** Nothing can be opened, for a reason worth saying. */
  | { readonly refusal: string; readonly hint: string };

const HOST = String.raw`(?:\d{1,3}(?:\.\d{1,3}){3}|localhost|\[[\da-f:]+\]|[a-z\d](?:[a-z\d-]*[a-z\d])?(?:\.[a-z\d-]+)+)`;

/** As other programs take a port and its speed. It reads as a path, of a port that does not exist. */
const BAUD_BEHIND_PATH = /^(\/dev\/[\w./-]+|COM\d+)[:,@](\d{3,8})$/i;

/** How people write addresses, and how they are written here. In this order. */
const GUESSES: readonly (readonly [pattern: RegExp, meant: string])[] = [
  [/^((?:tty[A-Z]|cu\.)[\w.-]*(?:\?.*)?)$/, "/dev/$1"],
  [/^(pts\/\d+(?:\?.*)?)$/, "/dev/$1"],
  [/^(dev\/.+)$/, "/$1"],
  [BAUD_BEHIND_PATH, "$1?baud=$2"],
  [/^(tcp|udp|rfc2217):\/\/(.+?)\/?$/i, "$1:$2"],
  [/^(?:socket|telnet):\/\/(.+?)\/?$/i, "tcp:$1"],
  [/^serial:\/\/(.+)$/i, "serial:$1"],
  [new RegExp(`^(${HOST}:\\d{1,5})$`, "i"), "tcp:$1"],
];

/**
 * What somebody means who writes an address in another way: `ttyACM0`, `127.0.0.1:4001`, `/dev/ttyACM0:115200`, or the
 * path of a device file. Undefined when nothing is likely.
 *
 * @param text - as somebody typed it
 * @param exists - looks at a path; replaced in tests
 * @returns the address to use, or why it can be none
 */
export function addressMeant(
  text: string,
  exists: (path: string) => Stats | undefined = statOf,
): Meant | undefined {
  const [path = text, query] = text.split("?", 2);
  if (path.includes("/") && !path.includes("://")) {
    const file = exists(path);
    const address = `serial:${path}${query === undefined ? "" : `?${query}`}`;
    if (file?.isCharacterDevice()) return { address, isCertain: true };
    if (file?.isSocket())
      return {
        refusal: `"${path}" is a Unix socket.`,
        hint: `Make it a TCP port, for instance with socat TCP-LISTEN:4001,bind=127.0.0.1 UNIX-CONNECT:${path}, then use -d tcp:127.0.0.1:4001.`,
      };
    if (file?.isFile() || file?.isDirectory())
      return {
        refusal: `"${path}" is a ${file.isFile() ? "file" : "folder"}, not a board.`,
        hint: "-d takes a serial port or another address; an emulated board with this flash file is wasm:good?flash=FILE.",
      };
  }
  for (const [pattern, meant] of GUESSES)
    if (pattern.test(text)) return { address: text.replace(pattern, meant), isCertain: false };
  return undefined;
}

/**
 * True for `/dev/ttyACM0:115200`, unless a device file has that very name.
 *
 * @param text - as somebody typed it
 * @returns true when the number behind the colon can only be a baud rate
 */
export function hasBaudBehindPath(text: string): boolean {
  return BAUD_BEHIND_PATH.test(text) && statOf(text) === undefined;
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    // Absent, or in a folder that is closed to us: no device file as far as we can tell.
    return undefined;
  }
}
