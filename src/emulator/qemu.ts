import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ByteStream } from "../transport/transport.js";
import { type Board, BoardError, type BoardEvent, type Cut } from "./board.js";
import { bootFile, qemuLaunch } from "./catalog.js";
import { FlashFile } from "./flash-file.js";
import { GEOMETRIES, type Geometry, LAYOUT } from "./layout.js";
import { BoardLog } from "./log.js";
import type { BoardVariant } from "./manifest.js";
import { type QemuEnd, QemuProcess } from "./qemu-process.js";
import { Qmp } from "./qmp.js";
import { Uart } from "./uart.js";

/** Exit code of the guest when power fails at the flash operation that was asked for. */
const CUT_EXIT_CODE = 42;
/** The sockets between us and QEMU, which connects to them: so not a byte of a boot is lost. */
const SOCKETS = ["uart", "log", "qmp"] as const;
type SocketName = (typeof SOCKETS)[number];

export interface QemuOptions {
  flashFile?: string | undefined;
  pty?: boolean | undefined;
}

/** A board that is off. Throws {@link BoardError} `qemu-not-here`, `qemu-failed`, `flash-locked`, `flash-unusable`. */
export async function startQemu(options: QemuOptions, variant: BoardVariant): Promise<QemuBoard> {
  if (process.platform === "win32")
    throw new BoardError("qemu-not-here", "QEMU boards do not run on Windows: they need Unix sockets.", {
      hint: `Use the wasm board, which runs the same firmware (wasm:${variant.id}), or run bootproof in WSL.`,
    });
  const folder = mkdtempSync(join(tmpdir(), "bootproof-"));
  const forget = () => rmSync(folder, { recursive: true, force: true });
  process.once("exit", forget);
  let file: FlashFile | undefined;
  try {
    const { flashSize: size }: Geometry = GEOMETRIES[variant.geometry ?? "even"];
    file = new FlashFile(options.flashFile ?? join(folder, "flash.bin"), LAYOUT.qemuFileSize, {
      size,
      erased: variant.erased ?? 0xff,
    });
    const sockets = await listen(folder);
    return new QemuBoard({
      id: variant.id,
      boot: bootFile("qemu", variant),
      folder,
      file,
      sockets,
      pty: options.pty === true,
      forget,
    });
  } catch (error) {
    file?.close();
    process.off("exit", forget);
    forget();
    throw error;
  }
}

interface Parts {
  id: string;
  /** Path of the bootloader. */
  boot: string;
  folder: string;
  file: FlashFile;
  sockets: Record<SocketName, Server>;
  pty: boolean;
  forget: () => void;
}

/** One power cycle. */
interface Run {
  readonly process: QemuProcess;
  readonly qmp: Qmp;
  /** QEMU has ended and everything it said has been read. */
  readonly over: Promise<void>;
  isUnplugged: boolean;
}

/** The board in qemu-system-arm (mps2-an385). A power cut is a kill -9; the flash is a file and survives it. */
export class QemuBoard implements Board {
  readonly machine = "qemu";
  readonly id: string;
  readonly tty?: string;
  readonly log = new BoardLog();
  readonly #parts: Parts;
  readonly #uart: Uart;
  readonly #listeners = new Set<(event: BoardEvent) => void>();
  #run: Run | undefined;
  /** Power switches one after the other. */
  #switching: Promise<void> = Promise.resolve();
  #isClosed = false;
  #broken: Stretch | undefined;

  constructor(parts: Parts) {
    this.id = parts.id;
    this.#parts = parts;
    this.#uart = new Uart(`qemu:${parts.id}`);
    if (parts.pty) this.tty = join(parts.folder, "tty");
  }

  get isOn(): boolean {
    return this.#run !== undefined;
  }

  async connect(): Promise<ByteStream> {
    this.#mustBeOpen();
    if (this.tty) throw new BoardError("qemu-failed", `The UART of this board is ${this.tty}: open that.`);
    return this.#uart.open();
  }

  onEvent(listener: (event: BoardEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  powerOn(options: { cut?: Cut } = {}): Promise<void> {
    return this.#switch(async () => {
      this.#mustBeOpen();
      if (this.#run?.process.hasEnded) await this.#run.over;
      if (!this.#run) return this.#launch(options.cut);
      if (options.cut)
        throw new BoardError("is-on", "A power cut is counted from power-on, but the board is on.");
    });
  }

  powerOff(): Promise<void> {
    return this.#switch(async () => {
      const run = this.#run;
      if (!run) return;
      run.isUnplugged = true;
      await run.process.kill();
      await run.over;
    });
  }

  async reset(): Promise<void> {
    this.#mustBeOpen();
    if (!this.#run) throw new BoardError("is-off", `Board ${this.id} has no power.`);
    await this.#run.qmp.execute("system_reset");
  }

  readFlash(offset: number, length: number): Uint8Array {
    return this.#parts.file.read(offset, length);
  }

  writeFlash(offset: number, bytes: Uint8Array): void {
    this.#mustBeOpen();
    // QEMU would keep running the instructions it has already translated.
    if (this.isOn) throw new BoardError("is-on", "The flash can be programmed only while the board is off.");
    this.#parts.file.write(offset, bytes);
  }

  breakFlash(offset: number, length: number): void {
    this.#mustBeOpen();
    this.#broken = length === 0 ? undefined : { offset, length };
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    await this.powerOff();
    this.#isClosed = true;
    this.#uart.close();
    this.#parts.file.close();
    await Promise.all(Object.values(this.#parts.sockets).map(closeServer));
    process.off("exit", this.#parts.forget);
    this.#parts.forget();
  }

  #switch(act: () => Promise<void>): Promise<void> {
    const done = this.#switching.then(act);
    // The next switch starts after this one, whether it worked or not; its caller hears of the failure.
    this.#switching = done.catch(() => {});
    return done;
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw new BoardError("closed", `Board ${this.id} was closed.`);
  }

  async #launch(cut: Cut | undefined): Promise<void> {
    const wanted = SOCKETS.filter((name) => name !== "uart" || !this.tty);
    const arriving = wanted.map((name) => arrival(this.#parts.sockets[name]));
    const process = new QemuProcess(launchWords(this.#parts, cut, this.#broken));
    const sockets = await Promise.race([
      Promise.all(arriving.map((one) => one.socket)),
      process.ended.then((end) => Promise.reject(startFailure(end))),
    ]).catch(async (error) => {
      for (const one of arriving) one.cancel();
      await process.kill();
      throw error;
    });
    const byName = Object.fromEntries(wanted.map((name, index) => [name, sockets[index]!]));
    await this.#attach(process, byName as Partial<Record<SocketName, Socket>> & { log: Socket; qmp: Socket });
  }

  async #attach(
    process: QemuProcess,
    sockets: Partial<Record<SocketName, Socket>> & { log: Socket; qmp: Socket },
  ): Promise<void> {
    // A killed QEMU breaks its sockets; the end of the process is what tells.
    for (const socket of Object.values(sockets)) socket.on("error", () => {});
    sockets.log.on("data", (bytes: Uint8Array) => this.log.push(bytes));
    if (sockets.uart) this.#wire(sockets.uart);
    const qmp = new Qmp(sockets.qmp, (name) => name === "RESET" && this.#emit({ kind: "reset" }));
    // What it said before its end is still on the way, and must not be taken for words of the next start.
    const over = Promise.all([process.ended, ...Object.values(sockets).map(closed)]).then(([end]) => {
      if (end.exitCode === CUT_EXIT_CODE) this.#lose("cut");
      else this.#lose(run.isUnplugged ? "asked" : "emulator-ended");
    });
    const run: Run = { process, qmp, over, isUnplugged: false };
    this.#run = run;
    this.#uart.setPower(true);
    this.#emit({ kind: "power", on: true, why: "asked" });
    await this.#greet(qmp).catch(async (error) => {
      if (!qmp.isClosed) throw error;
      // With a cut close to the start QEMU is gone before it has answered; the event says so.
      const end = await process.ended;
      if (end.exitCode !== CUT_EXIT_CODE && !run.isUnplugged) throw startFailure(end);
    });
  }

  async #greet(qmp: Qmp): Promise<void> {
    await qmp.execute("qmp_capabilities");
    if (!this.tty) return;
    rmSync(this.tty, { force: true });
    symlinkSync(ttyOf(await qmp.execute("query-chardev")), this.tty);
  }

  #wire(socket: Socket): void {
    const pump = () => {
      while (this.#uart.hasInput && !socket.writableNeedDrain) socket.write(this.#uart.read(4096));
    };
    socket.on("data", (bytes: Uint8Array) => this.#uart.write(bytes));
    socket.on("drain", pump);
    this.#uart.onInput = pump;
  }

  #lose(why: "asked" | "cut" | "emulator-ended"): void {
    this.#run = undefined;
    this.#uart.onInput = () => {};
    this.#uart.setPower(false);
    this.#emit({ kind: "power", on: false, why });
  }

  #emit(event: BoardEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

/** A part of the flash, in bytes. */
interface Stretch {
  readonly offset: number;
  readonly length: number;
}

/** The manifest's launch line with this board's paths in it. */
function launchWords(parts: Parts, cut: Cut | undefined, broken: Stretch | undefined): string[] {
  const launch = qemuLaunch();
  const uart = parts.pty ? launch.launchUart.pty : launch.launchUart.socket;
  const line = [
    launch.launch,
    ...(cut ? [launch.launchWithCut] : []),
    ...(broken ? [launch.launchBroken] : []),
  ];
  const values: Record<string, string> = {
    flash: parts.file.path,
    boot: parts.boot,
    socket: socketPath(parts.folder, "uart"),
    log: socketPath(parts.folder, "log"),
    qmp: socketPath(parts.folder, "qmp"),
    operation: String(cut?.operation),
    half: cut?.kind === "half-done" ? "1" : "0",
    brokenAt: String(broken?.offset),
    brokenLength: String(broken?.length),
  };
  return line
    .join(" ")
    .replace("{uart}", uart)
    .split(" ")
    .map((word) => fill(word, values));
}

function fill(word: string, values: Record<string, string>): string {
  // Inside an option of several parts, QEMU takes a comma for a separator unless it is doubled.
  const asOption = (text: string) => (word.startsWith("{") ? text : text.replaceAll(",", ",,"));
  return word.replace(/\{(\w+)\}/g, (_, name: string) => asOption(values[name]!));
}

function socketPath(folder: string, name: SocketName): string {
  return join(folder, `${name}.sock`);
}

async function listen(folder: string): Promise<Record<SocketName, Server>> {
  const servers = SOCKETS.map(async (name) => {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(socketPath(folder, name), resolve);
    }).catch((cause: Error) => {
      throw new BoardError(
        "qemu-failed",
        `The QEMU board cannot create its sockets in ${folder}: ${cause.message}.`,
        {
          cause,
          hint: "Socket paths are limited to about a hundred characters: set TMPDIR to a folder with a short path.",
        },
      );
    });
    return [name, server] as const;
  });
  return Object.fromEntries(await Promise.all(servers)) as Record<SocketName, Server>;
}

function arrival(server: Server): { socket: Promise<Socket>; cancel: () => void } {
  let onConnection: (socket: Socket) => void = () => {};
  const socket = new Promise<Socket>((resolve) => {
    onConnection = resolve;
    server.once("connection", onConnection);
  });
  return { socket, cancel: () => void server.off("connection", onConnection) };
}

function closed(socket: Socket): Promise<void> {
  return socket.closed ? Promise.resolve() : new Promise((resolve) => socket.once("close", () => resolve()));
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

function startFailure(end: QemuEnd): BoardError {
  return new BoardError("qemu-failed", `QEMU ended at once (exit code ${end.exitCode}): ${end.said}`);
}

/** The path in QMP's `query-chardev` answer. */
function ttyOf(answer: unknown): string {
  const devices = answer as { label: string; filename: string }[];
  const name = devices.find((device) => device.label === "uart")?.filename ?? "";
  if (!name.startsWith("pty:"))
    throw new BoardError("qemu-failed", `QEMU did not report which tty it made: "${name}".`);
  return name.slice("pty:".length);
}
