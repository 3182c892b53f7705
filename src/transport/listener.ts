import { TransportError } from "./transport.js";

/** A port of this machine where others can connect. */
export interface Listener {
  readonly host: string;
  readonly port: number;
  /** Closes it and every pipe that came through it. */
  close(): Promise<void>;
}

/** A server's start, which reports by events, as a promise. */
export function listening(start: (done: () => void, fail: (error: Error) => void) => unknown): Promise<void> {
  return new Promise((resolve, reject) => start(resolve, reject));
}

/** errno of a failed listen -> what it means here. */
const PROBLEMS: Record<string, { code: "busy" | "permission" | "not-found"; message: string; hint: string }> =
  {
    EADDRINUSE: {
      code: "busy",
      message: "another program listens there",
      hint: "Close it, or give another port.",
    },
    EACCES: {
      code: "permission",
      message: "this port is reserved",
      hint: "Ports below 1024 belong to the administrator: give another one.",
    },
    EADDRNOTAVAIL: {
      code: "not-found",
      message: "this machine has no such address",
      hint: "127.0.0.1 and ::1 always exist.",
    },
  };

export function listenProblem(host: string, port: number, cause: Error): TransportError {
  const name = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const known = PROBLEMS[(cause as NodeJS.ErrnoException).code ?? ""];
  return new TransportError(
    known?.code ?? "failed",
    name,
    `Cannot listen at ${name}: ${known?.message ?? cause.message}.`,
    { hint: known?.hint, cause },
  );
}
