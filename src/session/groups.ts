import { GROUP_NAMES } from "../smp/groups/all.js";
import { enumDetails, enumList, enumSingle } from "../smp/groups/enum.js";
import { fsHashTypes, fsStatus } from "../smp/groups/fs.js";
import { imageList } from "../smp/groups/image.js";
import { logList } from "../smp/groups/log.js";
import { osEcho } from "../smp/groups/os-first.js";
import { settingsRead } from "../smp/groups/settings.js";
import { shellExec } from "../smp/groups/shell.js";
import { statList } from "../smp/groups/stat.js";
import { trustBoot } from "../smp/groups/trust.js";
import { DeviceError } from "../smp/message.js";
import type { Session } from "./session.js";

/** One management group of a device. */
export interface GroupFacts {
  group: number;
  /** The device's own name for it, else ours. Absent for a user's group that nobody names. */
  name?: string;
  /** Highest command id plus one, when the device tells. */
  handlers?: number;
}

export interface Groups {
  /**
   * `device`: it enumerated them. `tried`: it cannot, so commands that change nothing were sent to the common groups;
   * others may exist.
   */
  from: "device" | "tried";
  groups: GroupFacts[];
}

/** Group numbers have 16 bits, and no device registers more groups than this. */
const MOST_GROUPS = 256;

/**
 * Which groups a device has.
 *
 * @param session - the board
 * @param options - `signal` aborts with its own reason
 * @returns and whether the device told them or they were tried one by one
 * @throws what `send` throws, except refusals
 */
export async function listGroups(
  session: Session,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<Groups> {
  const { signal } = options;
  const numbers = await enumerated(session, signal);
  if (numbers === undefined) {
    const found = await tried(session, signal);
    return { from: "tried", groups: found.map((group) => named({ group })) };
  }
  const details = await session.client.send(enumDetails, {}, { signal }).catch(refused);
  const detailOf = (group: number) => details?.groups.find((entry) => entry.group === group);
  const groups = [...new Set(numbers)]
    .sort((a, b) => a - b)
    .map((group) => {
      const { name, handlers } = detailOf(group) ?? {};
      return named({
        group,
        ...(name ? { name } : {}),
        ...(handlers === undefined ? {} : { handlers }),
      });
    });
  return { from: "device", groups };
}

/** Undefined when the device has no enumeration group. */
async function enumerated(session: Session, signal: AbortSignal | undefined): Promise<number[] | undefined> {
  const { client } = session;
  const list = await client.send(enumList, {}, { signal }).catch(refused);
  if (list !== undefined) return [...list.groups];
  // A list that does not fit the device's buffer is read one by one.
  const numbers: number[] = [];
  for (let index = 0; index < MOST_GROUPS; index++) {
    const one = await client.send(enumSingle, { index }, { signal }).catch(refused);
    if (one === undefined) break;
    numbers.push(one.group);
    if (one.end) break;
  }
  return numbers.length > 0 ? numbers : undefined;
}

/** Questions that change nothing, one or two for each group; any answer but ENOTSUP shows that the group is there. */
async function tried(session: Session, signal: AbortSignal | undefined): Promise<number[]> {
  const { client } = session;
  const how = { signal };
  const questions: readonly (readonly [group: number, ask: () => Promise<unknown>])[] = [
    [0, () => client.send(osEcho, { d: "" }, how)],
    [1, () => client.send(imageList, {}, how)],
    [2, () => client.send(statList, {}, how)],
    [3, () => client.send(settingsRead, { name: "bootproof" }, how)],
    [4, () => client.send(logList, {}, how)],
    [8, () => client.send(fsHashTypes, {}, how)],
    [8, () => client.send(fsStatus, { name: "/" }, how)],
    // Without a command the shell refuses before it runs anything.
    [9, () => client.send(shellExec, { argv: [] }, how)],
    [200, () => client.send(trustBoot, {}, how)],
  ];
  const found = new Set<number>();
  for (const [group, ask] of questions) {
    const there = await ask().then(
      () => true,
      (error: unknown) => {
        if (error instanceof DeviceError) return error.rcName !== "ENOTSUP";
        throw error;
      },
    );
    if (there) found.add(group);
  }
  return [...found];
}

function named(facts: GroupFacts): GroupFacts {
  const name = facts.name ?? GROUP_NAMES[facts.group];
  return name === undefined ? facts : { ...facts, name };
}

function refused(error: unknown): undefined {
  if (error instanceof DeviceError) return undefined;
  throw error;
}
