import { expect, test } from "vitest";
import { KNOWN_BOARDS } from "../../src/profiles/boards.js";
import { commandLine, usableTools } from "../../src/workflow/ladder/debug-tools.js";

const board = (id: string) => KNOWN_BOARDS.find((profile) => profile.id === id);
const linesFor = (id: string) =>
  usableTools(board(id)).flatMap(({ tool, job }) =>
    tool.commands({ ...job, file: "/tmp/image.bin" }).map((args) => commandLine(tool.program, args)),
  );

test("a board whose chip is known gets command lines for its primary slot", () => {
  expect(linesFor("nrf52840dk")).toEqual([
    "probe-rs download --chip nRF52840_xxAA --binary-format bin --base-address 0xc000 --verify /tmp/image.bin",
    "probe-rs reset --chip nRF52840_xxAA",
    "pyocd flash --target nrf52840 --base-address 0xc000 --format bin /tmp/image.bin",
    "pyocd reset --target nrf52840",
  ]);
});

test("ST's own tool finds the chip by itself", () => {
  expect(linesFor("nucleo-f429zi")).toEqual([
    "STM32_Programmer_CLI -c port=SWD -w /tmp/image.bin 0x8020000 -v -rst",
  ]);
});

test("a board whose slots are not known gets none: a guessed address would destroy something", () => {
  expect(linesFor("nucleo")).toEqual([]);
  expect(linesFor("thingy53")).toEqual([]);
  expect(usableTools(undefined)).toEqual([]);
});

test("OpenOCD is given its files, and a path with spaces in one piece", () => {
  const [own] = usableTools({
    id: "own",
    name: "Own",
    slots: [
      { address: 0x0802_0000, size: 0x20000 },
      { address: 0x0804_0000, size: 0x20000 },
    ],
    chip: { openocd: "interface/stlink.cfg target/stm32f4x.cfg" },
    sources: {},
  });
  const [args] = own!.tool.commands({ ...own!.job, file: "/tmp/my image.bin" });
  expect(commandLine("openocd", args!)).toBe(
    "openocd -f interface/stlink.cfg -f target/stm32f4x.cfg -c 'program {/tmp/my image.bin} 0x8020000 verify reset exit'",
  );
});

test("a name with a quote cannot leave its quotes", () => {
  expect(commandLine("x", ["it's; rm -rf /"])).toBe("x 'it'\\''s; rm -rf /'");
});
