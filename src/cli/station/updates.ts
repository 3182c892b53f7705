import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseImage } from "../../mcuboot/image.js";
import { formatVersion } from "../../mcuboot/version.js";
import { renameOver } from "../../rename-over.js";
import type { Source } from "../../sources/source.js";
import type { UpdateName } from "../../station/job.js";
import { mustBeVouched, onePayload, openUpdate } from "../update-source.js";
import type { Context } from "../verb-context.js";

/** No update of a microcontroller is larger. */
export const LARGEST_UPDATE = 32 * 1024 * 1024;
/** The oldest make room. */
const MOST_UPDATES = 100;

/** The update files that a station has at hand, each under the hash of its content. */
export class Updates {
  readonly #folder: string;
  readonly #context: Context;
  readonly #names = new Map<string, UpdateName>();

  constructor(stationFolder: string, context: Context) {
    this.#folder = join(stationFolder, "updates");
    this.#context = context;
    for (const file of readdirSync(this.#folder).filter((name) => name.endsWith(".json")))
      this.#read(join(this.#folder, file));
  }

  /** Newest first. */
  list(): UpdateName[] {
    return [...this.#names.values()].reverse();
  }

  /** Where an update's file is; undefined when there is none with that hash. */
  find(sha256: string): { readonly update: UpdateName; readonly path: string } | undefined {
    const update = this.#names.get(sha256);
    return update && { update, path: this.#pathOf(update) };
  }

  /** Takes a file in. Throws why it is no update: what the readers of images and containers throw. */
  async add(name: string, content: Uint8Array): Promise<UpdateName> {
    const sha256 = createHash("sha256").update(content).digest("hex");
    const known = this.#names.get(sha256);
    if (known) return known;
    const plain = { name: printableName(name), sha256 };
    const path = this.#pathOf(plain);
    writeFileSync(`${path}.new`, content, { mode: 0o600 });
    try {
      renameOver(`${path}.new`, path);
      const source = await openUpdate(path, {}, { ...this.#context, out: silent(this.#context) });
      const update = { ...plain, version: versionIn(source) };
      writeFileSync(join(this.#folder, `${sha256}.json`), JSON.stringify(update), { mode: 0o600 });
      this.#names.set(sha256, update);
      this.#makeRoom();
      return update;
    } catch (error) {
      rmSync(path, { force: true });
      throw error;
    }
  }

  #makeRoom(): void {
    for (const update of [...this.#names.values()].slice(0, -MOST_UPDATES)) {
      this.#names.delete(update.sha256);
      rmSync(this.#pathOf(update), { force: true });
      rmSync(join(this.#folder, `${update.sha256}.json`), { force: true });
    }
  }

  #read(path: string): void {
    try {
      const { name, sha256, version } = JSON.parse(readFileSync(path, "utf8"));
      const update = { name: printableName(String(name)), sha256: String(sha256), version: String(version) };
      if (!/^[0-9a-f]{64}$/.test(update.sha256) || !existsSync(this.#pathOf(update))) return;
      if (statSync(this.#pathOf(update)).size <= LARGEST_UPDATE) this.#names.set(update.sha256, update);
    } catch {
      // Written half by a station that was killed: its update was never offered.
    }
  }

  /** The ending tells readers what it is. */
  #pathOf({ sha256, name }: UpdateName): string {
    const ending = /\.(?:bin|hex|zip|mender|elf)$/i.exec(name)?.[0].toLowerCase() ?? ".bin";
    return join(this.#folder, `${sha256}${ending}`);
  }
}

function versionIn(source: Source): string {
  mustBeVouched(source);
  return formatVersion(parseImage(onePayload(source, undefined).bytes).version);
}

/** A name is shown and logged, never a path. */
function printableName(name: string): string {
  return basename(name.replaceAll("\\", "/")).replace(/\p{C}/gu, "").slice(0, 120) || "update.bin";
}

function silent({ out }: Context): Context["out"] {
  return { ...out, note() {}, warn() {} };
}
