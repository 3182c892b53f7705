import { putU8, putU32le } from "../bytes.js";

/** A class request to a DFU interface: USB DFU 1.1, table 3.2. `length` asks for bytes, `data` brings some. */
export interface DfuRequest {
  readonly name: string;
  readonly request: number;
  readonly value: number;
  readonly data?: Uint8Array;
  readonly length?: number;
}

/** wTransferSize is two bytes, and no device here has more memory to spare. */
export const MOST_TRANSFER_BYTES = 65535;

/** Leaves the running firmware for DFU mode, within `timeoutMs` of a bus reset or at once. */
export const detach = (timeoutMs: number): DfuRequest => ({ name: "DETACH", request: 0, value: timeoutMs });

/** Writes a block; no bytes end the download. */
export const download = (block: number, data: Uint8Array): DfuRequest => ({
  name: "DNLOAD",
  request: 1,
  value: block,
  data,
});

/** Reads a block; fewer bytes than asked for end the upload. */
export const upload = (block: number, length: number): DfuRequest => ({
  name: "UPLOAD",
  request: 2,
  value: block,
  length,
});

export const getStatus: DfuRequest = { name: "GETSTATUS", request: 3, value: 0, length: 6 };
export const clearStatus: DfuRequest = { name: "CLRSTATUS", request: 4, value: 0 };
export const getState: DfuRequest = { name: "GETSTATE", request: 5, value: 0, length: 1 };
export const abort: DfuRequest = { name: "ABORT", request: 6, value: 0 };

/** ST's commands, which are downloads of block 0: AN3156 and UM0424. They run when the status is asked for. */
const DFUSE_OPCODE = { setAddress: 0x21, erase: 0x41 } as const;

/** Which address block 2 stands for, and where the program begins that `leave` starts. */
export const setAddress = (address: number): DfuRequest => command(DFUSE_OPCODE.setAddress, address);

/** Erases the page at `address`. There is no request here for erasing everything: nothing needs it. */
export const erasePage = (address: number): DfuRequest => command(DFUSE_OPCODE.erase, address);

/** DfuSe's data blocks are counted from here; 0 and 1 are commands. */
export const FIRST_DFUSE_BLOCK = 2;

function command(opcode: number, address: number): DfuRequest {
  const data = new Uint8Array(5);
  putU8(data, 0, opcode);
  putU32le(data, 1, address);
  return download(0, data);
}
