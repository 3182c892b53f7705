import { describe, expect, it } from "vitest";
import { parseBoardFile } from "../../hil/board-files/board-file.js";
import { readBoardDescription } from "../../src/boards/board-description.js";
import { parseConfig } from "../../src/boards/config.js";

/** The same board, as the config file and as a board file describe it: one schema, so the fields may be carried over. */
const FIELDS = {
  device: "serial:/dev/ttyACM0",
  log: "/dev/ttyACM1",
  reset: "nrfutil device reset",
  power: { command: { on: "relay on 3", off: "relay off 3" }, "settle-ms": 200 },
};

const inConfig = (fields: object) =>
  parseConfig("/x/.bootproof.json", JSON.stringify({ boards: { b: fields } }));
const inBoardFile = (fields: object) =>
  parseBoardFile("/x/bench.yaml", JSON.stringify({ boards: [{ name: "b", kind: "attached", ...fields }] }));

describe("one description of a board", () => {
  it("reads the same in the config file and in a board file", () => {
    const { device, power, settleMs, ...rest } = readBoardDescription(FIELDS, "x");
    expect(inConfig(FIELDS)).toMatchObject({
      boards: { b: device },
      details: { b: { power, settleMs, ...rest } },
    });
    const [entry] = inBoardFile(FIELDS);
    expect(entry!.reach).toEqual({
      kind: "attached",
      address: device,
      power: { config: power, settleMs },
      ...rest,
    });
  });

  it("takes the older forms: address for device, a command without its name", () => {
    const power = { on: "relay on 3", off: "relay off 3" };
    const old = { address: FIELDS.device, power };
    const expected = { device: FIELDS.device, power: { kind: "command", ...power } };
    expect(readBoardDescription(old, "x")).toEqual(expected);
    expect(inConfig(old).details.b).toEqual({ power: expected.power });
    expect(inBoardFile(old)[0]!.reach).toMatchObject({ power: { config: expected.power, settleMs: 500 } });
  });

  it.each([
    ["a field that is none", { ...FIELDS, powr: {} }, /powr/],
    ["a switch that is none", { ...FIELDS, power: { on: "x" } }, /b?\.?power is not a switch/],
    [
      "a relay without an address",
      { ...FIELDS, power: { http: { on: "x", off: "y" } } },
      /power\.http\.on": "x"/,
    ],
    ["a log that is not a text", { ...FIELDS, log: 3 }, /log" is not text/],
    ["a time that is none", { ...FIELDS, power: { ...FIELDS.power, "settle-ms": -1 } }, /settle-ms/],
    ["no address at all", { log: FIELDS.log }, /(device|address)" is missing/],
  ])("refuses %s in either file", (_what, fields, message) => {
    expect(() => inConfig(fields)).toThrow(message);
    expect(() => inBoardFile(fields)).toThrow(message);
  });
});

it("a config file may begin with a byte order mark; one in UTF-16 is told as that", () => {
  const text = JSON.stringify({ boards: { b: "1-1.4" } });
  expect(parseConfig("/x/.bootproof.json", `\ufeff${text}`).boards).toEqual({ b: "1-1.4" });
  const utf16 = new TextDecoder().decode(Buffer.from(`\ufeff${text}`, "utf16le"));
  expect(() => parseConfig("/x/.bootproof.json", utf16)).toThrow(/UTF-16/);
});

it("a path of Windows with single backslashes is told as that, whatever JSON makes of them", () => {
  const text = '{ "keys": ["keys\\public.pem"] }';
  expect(() => parseConfig("/x/.bootproof.json", text)).toThrow(/written with \\\\ or with \//);
  expect(() => parseConfig("/x/.bootproof.json", "{ keys: [] }")).toThrow(/this is not JSON \([^)]*\)\.$/);
});
