import { randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Disk } from "./disk.js";

/** Who takes a lock: enough to tell whether the process still lives. */
export interface LockOwner {
  readonly host: string;
  readonly pid: number;
  /** Tells the process from a later one with the same number; empty where the system does not say. */
  readonly start: string;
  isAlive(other: { host: string; pid: number; start: string }): boolean | undefined;
}

export interface LockOptions {
  /** How long to wait for others, milliseconds. */
  readonly waitMs: number;
  readonly owner: LockOwner;
  readonly signal?: AbortSignal | undefined;
}

/** A lock that cannot be judged (another machine's, another container's) counts as left behind after this time. */
const FOREIGN_LOCK_MS = 60_000;
/** Old turns are kept this far back, so that a process that looked long ago still sees that it is late. */
const TURNS_KEPT = 32;

/**
 * A lock between processes that a killed process cannot leave shut. Turns are numbered files, each created with its
 * owner's name in one step; the highest number is the one that counts. A turn is free when its file is empty or its owner
 * is gone; whoever creates the next number has the lock, and nobody ever takes a lock's file away from another.
 */
export class ProcessLock {
  readonly #disk: Disk;
  readonly #folder: string;

  constructor(disk: Disk, folder: string) {
    this.#disk = disk;
    this.#folder = folder;
  }

  /** Runs `work` alone. Returns undefined when others hold the lock for longer than `waitMs`. */
  async hold<T>(options: LockOptions, work: () => T | Promise<T>): Promise<{ result: T } | undefined> {
    const turn = await this.#take(options);
    if (turn === undefined) return undefined;
    try {
      return { result: await work() };
    } finally {
      this.#disk.write(this.#path(turn), new Uint8Array(), { sync: false });
    }
  }

  async #take({ waitMs, owner, signal }: LockOptions): Promise<number | undefined> {
    const nonce = randomBytes(8).toString("hex");
    const claim = join(this.#folder, `claim-${owner.pid}-${nonce}`);
    const { host, pid, start } = owner;
    const deadline = Date.now() + waitMs;
    this.#disk.write(claim, encode(JSON.stringify({ host, pid, start, nonce, at: Date.now() })), {
      sync: false,
    });
    try {
      for (let pause = 1; ; pause = Math.min(pause * 1.5, 20)) {
        const last = this.#turns().at(-1);
        if (
          (last === undefined || this.#isFree(last, owner)) &&
          this.#disk.link(claim, this.#path((last ?? 0) + 1))
        ) {
          const mine = (last ?? 0) + 1;
          if (this.#turns().at(-1) === mine) {
            this.#forgetOld(mine);
            return mine;
          }
          // Somebody was there meanwhile, and the number was free only because it is long past.
          this.#disk.remove(this.#path(mine));
        }
        if (Date.now() > deadline) return undefined;
        await delay(pause + Math.random() * pause, undefined, { signal });
      }
    } finally {
      this.#disk.remove(claim);
    }
  }

  #turns(): number[] {
    return this.#disk
      .list(this.#folder)
      .flatMap((name) => (/^turn-\d{1,15}$/.test(name) ? [Number(name.slice(5))] : []))
      .sort((a, b) => a - b);
  }

  #isFree(turn: number, owner: LockOwner): boolean {
    const content = this.#disk.read(this.#path(turn));
    if (content === undefined || content.length === 0) return true;
    const holder = readHolder(content);
    if (holder === undefined) return true;
    return !(owner.isAlive(holder) ?? Date.now() - holder.at < FOREIGN_LOCK_MS);
  }

  #forgetOld(mine: number): void {
    for (const turn of this.#turns()) if (turn < mine - TURNS_KEPT) this.#disk.remove(this.#path(turn));
  }

  #path(turn: number): string {
    return join(this.#folder, `turn-${turn}`);
  }
}

interface Holder {
  host: string;
  pid: number;
  start: string;
  at: number;
}

function readHolder(content: Uint8Array): Holder | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(content.subarray(0, 4096)));
  } catch {
    // Created by a link of a whole file: only a damaged disk or a stranger leaves something else.
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { host, pid, start, at } = value as Record<string, unknown>;
  if (typeof host !== "string" || typeof start !== "string") return undefined;
  if (typeof pid !== "number" || !Number.isInteger(pid) || pid <= 0 || typeof at !== "number")
    return undefined;
  return { host, pid, start, at };
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/**
 * This process as the owner of locks.
 *
 * @returns what tells it from others of this machine, and from a later one with its number
 */
export function thisProcess(): LockOwner {
  const host = `${hostname()} ${processNamespace()}`.trim();
  return {
    host,
    pid: process.pid,
    start: startOf(process.pid),
    isAlive(other) {
      if (other.host !== host) return undefined;
      try {
        process.kill(other.pid, 0);
      } catch (error) {
        // A process of another user (EPERM) lives.
        if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
      }
      const start = startOf(other.pid);
      return start === "" || other.start === "" || start === other.start;
    },
  };
}

/** Containers on one machine number their processes apart. */
function processNamespace(): string {
  if (process.platform !== "linux") return "";
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    // No /proc, or hidden: process numbers are then taken as the machine's.
    return "";
  }
}

function startOf(pid: number): string {
  if (process.platform !== "linux") return "";
  try {
    // Field 22 of proc(5) stat; the second field is a name that may hold spaces, so count from its end.
    return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ")[19] ?? "";
  } catch {
    // It ended meanwhile, or is hidden.
    return "";
  }
}
