import type { Flag, FlagValues } from "./flags.js";
import type { LinkGuard, McumgrIo } from "./io.js";
import type { Profiles } from "./profiles.js";
import type { Session } from "./session.js";

/** What a command works with. */
export interface Run {
  readonly args: readonly string[];
  readonly flags: FlagValues;
  readonly io: McumgrIo;
  readonly profiles: Profiles;
  /** Opens the link; closed when the command is over. Throws `McumgrFailure`. */
  session(): Promise<Session>;
  /** What guards the board at the end of the link. Throws `McumgrFailure` when the link is not named. */
  guard(): Promise<LinkGuard | undefined>;
}

/** A word of the command line: a group of commands, or one that does something. */
export interface McumgrCommand {
  readonly name: string;
  /** One line, or what a person needs to know before use. */
  readonly about: string;
  /** What stands behind the name in the usage line. */
  readonly operands?: string;
  readonly flags?: readonly Flag[];
  readonly commands?: readonly McumgrCommand[];
  readonly run?: (run: Run) => Promise<void>;
}
