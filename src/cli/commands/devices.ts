import type { Command } from "commander";
import type { Device, DevicePort, DeviceState } from "../../devices/device.js";
import { allProfiles, watchDevices } from "../../devices/list.js";
import { nameOf } from "../../devices/select.js";
import { type Asked, askPort } from "../ask-port.js";
import { type CommonOptions, type Context, commonOptions, inContext } from "../context.js";
import { printable, table, tone } from "../output.js";
import { devicesHere, namedDevices } from "../which-device.js";

interface DevicesOptions extends CommonOptions {
  watch?: boolean;
  probe?: boolean;
  profiles?: boolean;
}

export function define(command: Command): void {
  commonOptions(command)
    .option("--watch", "stay and tell what is plugged in and unplugged, until Ctrl-C")
    .option("--probe", "open each port and ask who answers; this may reset boards wired to DTR or RTS")
    .option("--profiles", "show the boards that are known by name, with the source of each fact")
    .addHelpText(
      "after",
      "\nWithout --probe no port is opened, so no board is disturbed. Emulated boards: bootproof board --list",
    )
    .action((options: DevicesOptions) =>
      inContext(options, (context) => {
        if (options.profiles) return showProfiles(context);
        return options.watch ? watch(context) : show(context, options.probe ?? false);
      }),
    );
}

const STATES: Readonly<Record<DeviceState, string>> = {
  application: "application",
  "mcuboot-recovery": "MCUboot recovery",
  "usb-dfu": "USB DFU",
  "st-rom-dfu": "ST ROM DFU",
  "vendor-bootloader": "its maker's bootloader",
  unknown: "unknown",
};

/** What a device showed when it was asked, by the path of the port. */
type Answers = ReadonlyMap<string, Asked>;

async function show({ out, config, signal }: Context, probe: boolean): Promise<void> {
  const devices = await devicesHere(config, signal);
  const answers = new Map<string, Asked>();
  for (const { path, problem } of probe ? devices.flatMap(({ ports }) => ports) : []) {
    if (problem === undefined) answers.set(path, await askPort(path, signal));
  }
  const shown = devices.map((device) => ({
    ...plainDevice(device),
    ...(probe ? { answers: device.ports.flatMap(({ path }) => answers.get(path) ?? []) } : {}),
  }));
  const boards = Object.entries(config.boards).map(([name, address]) => `${name} = ${printable(address)}`);
  const lines = [
    devices.length > 0 ? drawDevices(devices, answers) : "Nothing is plugged in that this machine shows.",
    ...devices.flatMap(hints),
    ...(boards.length > 0 ? ["", tone("dim", "boards of the config file"), ...boards] : []),
  ];
  out.result({ devices: shown, boards: config.boards }, lines.join("\n"));
}

function drawDevices(devices: readonly Device[], answers: Answers): string {
  const rows = devices.flatMap((device) => {
    const [first, ...more] = device.ports;
    const head = [
      device.usbPort ?? "",
      printable(nameOf(device)) + sits(device),
      device.vendorId === undefined ? "" : `${device.vendorId}:${device.productId}`,
      STATES[device.state],
    ];
    const rest = more.map((port) => ["", "", "", "", ...drawPort(port, answers)]);
    return [[...head, ...(first ? drawPort(first, answers) : ["", "", drawProblem(device)])], ...rest];
  });
  return table(["USB PORT", "DEVICE", "USB ID", "STATE", "PORT", "SPEAKS", "CAN BE OPENED"], rows);
}

/** A probe does not say which board it sits on. */
function sits({ profile, isProbe, maybe }: Device): string {
  if (profile !== undefined || !isProbe || maybe.length === 0) return "";
  return tone("dim", ` (may be: ${maybe.slice(0, 3).join(", ")}${maybe.length > 3 ? ", ..." : ""})`);
}

function drawPort(port: DevicePort, answers: Answers): string[] {
  const asked = answers.get(port.path);
  const role = port.role === "unknown" || port.roleFrom === "only-port" ? "" : port.role;
  const interfaceOf = port.usbInterface === undefined ? "" : ` #${port.usbInterface}`;
  return [
    `${port.path}${tone("dim", interfaceOf)}`,
    asked ? tone(asked.answers ? "good" : "warn", printable(asked.says)) : role,
    drawProblem(port),
  ];
}

function drawProblem({ problem }: Pick<Device, "problem">): string {
  return problem ? tone("bad", `no: ${printable(problem.message)}`) : tone("good", "yes");
}

function hints({ ports, problem, isProbe }: Device): string[] {
  const own = isProbe || ports.length > 0 ? [] : [problem];
  return [...ports.map((port) => port.problem), ...own].flatMap((one) =>
    one === undefined ? [] : [tone("dim", printable(one.hint))],
  );
}

/** Without the whole profile: `--profiles` shows those. */
function plainDevice({ profile, ...device }: Device) {
  return { ...device, ...(profile && { profile: profile.id, board: profile.name }) };
}

const CHANGES = { plugged: "+", unplugged: "-", changed: "~" } as const;

async function watch({ out, config, signal }: Context): Promise<void> {
  const options = { signal, profiles: config.profiles, named: namedDevices(config) };
  for await (const { change, device } of watchDevices(options)) {
    const ports = device.ports.map(({ path }) => path).join(" ");
    const mark = tone(change === "unplugged" ? "bad" : "good", CHANGES[change]);
    const place = (device.usbPort ?? device.path ?? "").padEnd(10);
    const text = `${mark} ${place} ${printable(nameOf(device))}  ${STATES[device.state]}  ${ports}`;
    out.line({ change, device: plainDevice(device) }, text.trimEnd());
  }
}

async function showProfiles({ out, config }: Context): Promise<void> {
  const profiles = allProfiles(config.profiles);
  const rows = profiles.map(({ id, name, sources: _, unverified = [], ...facts }) => [
    id,
    printable(name),
    Object.keys(facts)
      .map((fact) => `${fact}${unverified.some((doubted) => doubted === fact) ? "?" : ""}`)
      .join(" "),
  ]);
  out.result(
    profiles,
    table(["PROFILE", "BOARD", "KNOWN (? unverified; --json shows facts and sources)"], rows),
  );
}
