import type { Socket } from "node:net";
import { u16le } from "../../../src/bytes.js";
import type { EmulatedDevice, Setup } from "./device.js";
import { hello, long, message, RedirDecoder, type RedirMessage, STATUS, TYPE, word } from "./redir-wire.js";
import { Transfers } from "./transfers.js";

const ENDPOINTS = 32;
const SPEED = { full: 1, super: 3 } as const;
const KIND = { none: 255, control: 0, bulk: 2, interrupt: 3 } as const;
const BULK_HEADER = 10;
const CONTROL_HEADER = 10;

/** One connection with QEMU's usb-redir: translates between its messages and the device that is plugged in. */
export class RedirSession {
  /** Resolves when QEMU has said hello. */
  readonly greeted: Promise<void>;
  device: EmulatedDevice | undefined;
  readonly #socket: Socket;
  readonly #handlers: Readonly<Record<number, (one: RedirMessage, device: EmulatedDevice) => void>>;
  /** Of the device that is plugged in, by message id. */
  #transfers: Transfers<bigint> | undefined;
  /** Interrupt endpoints QEMU listens to. */
  readonly #listening = new Map<number, () => void>();
  #configuration = 0;
  #onGreeting: () => void = () => {};
  #onAck: () => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    this.greeted = new Promise((resolve) => {
      this.#onGreeting = resolve;
    });
    this.#handlers = {
      [TYPE.reset]: () => this.#forgetTransfers(),
      [TYPE.setConfiguration]: (one, device) => this.#setConfiguration(one, device),
      [TYPE.getConfiguration]: (one) => this.#say(TYPE.configurationStatus, one.id, [0, this.#configuration]),
      [TYPE.setAlternate]: (one, device) => this.#setAlternate(one, device),
      [TYPE.getAlternate]: (one) => this.#say(TYPE.alternateStatus, one.id, [0, one.body[0]!, 0]),
      [TYPE.startInterrupt]: (one, device) => this.#startInterrupt(one, device),
      [TYPE.stopInterrupt]: (one) => this.#stopInterrupt(one),
      [TYPE.cancel]: (one) => this.#cancel(one.id),
      [TYPE.control]: (one, device) => this.#control(one, device),
      [TYPE.bulk]: (one) => this.#bulk(one),
    };
    const decoder = new RedirDecoder();
    socket.on("error", () => {});
    socket.on("data", (chunk: Uint8Array) => {
      for (const one of decoder.push(chunk)) this.#take(one);
    });
    socket.write(hello());
  }

  connect(device: EmulatedDevice): void {
    this.device = device;
    this.#transfers = new Transfers(device);
    this.#configuration = 0;
    this.#describe(device, 0n);
    const { speed = "full", deviceClass, vendorId, productId, release } = device.shape;
    const numbers = [vendorId, productId, release].map(word);
    this.#say(TYPE.deviceConnect, 0n, [SPEED[speed], ...deviceClass], ...numbers);
  }

  async disconnect(): Promise<void> {
    const device = this.device;
    this.device = undefined;
    const acknowledged = new Promise<void>((resolve) => {
      this.#onAck = resolve;
    });
    this.#forgetTransfers();
    this.#say(TYPE.deviceDisconnect, 0n);
    device?.unplugged();
    await acknowledged;
  }

  close(): void {
    this.#socket.destroy();
    this.device?.unplugged();
    this.device = undefined;
  }

  #take(one: RedirMessage): void {
    if (one.type === TYPE.hello) this.#onGreeting();
    if (one.type === TYPE.disconnectAck) this.#onAck();
    // After the plug is out, QEMU's last messages still arrive.
    if (this.device) this.#handlers[one.type]?.(one, this.device);
  }

  #say(type: number, id: bigint, ...body: readonly (Uint8Array | readonly number[])[]): void {
    if (this.#socket.writable) this.#socket.write(message(type, id, ...body));
  }

  #describe(device: EmulatedDevice, id: bigint): void {
    const kinds = new Array<number>(ENDPOINTS).fill(KIND.none);
    const intervals = new Array<number>(ENDPOINTS).fill(0);
    const owners = new Array<number>(ENDPOINTS).fill(0);
    const sizes = new Array<number>(ENDPOINTS).fill(0);
    kinds[0] = kinds[16] = KIND.control;
    sizes[0] = sizes[16] = 64;
    for (const { number, endpoints } of device.interfaces) {
      for (const { address, type, maxPacket } of endpoints) {
        const slot = (address & 0x0f) + (address & 0x80 ? 16 : 0);
        kinds[slot] = KIND[type];
        intervals[slot] = type === "interrupt" ? 10 : 0;
        owners[slot] = number;
        sizes[slot] = maxPacket;
      }
    }
    this.#say(TYPE.endpointInfo, id, kinds, intervals, owners, ...sizes.map(word));
    const first = device.interfaces.filter(({ alternate }) => alternate === 0);
    const row = (value: (one: (typeof first)[number]) => number) =>
      Array.from({ length: ENDPOINTS }, (_, index) => (first[index] ? value(first[index]) : 0));
    this.#say(
      TYPE.interfaceInfo,
      id,
      long(first.length),
      ...[row((one) => one.number), row((one) => one.class), row((one) => one.subclass)],
      row((one) => one.protocol),
    );
  }

  #setConfiguration({ id, body }: RedirMessage, device: EmulatedDevice): void {
    this.#forgetTransfers();
    this.#configuration = body[0]!;
    device.configured();
    this.#describe(device, id);
    this.#say(TYPE.configurationStatus, id, [STATUS.ok, this.#configuration]);
  }

  #setAlternate({ id, body }: RedirMessage, device: EmulatedDevice): void {
    const [number, alternate] = [body[0]!, body[1]!];
    const known = device.interfaces.some((one) => one.number === number && one.alternate === alternate);
    if (known) device.alternateSelected(number, alternate);
    this.#say(TYPE.alternateStatus, id, [known ? STATUS.ok : STATUS.stall, number, alternate]);
  }

  #startInterrupt({ id, body }: RedirMessage, device: EmulatedDevice): void {
    const endpoint = body[0]!;
    const pipe = device.pipes.get(endpoint);
    this.#say(TYPE.interruptStatus, id, [pipe ? STATUS.ok : STATUS.stall, endpoint]);
    if (!pipe) return;
    const listen = () => {
      const stop = pipe.request(pipe.maxPacket, (bytes) => {
        this.#say(TYPE.interrupt, 0n, [endpoint, STATUS.ok], word(bytes.length), bytes);
        listen();
      });
      this.#listening.set(endpoint, stop);
    };
    listen();
  }

  #stopInterrupt({ id, body }: RedirMessage): void {
    const endpoint = body[0]!;
    this.#listening.get(endpoint)?.();
    this.#listening.delete(endpoint);
    this.#say(TYPE.interruptStatus, id, [STATUS.ok, endpoint]);
  }

  #control({ id, body }: RedirMessage, device: EmulatedDevice): void {
    const [endpoint, request, requestType] = [body[0]!, body[1]!, body[2]!];
    const setup: Setup = {
      ...{ requestType, request, value: u16le(body, 4) },
      ...{ index: u16le(body, 6), length: u16le(body, 8) },
    };
    const answer = device.control(setup, body.subarray(CONTROL_HEADER));
    const [status, bytes] = answer === "stall" ? [STATUS.stall, new Uint8Array(0)] : [STATUS.ok, answer];
    const toHost = (requestType & 0x80) !== 0;
    const length = toHost ? bytes.length : status === STATUS.ok ? setup.length : 0;
    this.#say(
      TYPE.control,
      id,
      [endpoint, request, requestType, status],
      ...[setup.value, setup.index, length].map(word),
      toHost ? bytes : [],
    );
  }

  #bulk({ id, body }: RedirMessage): void {
    const endpoint = body[0]!;
    const length = u16le(body, 2) | (u16le(body, 8) << 16);
    if (endpoint & 0x80) {
      this.#transfers?.read(id, endpoint, length, (answer) => {
        if (answer === "stall") this.#answerBulk(id, endpoint, STATUS.stall, 0);
        else this.#answerBulk(id, endpoint, STATUS.ok, answer.length, answer);
      });
    } else {
      const bytes = body.slice(BULK_HEADER);
      this.#transfers?.write(id, endpoint, bytes, (answer) =>
        this.#answerBulk(id, endpoint, answer === "done" ? STATUS.ok : STATUS.stall, bytes.length),
      );
    }
  }

  #answerBulk(id: bigint, endpoint: number, status: number, length: number, data?: Uint8Array): void {
    const [low, high] = [word(length & 0xffff), word(length >> 16)];
    this.#say(TYPE.bulk, id, [endpoint, status], low, long(0), high, data ?? []);
  }

  #cancel(id: bigint): void {
    const endpoint = this.#transfers?.cancel(id);
    if (endpoint !== undefined) this.#answerBulk(id, endpoint, STATUS.cancelled, 0);
  }

  #forgetTransfers(): void {
    this.#transfers?.clear();
    for (const stop of this.#listening.values()) stop();
    this.#listening.clear();
  }
}
