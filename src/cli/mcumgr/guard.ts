import { loadConfig } from "../../boards/config.js";
import { useOpenssl } from "../../crypto-node/openssl.js";
import { ImageError } from "../../mcuboot/header.js";
import { readFacts } from "../../session/board-facts.js";
import type { Session as BoardSession } from "../../session/session.js";
import { type AnyCommand, commandByNumber } from "../../smp/command.js";
import { commandOf } from "../../smp/groups/all.js";
import { DeviceError } from "../../smp/message.js";
import { formatAddress, type PipeAddress } from "../../transport/address.js";
import { parseAddress } from "../../transport/parse-address.js";
import { TransportError } from "../../transport/transport.js";
import { observeCommands } from "../audit/board-events.js";
import { StepGuard } from "../audit/ratchet-guard.js";
import { recorder } from "../audit/recorder.js";
import { type Context, readKeys, readKnown } from "../context.js";
import { identityAt, openBoard } from "../open-board.js";
import { createOutput, printable } from "../output.js";
import { choosePolicy } from "../policy/policy-options.js";
import type { Answer } from "./answer.js";
import type { LinkGuard } from "./io.js";
import type { Watch } from "./request.js";

/**
 * Guards what mcumgr's commands do to a board, as our own single steps are guarded. A board that shows no identity, where no
 * policy is named, is spoken to as mcumgr does and nothing else; what was done to it is in the audit log all the same.
 */
export async function guardFor(address: PipeAddress): Promise<LinkGuard> {
  const out = createOutput({ json: false, quiet: true });
  const context: Context = { out, config: loadConfig(), signal: new AbortController().signal };
  const { config } = context;
  const run = recorder();
  if (run) run.board = { address: formatAddress(address) };
  const watch = run && watchFor(run);
  const chosen = await choosePolicy({}, config);
  const name = nameOf(address, context);
  const isAsked = name !== undefined && config.details[name]?.identity !== undefined;
  const isNeeded = chosen !== undefined || isAsked || (await identityAt(address, context)).id !== undefined;
  if (!isNeeded)
    return {
      ...(watch && { watch }),
      upload: async () => {},
      mark: async () => ({ confirmed: async () => {}, notConfirmed: async () => {} }),
      restart: async () => {},
    };
  useOpenssl();
  const keys = chosen ? await readKeys(config.keys, out) : [];
  const known = await readKnown(config.known, out);
  const note = (text: string) => void process.stderr.write(`bootproof: ${printable(text)}\n`);
  const bypassHint = "bootproof image upload, test and confirm have --skip ratchet.";
  /** The board is asked who it is and what it holds, then let go of: mcumgr's own conversation comes after it. */
  const asking = async <T>(work: (guard: StepGuard, session: BoardSession) => Promise<T>): Promise<T> => {
    const board = await openBoard(address, {}, context, { name });
    try {
      if (run) run.board = board.about;
      const { identity, session } = board;
      return await work(new StepGuard({ identity, chosen, keys, note, bypassHint }), session);
    } finally {
      await board.close();
    }
  };
  return {
    ...(watch && { watch }),
    upload: (file, imageNumber) =>
      asking(async (guard, session) => {
        try {
          await guard.upload(file, imageNumber, () => readFacts(session, { known }));
        } catch (error) {
          // What is no image never runs; mcumgr sends it, and the board says what it thinks of it.
          if (!(error instanceof ImageError) || chosen !== undefined) throw error;
        }
      }),
    mark: (request) =>
      asking(async (guard, session) => guard.mark(await readFacts(session, { known }), request)),
    restart: () => asking(async (guard, session) => guard.restart(await readFacts(session, { known }))),
  };
}

/** The board of the config file at this address. */
function nameOf(address: PipeAddress, { config }: Context): string | undefined {
  const text = formatAddress(address);
  const isSame = (other: string) => {
    try {
      const parsed = parseAddress(other);
      if (parsed.kind === "serial" && address.kind === "serial") return parsed.path === address.path;
      return formatAddress(parsed) === text;
    } catch (error) {
      if (error instanceof TransportError) return false;
      throw error;
    }
  };
  return Object.entries(config.boards).find(([, other]) => isSame(other))?.[0];
}

function watchFor(run: NonNullable<ReturnType<typeof recorder>>): Watch {
  const observe = observeCommands(run);
  return ({ op, group, id, fields }, answer) => {
    const command = commandOf({ op, group, id }) ?? commandByNumber({ op, group, id });
    const settling = answer.then((value) => settled(command, value));
    // Of a command that changes nothing nobody waits for the answer.
    settling.catch(() => undefined);
    observe(command, fields, settling);
  };
}

/** A result code is a refusal; of an upload it is told where it goes on. */
function settled(command: AnyCommand, answer: Answer): { off: number } {
  if (answer.rc !== 0) throw new DeviceError(command, { rc: Number(answer.rc) }, {});
  return { off: Number(answer.int("off")) };
}
