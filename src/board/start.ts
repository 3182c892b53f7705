import { isFilledWith } from "../bytes.js";
import { type Board, BoardError, type Machine } from "./board.js";
import {
  type BoardVariant,
  boardVariant,
  bootCode,
  fixtureImages,
  fixtureKey,
  signedFixture,
} from "./catalog.js";
import { Flash } from "./flash.js";
import { FlashFile } from "./flash-file.js";
import { LAYOUT, slotOffset } from "./layout.js";
import { encodeProvision, provisionedBoard, type TrustedKeyType } from "./provision.js";
import { startQemu } from "./qemu.js";
import { WasmBoard } from "./wasm.js";
import { type CompiledProgram, compile } from "./wasm-program.js";

export interface StartOptions {
  machine: Machine;
  /** A row of firmware-fixtures/manifest.json. */
  variant: string;
  /** Keeps the flash. Created when missing; without one the board forgets. */
  flashFile?: string | undefined;
  /** A signed image to install on a fresh flash instead of good-a. Goes to the primary of image 0. */
  install?: Uint8Array | undefined;
  /** QEMU only: the SMP UART as a tty that serial programs can open; then `connect` is not there. */
  pty?: boolean | undefined;
  /** Leave the power off. */
  off?: boolean | undefined;
  /** Server buffers other than the variant's, on a fresh flash. */
  buffers?: Partial<Pick<BoardVariant, "bufSize" | "bufCount" | "recoveryBufSize">> | undefined;
  /** How the application's server tells messages apart, on a fresh flash. Default console. */
  framing?: "console" | "raw" | undefined;
}

/** A variant as one board of it was asked for. */
type FittedBoard = BoardVariant & Pick<StartOptions, "framing">;

/**
 * Makes an emulated board and switches it on. A fresh flash leaves the factory first: keys and policy of the variant
 * in the provisioning sector, a signed image in the primary. A flash that has been used stays as it is.
 * Throws {@link BoardError}; SignError for an image that cannot be signed.
 */
export async function startBoard(options: StartOptions): Promise<Board> {
  const variant: FittedBoard = {
    ...boardVariant(options.variant),
    ...options.buffers,
    framing: options.framing,
  };
  const name = `${options.machine}-${variant.id}`;
  const board = await (options.machine === "wasm" ? makeWasm(options, variant) : startQemu(options, variant));
  try {
    await leaveFactory(board, name, variant, options.install);
    if (!options.off) await board.powerOn();
    return board;
  } catch (error) {
    await board.close();
    throw error;
  }
}

let boot: CompiledProgram | undefined;

async function makeWasm(options: StartOptions, variant: BoardVariant): Promise<Board> {
  boot ??= compile(bootCode());
  const shape = { size: LAYOUT.flashSize, sector: LAYOUT.sector, writeUnit: variant.writeUnit };
  const file =
    options.flashFile === undefined ? undefined : new FlashFile(options.flashFile, LAYOUT.flashSize);
  const flash = file
    ? new Flash(shape, {
        content: file.read(0, LAYOUT.flashSize),
        sink: (offset, bytes) => file.write(offset, bytes),
      })
    : new Flash(shape);
  return new WasmBoard({ id: variant.id, boot, flash, file });
}

async function leaveFactory(
  board: Board,
  name: string,
  variant: FittedBoard,
  install: Uint8Array | undefined,
): Promise<void> {
  const sector = board.readFlash(LAYOUT.provision.offset, LAYOUT.provision.size);
  if (!isFilledWith(sector, 0xff)) {
    mustBeFor(name, sector);
    return;
  }
  for (const { image, bytes } of await factoryImages(board.machine, variant, install)) {
    if (bytes.length > LAYOUT.slotSize) throw tooLarge(bytes.length);
    board.writeFlash(slotOffset(image, 0), bytes);
  }
  // Last: a flash without it counts as fresh, so a factory run that was broken off is done again.
  board.writeFlash(LAYOUT.provision.offset, await provisioning(name, variant));
}

function mustBeFor(name: string, sector: Uint8Array): void {
  const found = provisionedBoard(sector);
  if (found === name) return;
  throw new BoardError(
    "flash-of-another-board",
    `The flash file belongs to ${found === undefined ? "no board we know" : found}, not to ${name}.`,
    { hint: "Name another file, or delete this one to start with a fresh board." },
  );
}

function tooLarge(length: number): BoardError {
  return new BoardError("image-too-large", `The image has ${length} bytes and the slot ${LAYOUT.slotSize}.`);
}

async function factoryImages(
  machine: Machine,
  variant: BoardVariant,
  install: Uint8Array | undefined,
): Promise<{ image: number; bytes: Uint8Array }[]> {
  const first = fixtureImages().filter(
    (row, index, rows) =>
      row.image < variant.images && rows.findIndex((other) => other.image === row.image) === index,
  );
  return Promise.all(
    first.map(async ({ id, image }) => ({
      image,
      bytes: image === 0 && install ? install : await signedFixture(id, machine, variant),
    })),
  );
}

async function provisioning(name: string, variant: FittedBoard): Promise<Uint8Array> {
  const keys = await Promise.all(variant.keys.map((key) => fixtureKey(key)));
  return encodeProvision({
    policy: variant.policy,
    mode: variant.mode,
    images: variant.images,
    writeUnit: variant.writeUnit,
    maxSectors: LAYOUT.slotSize / LAYOUT.sector,
    bufSize: variant.bufSize,
    bufCount: variant.bufCount,
    recoveryBufSize: variant.recoveryBufSize,
    framing: variant.framing,
    board: name,
    serial: "0001",
    keys: keys.map((key) => ({ type: key.type as TrustedKeyType, der: key.publicDer })),
  });
}
