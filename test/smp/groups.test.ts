import { describe, expect, test } from "vitest";
import { allCommands, commandOf, GROUP_NAMES } from "../../src/smp/groups/all.js";
import { joinMessage } from "../../src/smp/header.js";
import { decodeResponse, encodeRequest } from "../../src/smp/message.js";

test("no two commands share a name, or a group, id and op", () => {
  const names = allCommands.map(({ name }) => name);
  const numbers = allCommands.map(({ group, id, op }) => `${group}/${id} ${op}`);
  expect(new Set(names).size).toBe(names.length);
  expect(new Set(numbers).size).toBe(numbers.length);
});

/** Ids per group as the facts of Zephyr's documents list them (Mynewt's client for groups 4 and 5, our README for 200). */
test.each([
  [0, "write", [0, 1, 4, 5]],
  [0, "read", [2, 3, 4, 6, 7, 8]],
  [1, "read", [0, 6]],
  [1, "write", [0, 1, 5]],
  [2, "read", [0, 1]],
  [3, "read", [0, 3]],
  [3, "write", [0, 1, 2, 3]],
  [4, "read", [0, 3, 4, 5]],
  [4, "write", [1]],
  [5, "write", [0]],
  [8, "read", [0, 1, 2, 3]],
  [8, "write", [0, 4]],
  [9, "write", [0]],
  [10, "read", [0, 1, 2, 3]],
  [11, "read", [2, 6, 7, 8]],
  [11, "write", [0, 1]],
  [63, "write", [0]],
  [200, "read", [0, 1, 2, 3]],
])("group %i has the %s commands %j", (group, op, ids) => {
  const found = allCommands.filter((command) => command.group === group && command.op === op);
  expect(found.map(({ id }) => id).toSorted((a, b) => a - b)).toEqual(ids);
  expect(GROUP_NAMES[group]).toBeDefined();
});

describe.each(allCommands)("$name", (command) => {
  test("is found from the header of its request and of its answer", () => {
    const { group, id, op } = command;
    expect(commandOf({ group, id, op })).toBe(command);
    expect(commandOf({ group, id, op: op === "read" ? "read-rsp" : "write-rsp" })).toBe(command);
  });

  test("says what it does and takes only keys it declares", () => {
    expect(command.does).toMatch(/^[a-z].*[^.]$/);
    expect(() => encodeRequest(command, { no_such_key: 1 }, { seq: 0, version: 2 })).toThrow(
      expect.objectContaining({ name: "ShapeError" }),
    );
  });

  test("turns an error into one that names it", () => {
    const op = command.op === "read" ? "read-rsp" : "write-rsp";
    const refusal = joinMessage(
      { version: 1, op, group: command.group, seq: 0, id: command.id },
      Uint8Array.of(0xbf, 0x62, 0x72, 0x63, 0x08, 0xff),
    );
    expect(() => decodeResponse(command, refusal)).toThrow(
      expect.objectContaining({ name: "DeviceError", command: command.name, rc: 8 }),
    );
  });
});

test("a header of no declared command finds none", () => {
  expect(commandOf({ group: 99, id: 0, op: "read" })).toBeUndefined();
  expect(commandOf({ group: 0, id: 6, op: "write" })).toBeUndefined();
});
