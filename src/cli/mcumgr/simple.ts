import type { Answer } from "./answer.js";
import type { Run } from "./command.js";
import type { Request } from "./session.js";

/** A command of one request whose answer becomes text. */
export function simple(request: Request, say: (answer: Answer) => string): (run: Run) => Promise<void> {
  return async ({ io, session }) => {
    const link = await session();
    io.out(await link.ask(request, say));
  };
}

/** `Done`, or the result code. */
export const done = ({ rc }: Answer): string => (rc === 0 ? "Done\n" : `Error: ${rc}\n`);

/** `Error: N`, or what the answer says. */
export const unlessRefused =
  (say: (answer: Answer) => string) =>
  (answer: Answer): string =>
    answer.rc === 0 ? say(answer) : `Error: ${answer.rc}\n`;
