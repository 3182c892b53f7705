import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { QemuProcess } from "../../../src/emulator/qemu-process.js";
import { STILL_MS } from "../limits.js";
import { packApp } from "./app.js";
import { CACHE } from "./cache.js";
import { LATER_MODULES, machineImage } from "./image.js";
import { Monitor } from "./monitor.js";
import type { Answer, GuestFault, Order, ProgramEnd } from "./orders.js";

/** This computer, as the machine sees it (QEMU's user network). */
export const HOST = "10.0.2.2";

/** An order to the machine failed inside it. `code` and `hint` are those of the error there. */
export class GuestError extends Error {
  readonly code: string;
  readonly hint: string;

  constructor(fault: GuestFault) {
    super(fault.message);
    this.name = fault.name;
    this.code = fault.code;
    this.hint = fault.hint;
  }
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly cwd?: string;
  readonly signal?: AbortSignal;
  readonly limitMs?: number;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

type Unnumbered<T> = T extends unknown ? Omit<T, "id"> : never;

/** Machine code that is made on the fly has to be translated once more by the emulator: programs start half as fast with it. */
const INTERPRETED = ["--jitless", "--no-expose-wasm"] as const;

let shared: Promise<UsbMachine> | undefined;

/** A computer with USB, emulated instruction by instruction: Debian's kernel, udev, our own package and an agent. */
export class UsbMachine {
  /** Where QEMU's monitor listens: devices are plugged through it. */
  readonly monitor: Monitor;
  /** Milliseconds from the launch of QEMU to the agent's first word. */
  readonly bootMs: number;
  /** Exceptions nobody caught inside. A test that ends with some here has failed. */
  readonly uncaught: string[] = [];
  readonly #socket: Socket;
  readonly #console: string;
  readonly #waiting = new Map<number, Waiting>();
  #next = 1;

  private constructor(parts: Parts, monitor: Monitor, agent: Socket, bootMs: number) {
    this.#console = parts.console;
    this.monitor = monitor;
    this.bootMs = bootMs;
    this.#socket = agent;
    createInterface({ input: agent }).on("line", (line) => this.#hear(JSON.parse(line) as Answer));
    agent.on("error", () => {});
    agent.on("close", () => this.#fail(new Error(`The machine is gone. Its last words:\n${this.console()}`)));
  }

  /**
   * The one machine that all files of a run share: starting it takes longer than most of them. It ends with the process.
   * Whoever comes finds nothing plugged in, and leaves it so.
   */
  static shared(): Promise<UsbMachine> {
    shared ??= UsbMachine.#start();
    return shared;
  }

  static async #start(): Promise<UsbMachine> {
    const image = await machineImage();
    mkdirSync(join(CACHE, "consoles"), { recursive: true });
    const folder = mkdtempSync(join(tmpdir(), "usb-vm-"));
    process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
    const app = packApp(folder);
    const agents = await listen();
    const console = join(CACHE, "consoles", `${process.pid}-${Date.now()}.log`);
    const started = performance.now();
    const monitorPath = join(folder, "monitor.sock");
    const monitors = await listen(monitorPath);
    const qemu = new QemuProcess(launchWords({ image, app, console, monitorPath, port: portOf(agents) }));
    const parts = { process: qemu, console };
    try {
      const [monitor, agent] = await within(
        STILL_MS,
        Promise.race([Promise.all([connection(monitors), connection(agents)]), ended(parts)]),
        () => `The machine did not start. Its console:\n${readTail(console)}`,
      );
      await firstLine(agent);
      const bootMs = Math.round(performance.now() - started);
      // Where boots become slow, this line of a run's output shows it first.
      process.stdout.write(`The USB machine is up after ${(bootMs / 1000).toFixed(1)} s.\n`);
      return new UsbMachine(parts, await Monitor.greet(monitor), agent, bootMs);
    } catch (error) {
      await qemu.kill();
      throw error;
    } finally {
      agents.close();
      monitors.close();
    }
  }

  /** Runs a program inside; its end, whatever the exit code. */
  async run(words: readonly string[], options: RunOptions = {}): Promise<ProgramEnd> {
    const { input, env, uid, cwd } = options;
    return (await this.#order({ do: "run", words, input, env, uid, cwd }, options)) as ProgramEnd;
  }

  /** Runs our own command line inside. */
  bootproof(words: readonly string[], options: RunOptions = {}): Promise<ProgramEnd> {
    return this.run(["node", ...INTERPRETED, "/app/dist/cli/main.js", ...words], options);
  }

  async write(path: string, bytes: Uint8Array): Promise<void> {
    await this.#order({ do: "write", path, base64: Buffer.from(bytes).toString("base64") }, {});
  }

  /**
   * Calls an exported function of guest/`file` inside. Arguments and result travel as JSON; the function gets a signal
   * as its last argument. Throws {@link GuestError}.
   */
  async call<T>(
    file: string,
    name: string,
    args: readonly unknown[] = [],
    options: RunOptions = {},
  ): Promise<T> {
    const module = `/app/test/support/usb-vm/guest/${file}.js`;
    return (await this.#order({ do: "call", module, name, args }, options)) as T;
  }

  /** The last of what the kernel and the start script said. */
  console(): string {
    return readTail(this.#console);
  }

  async #order(order: Unnumbered<Order>, { signal, limitMs = STILL_MS }: RunOptions): Promise<unknown> {
    const id = this.#next++;
    const answer = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#say({ ...order, id } as Order);
    const cancel = () => this.#say({ id, do: "cancel" });
    signal?.addEventListener("abort", cancel, { once: true });
    const what = order.do === "run" ? order.words.join(" ") : order.do === "call" ? order.name : order.do;
    try {
      return await within(limitMs, answer, () => `No answer to "${what}". Console:\n${this.console()}`);
    } finally {
      signal?.removeEventListener("abort", cancel);
      if (this.#waiting.delete(id)) cancel();
    }
  }

  #say(order: Order): void {
    if (this.#socket.writable) this.#socket.write(`${JSON.stringify(order)}\n`);
  }

  #hear(answer: Answer): void {
    if ("uncaught" in answer) {
      if (answer.uncaught !== null) this.uncaught.push(answer.uncaught);
      return;
    }
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ("error" in answer) waiting?.reject(new GuestError(answer.error));
    else waiting?.resolve(answer.value);
  }

  #fail(error: Error): void {
    // The next file gets a machine of its own.
    shared = undefined;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

interface Parts {
  readonly process: QemuProcess;
  readonly console: string;
}

interface Launch {
  readonly image: { readonly kernel: string; readonly initrd: string; readonly disk: string };
  readonly app: string;
  readonly console: string;
  readonly monitorPath: string;
  readonly port: number;
}

/** KVM is not tried: where it exists in containers it is often slower than none, or broken (it starts, then hangs). */
function launchWords({ image, app, console, monitorPath, port }: Launch): string[] {
  const kernelWords = [
    "console=ttyS0 quiet loglevel=4 panic=-1 net.ifnames=0 mitigations=off",
    `usbvm.port=${port} usbvm.modules=${LATER_MODULES.join(",")}`,
  ].join(" ");
  return [
    ...[
      "qemu-system-x86_64",
      "-accel",
      "tcg,thread=multi",
      "-cpu",
      "max",
      "-M",
      "q35",
      "-m",
      "1024",
      "-smp",
      "2",
    ],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-kernel", image.kernel, "-initrd", image.initrd, "-append", kernelWords],
    ...["-serial", `file:${console}`],
    ...["-drive", `file=${image.disk},if=none,id=disk,format=raw,snapshot=on`],
    ...["-device", "virtio-blk-pci,drive=disk"],
    ...["-drive", `file=${app},if=none,id=app,format=raw,readonly=on`, "-device", "virtio-blk-pci,drive=app"],
    ...["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="],
    ...["-device", "qemu-xhci,id=xhci,p2=8,p3=8"],
    ...["-chardev", `socket,id=mon,path=${monitorPath}`, "-mon", "chardev=mon,mode=control"],
  ];
}

function listen(path?: string): Promise<Server> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    const ready = () => resolve(server);
    if (path === undefined) server.listen(0, "127.0.0.1", ready);
    else server.listen(path, ready);
  });
}

function portOf(server: Server): number {
  return (server.address() as { port: number }).port;
}

function connection(server: Server): Promise<Socket> {
  return new Promise((resolve) => server.once("connection", resolve));
}

/** The agent's first line says that it is there; it stays in the stream for whoever listens later. */
function firstLine(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once("readable", () => resolve()));
}

async function ended({ process, console }: Parts): Promise<never> {
  const { exitCode, said } = await process.ended;
  throw new Error(`QEMU ended (exit code ${exitCode}): ${said}\n${readTail(console)}`);
}

async function within<T>(limitMs: number, work: Promise<T>, output: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(output())), limitMs);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function readTail(path: string): string {
  try {
    return readFileSync(path, "utf8").slice(-4000);
  } catch {
    // QEMU had not even opened its console.
    return "(nothing)";
  }
}
