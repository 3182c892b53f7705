const [LF, CR] = [0x0a, 0x0d];
/** Fewer line feeds with a carriage return before each can be chance. */
const FEWEST = 8;

/**
 * The bytes before something wrote CR LF for each LF, as a copy in text mode does (FTP, Git's autocrlf, a terminal). Undefined
 * for bytes that do not show it: of binary ones one LF in 256 has a CR before it.
 */
export function beforeCrlf(bytes: Uint8Array): Uint8Array | undefined {
  let feeds = 0;
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] !== LF) continue;
    if (bytes[at - 1] !== CR) return undefined;
    feeds++;
  }
  if (feeds < FEWEST) return undefined;
  return bytes.filter((byte, at) => !(byte === CR && bytes[at + 1] === LF));
}
