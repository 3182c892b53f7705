import { fileURLToPath } from "node:url";
import { boardVariant, boardVariants } from "bootproof/boards";
import { describe, expect, it } from "vitest";
import { parse as parseYaml } from "yaml";
import { entryOf, parseBoardFile, readBoardFile } from "../../hil/board-files/board-file.js";
import { exportHardwareMap, importHardwareMap } from "../../hil/board-files/hardware-map.js";
import { parsePolicy } from "../../hil/policy.js";
import { inputFile } from "../support/input-files.js";

const parse = (text: string) => parseBoardFile("/bench/desk.yaml", text);

it("names boards of every upgrade mode that there are emulated boards of, for random power cuts", () => {
  const file = fileURLToPath(new URL("../../hil/every-mode.yaml", import.meta.url));
  const modes = readBoardFile(file).map(
    ({ reach }) => "variant" in reach && boardVariant(reach.variant).mode,
  );
  expect(new Set(modes)).toEqual(new Set(boardVariants().map(({ mode }) => mode)));
});

describe("a board file", () => {
  it("describes boards of every kind, paths relative to itself", () => {
    const boards = parse(`
boards:
  - { name: fast, kind: wasm, variant: two-images }
  - name: desk
    kind: attached
    address: serial:/dev/ttyACM0?baud=1000000
    log: /dev/ttyACM1
    power: { on: hub on 3, off: hub off 3, settle-ms: 200 }
    image: good.bin
    images: { hang: hang.bin }
    keys: { signing: ../dev.pem, refused: [old.pem] }
    layout: { slot-size: 0x20000, sector: 4096 }
    claims: [signature, rollback]
  - { name: theirs, kind: machine, launch: "qemu -p {port}", image: /a/b.bin, keys: { signing: none } }
`);
    expect(boards.map(({ name, reach }) => [name, reach.kind])).toEqual([
      ["fast", "wasm"],
      ["desk", "attached"],
      ["theirs", "machine"],
    ]);
    expect(boards[0]?.claims).toContain("dependencies");
    expect(boards[1]).toMatchObject({
      image: "/bench/good.bin",
      images: { hang: "/bench/hang.bin" },
      keys: { signing: "/dev.pem", accepted: [], refused: ["/bench/old.pem"] },
      layout: { slotSize: 0x20000, sector: 4096, writeUnit: 4 },
      claims: ["signature", "rollback"],
    });
    expect(boards[2]).toMatchObject({ image: "/a/b.bin", keys: { signing: "none" } });
    expect(boards[2]?.claims).toBeUndefined();
  });

  it.each([
    ["boards:\n  - name: a\n    kind: attached\n    adress: x", 2, /"boards\[0\].address" is missing/],
    ["boards:\n  - name: a\n    kind: wasm\n    colour: red", 4, /there is no field "boards\[0\].colour"/],
    [
      "boards:\n  - name: a\n    kind: desk",
      3,
      /"boards\[0\].kind" should be one of wasm, qemu, machine, attached/,
    ],
    ["boards:\n  - { name: a, kind: wasm }\n  - { name: a, kind: qemu }", 1, /two boards are called "a"/],
    ["boards:\n  - name: a\n    kind: wasm\n    claims: [signatur]", 4, /there is no "signatur"/],
    ["boards:\n  - name: a\n    kind: machine\n    launch: qemu -p 5000", 4, /must contain \{port\}/],
    ["boards:\n  - name: a\n    kind: attached\n    address: nowhere", 4, /is not an address/],
    ["boards:\n  - name: a\n    kind: attached\n    address: wasm:good", 4, /is an emulated board/],
    [
      "boards:\n  - name: a\n    kind: wasm\n    layout: { slot-size: 1 }",
      4,
      /"boards\[0\].layout.slot-size" should be/,
    ],
    [
      "boards:\n  - name: a\n    kind: attached\n    address: /dev/ttyACM0\n    power: { http: { on: relay, off: relay } }",
      5,
      /"boards\[0\].power.http.on": "relay" is not a web address/,
    ],
    ["boards:\n  - name: a\n    kind: labgrid\n    place: a;b", 4, /characters that no place of labgrid has/],
    ["boards: [", 1, /not YAML: Flow sequence in block collection must be [a-z ]+ \]\.$/],
    ["- a\n- b", 1, /fields with names/],
    ["boards: []", 1, /lists no boards/],
    ["boards: &b\n  - name: a\n    kind: wasm\nmore: *b", 4, /there is no field "more"/],
  ])("with a mistake is refused, naming the line: %j", (text, line, message) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({ code: "bad-facts", line, message: expect.stringMatching(message) }),
    );
  });

  it("is made from twister's hardware map, and can be read back", () => {
    const map = `
- { connected: true, id: "000683", platform: nrf52840dk/nrf52840, product: J-Link, runner: nrfjprog, serial: /dev/ttyACM0 }
- { connected: true, id: 0123, platform: frdm_k64f, serial: /dev/ttyACM1, baud: 1000000 }
- { connected: false, id: 5, platform: reel_board, serial: null }
- { connected: true, id: 6, platform: native_sim, serial_pty: "script" }
`;
    const boards = parse(importHardwareMap("map.yml", map));
    expect(boards.map(({ name, reach }) => [name, reach.kind === "attached" && reach.address])).toEqual([
      ["nrf52840dk-nrf52840-000683", "serial:/dev/ttyACM0"],
      ["frdm_k64f-0123", "serial:/dev/ttyACM1?baud=1000000"],
      ["native_sim-6", false],
    ]);
    expect(boards[2]!.reach).toMatchObject({
      kind: "machine",
      launch: "socat TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr EXEC:script,pty,rawer",
    });
    expect(() => importHardwareMap("map.yml", "boards: 1")).toThrow(/not a hardware map/);
    expect(() => importHardwareMap("map.yml", "- connected: false")).toThrow(/no connected board/);
    // Taken for a board file it is told for what it is.
    expect(() => parse(map)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("--import-hardware-map") }),
    );
  });

  it("keeps what twister knows, and gives it back as twister wrote it", () => {
    const map = `- connected: true
  id: "000683"
  platform: "nrf52840dk/nrf52840"
  product: "J-Link"
  runner: "nrfjprog"
  baud: "1000000"
  serial: "/dev/serial/by-id/usb-SEGGER_J-Link_000683-if00"
- connected: true
  id: "6"
  platform: "native_sim"
  product: "unknown"
  serial_pty: "script"
`;
    const boards = parse(importHardwareMap("map.yml", map));
    expect(boards.map(({ tags }) => tags)).toEqual([["nrf52840dk/nrf52840"], ["native_sim"]]);
    const fields = (text: string) =>
      (parseYaml(text) as object[]).map((row) => Object.entries(row).sort(([a], [b]) => a.localeCompare(b)));
    expect(fields(exportHardwareMap(boards))).toEqual(fields(map));
    const emulated = parse("boards: [{ name: ours, kind: wasm }]");
    expect(exportHardwareMap(emulated)).toBe("# Left out: ours: it has no serial port of this machine.\n");
  });

  it("keeps the identifiers of a hardware map byte for byte, and names every row that it leaves out", () => {
    const made = importHardwareMap("map.yml", new TextDecoder().decode(inputFile("map.yml")));
    expect(parse(made).map(({ name, reach }) => [name, reach.kind === "attached" && reach.address])).toEqual([
      ["nrf52840dk-nrf52840-000683759358", "serial:/dev/ttyACM1"],
      ["nucleo_f429zi-066DFF575251717867114355", "serial:/dev/ttyACM2"],
      ["frdm_k22f-12345678E5", "serial:/dev/ttyACM3"],
      ["nrf5340dk-nrf5340-cpuapp-000683759358", "serial:/dev/ttyACM4?baud=921600"],
      ["nrf9160dk-nrf9160-ns-960102030", "serial:/dev/serial/by-id/usb-SEGGER_J-Link_000960102030-if00"],
      ["nrf52840dk_nrf52840-000683759358", "serial:COM7"],
    ]);
    expect(made.split("\n").filter((line) => line.startsWith("# Left out"))).toEqual([
      "# Left out: row 3, frdm_k64f 0240000034544e45001a00018aa900292011000097969900: it is not connected.",
      "# Left out: row 6, native_sim: the program that makes its serial port (serial_pty) takes arguments: put them into a script.",
    ]);
    expect(made).toContain('twister: { id: "000683759358", probe_id: "1050012345"');
  });

  it("reads a hardware map with anchors, as twister does, and one that is not YAML says where", () => {
    const anchored = `
- &first { connected: yes, id: 0x10, platform: &p reel_board, serial: /dev/ttyACM0 }
- { connected: on, id: 1_000, platform: *p, serial: /dev/ttyACM1 }
- { <<: *first, id: 00, serial: /dev/ttyACM2 }
- *first
`;
    expect(parse(importHardwareMap("map.yml", anchored)).map(({ name }) => name)).toEqual([
      "reel_board-0x10",
      "reel_board-1_000",
      "reel_board-00",
      "reel_board-0x10-2",
    ]);
    const bomb = ["- &a [x, x]", ...Array.from({ length: 30 }, (_, i) => `- &b${i} [*a, *a]`)].join("\n");
    expect(() => importHardwareMap("map.yml", bomb)).toThrow(/not a hardware map/);
    expect(() => importHardwareMap("map.yml", "- a: 1\n- a: [")).toThrow(/line 2.*not YAML/);
  });

  it("refuses a list that is too long instead of cutting it", () => {
    const row = (index: number) =>
      `- { connected: true, id: ${index}, platform: p, serial: /dev/ttyS${index} }`;
    const map = Array.from({ length: 1001 }, (_, index) => row(index)).join("\n");
    expect(() => importHardwareMap("map.yml", map)).toThrow(/1001 rows/);
    const boards = Array.from({ length: 1001 }, (_, index) => `  - { name: b${index}, kind: wasm }`).join(
      "\n",
    );
    expect(() => parse(`boards:\n${boards}`)).toThrow(/1001 entries/);
  });
});

it("an address alone is a bench of one board", () => {
  expect(entryOf("wasm:overwrite")).toMatchObject({ mode: "overwrite-only", reach: { kind: "wasm" } });
  expect(entryOf("tcp:127.0.0.1:9")).toMatchObject({
    reach: { kind: "attached", address: "tcp:127.0.0.1:9" },
  });
  expect(() => entryOf("wasm:nothing")).toThrow(/no emulated board/);
});

describe("a policy file", () => {
  it("names claims and cases", () => {
    expect(parsePolicy("p.yaml", "must-hold: [signature, link/lost]").mustHold).toEqual([
      "signature",
      "link/lost",
    ]);
  });

  it.each([
    ["must-hold: [signatures]", /no claim or case "signatures"/],
    ["mustHold: [signature]", /there is no field "mustHold"/],
    ["must-hold: []", /"must-hold" is missing/],
  ])("with a mistake is refused: %s", (text, message) => {
    expect(() => parsePolicy("p.yaml", text)).toThrow(message);
  });
});
