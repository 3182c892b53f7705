import type { Command } from "commander";
import { Relay } from "../../client/relay.js";
import type { Listener } from "../../transport/listener.js";
import { listenTcp } from "../../transport/tcp.js";
import type { ByteStream, TransportError } from "../../transport/transport.js";
import { listenUdp } from "../../transport/udp.js";
import { untilAnswering } from "../../workflow/reconnect.js";
import { run } from "../../workflow/run.js";
import type { Session } from "../../workflow/session.js";
import { type BoardOptions, boardOptions, type Context, wholeNumber, withBoard } from "../context.js";
import { UsageError } from "../exit.js";

interface BridgeOptions extends BoardOptions {
  listen: string;
  port: number;
  token?: string;
}

/** Zephyr's SMP port. */
const SMP_PORT = 1337;
const LOOPBACK = /^(127(\.\d+){3}|::1|localhost)$/;
const SHORTEST_TOKEN = 16;

export function define(command: Command): void {
  boardOptions(command)
    .option("--listen <host>", "where others may connect, over UDP and TCP", "127.0.0.1")
    .option("--port <number>", "0 takes a free one", wholeNumber("--port", { max: 65535 }), SMP_PORT)
    .option("--token <text>", "what others have to say first; needed beyond this machine")
    .addHelpText("after", `\n${HELP}`)
    .action((options: BridgeOptions) => {
      checkToken(options);
      return withBoard(options, (session, context) => bridge(session, options, context));
    });
}

const HELP = `Any SMP client may connect: by UDP a message a datagram, by TCP in console or raw framing, whichever it speaks.
With a token a client sends it first, in a line (TCP) or a datagram (UDP) of its own; bootproof does so with
-d tcp:HOST:PORT?token=TEXT. Requests and answers travel in the clear: use it on networks you trust.`;

/** Whoever can speak to the board can replace its firmware. */
function checkToken({ listen, token }: BridgeOptions): void {
  if (token === undefined && !LOOPBACK.test(listen)) {
    throw new UsageError(
      `Anybody who reaches ${listen} could change the board's firmware.`,
      "Give --token with a text that others have to say first, or --listen 127.0.0.1.",
    );
  }
  if (token !== undefined && (token.length < SHORTEST_TOKEN || /[\s&]/.test(token))) {
    throw new UsageError(
      `A token has at least ${SHORTEST_TOKEN} characters, and neither spaces nor "&".`,
      "For instance what `openssl rand -hex 16` prints.",
    );
  }
}

async function bridge(session: Session, options: BridgeOptions, context: Context): Promise<void> {
  const { out, signal } = context;
  const guests = new Guests(session, options, context);
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
    out.note("Ctrl-C ends it.");
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  } finally {
    await tcp?.close();
    await udp.close();
  }
}

/** Everybody who is connected. When the way to the board is gone, they wait until it is there again. */
class Guests {
  readonly #session: Session;
  readonly #options: BridgeOptions;
  readonly #context: Context;
  #relay: Relay;
  #repairing: Promise<void> | undefined;

  constructor(session: Session, options: BridgeOptions, context: Context) {
    this.#session = session;
    this.#options = options;
    this.#context = context;
    this.#relay = this.#newRelay();
  }

  welcome(pipe: ByteStream, by: string): void {
    const { out } = this.#context;
    out.note(`${pipe.name} came by ${by}`);
    void this.#relay
      .serve(pipe, { token: this.#options.token, relay: () => this.#relay })
      .then((end) => out.note(`${pipe.name} ${end === "wrong-token" ? "said a wrong token" : "left"}`));
  }

  #newRelay(): Relay {
    return new Relay(this.#session.client, (error) => this.#repair(error));
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
