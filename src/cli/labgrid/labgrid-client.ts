import { type ChildProcess, spawn } from "node:child_process";
import { environmentWithoutSecrets } from "../../child-environment.js";
import { LabError } from "./lab-error.js";

/** Labgrid's own client program: what it is asked, and what it prints. */

export const CLIENT = "labgrid-client";
/** A coordinator that hangs must not hang the bench. */
const WITHIN_MS = 60_000;
/** Most of its words that are worth keeping. */
const LONGEST = 4_000_000;

/** Of a place, as `labgrid-client -v places` prints it. */
export interface LabPlace {
  readonly name: string;
  /** `key=value`, with `name=NAME` among them, as labgrid's own filters see them. */
  readonly tags: ReadonlySet<string>;
  /** HOST/USER; absent: nobody has it. */
  readonly holder?: string;
  /** When that last changed, as labgrid prints it. */
  readonly changed?: string;
  readonly isReserved: boolean;
}

/** Of a reservation, as `labgrid-client reservations` prints it. */
export interface LabReservation {
  readonly token: string;
  readonly state: string;
  readonly filter: readonly string[];
}

/** Starts it. Variables that make it act on other places than those that are named are kept from it. */
export function startClient(words: readonly string[]): ChildProcess {
  const { LG_ENV: _env, LG_STATE: _state, LG_INITIAL_STATE: _initial, ...env } = environmentWithoutSecrets();
  return spawn(CLIENT, [...words], {
    // What it prints must arrive at once.
    env: { ...env, PYTHONUNBUFFERED: "1" },
    stdio: ["ignore", "pipe", "pipe"],
    windowsHide: true,
  });
}

/** What it printed on stdout. @throws LabError */
export function endOf(child: ChildProcess, words: readonly string[], withinMs?: number): Promise<string> {
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout = (stdout + text).slice(-LONGEST);
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-LONGEST);
  });
  return new Promise((resolve, reject) => {
    const late = withinMs === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), withinMs);
    child.once("error", (cause) => {
      clearTimeout(late);
      reject(
        new LabError("no-labgrid", `${CLIENT} cannot be started: ${cause.message}.`, {
          cause,
          hint: "Install it: pip install labgrid",
        }),
      );
    });
    child.once("close", (status) => {
      clearTimeout(late);
      if (status === 0) return resolve(stdout);
      const said = stderr
        .trim()
        .split("\n")
        .at(-1)
        ?.replace(/^labgrid-client: Error: /, "")
        .replace(/\.$/, "");
      reject(
        new LabError("lab-failed", `${CLIENT} ${words.join(" ")}: ${said || "it printed no reason"}.`, {
          hint: `${CLIENT} places must work from here; LG_COORDINATOR names the coordinator, HOST:PORT.`,
        }),
      );
    });
  });
}

/** Runs it to its end. @returns what it printed @throws LabError */
export function client(...words: string[]): Promise<string> {
  return endOf(startClient(words), words, WITHIN_MS);
}

export async function labPlaces(): Promise<LabPlace[]> {
  return parsePlaces(await client("-v", "places"));
}

export async function labReservations(): Promise<LabReservation[]> {
  return parseReservations(await client("reservations"));
}

export function parsePlaces(text: string): LabPlace[] {
  return blocks(text, "Place").map(({ title: name, field }) => {
    const holder = field("acquired");
    const changed = field("changed");
    const tags = (field("tags") ?? "").split(", ").filter((tag) => tag.includes("="));
    return {
      name,
      tags: new Set([`name=${name}`, ...tags]),
      ...(holder === undefined || holder === "None" ? {} : { holder }),
      ...(changed === undefined ? {} : { changed }),
      isReserved: field("reservation") !== undefined,
    };
  });
}

export function parseReservations(text: string): LabReservation[] {
  return blocks(text, "Reservation").map(({ title: token, field }) => ({
    token,
    state: field("state") ?? "",
    filter: (field("main") ?? "").split(" "),
  }));
}

/** `Place 'a':` and the indented lines `key: value` below it. Of a key that comes twice, the first. */
function blocks(text: string, word: string) {
  return text.split(new RegExp(`^${word} '`, "m")).flatMap((block) => {
    const title = /^(.*)':$/m.exec(block)?.[1];
    if (title === undefined) return [];
    const field = (key: string) => new RegExp(`^ +${key}: (.*)$`, "m").exec(block)?.[1];
    return [{ title, field }];
  });
}

/** Whether labgrid would give this place to who asks for `filter`. */
export function suits({ tags }: LabPlace, filter: readonly string[]): boolean {
  return filter.every((one) => tags.has(one));
}
