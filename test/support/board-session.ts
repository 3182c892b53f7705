import { type ConnectOptions, connect } from "../../src/client/connect.js";
import type { Board } from "../../src/emulator/board.js";
import { startBoard } from "../../src/emulator/start.js";
import { Session } from "../../src/session/session.js";
import type { ByteStream } from "../../src/transport/transport.js";

/** Our own firmware in this process, and a session with it. */
export interface BoardSession {
  readonly board: Board;
  readonly session: Session;
  close(): Promise<void>;
}

/** `wire` may stand between the board and the client: a pipe that loses what a test wants lost. */
export async function boardSession(
  options: ConnectOptions & { variant?: string; wire?: (stream: ByteStream) => ByteStream } = {},
): Promise<BoardSession> {
  const { variant = "good", wire = (stream: ByteStream) => stream, ...connecting } = options;
  const board = await startBoard({ machine: "wasm", variant });
  const session = await Session.open(async (signal) =>
    connect(wire(await board.connect()), { ...connecting, signal }),
  );
  return {
    board,
    session,
    close: async () => {
      await session.close();
      await board.close();
    },
  };
}
