import { concat, u32le } from "../../../src/bytes.js";
import type { InterfaceShape } from "./descriptors.js";
import { type ControlAnswer, NO_BYTES, type Setup, type UsbFunction } from "./device.js";

/** USB DFU 1.1, tables 3.2 and A.2, and the attributes of table 4.2. */
const REQUEST = {
  detach: 0,
  download: 1,
  upload: 2,
  getStatus: 3,
  clearStatus: 4,
  getState: 5,
  abort: 6,
} as const;
const STATE = {
  dfuIdle: 2,
  downloadSync: 3,
  downloadBusy: 4,
  downloadIdle: 5,
  manifestSync: 6,
  manifest: 7,
  manifestWaitReset: 8,
  uploadIdle: 9,
  error: 10,
} as const;
const STALLED_PACKET = 15;
const TO_INTERFACE = 0x21;
const FROM_INTERFACE = 0xa1;
const ATTRIBUTES = { download: 1, upload: 2, tolerant: 4, willDetach: 8 } as const;

export interface DfuShape {
  readonly interfaceNumber: number;
  readonly transferSize: number;
  /** Names of the alternate settings. */
  readonly names: readonly string[];
  readonly isTolerant?: boolean;
  readonly version?: number;
}

function dfuInterfaces(shape: DfuShape, protocol: 1 | 2): InterfaceShape[] {
  const { interfaceNumber, transferSize, names, version = 0x0110 } = shape;
  const attributes =
    ATTRIBUTES.download |
    ATTRIBUTES.upload |
    ATTRIBUTES.willDetach |
    (shape.isTolerant ? ATTRIBUTES.tolerant : 0);
  const words = [1000, transferSize, version].flatMap((value) => [value & 0xff, value >> 8]);
  return names.map((name, alternate) => ({
    ...{ number: interfaceNumber, alternate, class: 0xfe, subclass: 1, protocol, name, endpoints: [] },
    // Behind the last setting only, as the specification allows.
    ...(alternate === names.length - 1 ? { extra: Uint8Array.of(9, 0x21, attributes, ...words) } : {}),
  }));
}

/** The interface by which a running firmware is asked to leave for DFU mode. */
export class DfuRuntime implements UsbFunction {
  readonly interfaces: readonly InterfaceShape[];
  onDetach: () => void = () => {};
  readonly #number: number;

  constructor(interfaceNumber: number) {
    this.#number = interfaceNumber;
    this.interfaces = dfuInterfaces({ interfaceNumber, transferSize: 1024, names: ["DFU runtime"] }, 1);
  }

  control({ requestType, request, index }: Setup): ControlAnswer | undefined {
    if (index !== this.#number) return undefined;
    if (requestType === FROM_INTERFACE && request === REQUEST.getStatus)
      return Uint8Array.of(0, 0, 0, 0, 0, 0);
    if (requestType !== TO_INTERFACE || request !== REQUEST.detach) return "stall";
    this.onDetach();
    return NO_BYTES;
  }
}

/**
 * DFU mode as a device's bootloader has it. What a block means is the subclass' business; this is the dance of requests
 * and states, which forgives nothing.
 */
abstract class DfuMode implements UsbFunction {
  readonly interfaces: readonly InterfaceShape[];
  /** Every request in order, for tests: `DNLOAD 0 1024`. */
  readonly history: string[] = [];
  /** Called for each DNLOAD, before it is answered. */
  onDownload: () => void = () => {};
  /** Fails the block or command with this number, counted from 0, with this status. */
  failAt: { readonly count: number; readonly status: number } | undefined;
  protected alternate = 0;
  protected readonly afterManifest: number = STATE.manifestWaitReset;
  protected readonly shape: DfuShape;
  #state: number = STATE.dfuIdle;
  #status = 0;
  #work: (() => void) | undefined;
  #count = 0;

  constructor(shape: DfuShape) {
    this.shape = shape;
    this.interfaces = dfuInterfaces(shape, 2);
  }

  /** Does what a DNLOAD asked for. Throws a number, which becomes the status. */
  protected abstract obey(block: number, data: Uint8Array): void;
  protected abstract readBlock(block: number, length: number): Uint8Array;
  /** The empty DNLOAD has come. */
  protected abstract finish(): void;

  alternateSelected(_number: number, alternate: number): void {
    this.alternate = alternate;
  }

  configured(): void {
    this.#state = STATE.dfuIdle;
    this.#status = 0;
  }

  control(setup: Setup, data: Uint8Array): ControlAnswer | undefined {
    if (setup.index !== this.shape.interfaceNumber) return undefined;
    const toHost = setup.requestType === FROM_INTERFACE;
    if (!toHost && setup.requestType !== TO_INTERFACE) return undefined;
    switch (setup.request) {
      case REQUEST.download:
        return this.#download(setup.value, data);
      case REQUEST.upload:
        return this.#upload(setup.value, setup.length);
      case REQUEST.getStatus:
        return this.#answerStatus();
      case REQUEST.getState:
        return Uint8Array.of(this.#state);
      case REQUEST.clearStatus:
        return this.#state === STATE.error ? this.#idle() : this.#refuse();
      case REQUEST.abort:
        return this.#state === STATE.error ? this.#refuse() : this.#idle();
      default:
        return this.#refuse();
    }
  }

  #download(block: number, data: Uint8Array): ControlAnswer {
    this.history.push(`DNLOAD ${block} ${data.length}`);
    this.onDownload();
    if (this.#state !== STATE.dfuIdle && this.#state !== STATE.downloadIdle) return this.#refuse();
    if (data.length > this.shape.transferSize) return this.#refuse();
    if (data.length === 0) {
      this.#state = STATE.manifestSync;
      return NO_BYTES;
    }
    const copy = data.slice();
    this.#work = () => this.obey(block, copy);
    this.#state = STATE.downloadSync;
    return NO_BYTES;
  }

  #upload(block: number, length: number): ControlAnswer {
    if (this.#state !== STATE.dfuIdle && this.#state !== STATE.uploadIdle) return this.#refuse();
    let bytes: Uint8Array;
    try {
      bytes = this.readBlock(block, length);
    } catch (status) {
      this.#refuse();
      this.#status = status as number;
      return "stall";
    }
    this.#state = bytes.length < length ? STATE.dfuIdle : STATE.uploadIdle;
    return bytes;
  }

  /** The first question after a block starts the work, the next one hears how it went. */
  #answerStatus(): Uint8Array {
    const wait = this.#state === STATE.downloadSync ? 3 : 0;
    switch (this.#state) {
      case STATE.downloadSync:
        this.#state = STATE.downloadBusy;
        break;
      case STATE.downloadBusy:
        this.#perform();
        break;
      case STATE.manifestSync:
        this.#state = this.shape.isTolerant ? STATE.dfuIdle : this.afterManifest;
        this.finish();
        break;
    }
    return Uint8Array.of(this.#status, wait, 0, 0, this.#state, 0);
  }

  #perform(): void {
    try {
      if (this.failAt && this.#count++ === this.failAt.count) throw this.failAt.status;
      this.#work?.();
      this.#state = STATE.downloadIdle;
    } catch (status) {
      this.#status = status as number;
      this.#state = STATE.error;
    }
  }

  #idle(): ControlAnswer {
    this.configured();
    return NO_BYTES;
  }

  #refuse(): ControlAnswer {
    this.#state = STATE.error;
    this.#status = STALLED_PACKET;
    return "stall";
  }
}

/** DFU 1.1 as Zephyr and MCUboot have it: the file is what is downloaded, block after block. */
export class PlainDfu extends DfuMode {
  readonly memories: Uint8Array[];
  /** The whole file has come. */
  onFinish: (file: Uint8Array) => void = () => {};
  #blocks: Uint8Array[] = [];

  constructor(shape: DfuShape) {
    super(shape);
    this.memories = shape.names.map(() => NO_BYTES);
  }

  protected obey(block: number, data: Uint8Array): void {
    const expected = this.#blocks.length % 0x10000;
    if (block === 0) this.#blocks = [];
    else if (block !== expected) throw 8;
    this.#blocks.push(data);
  }

  protected readBlock(block: number, length: number): Uint8Array {
    return this.memories[this.alternate]!.subarray(block * this.shape.transferSize).subarray(0, length);
  }

  protected finish(): void {
    const file = concat(...this.#blocks);
    this.memories[this.alternate] = file;
    this.onFinish(file);
  }
}

const OPCODE = { commands: 0x00, setAddress: 0x21, erase: 0x41, unprotect: 0x92 } as const;
const STATUS = { write: 3, address: 8, vendor: 11 } as const;

/** ST's DfuSe over a flash that must be erased before it is written: sixteen sectors of 4 KiB at 0x08000000. */
export class DfuSe extends DfuMode {
  static readonly ADDRESS = 0x08000000;
  static readonly PAGE = 4096;
  static readonly PAGES = 16;
  /** ST's ROM says so and jumps; it never speaks of waiting. */
  protected override readonly afterManifest = STATE.manifest;
  readonly flash = new Uint8Array(DfuSe.PAGE * DfuSe.PAGES).fill(0xff);
  erasedPages: number[] = [];
  /** A cell of the flash that keeps a bit it should lose, as worn ones do. */
  wornAt: number | undefined;
  /** Read protection: uploads are refused. */
  isProtected = false;
  /** The program that was started, by its address. */
  startedAt: number | undefined;
  onStart: () => void = () => {};
  #pointer = 0;

  constructor() {
    super({
      interfaceNumber: 0,
      transferSize: 1024,
      names: [`@Internal Flash  /0x08000000/${DfuSe.PAGES}*004Kg`],
      version: 0x011a,
    });
  }

  protected obey(block: number, data: Uint8Array): void {
    if (block !== 0) this.#write(this.#pointer + (block - 2) * this.shape.transferSize, data);
    else if (data[0] === OPCODE.setAddress && data.length === 5)
      this.#pointer = this.#inside(u32le(data, 1), 1);
    else if (data[0] === OPCODE.erase && data.length === 5) this.#erase(u32le(data, 1));
    else throw STATUS.vendor;
  }

  protected readBlock(block: number, length: number): Uint8Array {
    if (block === 0) return Uint8Array.of(...Object.values(OPCODE));
    if (this.isProtected) throw STATUS.vendor;
    const at = this.#pointer + (block - 2) * this.shape.transferSize - DfuSe.ADDRESS;
    return this.flash.slice(at, at + length);
  }

  protected finish(): void {
    this.startedAt = this.#pointer;
    this.onStart();
  }

  #erase(address: number): void {
    const at = this.#inside(address, 1) - DfuSe.ADDRESS;
    const page = at - (at % DfuSe.PAGE);
    this.erasedPages.push(DfuSe.ADDRESS + page);
    this.flash.fill(0xff, page, page + DfuSe.PAGE);
  }

  #write(address: number, data: Uint8Array): void {
    const at = this.#inside(address, data.length) - DfuSe.ADDRESS;
    if (this.flash.subarray(at, at + data.length).some((byte) => byte !== 0xff)) throw STATUS.write;
    this.flash.set(data, at);
    const worn = (this.wornAt ?? -1) - DfuSe.ADDRESS;
    if (worn >= at && worn < at + data.length) this.flash[worn]! |= 1;
  }

  #inside(address: number, length: number): number {
    const offset = address - DfuSe.ADDRESS;
    if (offset < 0 || offset + length > this.flash.length) throw STATUS.address;
    return address;
  }
}
