import type { AddressInfo } from "node:net";
import { type ServerType, serve } from "@hono/node-server";
import type { Hono } from "hono";
import { StationError } from "../station-error.js";
import type { Env } from "./access.js";
import type { Tls } from "./certificate.js";

export interface Listening {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves the app at an address of this machine. @throws StationError `cannot-listen` */
export async function listen(
  app: Hono<Env>,
  { host, port, tls }: { host: string; port: number; tls?: Tls | undefined },
): Promise<Listening> {
  const { createServer } = await (tls ? import("node:https") : import("node:http"));
  const server = await new Promise<ServerType>((resolve, reject) => {
    const options = {
      fetch: app.fetch,
      hostname: host,
      port,
      createServer,
      serverOptions: tls ? { key: tls.key, cert: tls.cert } : {},
    };
    const starting = serve(options as Parameters<typeof serve>[0], () => resolve(starting));
    starting.once("error", reject);
  }).catch((cause: NodeJS.ErrnoException) => {
    const why = cause.code === "EADDRINUSE" ? "it is taken by another program" : cause.message;
    throw new StationError("cannot-listen", `Cannot listen at ${host}, port ${port}: ${why}.`, {
      cause,
      hint: "Choose another port with --port; 0 takes a free one.",
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        if ("closeAllConnections" in server) server.closeAllConnections();
      }),
  };
}
