import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  accessProblem,
  busyProblem,
  LINUX_ROOTS,
  type PermissionFacts,
  permissionFacts,
  permissionProblem,
  portHolders,
  watchForRemoval,
} from "../../src/transport/linux.js";

const FACTS: PermissionFacts = { user: "ada", group: "dialout", groupMayUse: true, userInGroup: false };

describe("who may not open a port is told the way in", () => {
  const cases: { name: string; facts: PermissionFacts | undefined; hint: RegExp }[] = [
    { name: "not in the group", facts: FACTS, hint: /sudo usermod -aG dialout ada/ },
    {
      name: "in the group since this login",
      facts: { ...FACTS, userInGroup: true },
      hint: /log out and in again/,
    },
    {
      name: "the group may not either",
      facts: { ...FACTS, group: "root", groupMayUse: false },
      hint: /udev rule.*KERNEL=="ttyACM0".*MODE="0660"/,
    },
    { name: "nothing is known", facts: undefined, hint: /administrator/ },
  ];
  for (const { name, facts, hint } of cases) {
    test(name, () => {
      const problem = permissionProblem("/dev/ttyACM0", facts);
      expect(problem.code).toBe("permission");
      expect(problem.message).toContain("/dev/ttyACM0");
      expect(problem.hint).toMatch(hint);
    });
  }
});

test("a busy port names every holder that can be seen", () => {
  const problem = busyProblem("/dev/ttyACM0", [
    { pid: 10, program: "minicom" },
    { pid: 11, program: "cat" },
  ]);
  expect(problem.message).toBe("/dev/ttyACM0 is held by minicom (process 10), cat (process 11).");
});

test.each([
  ["picocom", ["picocom", "/dev/ttyACM0"], "picocom"],
  [
    "node",
    ["/usr/bin/node", "--enable-source-maps", "/opt/x/main.js", "bridge", "--token", "s3cret"],
    "node main.js bridge",
  ],
  [
    "python3.11",
    ["python3", "-m", "serial.tools.miniterm", "/dev/ttyACM0"],
    "python3 serial.tools.miniterm ttyACM0",
  ],
  ["node", ["node"], "node"],
  ["sh", ["sh", "\u001b[2J", "x".repeat(200)], `sh [2J ${"x".repeat(60)}`.slice(0, 60)],
])("what holds a port is named after what it runs: %s %j", (comm, words, program) => {
  const home = mkdtempSync(join(tmpdir(), "proc-"));
  const port = join(home, "ttyACM0");
  writeFileSync(port, "");
  mkdirSync(join(home, "proc/4242/fd"), { recursive: true });
  symlinkSync(port, join(home, "proc/4242/fd/3"));
  writeFileSync(join(home, "proc/4242/comm"), `${comm}\n`);
  writeFileSync(join(home, "proc/4242/cmdline"), `${words.join("\u0000")}\u0000`);
  const roots = { ...LINUX_ROOTS, proc: join(home, "proc") };
  expect(portHolders(port, roots)).toEqual([{ pid: 4242, program }]);
  rmSync(home, { recursive: true });
});

test("a busy port whose holder cannot be seen says how to find out", () => {
  expect(busyProblem("/dev/ttyACM0", []).hint).toContain("fuser -v /dev/ttyACM0");
});

test("a port this program holds itself says so", () => {
  const own = { pid: process.pid, program: "node" };
  // The kernel gives numbers out in a circle: another program's may be lower or higher.
  for (const other of [process.pid - 1, process.pid + 1])
    expect(busyProblem("/dev/ttyACM0", [{ pid: other, program: "cat" }, own]).message).toContain(
      "in this program",
    );
});

test("a missing file is no question of permission", () => {
  expect(accessProblem("/dev/no-such-port")?.code).toBe("not-found");
});

describe("what decides about access is read from the file and the group list", () => {
  const cases: { mode: number; members: string; expected: Partial<PermissionFacts> }[] = [
    { mode: 0o660, members: "", expected: { group: "dialout", groupMayUse: true, userInGroup: false } },
    { mode: 0o600, members: "", expected: { groupMayUse: false } },
    { mode: 0o640, members: "", expected: { groupMayUse: false } },
    {
      mode: 0o660,
      members: `ada,${userInfo().username}`,
      expected: { groupMayUse: true, userInGroup: true },
    },
  ];
  for (const { mode, members, expected } of cases) {
    test(`mode ${mode.toString(8)}, members "${members}"`, () => {
      const home = mkdtempSync(join(tmpdir(), "access-"));
      const port = join(home, "ttyACM0");
      writeFileSync(port, "");
      chmodSync(port, mode);
      writeFileSync(join(home, "group"), `other:x:99999:\ndialout:x:${statSync(port).gid}:${members}\n`);
      const facts = permissionFacts(port, { ...LINUX_ROOTS, etc: home });
      rmSync(home, { recursive: true });
      expect(facts).toMatchObject({ user: userInfo().username, ...expected });
    });
  }
});

describe("the removal of a device file", () => {
  test("is noticed, once", async () => {
    const home = mkdtempSync(join(tmpdir(), "removal-"));
    const port = join(home, "ttyACM0");
    writeFileSync(port, "");
    let times = 0;
    const noticed = new Promise<void>((resolve) => {
      watchForRemoval(port, () => {
        times++;
        resolve();
      });
    });
    writeFileSync(join(home, "ttyACM1"), "");
    rmSync(port);
    await noticed;
    rmSync(home, { recursive: true });
    expect(times).toBe(1);
  });

  test("is noticed when it happened before", () => {
    let times = 0;
    watchForRemoval(join(tmpdir(), "no-such-port"), () => times++)();
    expect(times).toBe(1);
  });
});
