import { expect, test } from "vitest";
import { findClashes } from "../../src/station/clashes.js";

test("two names for one port are one board, whatever their serial numbers say", () => {
  const boards = [
    { name: "bench-1", place: "/dev/ttyACM0", serialNumber: "683001122" },
    { name: "bench-2", place: "/dev/ttyACM1", serialNumber: "683001133" },
    { name: "683001122", place: "/dev/ttyACM0", serialNumber: "683001122" },
  ];
  expect(findClashes(boards)).toEqual([
    { kind: "same-place", names: ["bench-1", "683001122"], what: "/dev/ttyACM0" },
  ]);
});

test("two boards with one serial number in two ports are told from one board", () => {
  const boards = [
    { name: "left", place: "/dev/ttyUSB0", serialNumber: "0001" },
    { name: "right", place: "/dev/ttyUSB1", serialNumber: "0001" },
  ];
  expect(findClashes(boards)).toEqual([{ kind: "same-serial", names: ["left", "right"], what: "0001" }]);
});

test("what a board does not show is no clash", () => {
  expect(findClashes([{ name: "a" }, { name: "b" }, { name: "c", place: "tcp:lab:5000" }])).toEqual([]);
});
