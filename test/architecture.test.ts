import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const src = fileURLToPath(new URL("../src", import.meta.url));

/** Room -> the rooms it may import from, besides itself. A new arrow is a visible change to this table. */
const arrows: Record<string, readonly string[]> = {
  errors: [],
  "child-environment": [],
  "end-program": [],
  "rename-over": [],
  bytes: ["errors"],
  // What is said, what is signed, what files hold: pure.
  smp: ["bytes", "errors"],
  crypto: ["bytes", "errors"],
  formats: ["bytes", "errors"],
  mcuboot: ["crypto", "formats", "bytes", "errors"],
  tuf: ["crypto", "bytes", "errors"],
  uptane: ["tuf", "bytes", "errors"],
  trust: ["crypto", "bytes", "errors"],
  mender: ["crypto", "formats", "bytes", "errors"],
  avb: ["crypto", "bytes", "errors"],
  dfu: ["bytes", "errors"],
  "st-rom": ["bytes", "errors"],
  profiles: ["errors"],
  // The pipes, and what is plugged in.
  transport: ["child-environment", "bytes", "errors"],
  devices: ["profiles", "transport", "errors"],
  power: ["transport", "child-environment", "end-program", "errors"],
  "crypto-node": ["crypto", "bytes", "errors"],
  "package-files": [],
  http: ["bytes"],
  pure: ["smp", "mcuboot", "crypto", "formats", "bytes", "errors"],
  signers: ["crypto", "child-environment", "package-files", "bytes", "errors"],
  "tuf-store": ["http", "tuf", "trust-store", "crypto-node", "rename-over", "bytes", "errors"],
  "uptane-store": ["uptane", "tuf-store", "tuf", "trust-store", "formats", "bytes", "errors"],
  "trust-store": ["trust", "child-environment", "rename-over", "bytes", "errors"],
  client: ["smp", "transport", "bytes", "errors"],
  emulator: ["mcuboot", "crypto", "transport", "child-environment", "package-files", "bytes", "errors"],
  boards: ["devices", "trust", "power", "profiles", "transport", "rename-over", "errors"],
  session: ["client", "mcuboot", "smp", "transport", "bytes", "errors"],
  sources: ["http", "mender", "mcuboot", "crypto", "formats", "bytes", "errors"],
  // The workflows.
  update: ["sources", "session", "trust", "client", "mcuboot", "crypto", "smp", "bytes", "errors"],
  "dfu-transfer": ["mcuboot", "crypto", "dfu", "transport", "bytes", "errors"],
  "file-transfer": ["session", "client", "smp", "transport", "bytes", "errors"],
  diagnosis: ["client", "smp", "bytes"],
  recovery: [
    "update",
    "session",
    "trust",
    "dfu-transfer",
    "st-rom",
    "devices",
    "profiles",
    "client",
    "smp",
    "mcuboot",
    "crypto",
    "transport",
    "bytes",
    "errors",
  ],
  // Several boards at once.
  station: ["update", "session", "client", "smp", "bytes", "errors"],
  // The boards of one vehicle.
  vehicle: ["station", "uptane-store", "uptane", "tuf", "session", "mcuboot", "bytes", "errors"],
  // Steps of an update that another program orders.
  agents: ["update", "sources", "session", "mcuboot", "smp", "bytes", "errors"],
  // Runs in the browser; of the station it knows only types.
  "station-page": ["station"],
  cli: [
    "agents",
    "vehicle",
    "station",
    "trust",
    "trust-store",
    "update",
    "recovery",
    "file-transfer",
    "dfu-transfer",
    "diagnosis",
    "session",
    "sources",
    "boards",
    "signers",
    "package-files",
    "crypto-node",
    "tuf-store",
    "tuf",
    "uptane",
    "uptane-store",
    "st-rom",
    "power",
    "devices",
    "profiles",
    "client",
    "emulator",
    "smp",
    "mcuboot",
    "mender",
    "avb",
    "crypto",
    "formats",
    "dfu",
    "transport",
    "child-environment",
    "end-program",
    "rename-over",
    "bytes",
    "errors",
  ],
  browser: ["pure", "crypto", "errors"],
  index: [
    "agents",
    "vehicle",
    "station",
    "child-environment",
    "end-program",
    "rename-over",
    "crypto-node",
    "devices",
    "update",
    "recovery",
    "file-transfer",
    "dfu-transfer",
    "diagnosis",
    "session",
    "client",
    "emulator",
    "mcuboot",
    "crypto",
    "smp",
    "dfu",
    "st-rom",
    "transport",
    "errors",
  ],
  // The public entries beside the root and the browser's: they only hand out.
  entries: [
    "pure",
    "crypto-node",
    "boards",
    "devices",
    "profiles",
    "power",
    "emulator",
    "signers",
    "crypto",
    "formats",
    "mcuboot",
    "smp",
    "tuf",
    "tuf-store",
    "uptane",
    "uptane-store",
    "mender",
    "avb",
    "trust",
    "trust-store",
    "sources",
  ],
};

/** Package or builtin -> the files or rooms through which it enters. */
const doors: Record<string, readonly string[]> = {
  "@noble/curves": ["crypto/noble.ts"],
  "@noble/hashes": ["crypto/noble.ts", "crypto/key-derivation.ts"],
  fzstd: ["sources/decompress.ts"],
  serialport: ["transport/native-modules.ts", "transport/serial.ts", "transport/rom-port.ts"],
  usb: ["transport/native-modules.ts"],
  commander: ["cli/"],
  mqtt: ["cli/agent/aws-link.ts"],
  hono: ["cli/station/server/"],
  "@hono/node-server": ["cli/station/server/listen.ts"],
  preact: ["station-page/"],
  htm: ["station-page/html.ts"],
  bootproof: [
    "cli/commands/prove.ts",
    "cli/labgrid/with-places.ts",
    "cli/many-boards/choose-boards.ts",
    "cli/many-boards/prove-boards.ts",
    "cli/many-boards/steps.ts",
    "cli/station/",
    "cli/exit.ts",
  ],
  "node:fs": [
    "cli/",
    "package-files.ts",
    "rename-over.ts",
    "boards/",
    "tuf-store/",
    "uptane-store/",
    "trust-store/",
    "emulator/",
    "transport/linux.ts",
    "transport/bridge-token.ts",
  ],
  yaml: ["cli/policy/policy-options.ts"],
  "node:child_process": [
    "trust-store/tpm-counter.ts",
    "cli/",
    "signers/command-signer.ts",
    "emulator/",
    "power/command.ts",
    "end-program.ts",
  ],
  "node:net": ["transport/tcp.ts", "emulator/", "cli/"],
  "node:dgram": ["transport/udp.ts", "cli/"],
};

/** Rooms that run anywhere, a browser too: no builtin of Node at all. */
const pure = [
  "errors",
  "bytes",
  "smp",
  "crypto",
  "formats",
  "mcuboot",
  "mender",
  "tuf",
  "uptane",
  "trust",
  "avb",
  "profiles",
  "st-rom",
  "station-page",
];

/** Signs that a file knows Linux: paths of its trees, its programs, and the rooms' own files for it. */
const knowsLinux = [
  /["'`]\/(?:sys|proc|dev|etc|run)\b/,
  /["'`](?:udevadm|setpriv)["'`]/,
  /from "[^"]*\/linux(?:-\w+)?\.js"/,
];

/** Files that know Linux without asking which system this is, and why that does no harm elsewhere. */
const linuxUnasked: Record<string, string> = {
  "emulator/flash-file.ts":
    "reads /proc to tell a process from its successor; where there is none, it is not told apart",
  "boards/address-meant.ts": "a guess of what was meant by a port's bare name",
  "devices/device.ts": "only a type",
  "devices/list.ts": "only a type",
  "transport/usb-device-info.ts": "only types",
  "cli/release/aws.ts": "lines that are printed for a POSIX shell",
  "devices/udev.ts": "only texts; the command that installs them asks",
};

const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));

const roomOf = (file: string) => file.split(sep)[0]!.replace(/\.ts$/, "");

const importsOf = (file: string) => importsIn(join(src, file));

/** A file without the lines of its docstrings: examples there import as users do. */
const codeIn = (path: string) => readFileSync(path, "utf8").replaceAll(/^ *\*.*$/gm, "");

function importsIn(path: string): string[] {
  const text = codeIn(path);
  // Loading by `import()` and naming a module by `new URL` are arrows too.
  const statements = text.matchAll(/(?:\bfrom\s+|\bimport\s+|\bimport\(\s*|new URL\(\s*)"([^"]+)"/g);
  return [...statements].map((match) => match[1]!).filter((specifier) => !isData(specifier));
}

/** A file that is read or run by its path, and no module of ours. */
function isData(specifier: string): boolean {
  return (
    /^\.{0,2}\/?(?!.*\.js$)/.test(specifier) && /^\.|\/$|\.\w+$/.test(specifier) && !/\.js$/.test(specifier)
  );
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

  it("has one way of signing: only the verb loads imgtool's command line", () => {
    const users = files.filter(
      (file) =>
        !file.split(sep).join("/").startsWith("cli/imgtool/") &&
        importsOf(file).some((specifier) => specifier.includes("/imgtool/")),
    );
    // Exit statuses name its error class.
    expect(users.map((file) => file.split(sep).join("/")).sort()).toEqual([
      "cli/commands/imgtool.ts",
      "cli/exit.ts",
    ]);
  });

  it("names what is pure once, for the entries of Node and of a page", () => {
    const pureLists = files.filter((file) => roomOf(file) === "pure");
    const named = new Map(
      pureLists.flatMap((file) =>
        namesFrom(file, "export").flatMap(({ target, names }) =>
          names.map((name) => [`${target}#${name}`, file] as const),
        ),
      ),
    );
    const twice = files
      .filter((file) => roomOf(file) === "entries")
      .flatMap((file) =>
        namesFrom(file, "export").flatMap(({ target, names }) =>
          names.filter((name) => named.has(`${target}#${name}`)).map((name) => `${file}: ${name}`),
        ),
      );
    // A class there, a type for a page: nobody makes one there.
    expect(twice.map((one) => one.split(sep).join("/"))).toEqual(["entries/crypto.ts: WrappingKey"]);
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

describe("one table per fact", () => {
  const compared = /(?:[!=]== |case |startsWith\()"(?:ed25519|x25519|(?:ecdsa|rsa)(?:-p?\d+)?)"/;

  /** Files that compare names of other tables than ours. */
  const others: Record<string, string> = {
    "agents/code-signature.ts": "the word in the name of a job's signature field",
    "cli/agent/mender-state.ts": "Node's name for the type of a key",
    "sources/build-folder.ts": "Kconfig's word",
    "trust-store/log-key.ts": "Node's name for the type of a key",
    "tuf-store/native-signatures.ts": "Node's name for the type of a key",
  };

  /** The table in `crypto` and `crypto-tlvs.ts` is the only place that knows algorithms by their names. */
  it.each(Object.keys(arrows).filter((room) => !/^crypto/.test(room)))(
    "%s asks the table of signature algorithms instead of comparing names",
    (room) => {
      const found = files.filter((file) => {
        if (roomOf(file) !== room || file.split(sep).join("/") in others) return false;
        const text = readFileSync(join(src, file), "utf8").replaceAll(/family === "\w+"/g, "");
        return compared.test(text);
      });
      expect(found).toEqual([]);
    },
  );
});

/** Files of `src` and `hil` that import each other, types included, each with the reason why that is better than not. */
const circles: Record<string, string> = {};

describe("circles", () => {
  const hil = fileURLToPath(new URL("../hil", import.meta.url));
  const graph = new Map<string, string[]>();
  for (const [name, folder] of [
    ["src", src],
    ["hil", hil],
  ] as const)
    for (const file of readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((one) =>
      one.endsWith(".ts"),
    )) {
      const targets = importsIn(join(folder, file)).filter((specifier) => specifier.startsWith("."));
      const path = (target: string) => `${name}/${target.split(sep).join("/").replace(/\.js$/, ".ts")}`;
      graph.set(
        path(file),
        targets.map((target) => path(relative(folder, resolve(folder, dirname(file), target)))),
      );
    }

  it("are none but those that are listed, whether types or code go round", () => {
    expect(graph.size).toBeGreaterThan(300);
    expect(circlesIn(graph)).toEqual(Object.keys(circles).sort());
  });
});

/** Groups of files that reach each other (Tarjan), their names in order. */
function circlesIn(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = [];
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const path: string[] = [];
  const visit = (file: string): number => {
    order.set(file, order.size);
    lowest.set(file, order.get(file)!);
    path.push(file);
    for (const next of graph.get(file) ?? []) {
      if (!graph.has(next)) continue;
      if (!order.has(next)) lowest.set(file, Math.min(lowest.get(file)!, visit(next)));
      else if (path.includes(next)) lowest.set(file, Math.min(lowest.get(file)!, order.get(next)!));
    }
    if (lowest.get(file) === order.get(file)) {
      const circle = path.splice(path.indexOf(file));
      if (circle.length > 1) found.push(circle.sort().join(" "));
    }
    return lowest.get(file)!;
  };
  for (const file of graph.keys()) if (!order.has(file)) visit(file);
  return found.sort();
}

/** The proof suite is a user of the library as any other: what it needs is in a public entry or not to be had. */
describe("hil", () => {
  const room = fileURLToPath(new URL("../hil", import.meta.url));
  const inRoom = readdirSync(room, { recursive: true, encoding: "utf8" }).filter(
    (file) => file.endsWith(".ts") && !file.endsWith(".hil.ts") && !file.includes("vitest.config"),
  );

  it("has files", () => expect(inRoom.length).toBeGreaterThan(30));

  it.each(inRoom)("%s knows the library by its public entries only", (file) => {
    const outside = importsIn(join(room, file)).filter((specifier) =>
      specifier.startsWith(".")
        ? relative(room, resolve(room, dirname(file), specifier)).startsWith("..")
        : !/^(bootproof(\/(mcuboot|smp|crypto|boards|trust))?|yaml|node:.+)$/.test(specifier),
    );
    expect(outside).toEqual([]);
  });

  it("is an entry that the proof verb and the reader of board files load, and whose errors have exit statuses", () => {
    const users = files.filter((file) => importsOf(file).some((name) => name.startsWith("bootproof")));
    expect(users.map((file) => file.split(sep).join("/")).sort()).toEqual([
      "cli/commands/prove.ts",
      "cli/exit.ts",
      "cli/labgrid/with-places.ts",
      "cli/many-boards/choose-boards.ts",
      "cli/many-boards/prove-boards.ts",
      "cli/many-boards/steps.ts",
      "cli/station/bench-boards.ts",
      "cli/station/work.ts",
    ]);
    expect(users.flatMap(importsOf).filter((name) => name.startsWith("bootproof"))).not.toContain(
      "bootproof",
    );
  });
});

/** Rooms without tests under their own name, each with where they are tested. */
const testedElsewhere: Record<string, string> = {
  browser: "an entry; test/mcuboot/ and test/examples load it",
  "child-environment": "test/cli/secrets.test.ts starts children and looks at what they see",
  "crypto-node": "one of the providers that test/crypto/providers.test.ts compares",
  "end-program": "test/power and test/emulator end programs by it",
  entries: "they only hand out: test/api holds them",
  errors: "a base class; test/cli/exit.test.ts has each class's code",
  http: "test/tuf and test/sources fetch by it from servers",
  index: "an entry: test/api and test/examples",
  "package-files": "test/cli/packaged.test.ts finds them in the packed program",
  pure: "it only hands out: test/api holds it",
  "station-page": "test/cli/station-page.test.ts drives it in a browser",
  "tuf-store": "test/tuf has the stores of TUF's metadata",
  "uptane-store": "test/uptane and test/vehicle have the vehicle's stores",
};

/** Test folders that mirror no room of `src`, each with what it holds. */
const testsOfNoRoom: Record<string, string> = {
  api: "the public surface, a file an entry",
  bench: "measurements, no tests",
  examples: "examples of users, run",
  groups: "SMP groups across rooms, against boards",
  hil: "the proof suite, which is beside src",
  platforms: "the built program on each Node and processor that is promised",
  support: "what tests share",
  usb: "devices of a virtual machine; npm run test:usb",
  vectors: "bytes that others made",
  windows: "Node for Windows, under Wine; npm run test:windows",
};

describe("tests", () => {
  const tests = fileURLToPath(new URL(".", import.meta.url));
  const entries = readdirSync(tests, { withFileTypes: true });
  const folders = entries.filter((one) => one.isDirectory()).map(({ name }) => name);
  const single = entries
    .filter(({ name }) => name.endsWith(".test.ts"))
    .map(({ name }) => name.split(".")[0]!);

  it("mirror the rooms of the sources, or say where a room is tested", () => {
    const rooms = Object.keys(arrows);
    const without = rooms.filter((room) => !folders.includes(room) && !single.includes(room));
    expect(without.sort()).toEqual(Object.keys(testedElsewhere).sort());
    expect(folders.filter((folder) => !rooms.includes(folder)).sort()).toEqual(
      Object.keys(testsOfNoRoom).sort(),
    );
  });

  it("say of a room only tests that are there", () => {
    const named = Object.values(testedElsewhere).flatMap((where) => [...where.matchAll(/test\/[\w./-]*\w/g)]);
    const missing = named.filter(([path]) => !existsSync(join(tests, "..", path)));
    expect(named.length).toBeGreaterThan(10);
    expect(missing.map(([path]) => path)).toEqual([]);
  });
});

/** Rooms at the bottom that every file may use: helpers that are no promise to anyone. */
const inner = ["bytes", "errors", "child-environment", "package-files", "crypto-node"];

describe("the command line", () => {
  /** `module#name` for every name that these files hand on. */
  const handedOut = new Set<string>();
  for (const entry of files.filter((file) => /^index\.ts$|^(?:entries|pure)[\\/]/.test(file)))
    for (const { target, names } of namesFrom(entry, "export"))
      for (const name of names) handedOut.add(`${target}#${name}`);

  it("is built on what the public entries hand out", () => {
    const hidden = new Set<string>();
    for (const file of files.filter((one) => roomOf(one) === "cli"))
      for (const { target, names } of namesFrom(file, "import")) {
        if (target.startsWith("cli/") || inner.includes(roomOf(target))) continue;
        for (const name of names)
          if (!handedOut.has(`${target}#${name}`) && !handedOut.has(`${target}#*`))
            hidden.add(`${target}#${name}`);
      }
    expect([...hidden].sort(), "run node test/api/hand-out.mjs").toEqual([]);
  });
});

/** What a file imports from, or hands on of, other files: their names there, or `*`. */
function namesFrom(file: string, statement: "import" | "export"): { target: string; names: string[] }[] {
  const text = codeIn(join(src, file));
  const found = text.matchAll(
    new RegExp(
      `\\b${statement}\\s+(?:type\\s+)?(\\*|\\{[^}]*\\})\\s*(?:as \\w+\\s*)?from\\s+"(\\.[^"]+)"`,
      "g",
    ),
  );
  return [...found].map(([, list, specifier]) => ({
    target: relative(src, resolve(src, dirname(file), specifier!))
      .split(sep)
      .join("/")
      .replace(/\.js$/, ".ts"),
    names:
      list === "*"
        ? ["*"]
        : list!
            .slice(1, -1)
            .split(",")
            .map(
              (part) =>
                part
                  .trim()
                  .replace(/^type /, "")
                  .split(" as ")[0]!,
            )
            .filter((name) => name !== ""),
  }));
}
