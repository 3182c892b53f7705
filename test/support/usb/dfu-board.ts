import { LAYOUT, slotOffset } from "../../../src/emulator/layout.js";
import { bootMagic } from "../../../src/mcuboot/trailer.js";
import { EmulatedDevice } from "./device.js";
import { DfuRuntime, PlainDfu } from "./dfu.js";
import { UsbBoard, type UsbBoardOptions } from "./usb-board.js";

type Parameters = [...globalThis.Parameters<typeof UsbBoard.build>];

/** Interface number that {@link UsbBoard} leaves free. */
const DFU_INTERFACE = 4;
/** A firmware answers DETACH before it goes. */
const LEAVE_MS = 700;

/**
 * Gives a board Zephyr's DFU: while the firmware runs it can be asked to leave, and then takes an image into the
 * secondary slot, marks it for a test boot, and starts the bootloader.
 */
export async function buildDfuBoard(
  board: Parameters[0],
  port: Parameters[1],
  options: UsbBoardOptions & { serialNumber: string },
): Promise<{ usb: UsbBoard; dfu: PlainDfu }> {
  const runtime = new DfuRuntime(DFU_INTERFACE);
  const usb = await UsbBoard.build(board, port, { ...options, more: [runtime] });
  const dfu = new PlainDfu({ interfaceNumber: 0, transferSize: 1024, names: ["image_0", "image_1"] });
  const shape = { vendorId: 0x2fe3, productId: 0xffff, release: 0x0100, product: "DFU" };
  const inDfuMode = new EmulatedDevice({ ...shape, serialNumber: options.serialNumber }, [dfu]);
  runtime.onDetach = () => {
    setTimeout(() => void port.unplug().then(() => port.plug(inDfuMode)), LEAVE_MS);
  };
  dfu.onFinish = (file) => {
    setTimeout(() => void install(usb, file), LEAVE_MS);
  };
  return { usb, dfu };
}

async function install(usb: UsbBoard, file: Uint8Array): Promise<void> {
  const { board } = usb;
  const slot = new Uint8Array(LAYOUT.slotSize).fill(0xff);
  slot.set(file);
  const magic = bootMagic(8);
  slot.set(magic, slot.length - magic.length);
  await usb.unplug();
  await board.powerOff();
  board.writeFlash(slotOffset(0, 1), slot);
  await board.powerOn();
  await usb.plug();
}
