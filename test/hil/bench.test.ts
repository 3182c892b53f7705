import { describe, expect, it } from "vitest";
import { entryOf, parseBench } from "../../hil/bench.js";
import { importHardwareMap } from "../../hil/hardware-map.js";
import { parsePolicy } from "../../hil/policy.js";

const parse = (text: string) => parseBench("/bench/desk.yaml", text);

describe("a bench file", () => {
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
    ["boards:\n  - name: a\n    kind: machine\n    launch: qemu -p 5000", 4, /must hold \{port\}/],
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
      /"boards\[0\].power.http.on": "relay" is no web address/,
    ],
    ["boards:\n  - name: a\n    kind: labgrid\n    place: a;b", 4, /characters that no place of labgrid has/],
    ["boards: [", 1, /not YAML/],
    ["- a\n- b", 1, /fields with names/],
    ["boards: []", 1, /names no boards/],
    ["boards: &b\n  - name: a\n    kind: wasm\nmore: *b", 4, /there is no field "more"/],
  ])("with a mistake is refused, naming the line: %j", (text, line, message) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({ code: "bad-bench", line, message: expect.stringMatching(message) }),
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
      ["frdm_k64f-123", "serial:/dev/ttyACM1?baud=1000000"],
    ]);
    expect(() => importHardwareMap("map.yml", "boards: 1")).toThrow(/no hardware map/);
    expect(() => importHardwareMap("map.yml", "- connected: false")).toThrow(/no connected board/);
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
