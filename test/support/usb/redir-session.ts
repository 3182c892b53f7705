import type { Socket } from "node:net";
import { u16le } from "../../../src/bytes.js";
import type { EmulatedDevice, Setup } from "./device.js";
import { hello, long, message, RedirDecoder, type RedirMessage, STATUS, TYPE, word } from "./redir-wire.js";

const ENDPOINTS = 32;
const FULL_SPEED = 1;
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
  /** Questions that wait for the device to have something to say, by message id: how to take each back. */
  readonly #held = new Map<bigint, () => void>();
  /** Interrupt endpoints QEMU listens to. */
  readonly #listening = new Map<number, () => void>();
  /** Writes of one endpoint reach the device one after the other. */
  readonly #writing = new Map<number, Promise<void>>();
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
      [TYPE.bulk]: (one, device) => this.#bulk(one, device),
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
    this.#configuration = 0;
    this.#describe(device, 0n);
    const { deviceClass, vendorId, productId, release } = device.shape;
    const numbers = [vendorId, productId, release].map(word);
    this.#say(TYPE.deviceConnect, 0n, [FULL_SPEED, ...deviceClass], ...numbers);
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

  #bulk({ id, body }: RedirMessage, device: EmulatedDevice): void {
    const endpoint = body[0]!;
    const length = u16le(body, 2) | (u16le(body, 8) << 16);
    if (endpoint & 0x80) this.#bulkIn(id, endpoint, length, device);
    else this.#bulkOut(id, endpoint, body.slice(BULK_HEADER), device);
  }

  #bulkOut(id: bigint, endpoint: number, bytes: Uint8Array, device: EmulatedDevice): void {
    const before = this.#writing.get(endpoint) ?? Promise.resolve();
    const work = before.then(async () => {
      const status = (await device.receive(endpoint, bytes)) === "done" ? STATUS.ok : STATUS.stall;
      if (this.device === device) this.#answerBulk(id, endpoint, status, bytes.length);
    });
    this.#writing.set(endpoint, work);
  }

  #bulkIn(id: bigint, endpoint: number, length: number, device: EmulatedDevice): void {
    const pipe = device.pipes.get(endpoint);
    if (!pipe) {
      this.#answerBulk(id, endpoint, STATUS.stall, 0);
      return;
    }
    let isDone = false;
    const takeBack = pipe.request(length, (bytes) => {
      isDone = true;
      this.#held.delete(id);
      this.#answerBulk(id, endpoint, STATUS.ok, bytes.length, bytes);
    });
    if (isDone) return;
    this.#held.set(id, () => {
      takeBack();
      this.#answerBulk(id, endpoint, STATUS.cancelled, 0);
    });
  }

  #answerBulk(id: bigint, endpoint: number, status: number, length: number, data?: Uint8Array): void {
    const [low, high] = [word(length & 0xffff), word(length >> 16)];
    this.#say(TYPE.bulk, id, [endpoint, status], low, long(0), high, data ?? []);
  }

  #cancel(id: bigint): void {
    this.#held.get(id)?.();
    this.#held.delete(id);
  }

  #forgetTransfers(): void {
    this.#held.clear();
    for (const stop of this.#listening.values()) stop();
    this.#listening.clear();
    this.#writing.clear();
  }
}
