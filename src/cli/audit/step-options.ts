import type { Command } from "commander";
import { readFacts } from "../../session/board-facts.js";
import type { Session } from "../../session/session.js";
import type { AnyCommand } from "../../smp/command.js";
import { imageMark } from "../../smp/groups/image.js";
import type { BoardIdentity } from "../../trust/ratchet.js";
import type { BoardOptions } from "../board-options.js";
import { type Context, readKeys } from "../context.js";
import { keyFiles } from "../key-files.js";
import { choosePolicy, type PolicyOptions, policyOptions } from "../policy/policy-options.js";
import { several } from "../several.js";
import { type Settlement, StepGuard, skipsRatchet } from "./ratchet-guard.js";

/** What the command line of a single step says to its guard. */
export interface StepOptions extends BoardOptions, PolicyOptions {
  skip?: string[];
  key?: string[];
}

const SKIP_HELP = "ratchet: continue although this host remembers that the board may no longer run the image";

/** Adds `--skip ratchet` and what the policy wants to know. */
export function skipAndPolicyOptions(command: Command): Command {
  return policyOptions(command).option("--skip <check>", SKIP_HELP, several);
}

/** The same and `--key`. */
export function guardOptions(command: Command): Command {
  return skipAndPolicyOptions(command).option(
    "--key <file>",
    "a public key that may have signed the image, for the policy (repeatable; default: the config file's)",
    several,
  );
}

/**
 * Reads all that is asked of a step before a board is disturbed.
 *
 * @returns makes the guard of the board that turns out to be meant
 * @throws UsageError, PolicyError, FileError
 */
export async function guardFor(
  options: Pick<StepOptions, "skip" | "key"> & PolicyOptions,
  context: Context,
): Promise<(identity: BoardIdentity) => StepGuard> {
  const isSkipped = skipsRatchet(options.skip);
  const chosen = await choosePolicy(options, context.config);
  const keys = chosen ? await readKeys(keyFiles(options.key, context), context.out) : [];
  const note = (text: string) => context.out.note(text);
  return (identity) => new StepGuard({ identity, chosen, keys, isSkipped, note });
}

/** A command that marks an image is the same step whatever verb sends it. */
export const isMark = ({ group, id, op }: Pick<AnyCommand, "group" | "id" | "op">): boolean =>
  group === imageMark.group && id === imageMark.id && op === "write";

/**
 * Asks before such a command is sent.
 *
 * @param request - its fields
 * @returns to be told when the board has taken it
 */
export async function guardMark(
  session: Session,
  { hash, confirm }: Readonly<Record<string, unknown>>,
  guard: StepGuard,
  { signal }: Pick<Context, "signal">,
): Promise<Settlement> {
  const facts = await readFacts(session, { signal });
  return guard.mark(facts, {
    hash: hash instanceof Uint8Array ? hash : undefined,
    confirm: confirm === true,
  });
}
