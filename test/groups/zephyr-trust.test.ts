import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { fromHex } from "../../src/bytes.js";
import { trustBoot, trustCounters } from "../../src/smp/groups/trust.js";
import { joinMessage } from "../../src/smp/header.js";
import { decodeResponse } from "../../src/smp/message.js";
import { ownFolder } from "../support/groups-cli.js";

/**
 * The module for Zephyr applications, compiled for this machine against stand-ins of the names it uses. That shows what
 * it answers; that it builds in a Zephyr tree is not shown.
 */
const folder = ownFolder();
const source = fileURLToPath(
  new URL("../../firmware-fixtures/zephyr-trust/src/trust_mgmt.c", import.meta.url),
);
const standIn = fileURLToPath(new URL("../support/zephyr-stand-in", import.meta.url));
const compiler = ["cc", "gcc", "clang", "clang-14"].find(
  (name) => spawnSync("sh", ["-c", `command -v ${name}`]).status === 0,
);

function build(images: number): string {
  const program = join(folder.path, `trust-${images}`);
  execFileSync(compiler!, [
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",
    "-Werror",
    "-D_POSIX_C_SOURCE=200809L",
    `-DCONFIG_MCUMGR_GRP_TRUST_IMAGES=${images}`,
    "-DCONFIG_MCUMGR_GRP_TRUST_ID=200",
    "-DCONFIG_MCUMGR_GRP_ENUM_DETAILS_NAME",
    `-I${standIn}`,
    "-o",
    program,
    source,
    join(standIn, "run.c"),
  ]);
  return program;
}

let one = "";
let five = "";
beforeAll(() => {
  if (compiler === undefined) return;
  one = build(1);
  five = build(5);
});
afterAll(() => folder.remove());
beforeEach((context) => context.skip(compiler === undefined, "no C compiler is installed"));

const ask = (program: string, id: number, shared: readonly string[], room = 400) =>
  execFileSync(program, [String(id), String(room), ...shared], { encoding: "utf8" }).trim();

function answer<C extends typeof trustCounters | typeof trustBoot>(
  command: C,
  program: string,
  shared: readonly string[],
) {
  const payload = fromHex(ask(program, command.id, shared));
  const header = { version: 2, op: "read-rsp", group: 200, id: command.id, seq: 0 } as const;
  return decodeResponse(command, joinMessage(header, payload));
}

test("it registers group 200 with its commands", () => {
  expect(ask(one, -1, [])).toBe("200 3 trust mgmt");
});

test("the counters are those of the shared data, little endian", () => {
  expect(answer(trustCounters, one, ["0=03", "10=04030201"])).toEqual({
    images: [{ image: 0, counter: 0x01020304, slots: [] }],
  });
  expect(answer(trustCounters, five, ["0=03", "10=07000000", "12=00000000", "14=ffffffff"])).toEqual({
    images: [
      { image: 0, counter: 7, slots: [] },
      { image: 1, slots: [] },
      { image: 2, counter: 0, slots: [] },
      { image: 3, slots: [] },
      { image: 4, counter: 0xffff_ffff, slots: [] },
    ],
  });
});

test("mode and running slot; what nobody counts is left out", () => {
  expect(answer(trustBoot, one, ["0=09", "3=01"])).toEqual({ mode: 9, state: "application", slot: 1 });
  expect(answer(trustBoot, one, ["0=03"])).toEqual({ mode: 3, state: "application" });
});

test("without shared data it does not claim that there are no counters", () => {
  expect(ask(one, 0, [])).toBe("rc 5");
  expect(ask(one, 2, [])).toBe("rc 5");
});

test("a value of another width is none", () => {
  expect(answer(trustCounters, one, ["0=03", "10=0400"])).toEqual({ images: [{ image: 0, slots: [] }] });
  expect(answer(trustCounters, one, ["0=03", "10=0400000000"])).toEqual({
    images: [{ image: 0, slots: [] }],
  });
});

// What this file wrote with the real zcbor (0.9.99, d8090a4) in place of the stand-in, not canonical as is Zephyr's default.
test("the answers are the bytes that zcbor writes", () => {
  const shared = ["0=09", "3=00", "10=0d0c0b0a"];
  expect(ask(one, 0, shared)).toBe(
    "bf66696d616765739fbf65696d6167650067636f756e7465721a0a0b0c0d65736c6f74739fffffffff",
  );
  expect(ask(one, 2, shared)).toBe("bf646d6f6465096573746174656b6170706c69636174696f6e64736c6f7400ff");
});

test("keys and events are not supported", () => {
  expect(ask(one, 1, ["0=03"])).toBe("rc 8");
  expect(ask(one, 3, ["0=03"])).toBe("rc 8");
});

test("whatever room the server's buffer has, it writes no further and says so", () => {
  const shared = ["0=03", "10=07000000", "11=08000000"];
  const whole = ask(five, 0, shared).length / 2;
  for (let room = 1; room < whole - 1; room++) expect(ask(five, 0, shared, room)).toBe("rc 7");
});
