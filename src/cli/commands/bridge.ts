import { type Command, Option } from "commander";
import { TOKEN_VARIABLE } from "../../child-environment.js";
import { type GuestEnd, type Intercept, Relay } from "../../client/relay.js";
import { untilAnswering } from "../../session/reconnect.js";
import { run } from "../../session/run.js";
import type { Session } from "../../session/session.js";
import type { Listener } from "../../transport/listener.js";
import { listenTcp } from "../../transport/tcp.js";
import type { ByteStream, TransportError } from "../../transport/transport.js";
import { listenUdp } from "../../transport/udp.js";
import { guardGuests } from "../audit/guest-guard.js";
import type { StepGuard } from "../audit/ratchet-guard.js";
import { recorder } from "../audit/recorder.js";
import { guardFor, guardOptions, type StepOptions } from "../audit/step-options.js";
import { boardOptions } from "../board-options.js";
import { type Context, inContext, onBoard, wholeNumber } from "../context.js";
import { readInput } from "../files.js";
import { UsageError } from "../usage-error.js";

interface BridgeOptions extends StepOptions {
  listen: string;
  port: number;
  token?: string | undefined;
  tokenFile?: string;
  idle: number;
}

/** Zephyr's SMP port. */
const SMP_PORT = 1337;
const LOOPBACK = /^(127(\.\d+){3}|::1|localhost)$/;
const SHORTEST_TOKEN = 16;

export function define(command: Command): void {
  guardOptions(boardOptions(command))
    .option("--listen <host>", "the address for other clients, over UDP and TCP", "127.0.0.1")
    .option("--port <number>", "0 chooses a free one", wholeNumber("--port", { max: 65535 }), SMP_PORT)
    .option(
      "--token-file <file>",
      "a file with the token that clients send first; needed for access from other machines",
    )
    .addOption(new Option("--token <text>").hideHelp())
    .option(
      "--idle <ms>",
      "close a connection that sends nothing for this long",
      wholeNumber("--idle", { min: 1000 }),
      900_000,
    )
    .addHelpText("after", `\n${HELP}`)
    .action((given: BridgeOptions) => {
      const options = { ...given, token: tokenOf(given) };
      checkToken(options);
      return inContext(options, async (context) => {
        const guard = await guardFor(options, context);
        await onBoard(options, context, (session, identity) =>
          bridge(session, options, { context, guard: guard(identity) }),
        );
      });
    });
}

const HELP = `Any SMP client may connect: by UDP a message a datagram, by TCP in console or raw framing, whichever it speaks.
The token may also be in BOOTPROOF_TOKEN. Without one, a connection that begins like HTTP is dropped unread: any web page
could have a browser make it. With a token a client sends it first, in a line (TCP) or a datagram (UDP) of its own; bootproof does so with
-d tcp:HOST:PORT?token-file=FILE, or ?token=env with BOOTPROOF_TOKEN. Requests and answers travel in the clear: use it on networks you trust.
What clients change on the board is in the audit log. Images that this host remembers as too old for the board, and what the policy refuses,
are answered with ACCESS_DENIED.`;

/** Of a file or the environment. */
function tokenOf({ token, tokenFile }: BridgeOptions): string | undefined {
  if (token !== undefined)
    throw new UsageError(
      "On the command line any user of this machine could read the token.",
      `Write it to a file for --token-file, or set it in the environment as ${TOKEN_VARIABLE}.`,
    );
  if (tokenFile !== undefined) return new TextDecoder().decode(readInput(tokenFile)).trim();
  return process.env[TOKEN_VARIABLE] || undefined;
}

/** Whoever can speak to the board can replace its firmware. */
function checkToken({ listen, token }: BridgeOptions): void {
  if (token === undefined && !LOOPBACK.test(listen)) {
    throw new UsageError(
      `Anyone who can reach ${listen} could change the board's firmware.`,
      "Give clients a token with --token-file FILE, or use --listen 127.0.0.1.",
    );
  }
  if (token !== undefined && (token.length < SHORTEST_TOKEN || /[\s&]/.test(token))) {
    throw new UsageError(
      `A token has at least ${SHORTEST_TOKEN} characters, and neither spaces nor "&".`,
      "For example: openssl rand -hex 16",
    );
  }
}

async function bridge(
  session: Session,
  options: BridgeOptions,
  { context, guard }: { context: Context; guard: StepGuard },
): Promise<void> {
  const { out, signal } = context;
  const guests = new Guests(session, options, context, guardGuests(session, guard, recorder()));
  const udp = await listenUdp(options.listen, options.port, (pipe) => guests.welcome(pipe, "UDP"));
  let tcp: Listener | undefined;
  try {
    tcp = await listenTcp(options.listen, udp.port, (pipe) => guests.welcome(pipe, "TCP"));
    const host = options.listen.includes(":") ? `[${options.listen}]` : options.listen;
    const addresses = [`udp:${host}:${udp.port}`, `tcp:${host}:${tcp.port}`];
    out.result(
      { board: session.client.name, addresses },
      `${session.client.name} is at ${addresses.join(" and ")}`,
    );
    out.note("Press Ctrl-C to stop.");
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  } finally {
    await tcp?.close();
    await udp.close();
  }
}

const ENDS: Readonly<Record<GuestEnd, string>> = {
  left: "left",
  "wrong-token": "sent a wrong token",
  http: "sent HTTP, as a web page in a browser can, and was dropped. --token-file keeps such clients out",
  idle: "sent nothing for too long and was disconnected",
};

/** Everybody who is connected. When the way to the board is gone, they wait until it is there again. */
class Guests {
  readonly #session: Session;
  readonly #options: BridgeOptions;
  readonly #context: Context;
  readonly #intercept: Intercept;
  #relay: Relay;
  #repairing: Promise<void> | undefined;

  constructor(session: Session, options: BridgeOptions, context: Context, intercept: Intercept) {
    this.#intercept = intercept;
    this.#session = session;
    this.#options = options;
    this.#context = context;
    this.#relay = this.#newRelay();
  }

  welcome(pipe: ByteStream, by: string): void {
    const { out } = this.#context;
    out.note(`${pipe.name} connected by ${by}`);
    void this.#relay
      .serve(pipe, {
        token: this.#options.token,
        relay: () => this.#relay,
        idleMs: this.#options.idle,
      })
      .then((end) => out.note(`${pipe.name} ${ENDS[end]}`));
  }

  #newRelay(): Relay {
    return new Relay(this.#session.client, (error) => this.#repair(error), this.#intercept);
  }

  #repair(error: TransportError): void {
    const { out, signal } = this.#context;
    this.#repairing ??= (async () => {
      out.note(error.message);
      await run(untilAnswering(this.#session, { signal, withinMs: Number.POSITIVE_INFINITY }));
      this.#relay = this.#newRelay();
      out.note(`${this.#session.client.name} answers again`);
      this.#repairing = undefined;
    })().catch(() => {
      // Ctrl-C ended the wait, and the bridge with it.
    });
  }
}
