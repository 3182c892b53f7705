import { connect } from "../client/connect.js";
import { RequestTimeout } from "../client/request-timeout.js";
import { BootproofError } from "../errors.js";
import type { SerialAddress } from "../transport/address.js";
import { openStream } from "../transport/open-stream.js";

/** What came of asking a port. */
export interface Asked {
  readonly path: string;
  /** Somebody speaks SMP there. */
  readonly answers: boolean;
  readonly server?: "application" | "recovery" | "unknown";
  readonly message: string;
}

/** Twice, briefly: whoever asks every port of a bench does not want to wait for each. */
const ASKING = { probes: 2, probeTimeoutMs: 600 } as const;

/** Opens a port, its lines set as told, and asks who is there. Abort throws the signal's reason; every other failure is an answer. */
export async function askPort(
  path: string,
  lines: Pick<SerialAddress, "dtr" | "rts">,
  signal: AbortSignal,
): Promise<Asked> {
  try {
    const stream = await openStream({ kind: "serial", path, baudRate: 115200, ...lines }, { signal });
    const client = await connect(stream, { ...ASKING, signal });
    const { mode } = client.server;
    await client.close();
    const who =
      mode === "recovery" ? "SMP: serial recovery" : `SMP: ${mode === "unknown" ? "somebody" : mode}`;
    return { path, answers: true, server: mode, message: who };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RequestTimeout) return { path, answers: false, message: HEARD[error.received] };
    if (error instanceof BootproofError) return { path, answers: false, message: error.message };
    throw error;
  }
}

const HEARD: Readonly<Record<RequestTimeout["received"], string>> = {
  nothing: "silent",
  text: "log text only",
  boot: "starting; ask again",
  noise: "noise: another baud rate?",
  damaged: "damaged frames",
  echo: "an echo",
  "other-answers": "SMP answers to another client",
};
