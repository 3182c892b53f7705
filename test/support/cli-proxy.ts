import { connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** A TCP cable between the program and a board that stops carrying when it has carried enough. */
export interface Proxy {
  readonly address: string;
  /** Resolves when the cable has gone dead: the program waits for an answer then. */
  readonly dead: Promise<void>;
}

/** Carries `most` bytes to the board at `port` and then none, without being closed. */
export async function proxy(port: number, most: number): Promise<Proxy> {
  let carried = 0;
  let sayDead = () => {};
  const dead = new Promise<void>((resolve) => {
    sayDead = resolve;
  });
  const sockets: Socket[] = [];
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ host: "127.0.0.1", port, noDelay: true });
    sockets.push(near, far);
    for (const socket of [near, far]) socket.on("error", () => socket.destroy());
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
    far.on("data", (chunk) => near.write(chunk));
    near.on("data", (chunk) => {
      carried += chunk.length;
      if (carried > most) sayDead();
      else far.write(chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { address: `tcp:127.0.0.1:${(server.address() as { port: number }).port}`, dead };
}
