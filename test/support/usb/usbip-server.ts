import { createServer, type Server, type Socket } from "node:net";
import { u16le } from "../../../src/bytes.js";
import { type ControlAnswer, type EmulatedDevice, NO_BYTES, type Setup } from "./device.js";
import { Transfers } from "./transfers.js";
import {
  imported,
  listed,
  STATUS,
  submitted,
  UsbipDecoder,
  type UsbipRequest,
  type UsbipSubmit,
  unlinked,
} from "./usbip-wire.js";

/**
 * Offers emulated devices to any Linux that has vhci_hcd: `usbip attach -r HOST -b BUSID`. Whoever attaches one has it to
 * himself until it is withdrawn, which is how a plug is pulled.
 */
export class UsbipServer {
  readonly port: number;
  readonly #server: Server;
  readonly #offered = new Map<string, EmulatedDevice>();
  readonly #attached = new Map<string, Socket>();
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as { port: number }).port;
    server.on("connection", (socket) => this.#serve(socket));
  }

  /** Listens on this machine only; whoever is farther away needs a tunnel. */
  static async listen(port = 0): Promise<UsbipServer> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", resolve);
    });
    return new UsbipServer(server);
  }

  /** `busId` as Linux names devices: `1-1`. */
  offer(busId: string, device: EmulatedDevice): void {
    this.#offered.set(busId, device);
  }

  withdraw(busId: string): void {
    const device = this.#offered.get(busId);
    this.#offered.delete(busId);
    this.#attached.get(busId)?.destroy();
    this.#attached.delete(busId);
    device?.unplugged();
  }

  async close(): Promise<void> {
    for (const busId of [...this.#offered.keys()]) this.withdraw(busId);
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    const decoder = new UsbipDecoder();
    let wire: DeviceWire | undefined;
    socket.on("data", (chunk: Uint8Array) => {
      try {
        for (const request of decoder.push(chunk)) wire = this.#answer(request, socket, wire);
      } catch {
        // Not USB/IP, or a transfer nobody could hold: there is nothing to say to that.
        socket.destroy();
      }
    });
  }

  #answer(request: UsbipRequest, socket: Socket, wire: DeviceWire | undefined): DeviceWire | undefined {
    if (request.kind === "list") socket.end(listed(this.#offered));
    if (request.kind === "import") return this.#attach(request.busId, socket);
    if (request.kind === "submit") wire?.submit(request);
    if (request.kind === "unlink") wire?.unlink(request.number, request.victim);
    return wire;
  }

  #attach(busId: string, socket: Socket): DeviceWire | undefined {
    const device = this.#attached.has(busId) ? undefined : this.#offered.get(busId);
    socket.write(imported(busId, device));
    if (device === undefined) return undefined;
    this.#attached.set(busId, socket);
    socket.on("close", () => {
      if (this.#attached.get(busId) !== socket) return;
      this.#attached.delete(busId);
      device.unplugged();
    });
    return new DeviceWire(device, socket);
  }
}

const SET_CONFIGURATION = { requestType: 0x00, request: 9 } as const;
const SET_INTERFACE = { requestType: 0x01, request: 11 } as const;
const CLEAR_HALT = { requestType: 0x02, request: 1 } as const;

const isRequest = (setup: Setup, known: { requestType: number; request: number }) =>
  setup.requestType === known.requestType && setup.request === known.request;

/** One attached device: its transfers. The address it gets on the other side's bus is not told here. */
class DeviceWire {
  readonly #device: EmulatedDevice;
  readonly #socket: Socket;
  readonly #transfers: Transfers<number>;

  constructor(device: EmulatedDevice, socket: Socket) {
    this.#device = device;
    this.#socket = socket;
    this.#transfers = new Transfers(device);
    socket.on("close", () => this.#transfers.clear());
  }

  submit(submit: UsbipSubmit): void {
    const { number, endpoint, length, data } = submit;
    if ((endpoint & 0x0f) === 0) this.#control(submit);
    else if (endpoint & 0x80)
      this.#transfers.read(number, endpoint, length, (answer) => this.#end(submit, answer, answer.length));
    else
      this.#transfers.write(number, endpoint, data, (answer) =>
        this.#end(submit, answer === "stall" ? answer : NO_BYTES, length),
      );
  }

  unlink(number: number, victim: number): void {
    const wasUnderWay = this.#transfers.cancel(victim) !== undefined;
    this.#say(unlinked(number, wasUnderWay ? STATUS.cancelled : STATUS.ok));
  }

  #control(submit: UsbipSubmit): void {
    const { setup: bytes, data } = submit;
    const setup: Setup = {
      requestType: bytes[0]!,
      request: bytes[1]!,
      ...{ value: u16le(bytes, 2), index: u16le(bytes, 4), length: u16le(bytes, 6) },
    };
    const answer = this.#standard(setup) ?? this.#device.control(setup, data);
    const toHost = (setup.requestType & 0x80) !== 0;
    this.#end(submit, answer, toHost ? answer.length : data.length);
  }

  /** Requests that other transports tell by messages of their own. */
  #standard(setup: Setup): ControlAnswer | undefined {
    if (isRequest(setup, SET_CONFIGURATION)) {
      // It is also all that is seen of a bus reset.
      this.#device.configured();
      return NO_BYTES;
    }
    if (isRequest(setup, SET_INTERFACE)) {
      this.#device.alternateSelected(setup.index, setup.value);
      return NO_BYTES;
    }
    return isRequest(setup, CLEAR_HALT) ? NO_BYTES : undefined;
  }

  #end(submit: UsbipSubmit, answer: Uint8Array | "stall", length: number): void {
    if (answer === "stall") this.#say(submitted(submit, STATUS.stall, 0));
    else this.#say(submitted(submit, STATUS.ok, length, answer));
  }

  #say(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }
}
