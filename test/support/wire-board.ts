import { BootproofError, startBoard } from "bootproof";
import type { BoardUnderTest, Start } from "../../hil/board.js";
import type { BoardEntry } from "../../hil/board-files/board-entry.js";
import { LogBuffer } from "../../hil/log-buffer.js";
import { BadCable, type Fault } from "./workflow-wire.js";

/** One of our boards, of which nothing is there but its SMP line, with `cable` in it: all in this process. */
export async function wireBoard(
  entry: BoardEntry,
  { variant = "good", install, cable }: { variant?: string; install: Uint8Array; cable: Fault },
): Promise<BoardUnderTest> {
  const board = await startBoard({ machine: "wasm", variant, install });
  const unable = () => {
    throw new BootproofError("unable", "This board has nothing but its SMP line.");
  };
  return {
    entry,
    summary: "a board of which only the SMP line is reached",
    can: new Set(),
    log: new LogBuffer(),
    open: async () => new BadCable(await board.connect(), cable),
    powerOn: async () => unable(),
    powerOff: async () => unable(),
    reset: async () => unable(),
    readFlash: unable,
    writeFlash: unable,
    started: async (): Promise<Start> => "unknown",
    onPowerLost: () => () => {},
    close: () => board.close(),
  };
}
