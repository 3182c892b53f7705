import { isFilledWith } from "../bytes.js";
import { isRsa } from "../crypto/key-formats.js";
import { type Key, privateDer, secretOf } from "../crypto/keys.js";
import { type Board, BoardError, type Machine } from "./board.js";
import { boardVariant, bootCode, bootFile, fixtureImages, fixtureKey } from "./catalog.js";
import { Flash } from "./flash.js";
import { FlashFile } from "./flash-file.js";
import { GEOMETRIES, type Geometry, LAYOUT, sectorAt, sectorCount, slotArea } from "./layout.js";
import type { BoardVariant } from "./manifest.js";
import { encodeProvision, provisionedBoard, type TrustedKeyType } from "./provision.js";
import { startQemu } from "./qemu.js";
import { needsTrailer, signedFixture } from "./signed-fixture.js";
import { WasmBoard } from "./wasm.js";
import { type CompiledProgram, compile, whyNoWasm } from "./wasm-program.js";

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
  /** Public keys that a fresh board accepts instead of the variant's; one of them signed what is installed. */
  trustedKeys?: readonly Key[] | undefined;
}

/** Room in the provisioning sector. */
const BOARD_NAME_LENGTH = 31;

/** A variant as one board of it was asked for. */
type FittedBoard = BoardVariant & Pick<StartOptions, "framing" | "trustedKeys">;

/**
 * Makes an emulated board and switches it on. A fresh flash leaves the factory first: keys and policy of the variant
 * in the provisioning sector, a signed image in the primary. A flash that has been used stays as it is.
 *
 * @param options - `machine` `wasm` runs in this process, `qemu` beside it; `variant` as `bootproof board --list`
 *   names them
 * @returns switched on; `connect` opens its line, `close` ends it
 * @throws BoardError; SignError for an image that cannot be signed
 */
export async function startBoard(options: StartOptions): Promise<Board> {
  const variant: FittedBoard = {
    ...boardVariant(options.variant),
    ...options.buffers,
    framing: options.framing,
    trustedKeys: options.trustedKeys,
  };
  mustExistOn(options.machine, variant);
  const name = `${options.machine}-${variant.id}`.slice(0, BOARD_NAME_LENGTH);
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

function mustExistOn(machine: Machine, { id, machines }: BoardVariant): void {
  if (!machines || machines.includes(machine)) return;
  throw new BoardError("unknown-board", `The board ${id} does not exist on the machine ${machine}.`, {
    hint: `Start it as ${machines.map((one) => `${one}:${id}`).join(" or ")}.`,
  });
}

/** Compiled bootloaders, by the file that each was read from. */
const boots = new Map<string, CompiledProgram>();

function bootFor(variant: BoardVariant): CompiledProgram {
  const file = bootFile("wasm", variant);
  const code = boots.get(file) ?? compile(bootCode(variant));
  boots.set(file, code);
  return code;
}

async function makeWasm(options: StartOptions, variant: BoardVariant): Promise<Board> {
  const why = whyNoWasm();
  if (why !== undefined)
    throw new BoardError("wasm-unusable", `wasm:${variant.id} cannot run: ${why}.`, {
      hint: "Start Node without that limit, or use a qemu: board.",
    });
  const geometry = variant.geometry ?? "even";
  const erased = variant.erased ?? 0xff;
  const { flashSize: size }: Geometry = GEOMETRIES[geometry];
  const shape = {
    size,
    sector: LAYOUT.sector,
    sectorAt: (offset: number) => sectorAt(offset, geometry),
    writeUnit: variant.writeUnit,
    erased,
  };
  const file =
    options.flashFile === undefined ? undefined : new FlashFile(options.flashFile, size, { size, erased });
  const flash = file
    ? new Flash(shape, { content: file.read(0, size), sink: (offset, bytes) => file.write(offset, bytes) })
    : new Flash(shape);
  return new WasmBoard({ id: variant.id, boot: bootFor(variant), flash, file });
}

async function leaveFactory(
  board: Board,
  name: string,
  variant: FittedBoard,
  install: Uint8Array | undefined,
): Promise<void> {
  const sector = board.readFlash(LAYOUT.provision.offset, LAYOUT.provision.size);
  if (!isFilledWith(sector, variant.erased ?? 0xff)) {
    mustBeFor(name, sector);
    return;
  }
  for (const { image, bytes } of await factoryImages(board.machine, variant, install)) {
    const slot = slotArea(image, 0, variant.geometry);
    if (bytes.length > slot.size) throw tooLarge(bytes.length, slot.size);
    board.writeFlash(slot.offset, bytes);
  }
  // Last: a flash without it counts as fresh, so a factory run that was broken off is done again.
  board.writeFlash(LAYOUT.provision.offset, await provisioning(name, variant));
}

function mustBeFor(name: string, sector: Uint8Array): void {
  const found = provisionedBoard(sector);
  if (found === name) return;
  throw new BoardError(
    "flash-of-another-board",
    `The flash file belongs to ${found === undefined ? "an unknown board" : found}, not to ${name}.`,
    { hint: "Name another file, or delete this one to start with a fresh board." },
  );
}

function tooLarge(length: number, room: number): BoardError {
  return new BoardError("image-too-large", `The image has ${length} bytes and the slot ${room}.`);
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
      bytes:
        image === 0 && install
          ? install
          : await signedFixture(image === 0 ? (variant.app ?? id) : id, machine, variant, {
              confirmed: needsTrailer(variant),
            }),
    })),
  );
}

async function provisioning(name: string, variant: FittedBoard): Promise<Uint8Array> {
  const keys = variant.trustedKeys ?? (await Promise.all(variant.keys.map((key) => fixtureKey(key))));
  return encodeProvision({
    policy: variant.policy,
    mode: variant.mode,
    images: variant.images,
    writeUnit: variant.writeUnit,
    maxSectors: sectorCount(slotArea(0, 0, variant.geometry)),
    geometry: variant.geometry,
    erased: variant.erased,
    counterSteps: variant.counterSteps,
    ram: LAYOUT.ram,
    decryption: variant.decryption && {
      type: variant.decryption.type,
      aesBits: variant.decryption.aesBits,
      key: decryptionKey(await fixtureKey(variant.decryption.key)),
    },
    bufSize: variant.bufSize,
    bufCount: variant.bufCount,
    recoveryBufSize: variant.recoveryBufSize,
    framing: variant.framing,
    board: name,
    serial: "0001",
    keys: keys.map((key) => ({ type: key.type as TrustedKeyType, der: key.publicDer })),
  });
}

/** As the bootloader has it: the scalar of a curve, RSAPrivateKey of PKCS#1. */
function decryptionKey(key: Key): Uint8Array {
  return isRsa(key.type) ? privateDer(key, { format: "openssl" }) : secretOf(key);
}
