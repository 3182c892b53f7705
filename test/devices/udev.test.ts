import { expect, test } from "vitest";
import { UDEV_RULES_PATH, udevRules } from "../../src/devices/udev.js";
import { KNOWN_BOARDS } from "../../src/profiles/boards.js";

/** KEY op "value", as udev(7) has it. */
const TOKEN = /^[A-Z_]+(\{[^}]+\})?(==|!=|=|\+=)"[^"]*"$/;

const rules = udevRules({ profiles: KNOWN_BOARDS, hubPower: true });
const lines = rules.split("\n").filter((line) => line !== "" && !line.startsWith("#"));

test("every line is made of udev's tokens", () => {
  for (const line of lines) for (const token of line.split(", ")) expect(token).toMatch(TOKEN);
});

test("every jump has its label, and nothing is between actions and the end by accident", () => {
  expect(lines[0]).toContain('GOTO="bootproof_end"');
  expect(lines.at(-1)).toBe('LABEL="bootproof_end"');
});

test("every known board, its USB device and its serial ports, is let in", () => {
  for (const { target = [], probe = [] } of KNOWN_BOARDS) {
    for (const { vendorId, productId } of [...target, ...probe]) {
      const fits = (line: string) => {
        const vendors = /idVendor\}=="([^"]+)"/.exec(line)?.[1]?.split("|") ?? [];
        const product = /idProduct\}=="([^"]+)"/.exec(line)?.[1];
        return vendors.includes(vendorId) && (product === undefined || product === productId);
      };
      expect(lines.some((line) => line.includes('SUBSYSTEM=="usb"') && fits(line))).toBe(true);
      expect(lines.some((line) => line.includes('SUBSYSTEM=="tty"') && fits(line))).toBe(true);
    }
  }
});

test("makers of plain adapters are let in by product, not as a whole", () => {
  expect(lines.filter((line) => line.includes("0403")).every((line) => line.includes("idProduct"))).toBe(
    true,
  );
});

test("a device that could not be opened is let in by name", () => {
  const own = udevRules({ profiles: [], devices: [{ vendorId: "abcd", productId: "0001" }] });
  expect(own).toContain('ATTR{idVendor}=="abcd", ATTR{idProduct}=="0001"');
});

test("boards are kept from ModemManager, and the file comes before the seat rules", () => {
  expect(
    lines
      .filter((line) => line.includes('SUBSYSTEM=="tty"'))
      .every((line) => line.includes("ID_MM_DEVICE_IGNORE")),
  ).toBe(true);
  expect(Number(/\/(\d+)-/.exec(UDEV_RULES_PATH)?.[1])).toBeLessThan(73);
});

test("hub ports stay root's unless that is asked for", () => {
  expect(rules).toContain("-port*/disable");
  expect(udevRules({ profiles: KNOWN_BOARDS })).not.toContain("disable");
});
