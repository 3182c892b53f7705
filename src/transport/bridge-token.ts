import { readFile } from "node:fs/promises";
import { TOKEN_VARIABLE } from "../child-environment.js";
import type { QueuedStream } from "./chunk-queue.js";
import { type ByteStream, TransportError } from "./transport.js";

/** What a bridge on another machine wants to hear first. */
export interface TokenOption {
  /** The text itself. It is never shown again: `formatAddress` leaves it out. */
  readonly token?: string;
  /** A file that holds it. */
  readonly tokenFile?: string;
  /** It is in the environment, as BOOTPROOF_TOKEN. */
  readonly tokenFromEnvironment?: true;
}

/** What a bridge says to whoever said a wrong token, or none, before it hangs up. It is no SMP in any framing. */
export const TOKEN_REFUSED = "bootproof bridge: wrong token\n";

const LONGEST_TOKEN = 1024;

/**
 * Says the token, where the address names one, in a line or a datagram of its own, and listens for a bridge that refuses it.
 * The stream throws {@link TransportError} `wrong-token` then, be it that none was given.
 */
export async function withToken(stream: QueuedStream, option: TokenOption): Promise<ByteStream> {
  const token = await tokenOf(stream, option);
  const refusal = new TransportError(
    "wrong-token",
    stream.name,
    token === undefined
      ? `${stream.name} is a bootproof bridge that requires a token.`
      : `${stream.name} is a bootproof bridge, and this token is wrong.`,
    {
      hint:
        token === undefined
          ? "Add ?token-file=FILE to the address, with the text of the bridge's --token-file."
          : "The file holds the text of the bridge's --token-file, and nothing else.",
    },
  );
  let begin = "";
  const decoder = new TextDecoder("latin1");
  // The refusal is the first that is heard, or it is none.
  stream.chunks.inspect((chunk) => {
    begin += decoder.decode(chunk.subarray(0, TOKEN_REFUSED.length));
    if (begin.startsWith(TOKEN_REFUSED)) return refusal;
    return begin.length < TOKEN_REFUSED.length ? "more" : "enough";
  });
  if (token !== undefined) await stream.write(new TextEncoder().encode(`${token}\n`));
  return stream;
}

async function tokenOf(
  stream: ByteStream,
  { token, tokenFile, tokenFromEnvironment }: TokenOption,
): Promise<string | undefined> {
  try {
    if (tokenFile !== undefined) return await tokenIn(tokenFile, stream);
    if (!tokenFromEnvironment) return token;
    const found = process.env[TOKEN_VARIABLE];
    if (found) return found;
    throw new TransportError("not-found", stream.name, `The environment has no ${TOKEN_VARIABLE}.`, {
      hint: "token=env in the address needs it. token-file=FILE reads it from a file.",
    });
  } catch (error) {
    await stream.close();
    throw error;
  }
}

async function tokenIn(file: string, stream: ByteStream): Promise<string> {
  const hint = "It holds the bridge's token, the text of its --token-file.";
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new TransportError("not-found", stream.name, `Cannot read the token file ${file}.`, {
      cause,
      hint,
    });
  });
  const token = text.trim();
  // Some other file, named by mistake, is not told to whoever listens there.
  if (token !== "" && token.length <= LONGEST_TOKEN && !/\s/.test(token)) return token;
  throw new TransportError("not-found", stream.name, `${file} is not a token file: a token is one word.`, {
    hint,
  });
}
