import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { fromHex, toHex } from "../../src/bytes.js";
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

function build(images: number, slots: readonly string[] = [], options: readonly string[] = []): string {
  const program = join(folder.path, `trust-${images}-${slots.length}-${options.length}`);
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
    ...slots.map((slot) => `-DSTAND_IN_${slot}=1`),
    ...options.map((option) => `-DCONFIG_${option}=1`),
    `-I${standIn}`,
    "-o",
    program,
    source,
    join(standIn, "run.c"),
  ]);
  return program;
}

let one = "";
let two = "";
let five = "";
let unpacking = "";
beforeAll(() => {
  if (compiler === undefined) return;
  one = build(1);
  two = build(2, ["slot2_partition"]);
  five = build(5);
  unpacking = build(1, [], ["MCUBOOT_COMPRESSED_IMAGE_SUPPORT_ENABLED"]);
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
      { image: 2, counter: 0, slots: [] },
      { image: 4, counter: 0xffff_ffff, slots: [] },
    ],
  });
});

test("mode and running slot; what nobody counts is left out", () => {
  expect(answer(trustBoot, one, ["0=09", "3=01"])).toEqual({ mode: 9, state: "application", slot: 1 });
  expect(answer(trustBoot, one, ["0=03"])).toEqual({ mode: 3, state: "application" });
});

test("an application built for a bootloader that unpacks compressed images says so", () => {
  expect(answer(trustBoot, unpacking, ["0=02"])).toEqual({
    mode: 2,
    state: "application",
    compression: ["lzma2", "arm-thumb"],
  });
});

/**
 * Shared data as MCUboot's own boot_record.c wrote them (swap using offset, Ed25519, serial recovery, stored counters 7
 * and 11, largest images 122880 and 65536 bytes), compiled on the host for one and for two images.
 */
const MCUBOOT = {
  "2.3.0":
    "16203400002001000901200100030220010001032001000004200800020300000000000010200400070000000520040000e00100",
  "2.4.0":
    "16203400002001000901200100030220010001032001000004200800020400000000000010200400070000000520040000e00100",
  /** 2d4bacc3, two images. */
  main: "16203c0000200100090120010003022001000103200100000420080002040000000000001020040007000000112004000b0000000520040000e00100",
} as const;

/** The entries of such an area, as the stand-in for Zephyr's reader of them takes them. */
function entriesOf(area: string): string[] {
  const bytes = fromHex(area);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  expect(view.getUint16(2, true), "the area's own length").toBe(bytes.length);
  const entries: string[] = [];
  for (let at = 4, length: number; at < bytes.length; at += 4 + length) {
    const type = view.getUint16(at, true);
    length = view.getUint16(at + 2, true);
    expect(type >> 12, "of the bootloader").toBe(2);
    entries.push(`${(type & 0xfff).toString(16)}=${toHex(bytes.subarray(at + 4, at + 4 + length))}`);
  }
  return entries;
}

test.each(["2.3.0", "2.4.0"] as const)(
  "what MCUboot %s shares: itself, and figures of image 0",
  (release) => {
    expect(MCUBOOT[release].length / 2, "one image needs so many bytes").toBe(52);
    const shared = entriesOf(MCUBOOT[release]);
    expect(answer(trustBoot, one, shared)).toEqual({
      mode: 9,
      state: "application",
      slot: 0,
      signature: "ed25519",
      recovery: "serial",
      version: release,
    });
    const first = { image: 0, counter: 7, "max-size": 122880, slots: [] };
    expect(answer(trustCounters, one, shared)).toEqual({ images: [first] });
    // Of two images it shares one only; the other one has a slot, so it is there.
    expect(answer(trustCounters, two, shared)).toEqual({ images: [first, { image: 1, slots: [] }] });
  },
);

test("what MCUboot's main branch shares: counters of both images", () => {
  expect(answer(trustCounters, two, entriesOf(MCUBOOT.main))).toEqual({
    images: [
      { image: 0, counter: 7, "max-size": 122880, slots: [] },
      { image: 1, counter: 11, slots: [] },
    ],
  });
});

test("images that have no slot are not listed, however many the build allows for", () => {
  expect(answer(trustCounters, five, entriesOf(MCUBOOT["2.4.0"])).images.map(({ image }) => image)).toEqual([
    0,
  ]);
});

test("numbers of a later MCUboot are left out, build numbers are not", () => {
  expect(answer(trustBoot, one, ["0=03", "1=04", "2=ff", "4=0c22c8010d000000"])).toEqual({
    mode: 3,
    state: "application",
    version: "12.34.456+13",
  });
  expect(answer(trustBoot, one, ["0=03", "4=ffffffffffffffff"])).toMatchObject({
    version: "255.255.65535+4294967295",
  });
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

// What this file wrote with the real zcbor in place of the stand-in (that of MCUboot 2.0.0, and 0.8.1 of MCUboot 2.4.0: the
// same bytes), not canonical as is Zephyr's default.
test("the answers are the bytes that zcbor writes", () => {
  const shared = entriesOf(MCUBOOT["2.3.0"]);
  expect(ask(two, 0, [...shared, "11=0b000000"])).toBe(
    "bf66696d616765739fbf65696d6167650067636f756e74657207686d61782d73697a651a0001e00065736c6f74739fffffbf65696d6167650167636f756e7465720b65736c6f74739fffffffff",
  );
  expect(ask(one, 2, shared)).toBe(
    "bf646d6f6465096573746174656b6170706c69636174696f6e64736c6f7400697369676e61747572656765643235353139687265636f766572796673657269616c6776657273696f6e65322e332e30ff",
  );
});

test("keys and events are not supported", () => {
  expect(ask(one, 1, ["0=03"])).toBe("rc 8");
  expect(ask(one, 3, ["0=03"])).toBe("rc 8");
});

test("whatever room the server's buffer has, it writes no further and says so", () => {
  const shared = entriesOf(MCUBOOT.main);
  const whole = ask(five, 0, shared).length / 2;
  for (let room = 1; room < whole - 1; room++) expect(ask(five, 0, shared, room)).toBe("rc 7");
});
