import { readFileSync } from "node:fs";
import { join } from "node:path";
import { McumgrFailure } from "./failure.js";
import { goJsonProblem, goSystemError } from "./go-text.js";
import { writeWhole } from "./write-whole.js";

/** The kinds of connection that a profile may name. Only `serial` and `udp` can be opened here. */
export const CONNECTION_TYPES = [
  "serial",
  "oic_serial",
  "ble",
  "oic_ble",
  "bhd",
  "oic_bhd",
  "udp",
  "oic_udp",
  "oic_mtech",
] as const;
export type ConnectionType = (typeof CONNECTION_TYPES)[number];

export const isConnectionType = (text: string): text is ConnectionType =>
  (CONNECTION_TYPES as readonly string[]).includes(text);

export interface Profile {
  readonly name: string;
  /** Undefined for a word in the file that is no kind of connection. */
  readonly type: ConnectionType | undefined;
  readonly connstring: string;
}

/** The user's connection profiles, in mcumgr's own file. */
export class Profiles {
  readonly #file: string | undefined;
  readonly #profiles = new Map<string, Profile>();

  /** Throws {@link McumgrFailure} when the file is there and cannot be read. */
  constructor(home: string | undefined) {
    this.#file = home === undefined || home === "" ? undefined : join(home, ".mcumgr.cp.json");
    for (const profile of this.#file === undefined ? [] : readProfiles(this.#file))
      this.#profiles.set(profile.name, profile);
  }

  /** By name. */
  all(): Profile[] {
    return [...this.#profiles.values()].sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
  }

  get(name: string): Profile {
    const profile = this.#profiles.get(name);
    if (profile === undefined) throw new McumgrFailure(`connection profile "${name}" doesn't exist`);
    return profile;
  }

  set(profile: Profile): void {
    this.#profiles.set(profile.name, profile);
    this.#save();
  }

  delete(name: string): void {
    this.get(name);
    this.#profiles.delete(name);
    this.#save();
  }

  #save(): void {
    if (this.#file === undefined)
      throw new McumgrFailure("there is no home folder to keep connection profiles in");
    const rows = this.all().map(({ name, type, connstring }) => ({
      MyName: name,
      MyType: type ?? "???",
      MyConnString: connstring,
    }));
    writeWhole(this.#file, JSON.stringify(rows, undefined, 4));
  }
}

function readProfiles(file: string): Profile[] {
  const refuse = (reason: string) =>
    new McumgrFailure(`error reading connection profile config (${file}): ${reason}`);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw refuse(goSystemError("open", file, cause));
  }
  const rows = parse(text, refuse);
  if (rows === null) return [];
  if (!Array.isArray(rows))
    throw refuse(`json: cannot unmarshal ${kindOf(rows)} into Go value of type []*config.ConnProfile`);
  return rows.map((row: unknown) => profileOf(row, refuse));
}

function parse(text: string, refuse: (reason: string) => McumgrFailure): unknown {
  const problem = goJsonProblem(text);
  if (problem !== undefined) throw refuse(problem);
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw refuse((cause as Error).message);
  }
}

function profileOf(row: unknown, refuse: (reason: string) => McumgrFailure): Profile {
  if (typeof row !== "object" || row === null)
    throw refuse(`json: cannot unmarshal ${kindOf(row)} into Go value of type config.ConnProfile`);
  const fields = new Map<string, unknown>(Object.entries(row));
  const text = (key: string) => {
    const value = fields.get(key) ?? "";
    if (typeof value !== "string") throw refuse(`json: ${key} is ${kindOf(value)} and not text`);
    return value;
  };
  const type = text("MyType");
  return {
    name: text("MyName"),
    type: isConnectionType(type) ? type : undefined,
    connstring: text("MyConnString"),
  };
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}
