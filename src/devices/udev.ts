import type { BoardProfile, UsbMatch } from "../profiles/profile.js";

/** Where the rules belong. Below 73, where systemd's seat rules read the `uaccess` tag. */
export const UDEV_RULES_PATH = "/etc/udev/rules.d/60-bootproof.rules";

/** Vendors whose products are all meant for development: probes, boards, Zephyr's own id. */
const WHOLE_VENDORS: readonly string[] = ["1366", "2fe3", "1915", "0483"];
/** CMSIS-DAP probes are HID devices too. */
const HID_VENDORS: readonly string[] = ["0d28", "1366", "2e8a"];

export interface UdevOptions {
  /** Boards and probes to be let in. */
  profiles: readonly BoardProfile[];
  /** Further devices, of which one could not be opened. */
  devices?: readonly { vendorId: string; productId?: string }[] | undefined;
  /** Also let the group switch the power of hub ports, which the kernel has since 6.0. */
  hubPower?: boolean | undefined;
}

/**
 * The text of a rules file that lets people at this machine, and the groups dialout and plugdev, use boards: their
 * serial ports, DFU, and their probes. ModemManager is told to leave them alone: it opens new ports and speaks to them.
 *
 * @param options - boards to let in by their profiles, further devices; `hubPower` also lets people switch hub ports
 * @returns the text of a `.rules` file
 */
export function udevRules({ profiles, devices = [], hubPower = false }: UdevOptions): string {
  const matches: readonly UsbMatch[] = [
    ...WHOLE_VENDORS.map((vendorId) => ({ vendorId })),
    ...profiles.flatMap(({ target = [], probe = [] }) => [...target, ...probe]),
    ...devices,
  ];
  const vendors = unique(
    matches.filter(({ productId }) => productId === undefined).map((one) => one.vendorId),
  );
  const products = unique(
    matches
      .filter(({ vendorId, productId }) => productId !== undefined && !vendors.includes(vendorId))
      .map(({ vendorId, productId }) => `${vendorId}:${productId}`),
  );
  return [
    "# Development boards, debug probes and USB-serial adapters. Written by bootproof setup-udev.",
    'ACTION!="add|change", GOTO="bootproof_end"',
    ...rulesFor(`idVendor}=="${vendors.join("|")}"`),
    ...products.flatMap((ids) => {
      const [vendorId, productId] = ids.split(":");
      return rulesFor(`idVendor}=="${vendorId}"`, `idProduct}=="${productId}"`);
    }),
    `SUBSYSTEM=="hidraw", SUBSYSTEMS=="usb", ATTRS{idVendor}=="${HID_VENDORS.join("|")}", MODE="0660", GROUP="plugdev", TAG+="uaccess"`,
    ...(hubPower ? HUB_POWER : []),
    'LABEL="bootproof_end"',
    "",
  ].join("\n");
}

function rulesFor(...ids: readonly string[]): string[] {
  const device = ids.map((id) => `ATTR{${id}`).join(", ");
  const parent = ids.map((id) => `ATTRS{${id}`).join(", ");
  return [
    `SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ${device}, MODE="0660", GROUP="plugdev", TAG+="uaccess"`,
    `SUBSYSTEM=="tty", SUBSYSTEMS=="usb", ${parent}, MODE="0660", GROUP="dialout", TAG+="uaccess", ENV{ID_MM_DEVICE_IGNORE}="1"`,
  ];
}

/** A hub's ports appear with its interface; their switch belongs to root until then. */
const HUB_POWER: readonly string[] = [
  `SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_interface", DRIVER=="hub", RUN+="/bin/sh -c 'chgrp plugdev $sys$devpath/*-port*/disable; chmod g+w $sys$devpath/*-port*/disable'"`,
];

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort();
}
