import {
  accessSync,
  constants,
  existsSync,
  type FSWatcher,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  type Stats,
  statSync,
  watch,
  writeFileSync,
} from "node:fs";
import { userInfo } from "node:os";
import { basename, dirname, join } from "node:path";
import type { TransportErrorCode } from "./transport.js";

/** Where the kernel's trees are mounted; tests put their own in a temporary folder. */
export interface LinuxRoots {
  readonly sys: string;
  readonly dev: string;
  readonly proc: string;
  readonly etc: string;
}

export const LINUX_ROOTS: LinuxRoots = { sys: "/sys", dev: "/dev", proc: "/proc", etc: "/etc" };

/** Why a port cannot be opened, and what a person should do about it. */
export interface PortProblem {
  readonly code: Extract<TransportErrorCode, "not-found" | "busy" | "permission" | "failed">;
  readonly message: string;
  readonly hint: string;
}

/** A program that has a port open. */
export interface PortHolder {
  readonly pid: number;
  readonly program: string;
}

/**
 * The programs that have the device file at `path` open, from /proc; asks nothing of the device. Programs of other
 * users stay invisible unless we are root. A folder that cannot be read is such a program, or one that just ended. Of a
 * pseudo-terminal the program at its far side does not count, although it may keep the near side open: it is the device.
 */
export function portHolders(path: string, roots: LinuxRoots = LINUX_ROOTS): PortHolder[] {
  const target = realPath(path);
  const number = /^\/dev\/pts\/(\d+)$/.exec(target)?.[1];
  return entries(roots.proc)
    .filter((name) => /^[0-9]+$/.test(name))
    .filter((pid) =>
      entries(join(roots.proc, pid, "fd")).some((fd) => link(join(roots.proc, pid, "fd", fd)) === target),
    )
    .filter((pid) => number === undefined || !isFarSide(join(roots.proc, pid), number))
    .map((pid) => ({
      pid: Number(pid),
      program: programName(join(roots.proc, pid)) ?? "a program without a name",
    }));
}

/** Other programs that have the port open beside this one, and so may read what the device answers. */
export function otherReaders(path: string, roots: LinuxRoots = LINUX_ROOTS): PortHolder[] {
  return portHolders(path, roots).filter(({ pid }) => pid !== process.pid);
}

/** True for the program that made the pseudo-terminal: the kernel notes its number beside the open master. */
function isFarSide(process: string, number: string): boolean {
  return entries(join(process, "fd"))
    .filter((fd) => /\/ptmx$/.test(link(join(process, "fd", fd)) ?? ""))
    .some((fd) =>
      new RegExp(`tty-index:\\s*${number}\\b`).test(readText(join(process, "fdinfo", fd), 4096) ?? ""),
    );
}

/** Programs that run others: whose they are tells more than their own name. */
const INTERPRETER = /^(node|python|perl|ruby|java|sh|bash)[\d.]*$|^MainThread$/;

/** `screen`; for an interpreter also what it runs, as `node main.js bridge`. */
function programName(folder: string): string | undefined {
  const name = readText(join(folder, "comm"));
  if (name === undefined || !INTERPRETER.test(name)) return name;
  const [program = name, ...words] = wordsOf(join(folder, "cmdline"));
  const script = words.findIndex((word) => word !== "" && !word.startsWith("-"));
  if (script < 0) return name;
  const shortCommand = [program, ...words.slice(script, script + 2)].map((word) => basename(word));
  return shortCommand.join(" ").replace(/\p{C}/gu, "").trim().slice(0, LONGEST_NAME);
}

/** A program's arguments, from the kernel's file, which ends each with a zero byte. */
function wordsOf(cmdline: string): string[] {
  try {
    return readFileSync(cmdline, "utf8").slice(0, LONGEST_COMMAND).split("\u0000");
  } catch {
    // It has just ended.
    return [];
  }
}

/** Characters of a program's name: it may be anything. */
const LONGEST_NAME = 60;
const LONGEST_COMMAND = 4096;

/** The problem of a port that others hold; `holders` may be empty when we cannot see who. */
export function busyProblem(path: string, holders: readonly PortHolder[]): PortProblem {
  const [first] = holders;
  if (!first) {
    const hint =
      process.platform === "linux"
        ? "Close the other program: a terminal, a logger, ModemManager. `sudo fuser -v PATH` names it."
        : "Close the other program: a terminal, a logger, a debugger.";
    return { code: "busy", message: `${path} is held by another program.`, hint: hint.replace("PATH", path) };
  }
  if (holders.some(({ pid }) => pid === process.pid)) {
    return {
      code: "busy",
      message: `${path} is already open in this program.`,
      hint: "Close it first.",
    };
  }
  const names = holders.map(({ program, pid }) => `${program} (process ${pid})`).join(", ");
  return {
    code: "busy",
    message: `${path} is held by ${names}.`,
    hint: `Close ${first.program}, then try again.`,
  };
}

/** Whether this user may read and write `path`, by asking the kernel without opening it. */
export function accessProblem(path: string, roots: LinuxRoots = LINUX_ROOTS): PortProblem | undefined {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT")
      return { code: "not-found", message: `There is no ${path}.`, hint: "Is the board plugged in?" };
    return permissionProblem(path, permissionFacts(path, roots));
  }
}

/** What decides about access to a device file, and who asks. */
export interface PermissionFacts {
  readonly user: string;
  /** Name of the group the file belongs to, or its number. */
  readonly group: string;
  /** The group may read and write. */
  readonly groupMayUse: boolean;
  /** The user is entered in that group, though perhaps not in this login session. */
  readonly userInGroup: boolean;
}

/** The way out when the user may not open `path`: join the group, log in again, or a udev rule. */
export function permissionProblem(path: string, facts: PermissionFacts | undefined): PortProblem {
  const message = `You have no permission to open ${path}`;
  if (!facts)
    return {
      code: "permission",
      message: `${message}.`,
      hint: "Ask the administrator for read and write access to it.",
    };
  const { user, group, groupMayUse, userInGroup } = facts;
  if (path.startsWith("/dev/pts/")) {
    const hint = "A pseudo-terminal is its owner's alone: run this as the user who started the emulator.";
    return { code: "permission", message: `${message}.`, hint };
  }
  if (!groupMayUse) {
    const rule = `SUBSYSTEM=="tty", KERNEL=="${path.slice(path.lastIndexOf("/") + 1)}", GROUP="dialout", MODE="0660"`;
    return {
      code: "permission",
      message: `${message}: its group "${group}" may not either.`,
      hint: `Put this udev rule into /etc/udev/rules.d/60-serial-access.rules and plug the board in again: ${rule}`,
    };
  }
  const reason = `${message}: it belongs to group "${group}".`;
  if (userInGroup) {
    return {
      code: "permission",
      message: reason,
      hint: `You were added to "${group}" after this session began: log out and in again, or run \`newgrp ${group}\`.`,
    };
  }
  return {
    code: "permission",
    message: reason,
    hint: `Run \`sudo usermod -aG ${group} ${user}\`, then log out and in again.`,
  };
}

/** Reads them for `path`; undefined when even that is not allowed. */
export function permissionFacts(path: string, roots: LinuxRoots): PermissionFacts | undefined {
  let stat: Stats;
  try {
    stat = statSync(path);
  } catch {
    // A folder above it is closed to us as well: there are no facts to give.
    return undefined;
  }
  const user = userInfo().username;
  const entry = (readText(join(roots.etc, "group"), 1 << 20) ?? "")
    .split("\n")
    .map((line) => line.split(":"))
    .find((fields) => fields[2] === String(stat.gid));
  return {
    user,
    group: entry?.[0] ?? String(stat.gid),
    groupMayUse: (stat.mode & 0o060) === 0o060,
    userInGroup: (entry?.[3] ?? "").split(",").includes(user),
  };
}

/** The device file behind a link such as those of /dev/serial/by-id; the path itself when it does not exist. */
export function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // It is gone, which whoever asked will find out in a moment.
    return path;
  }
}

/**
 * Calls `gone` once when the device file behind `path` is removed, or is not there to begin with. Keeps no process alive.
 * Returns how to stop watching.
 */
export function watchForRemoval(path: string, gone: () => void): () => void {
  const file = realPath(path);
  let watcher: FSWatcher | undefined;
  const stop = () => watcher?.close();
  const check = () => {
    if (existsSync(file)) return;
    stop();
    gone();
  };
  try {
    watcher = watch(dirname(file), { persistent: false }, check).on("error", stop);
  } catch {
    // No watch to be had (inotify's limit is reached): the other ways of noticing have to do.
  }
  check();
  return stop;
}

/** Names in a folder, sorted; none when it cannot be read (it is absent, another user's, or just vanished). */
export function entries(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** Where a link points, or undefined when it is none or may not be read. */
export function link(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/**
 * A small text file of the kernel, trimmed, or undefined when it is absent or empty. A USB device chooses some of these
 * texts itself: the length is bounded, and control characters, which could steer a terminal, become spaces.
 */
export function readText(path: string, maxLength = 256): string | undefined {
  try {
    const text = readFileSync(path, "utf8").slice(0, maxLength);
    return (maxLength > 256 ? text : text.replace(/\p{C}/gu, " ")).trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Writes into a file of the kernel that exists. Throws what the kernel says (`EACCES`, `EIO`). */
export function writeText(path: string, text: string): void {
  writeFileSync(path, text, { flag: "r+" });
}
