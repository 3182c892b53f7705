import type { Device, DevicePort, DeviceState } from "../devices/device.js";
import { nameOf } from "../devices/select.js";
import type { UsbProblem } from "../transport/usb-devices.js";
import type { Asked } from "./ask-port.js";
import { printable, table, tone } from "./output.js";

export const STATES: Readonly<Record<DeviceState, string>> = {
  application: "application",
  "mcuboot-recovery": "MCUboot recovery",
  "usb-dfu": "USB DFU",
  "st-rom-dfu": "ST ROM DFU",
  "vendor-bootloader": "maker's bootloader",
  unknown: "unknown",
};

/** What a device showed when it was asked, by the path of the port. */
export type Answers = ReadonlyMap<string, Asked>;

/** A device, and what the config file calls it. */
export interface Shown {
  readonly device: Device;
  readonly names: readonly string[];
}

const INDENT = "    ";

/** A line for each device, and one below it for each of its ports: it has to fit on a screen of 80 columns. */
export function drawDevices(shown: readonly Shown[], answers: Answers): string {
  const heads = shown.map(({ device, names }) => [
    device.usbPort ?? "",
    [...names.map((name) => `${printable(name)}:`), printable(nameOf(device))].join(" "),
    device.vendorId === undefined ? "" : `${device.vendorId}:${device.productId}`,
    STATES[device.state],
  ]);
  const [title, ...rows] = table(["USB PORT", "DEVICE", "USB ID", "STATE"], heads).split("\n");
  const ports = drawPorts(
    shown.flatMap(({ device }) => device.ports),
    answers,
  );
  const below = shown.map(({ device }) => [
    ...maybe(device),
    ...device.ports.flatMap((port) => [ports.get(port)!, ...hint(port.problem)]),
    ...(device.ports.length === 0 ? withoutPort(device) : []),
  ]);
  return [title, ...rows.flatMap((row, index) => [row, ...below[index]!.map((line) => INDENT + line)])].join(
    "\n",
  );
}

/** A probe does not say which board it sits on. */
function maybe({ profile, isProbe, maybe: boards }: Device): string[] {
  if (profile !== undefined || !isProbe || boards.length === 0) return [];
  const more = boards.length > 3 ? ", ..." : "";
  return [tone("dim", `in front of a board, perhaps: ${boards.slice(0, 3).join(", ")}${more}`)];
}

function drawPorts(ports: readonly DevicePort[], answers: Answers): Map<DevicePort, string> {
  const rows = ports.map((port) => {
    const asked = answers.get(port.path);
    const role = port.role === "unknown" || port.roleFrom === "only-port" ? "" : ROLES[port.role];
    return [
      `${port.path}${port.usbInterface === undefined ? "" : ` #${port.usbInterface}`}`,
      asked ? tone(asked.answers ? "good" : "warn", printable(asked.message)) : role,
      port.problem ? cannot(port.problem.message) : tone("good", "can be opened"),
    ];
  });
  const [, ...lines] = table(["", "", ""], rows).split("\n");
  return new Map(ports.map((port, index) => [port, lines[index]!]));
}

const ROLES: Readonly<Record<Exclude<DevicePort["role"], "unknown">, string>> = {
  smp: "SMP",
  log: "log",
  "smp-and-log": "SMP and log",
  other: "something else",
};

const cannot = (message: string) => tone("bad", `cannot be opened: ${printable(message)}`);

const hint = (problem: UsbProblem | undefined) =>
  problem === undefined ? [] : [tone("dim", `try: ${printable(problem.hint)}`)];

function withoutPort({ problem, state }: Device): string[] {
  if (problem) return [cannot(problem.message), ...hint(problem)];
  return state === "usb-dfu" || state === "st-rom-dfu" ? [tone("good", "can be opened by USB DFU")] : [];
}
