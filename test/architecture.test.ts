import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const src = fileURLToPath(new URL("../src", import.meta.url));

/** Room -> the rooms it may import from, besides itself. A new arrow is a visible change to this table. */
const arrows: Record<string, readonly string[]> = {
  errors: [],
  bytes: ["errors"],
  smp: ["bytes", "errors"],
  image: ["bytes", "errors"],
  dfu: ["bytes", "errors"],
  transport: ["bytes", "errors"],
  profiles: ["errors"],
  "st-rom": ["bytes", "errors"],
  devices: ["profiles", "transport", "errors"],
  power: ["transport", "errors"],
  client: ["smp", "transport", "bytes", "errors"],
  board: ["image", "transport", "bytes", "errors"],
  workflow: [
    "st-rom",
    "devices",
    "profiles",
    "client",
    "smp",
    "image",
    "dfu",
    "transport",
    "bytes",
    "errors",
  ],
  cli: [
    "workflow",
    "st-rom",
    "power",
    "devices",
    "profiles",
    "client",
    "board",
    "smp",
    "image",
    "dfu",
    "transport",
    "bytes",
    "errors",
  ],
  browser: ["smp", "image", "bytes", "errors"],
  index: ["browser", "workflow", "power", "devices", "profiles", "client", "board", "dfu", "transport"],
};

/** Package or builtin -> the files or rooms through which it enters. */
const doors: Record<string, readonly string[]> = {
  "cbor-x": ["smp/cbor.ts"],
  "@noble/curves": ["image/algorithms.ts"],
  "@noble/hashes": ["image/hashes.ts"],
  serialport: ["transport/serial.ts", "transport/list.ts", "transport/line-port.ts", "transport/rom-port.ts"],
  usb: ["transport/usb.ts"],
  commander: ["cli/"],
  "node:fs": ["cli/", "board/", "transport/linux.ts"],
  "node:child_process": ["cli/", "board/", "power/command.ts"],
  "node:net": ["transport/tcp.ts", "board/", "cli/"],
  "node:dgram": ["transport/udp.ts", "cli/"],
};

/** Rooms that run anywhere, a browser too: no builtin of Node at all. */
const pure = ["errors", "bytes", "smp", "image", "profiles", "st-rom"];

/** Signs that a file knows Linux: paths of its trees, its programs, and the rooms' own files for it. */
const knowsLinux = [
  /["'`]\/(?:sys|proc|dev|etc|run)\b/,
  /["'`](?:udevadm|setpriv)["'`]/,
  /from "[^"]*\/linux(?:-\w+)?\.js"/,
];

/** Files that know Linux without asking which system this is, and why that does no harm elsewhere. */
const linuxUnasked: Record<string, string> = {
  "board/flash-file.ts":
    "reads /proc to tell a process from its successor; where there is none, it is not told apart",
  "board/qemu-process.ts": "uses setpriv where it is installed",
  "devices/device.ts": "only a type",
  "devices/list.ts": "only a type",
  "devices/udev.ts": "only texts; the command that installs them asks",
  "power/hub.ts": "a hub port without the kernel's files is left to uhubctl, which other systems have",
};

const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));

const roomOf = (file: string) => file.split(sep)[0]!.replace(/\.ts$/, "");

const importsOf = (file: string) => importsIn(join(src, file));

function importsIn(path: string): string[] {
  const text = readFileSync(path, "utf8");
  const statements = text.matchAll(/(?:from\s+|import\s+|import\()\s*"([^"]+)"/g);
  return [...statements].map((match) => match[1]!);
}

function packageOf(specifier: string): string {
  if (specifier.startsWith("node:")) return specifier.split("/")[0]!;
  return specifier.startsWith("@") ? specifier.split("/").slice(0, 2).join("/") : specifier.split("/")[0]!;
}

describe("the house", () => {
  it("has source files in known rooms only", () => {
    expect(files.length).toBeGreaterThan(10);
    expect(files.filter((file) => !(roomOf(file) in arrows))).toEqual([]);
  });

  it.each(files)("%s imports only from rooms below it", (file) => {
    const allowed = [roomOf(file), ...arrows[roomOf(file)]!];
    const wrong = importsOf(file)
      .filter((specifier) => specifier.startsWith("."))
      .map((specifier) => relative(src, resolve(src, dirname(file), specifier)))
      .filter((target) => !allowed.includes(roomOf(target.replace(/\.js$/, ".ts"))));
    expect(wrong).toEqual([]);
  });

  it.each(files)("%s uses packages through their doors", (file) => {
    const outside = importsOf(file)
      .filter((specifier) => !specifier.startsWith("."))
      .map(packageOf)
      .filter((name) => {
        const door = doors[name];
        if (name.startsWith("node:") && pure.includes(roomOf(file))) return true;
        if (door === undefined) return !name.startsWith("node:");
        return !door.some((allowed) => file.split(sep).join("/").startsWith(allowed));
      });
    expect(outside).toEqual([]);
  });

  it("keeps what only Linux has in files that say so, or that ask first", () => {
    const codeOf = (file: string) =>
      readFileSync(join(src, file), "utf8").replace(/\/\*.*?\*\/|\/\/[^\n]*/gs, "");
    const unasked = files
      .map((file) => file.split(sep).join("/"))
      .filter((file) => !/(?:^|\/)linux(?:-\w+)?\.ts$/.test(file))
      .filter((file) => knowsLinux.some((sign) => sign.test(codeOf(file))))
      .filter((file) => !codeOf(file).includes("process.platform"));
    expect(unasked.sort()).toEqual(Object.keys(linuxUnasked).sort());
  });
});

/** The proof suite is a user of the library as any other: what it needs is in the public index or not to be had. */
describe("hil", () => {
  const room = fileURLToPath(new URL("../hil", import.meta.url));
  const inRoom = readdirSync(room, { recursive: true, encoding: "utf8" }).filter(
    (file) => file.endsWith(".ts") && !file.endsWith(".hil.ts") && !file.includes("vitest.config"),
  );

  it("has files", () => expect(inRoom.length).toBeGreaterThan(30));

  it.each(inRoom)("%s knows the library by its public index only", (file) => {
    const outside = importsIn(join(room, file)).filter((specifier) =>
      specifier.startsWith(".")
        ? relative(room, resolve(room, dirname(file), specifier)).startsWith("..")
        : !/^(bootproof|yaml|node:.+)$/.test(specifier),
    );
    expect(outside).toEqual([]);
  });
});
