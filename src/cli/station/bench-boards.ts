import { existsSync, statSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { ProofRequest } from "bootproof/prove";
import { deviceMeant, isPluggedIn, namedDevices } from "../../boards/choose-device.js";
import type { Device } from "../../devices/device.js";
import { watchDevices } from "../../devices/list.js";
import { SelectionError } from "../../devices/select.js";
import type { PowerConfig } from "../../power/power.js";
import type { Station } from "../../station/station.js";
import type { StationBoard } from "../../station/station-work.js";
import { type Address, formatAddress, isPipe } from "../../transport/address.js";
import { parseAddress } from "../../transport/parse-address.js";
import { type Context, chooseDevice } from "../context.js";

/** Between two looks for what is plugged in, milliseconds. */
const LOOK_EVERY_MS = 1000;

/** A board of the bench and the ways to it. */
export interface BenchBoard extends StationBoard {
  readonly address: Address;
  readonly power?: PowerConfig;
  /** How the proof suite finds it. */
  readonly proof: Pick<ProofRequest, "boardFile" | "boards" | "devices">;
}

export interface BenchOptions {
  readonly boards?: string;
  readonly device?: readonly string[];
  /** Also everything else that is plugged in. */
  readonly plugged: boolean;
}

/** The boards of a bench: those of a board file, of `-d`, of the config file, and whatever else is plugged in. */
export class Bench {
  readonly #boards = new Map<string, BenchBoard>();
  /** The device behind a board, as it was last seen. */
  readonly #devices = new Map<string, Device>();
  readonly #context: Context;
  readonly #isPlugged: boolean;

  private constructor(context: Context, isPlugged: boolean) {
    this.#context = context;
    this.#isPlugged = isPlugged;
  }

  static async open(options: BenchOptions, context: Context): Promise<Bench> {
    const bench = new Bench(context, options.plugged);
    const { boards, device = [] } = options;
    if (boards !== undefined) await bench.#addFile(boards);
    const named = boards === undefined && device.length === 0 ? Object.keys(context.config.boards) : device;
    for (const name of named) {
      const address = await chooseDevice(name, context);
      // A port may come later; an emulated board that does not exist never will.
      if (!isPipe(address)) (await import("../../emulator/catalog.js")).boardVariant(address.variant);
      bench.#add(name, address);
    }
    return bench;
  }

  get boards(): readonly BenchBoard[] {
    return [...this.#boards.values()];
  }

  find(name: string): BenchBoard | undefined {
    return this.#boards.get(name);
  }

  /** Tells the station what is plugged in and out until the signal aborts. With `looks`, a board that came is looked at. */
  async watch(station: Station, looks: boolean): Promise<void> {
    await Promise.all([this.#watchDevices(station, looks), this.#watchPaths(station, looks)]);
  }

  /** Ports that no list of devices has: pseudo-terminals, links that somebody's rule makes. */
  async #watchPaths(station: Station, looks: boolean): Promise<void> {
    const { signal } = this.#context;
    /** Which device file a name led to: one that leads elsewhere between two looks has another board behind it. */
    const files = new Map<string, string | undefined>();
    while (!signal.aborted) {
      for (const board of this.#boards.values()) {
        const { name, address } = board;
        if (address.kind !== "serial" || this.#devices.has(name)) continue;
        const file = deviceFile(address.path);
        const isOther = files.has(name) && file !== undefined && files.get(name) !== file;
        files.set(name, file);
        const wasAway = station.tile(name)?.state === "away";
        if (file === undefined ? !wasAway : isOther) station.left(name);
        if (file !== undefined && (wasAway || isOther)) arrived(station, board, looks);
      }
      // Abort is the ordinary end of watching.
      await delay(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #watchDevices(station: Station, looks: boolean): Promise<void> {
    const { config, signal } = this.#context;
    const watching = watchDevices({
      signal,
      profiles: config.profiles,
      named: namedDevices(config),
      everyMs: LOOK_EVERY_MS,
    });
    for await (const { change, device } of watching) {
      const own = await this.#ownOf(device, change === "unplugged");
      if (change === "unplugged") {
        if (own) station.left(own.name);
        continue;
      }
      const board = own ?? (this.#isPlugged && isPluggedIn(device) ? this.#addDevice(device) : undefined);
      if (!board) continue;
      arrived(station, board, looks);
    }
  }

  async #addFile(file: string): Promise<void> {
    const { boardAddresses } = await import("bootproof/prove");
    for (const { name, address, tags, power, why } of boardAddresses(file)) {
      if (address === undefined) {
        this.#context.out.warn(`${name}: ${why}; the station leaves it out.`);
        continue;
      }
      this.#add(name, await chooseDevice(address, this.#context), { tags, power, file });
    }
  }

  #add(
    name: string,
    address: Address,
    {
      tags = [],
      power,
      file,
    }: { tags?: readonly string[]; power?: PowerConfig | undefined; file?: string } = {},
  ): BenchBoard {
    const where = formatAddress(address);
    const board = {
      name: this.#freeName(name),
      tags,
      where,
      address,
      ...(power && { power }),
      proof:
        file === undefined ? { devices: [{ name, address: where }] } : { boardFile: file, boards: [name] },
    };
    this.#boards.set(board.name, board);
    return board;
  }

  #addDevice(device: Device): BenchBoard | undefined {
    const { ports, usbPort, serialNumber, serialIsShared } = device;
    const [port] = ports;
    if (!port || port.problem) return undefined;
    const name = (serialIsShared ? undefined : serialNumber) ?? usbPort ?? port.path;
    const plain = name.replace(/[^\w.:/-]/g, "_").slice(0, 64);
    return this.#add(plain, parseAddress(usbPort === undefined ? `serial:${port.path}` : `port:${usbPort}`));
  }

  #freeName(name: string): string {
    for (let count = 1; ; count++) {
      const tried = count === 1 ? name : `${name}#${count}`;
      if (!this.#boards.has(tried)) return tried;
    }
  }

  /** The board of the bench that a device is. One that is gone is found by what it was known by. */
  async #ownOf(device: Device, isGone: boolean): Promise<BenchBoard | undefined> {
    const { config, signal } = this.#context;
    const known = [...this.#devices].find(([, other]) => samePlace(other, device))?.[0];
    if (isGone || known !== undefined) return known === undefined ? undefined : this.#boards.get(known);
    for (const board of this.#boards.values()) {
      const { address } = board;
      if (address.kind !== "serial" && address.kind !== "port") continue;
      try {
        const meant = await deviceMeant(address, config, signal);
        if (!meant || !samePlace(meant, device)) continue;
        this.#devices.set(board.name, device);
        return board;
      } catch (error) {
        // Not there now, or two could be meant: this device is not known to be it.
        if (!(error instanceof SelectionError)) throw error;
      }
    }
    return undefined;
  }

  /** Marks the boards of this machine that are not plugged in. */
  async markAway(station: Station): Promise<void> {
    const { config, signal } = this.#context;
    for (const { name, address } of this.#boards.values()) {
      const isThere =
        address.kind === "port"
          ? await deviceMeant(address, config, signal).then(Boolean, () => false)
          : address.kind !== "serial" || existsSync(address.path);
      if (!isThere) station.left(name);
    }
  }
}

/** What tells one device file from another, wherever a link to it is; undefined when there is none. */
function deviceFile(path: string): string | undefined {
  const { dev, ino, rdev, ctimeMs } = statSync(path, { throwIfNoEntry: false }) ?? {};
  // A pseudo-terminal may get the number of one that was closed a moment ago.
  return dev === undefined ? undefined : [dev, ino, rdev, ctimeMs].join(" ");
}

/** A board that is new, or was away, is looked at. */
function arrived(station: Station, board: BenchBoard, looks: boolean): void {
  const { state } = station.tile(board.name) ?? { state: "away" };
  station.arrived(board);
  if (looks && state === "away") station.submit({ kind: "look", boards: [board.name] });
}

function samePlace(a: Device, b: Device): boolean {
  if (a.usbPort !== undefined || b.usbPort !== undefined) return a.usbPort === b.usbPort;
  return a.ports[0]?.path === b.ports[0]?.path;
}
