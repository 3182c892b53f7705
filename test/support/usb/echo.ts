import { type AcmOptions, CdcAcm } from "./cdc-acm.js";
import { EmulatedDevice } from "./device.js";

/** A serial port that answers what it hears: the smallest board there is. */
export class EchoDevice extends EmulatedDevice {
  readonly acm: CdcAcm;

  constructor(options: Partial<AcmOptions> & { readonly serialNumber?: string } = {}) {
    const { serialNumber, ...rest } = options;
    const acm = new CdcAcm({ firstInterface: 0, firstEndpoint: 1, ...rest });
    const shape = { vendorId: 0x2fe3, productId: 0x0001, release: 0x0200, manufacturer: "Bootproof" };
    super({ ...shape, product: "Echo", serialNumber }, [acm]);
    acm.onData = (bytes) => acm.send(bytes);
    this.acm = acm;
  }
}
