import { DESCRIPTOR } from "./descriptors.js";
import { EmulatedDevice } from "./device.js";
import { EchoDevice } from "./echo.js";

/** What a device may say of itself that is not so. Each takes the true configuration descriptor and bends it. */
export const LIES: Readonly<Record<string, (truth: Uint8Array) => Uint8Array>> = {
  "a descriptor of length 0": (truth) => bend(truth, 9, 0),
  "a descriptor longer than all of them": (truth) => bend(truth, 9, 255),
  "more interfaces than there are": (truth) => bend(truth, 4, 32),
  "a data interface without endpoints": (truth) => bend(truth, dataInterface(truth) + 4, 0),
  "endpoints of no size": (truth) => bend(truth, dataInterface(truth) + 9 + 4, 0),
  "a data interface of another number": (truth) => bend(truth, dataInterface(truth) + 2, 77),
  "nothing but the header": (truth) => {
    const header = truth.slice(0, 9);
    header[2] = 9;
    return header;
  },
};

/** An echo device whose configuration is bent in transit to the host, and whose texts are hostile. */
export class LyingDevice extends EchoDevice {
  readonly #lie: (truth: Uint8Array) => Uint8Array;

  constructor(lie: (truth: Uint8Array) => Uint8Array) {
    super({ serialNumber: "L1" });
    this.#lie = lie;
  }

  override descriptor(type: number, index: number): Uint8Array | undefined {
    const truth = super.descriptor(type, index);
    return type === DESCRIPTOR.configuration && truth ? this.#lie(truth) : truth;
  }
}

/** A device whose texts try to steer a terminal and to look like another board's. */
export function deviceWithHostileTexts(): EmulatedDevice {
  const shape = { vendorId: 0x2fe3, productId: 0x0001, release: 0x0100 };
  const echo = new EchoDevice();
  return new EmulatedDevice(
    {
      ...shape,
      manufacturer: "\u001b[2J\u001b]0;x\u0007",
      product: `A\u202e${"B".repeat(120)}`,
      serialNumber: "../../x",
    },
    echo.functions,
  );
}

function bend(truth: Uint8Array, at: number, value: number): Uint8Array {
  const lie = truth.slice();
  lie[at] = value;
  return lie;
}

/** Where the descriptor of the CDC data interface begins. */
function dataInterface(truth: Uint8Array): number {
  for (let at = 0; at < truth.length; at += truth[at]!)
    if (truth[at + 1] === 4 && truth[at + 5] === 0x0a) return at;
  throw new Error("the true device has no data interface");
}
