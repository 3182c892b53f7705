import type { Command } from "commander";
import { devicesHere, linesFor, namedDevices } from "../../boards/choose-device.js";
import { type Device, looksLikeBoard } from "../../devices/device.js";
import { allProfiles, watchDevices } from "../../devices/list.js";
import { nameOf, namesOf } from "../../devices/select.js";
import type { TransportError } from "../../transport/transport.js";
import { type Asked, askPort } from "../ask-port.js";
import { type Answers, drawDevices, STATES } from "../draw-devices.js";
import { printable, table, tone } from "../output.js";
import { type CommonOptions, type Context, commonOptions, inContext } from "../verb-context.js";

interface DevicesOptions extends CommonOptions {
  watch?: boolean;
  probe?: boolean;
  all?: boolean;
  profiles?: boolean;
}

export function define(command: Command): void {
  commonOptions(command)
    .option("--watch", "keep running and report what is plugged in and unplugged, until Ctrl-C")
    .option("--probe", "open each port and check what answers; this may reset boards wired to DTR or RTS")
    .option("--all", "show every USB device, even if it does not look like a board")
    .option("--profiles", "show the known boards (profiles), with the source of each fact")
    .addHelpText(
      "after",
      "\nWithout --probe no port is opened, so no board is disturbed. Emulated boards: bootproof board --list",
    )
    .action((options: DevicesOptions) =>
      inContext(options, (context) => {
        if (options.profiles) return showProfiles(context);
        return options.watch ? watch(context, options) : show(context, options);
      }),
    );
}

async function show({ out, config, signal }: Context, { probe, all }: DevicesOptions): Promise<void> {
  const missing: TransportError[] = [];
  const found = await devicesHere(config, signal, (why) => missing.push(why));
  const answers = probe ? await askAll(found, signal) : new Map<string, Asked>();
  const named = namedDevices(config);
  const listed = found.filter((device) => all || looksLikeBoard(device));
  const shown = listed.map((device) => ({
    device: withState(device, answers),
    names: namesOf(device, found, named),
  }));
  const hidden = found.length - shown.length;
  const here = shown.flatMap(({ names }) => names);
  const boards = Object.entries(config.boards)
    .filter(([name]) => !here.includes(name))
    .map(([name, address]) => `${printable(name)} = ${printable(address)}`);
  const lines = [
    shown.length > 0 ? drawDevices(shown, answers) : "Nothing is plugged in that looks like a board.",
    ...(hidden > 0 ? [tone("dim", `${hidden} more devices do not look like boards: --all shows them.`)] : []),
    ...missing.flatMap(({ message, hint }) => [
      tone("warn", `not listed: ${printable(message)}`),
      `  try: ${printable(hint ?? "")}`,
    ]),
    ...(boards.length > 0 ? ["", tone("dim", "other boards of the config file"), ...boards] : []),
  ];
  const devices = shown.map(({ device, names }) => ({
    ...plainDevice(device),
    ...(names.length > 0 ? { names } : {}),
    ...(probe ? { answers: device.ports.flatMap(({ path }) => answers.get(path) ?? []) } : {}),
  }));
  const notListed = missing.map(({ pipe, message, hint }) => ({ package: pipe, message, hint }));
  out.result(
    { devices, boards: config.boards, ...(notListed.length > 0 && { notListed }) },
    lines.join("\n"),
  );
}

async function askAll(devices: readonly Device[], signal: AbortSignal): Promise<Map<string, Asked>> {
  const answers = new Map<string, Asked>();
  for (const device of devices) {
    for (const { path, problem } of device.ports)
      if (problem === undefined) answers.set(path, await askPort(path, linesFor(device), signal));
  }
  return answers;
}

/** Who answers knows better than who looks. */
function withState(device: Device, answers: Answers): Device {
  const servers = device.ports.map(({ path }) => answers.get(path)?.server);
  if (servers.includes("recovery")) return { ...device, state: "mcuboot-recovery" };
  return servers.includes("application") ? { ...device, state: "application" } : device;
}

/** Without the whole profile: `--profiles` shows those. */
function plainDevice({ profile, ...device }: Device) {
  return { ...device, ...(profile && { profile: profile.id, board: profile.name }) };
}

const CHANGES = { plugged: "+", unplugged: "-", changed: "~" } as const;

async function watch({ out, config, signal }: Context, { all }: DevicesOptions): Promise<void> {
  const options = { signal, profiles: config.profiles, named: namedDevices(config) };
  for await (const { change, device } of watchDevices(options)) {
    if (!all && !looksLikeBoard(device)) continue;
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
