import { BootproofError, DeviceError, listGroups } from "bootproof";
import {
  fsStatus,
  imageErase,
  imageList,
  imageMark,
  imageUpload,
  settingsRead,
  shellExec,
  statList,
} from "bootproof/smp";
import type { Harness } from "./harness/harness.js";

/** One thing that somebody on this wire may or may not do. SMP knows no password: whoever can write here can ask. */
export interface SurfaceItem {
  readonly id: string;
  /** In words, after "anybody here may". */
  readonly action: string;
  /** `open`: it was done; `refused`: the board knows it and said no; `absent`: it has no such command; `not-tried`: see the evidence. */
  readonly verdict: "open" | "refused" | "absent" | "not-tried";
  /** What was asked, and what the board answered. */
  readonly evidence: string;
}

interface Question {
  readonly id: string;
  readonly action: string;
  /** Why it is not asked of this board. */
  readonly unless?: (harness: Harness) => string | undefined;
  /** Asks, and says what was answered. */
  ask(harness: Harness): Promise<string>;
  /** Refusals by which the board shows that it does the thing, when it finds what is asked for. */
  readonly looksFor?: true;
}

const NOWHERE = "/bootproof/no-such-file";
const NOTHING = "bootproof/none";
/** Enough for a header: a server looks at no more of the first chunk. */
const FIRST_CHUNK = 64;
const ERASE_WITHIN_MS = 40_000;

function onlySlot({ traits }: Harness): string | undefined {
  return traits.hasOneSlot ? "its application runs in the only slot and accepts no updates" : undefined;
}

/** In order of harm. None of them changes more than the slot that updates go to, which the run puts back. */
const QUESTIONS: readonly Question[] = [
  {
    id: "upload",
    action: "upload an image to the update slot",
    unless: (harness) =>
      onlySlot(harness) ?? (harness.factory.canUpdate ? undefined : "there is no image to send"),
    async ask({ client, factory, signal }) {
      const file = await factory.update();
      const chunk = { off: 0, len: file.length, data: file.subarray(0, FIRST_CHUNK) };
      const { off } = await client.send(imageUpload, chunk, { signal, timeoutMs: ERASE_WITHIN_MS });
      return `it took the first ${off} bytes of an image`;
    },
  },
  {
    id: "erase",
    action: "erase the update slot, and with it the image to revert to",
    unless: onlySlot,
    async ask({ client, signal }) {
      await client.send(imageErase, {}, { signal, timeoutMs: ERASE_WITHIN_MS });
      return "it erased the slot";
    },
  },
  {
    id: "confirm",
    action: "confirm the running image",
    unless: ({ initial }) =>
      initial.running?.confirmed === true
        ? undefined
        : "the board does not report that the running image is confirmed",
    async ask({ client, signal }) {
      await client.send(imageMark, { confirm: true }, { signal });
      return "it accepted a confirmation of the running image, which was already confirmed";
    },
  },
  {
    id: "shell",
    action: "run shell commands",
    async ask({ client, signal }) {
      const { ret } = await client.send(shellExec, { argv: ["help"] }, { signal });
      return `it ran "help", which returned ${ret}`;
    },
  },
  {
    id: "files",
    action: "read its files",
    looksFor: true,
    async ask({ client, signal }) {
      const { len } = await client.send(fsStatus, { name: NOWHERE }, { signal });
      return `it reported the size of ${NOWHERE}: ${len}`;
    },
  },
  {
    id: "settings",
    action: "read its settings",
    looksFor: true,
    async ask({ client, signal }) {
      const { val } = await client.send(settingsRead, { name: NOTHING }, { signal });
      return `it returned the setting ${NOTHING}, ${val.length} bytes`;
    },
  },
  {
    id: "statistics",
    action: "read its statistics",
    async ask({ client, signal }) {
      const { stat_list: names } = await client.send(statList, {}, { signal });
      return `it listed ${names.length} ${names.length === 1 ? "group" : "groups"} of them`;
    },
  },
  {
    id: "images",
    action: "list its firmware",
    async ask({ client, signal }) {
      const { images } = await client.send(imageList, {}, { signal });
      return `it listed ${images.length} ${images.length === 1 ? "image" : "images"}`;
    },
  },
];

/** Asks a board that stands as at the start for what it should perhaps not do for everybody. */
export async function attackSurface(
  harness: Harness,
  mayTouchSlot: boolean,
  recovery: { wasTried: boolean },
): Promise<readonly SurfaceItem[]> {
  await harness.restoreBase();
  const items: SurfaceItem[] = [];
  for (const question of QUESTIONS) {
    harness.signal.throwIfAborted();
    items.push(await answerOf(harness, question, mayTouchSlot));
  }
  harness.touch();
  items.push(await restarted(harness), recoveryItem(harness, recovery.wasTried));
  return [...items, ...(await furtherGroups(harness))];
}

const TOUCHING: readonly string[] = ["upload", "erase"];

async function answerOf(harness: Harness, question: Question, mayTouchSlot: boolean): Promise<SurfaceItem> {
  const { id, action, unless, ask, looksFor } = question;
  const why =
    TOUCHING.includes(id) && !mayTouchSlot ? "no way to restore the board was proven" : unless?.(harness);
  if (why !== undefined) return { id, action, verdict: "not-tried", evidence: why };
  try {
    return { id, action, verdict: "open", evidence: await ask(harness) };
  } catch (error) {
    if (!(error instanceof BootproofError)) throw error;
    if (!(error instanceof DeviceError)) return { id, action, verdict: "not-tried", evidence: error.message };
    return { id, action, ...refusal(error, looksFor === true) };
  }
}

/** Codes by which a server says that this is not for everybody. */
const DENIED: readonly string[] = ["EACCESSDENIED"];

function refusal(error: DeviceError, looksFor: boolean): Pick<SurfaceItem, "verdict" | "evidence"> {
  const evidence = `it answered ${error.rcName ?? error.message}`;
  if (error.rcName === "ENOTSUP") return { verdict: "absent", evidence: "it has no such command" };
  if (looksFor && !DENIED.includes(error.rcName ?? ""))
    return {
      verdict: "open",
      evidence: `${evidence} for one that does not exist, so it accepts such requests`,
    };
  return { verdict: "refused", evidence };
}

/** By a request, as anybody can send it; the board is waited for. */
async function restarted(harness: Harness): Promise<SurfaceItem> {
  const named = { id: "reset", action: "restart it" };
  try {
    await harness.line.askRestart({});
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    return { ...named, ...refusal(error, false) };
  }
  const { state } = await harness.takeSnapshot("after a requested restart");
  return { ...named, verdict: "open", evidence: `it accepted the request; afterwards it is in its ${state}` };
}

function recoveryItem({ base, traits }: Harness, wasTried: boolean): SurfaceItem {
  const named = {
    id: "recovery",
    action: "restart it into its bootloader, which overwrites the running image",
  };
  if (traits.mode === "firmware-loader")
    return { ...named, verdict: "absent", evidence: "this bootloader has a firmware loader instead" };
  if (!wasTried) return { ...named, verdict: "not-tried", evidence: "not needed in this run" };
  return base.recoveryProblem === undefined
    ? { ...named, verdict: "open", evidence: "it was entered by a request and left again" }
    : { ...named, verdict: "refused", evidence: base.recoveryProblem };
}

/** Groups above cover these. */
const ASKED: readonly number[] = [0, 1, 2, 3, 8, 9];

/** What else the board has: nobody but its maker knows what these do. */
async function furtherGroups(harness: Harness): Promise<SurfaceItem[]> {
  const { from, groups } = await listGroups(harness.session, { signal: harness.signal });
  const others = groups.filter(({ group }) => !ASKED.includes(group));
  if (others.length === 0) return [];
  const names = others.map(({ group, name }) => (name === undefined ? `${group}` : `${group} (${name})`));
  return [
    {
      id: "other-groups",
      action: "send commands of other groups",
      verdict: "not-tried",
      evidence: `${from === "device" ? "the board lists" : "the board answers"} ${names.join(", ")}; what they change was not tried`,
    },
  ];
}
