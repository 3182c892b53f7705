import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { boardVariant, fixtureKey } from "../../src/emulator/catalog.js";
import { parseIntelHex } from "../../src/formats/intel-hex.js";
import { chipFor } from "../../src/st-rom/chips.js";
import { type CliResult, runCli } from "../support/groups-cli.js";
import { noPtyReason, openPty } from "../support/pipe-pty.js";
import { emulateRom, pageSizes } from "../support/st-rom.js";
import { image } from "../support/workflow-board.js";

interface Bench {
  home: string;
  file: string;
  run(args: readonly string[], path?: string): Promise<CliResult>;
}

/** A folder with an image, its key, and a config file. */
async function bench(config: object, machine: "wasm" | "qemu" = "wasm"): Promise<Bench> {
  const home = mkdtempSync(join(tmpdir(), "recover-"));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  const file = join(home, "image.bin");
  writeFileSync(file, await image("good-b", { machine }));
  const key = boardVariant("good").keys[0]!;
  const { publicDer } = await fixtureKey(key);
  const pem = Buffer.from(publicDer).toString("base64");
  writeFileSync(join(home, "key.pem"), `-----BEGIN PUBLIC KEY-----\n${pem}\n-----END PUBLIC KEY-----\n`);
  const own = join(home, "bootproof", "config.json");
  mkdirSync(dirname(own));
  writeFileSync(own, JSON.stringify({ keys: ["../key.pem"], ...config }));
  return {
    home,
    file,
    run: (args, path) =>
      runCli(args, {
        cwd: home,
        env: { XDG_CONFIG_HOME: home, ...(path ? { PATH: `${path}:${process.env.PATH}` } : {}) },
      }),
  };
}

test("a board that boots is recovered over retained boot mode", async () => {
  const { run, file } = await bench({});
  const words = ["recover", file, "-d", "wasm:good", "--json"];
  const { status, err, json } = await run([...words, "--yes", "--although-alive"]);
  expect(err).toContain("What is lost: Nothing in flash");
  // What is said of each method begins in one column.
  const list = err.split("\n").filter((line) => /What is lost|Not available/.test(line));
  expect(new Set(list.map((line) => line.search(/What is lost|Not available/)))).toEqual(new Set([13]));
  expect(status).toBe(0);
  expect(json()).toMatchObject({ outcome: "recovered", method: "smp-reset" });
});

test("a board that is alive is left alone with status 3, also with --yes", async () => {
  const { run, file } = await bench({});
  const { status, json, err } = await run(["recover", file, "-d", "wasm:good", "--json", "--yes"]);
  expect(status).toBe(3);
  expect(err).toMatch(/alive {2}The application answers and runs version 1\.0\.0/);
  expect(json()).toMatchObject({ outcome: "alive", hint: expect.stringContaining("bootproof flash") });
});

test("a dry run tells the list of recovery methods and does nothing", async () => {
  const { run, file } = await bench({});
  const { status, err } = await run(["recover", file, "-d", "wasm:good", "--dry-run"]);
  expect(status).toBe(0);
  expect(err).toMatch(/smp-reset.*Ask the application/);
  expect(err).toMatch(/^power-cycle {2}Not available: /m);
});

test("the power cycle says what it will run; a hub port that is not known closes that recovery method and no other", async () => {
  const boards = {
    relay: { device: "wasm:good", power: { command: { on: "relay 1", off: "relay 0" } } },
    dark: { device: "wasm:good", power: "hub" },
  };
  const { run, file } = await bench({ boards });
  const relay = await run(["recover", file, "-d", "relay", "--dry-run"]);
  expect(relay.err).toMatch(/power-cycle {2}Switch the power off and on .*Run: relay 0 Run: relay 1/);
  const dark = await run(["recover", file, "-d", "dark", "--dry-run"]);
  expect(dark.status).toBe(0);
  expect(dark.err).toMatch(/power-cycle {2}Not available: The USB port that powers the board is not known/);
});

test("a profile that the config file misspells is no missing one", async () => {
  const { run } = await bench({ boards: { bench: { device: "S1", profile: "nrf52dk" } } });
  const { status, err } = await run(["devices"]);
  expect(status).toBe(2);
  expect(err).toMatch(/no profile "nrf52dk", which the config file names for "bench"/);
});

test("a profile that does not exist is refused, and no board is left running", async () => {
  const { run, file } = await bench({});
  const { status, err } = await run(["recover", file, "-d", "wasm:good", "--profile", "bogus"]);
  expect(status).toBe(2);
  expect(err).toMatch(/no profile "bogus"[\s\S]*nrf52840dk/);
});

test("an image without a key that vouches for it is refused with status 3", async () => {
  const { run, file } = await bench({ keys: [] });
  const { status, out } = await run(["recover", file, "-d", "wasm:good"]);
  expect(status).toBe(3);
  expect(out).toContain("--key FILE");
});

const F4 = chipFor(0x413);
const profiles = [
  {
    id: "own",
    name: "Own F4 board",
    rom: { kind: "st", byHand: "Bridge JP1 and press reset." },
    slots: [
      { address: "0x08020000", size: "0x20000" },
      { address: "0x08040000", size: "0x20000" },
    ],
    chip: { pyocd: "own_chip" },
  },
];

describe.skipIf(noPtyReason)("a silent board behind a serial port", () => {
  test("is written through ST's ROM, once somebody has agreed", async () => {
    const pty = await openPty();
    onTestFinished(() => pty.unplug());
    const rom = emulateRom({
      productId: F4.productId,
      pages: pageSizes(F4.pages),
      extendedErase: true,
      say: (bytes) => pty.say(bytes),
    });
    let heard = 0;
    void pty.heard((all) => {
      rom.hear(all.subarray(heard));
      heard = all.length;
      return false;
    });
    const { run, file } = await bench({
      profiles,
      boards: { bench: { device: `serial:${pty.path}`, profile: "own" } },
    });
    const args = [
      "recover",
      file,
      "-d",
      "bench",
      "--timeout",
      "50",
      "--wait",
      "500",
      "--without",
      "debug-probe",
    ];
    const declined = await run(args);
    expect(declined.status).toBe(36);
    expect(declined.err).toContain("It needs consent (--yes)");
    expect(rom.erased).toEqual([]);
    const agreed = await run([...args, "--yes", "--json"]);
    expect(agreed.status).toBe(0);
    expect(agreed.json()).toMatchObject({ outcome: "written", method: "st-rom" });
    const written = readFileSync(file);
    expect(Buffer.from(rom.flash.subarray(0x20000, 0x20000 + written.length)).equals(written)).toBe(true);
    expect(rom.startedAt).toBe(0x0800_0000);
  });

  test("is written by a debug tool, whose command line is shown first", async () => {
    const pty = await openPty();
    onTestFinished(() => pty.unplug());
    const { run, file, home } = await bench({
      profiles,
      boards: { bench: { device: `serial:${pty.path}`, profile: "own" } },
    });
    writeFileSync(join(home, "calls"), "");
    writeFileSync(join(home, "pyocd"), `#!/bin/sh\necho "$@" >> ${join(home, "calls")}\n`);
    chmodSync(join(home, "pyocd"), 0o755);
    const { status, err } = await run(
      ["recover", file, "-d", "bench", "--timeout", "50", "--wait", "500", "--without", "st-rom", "--yes"],
      home,
    );
    expect(status).toBe(0);
    expect(err).toContain(
      "pyocd flash --target own_chip --no-wait --base-address 0x8020000 --format bin IMAGE",
    );
    expect(readFileSync(join(home, "calls"), "utf8")).toMatch(
      /^--version\nflash --target own_chip --no-wait --base-address 0x8020000 --format bin \S+image\.bin\nreset --target own_chip --no-wait\n$/,
    );
  });

  test("nrfutil gets the whole slot in Intel HEX, so that no old trailer is left", async () => {
    const { run, file, home } = await benchWithTool("nrfutil", 'cp "$4" "$(dirname "$0")/given.hex"');
    const { status, err } = await run(["recover", file, "-d", "bench", ...ONLY_TOOL], home);
    expect(err).toContain(
      "nrfutil device program --firmware IMAGE --core Application --options chip_erase_mode=",
    );
    expect(status).toBe(0);
    const [slot, ...others] = parseIntelHex(readFileSync(join(home, "given.hex"), "utf8"));
    expect(others).toEqual([]);
    expect(slot).toMatchObject({ address: 0x0802_0000 });
    expect(slot!.bytes.length).toBe(0x20000);
    const image = readFileSync(file);
    expect(Buffer.from(slot!.bytes.subarray(0, image.length)).equals(image)).toBe(true);
    expect(slot!.bytes.subarray(image.length).every((byte) => byte === 0xff)).toBe(true);
  });

  test("a tool that fails is quoted, and the list of recovery methods goes on", async () => {
    const { run, file, home } = await benchWithTool("nrfutil", "echo no probe here >&2; exit 3");
    const { status, err } = await run(["recover", file, "-d", "bench", ...ONLY_TOOL], home);
    expect(err).toMatch(/nrfutil device program .* ended with 3\. Its output: no probe here/);
    expect(status).toBe(36);
  });

  test("an image that is larger than the slot reaches no tool", async () => {
    const small = [
      { ...profiles[0], slots: [0x08020000, 0x08030000].map((address) => ({ address, size: 0x4000 })) },
    ];
    const { run, file, home } = await benchWithTool("nrfutil", 'touch "$(dirname "$0")/called"', small);
    const { status, err } = await run(["recover", file, "-d", "bench", ...ONLY_TOOL], home);
    expect(err).toContain("do not fit in the primary slot of 16384 bytes");
    expect(status).toBe(36);
    expect(existsSync(join(home, "called"))).toBe(false);
  });
});

const ONLY_TOOL = ["--timeout", "50", "--wait", "500", "--without", "st-rom", "--yes"];

/** A silent board, and a debug tool that does `script` when it is told to program; asked its version it does nothing. */
async function benchWithTool(tool: string, script: string, how: object[] = profiles): Promise<Bench> {
  const pty = await openPty();
  onTestFinished(() => pty.unplug());
  const named = how.map((one) => ({ ...one, chip: { nrfutil: "Application" } }));
  const made = await bench({
    profiles: named,
    boards: { bench: { device: `serial:${pty.path}`, profile: "own" } },
  });
  const text = `#!/bin/sh\ncase "$*" in *--version) exit 0;; esac\n${script}\n`;
  writeFileSync(join(made.home, tool), text);
  chmodSync(join(made.home, tool), 0o755);
  return made;
}
