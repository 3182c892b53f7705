import fc from "fast-check";
import { expect, test } from "vitest";
import { TerminalFilter } from "../../src/cli/terminal-safe.js";
import { ConsoleText } from "../../src/smp/framing/console-text.js";
import { linesOf } from "../support/smp-wire.js";

const utf8 = (text: string) => new TextEncoder().encode(text);
const text = (chunks: readonly Uint8Array[]) => {
  const filter = new ConsoleText();
  return chunks.map((chunk) => new TextDecoder().decode(filter.push(chunk))).join("");
};

test("a prompt is there at once, a frame never", () => {
  const [line] = linesOf(new Uint8Array(20), "mcuboot");
  expect(text([utf8("uart:~$ ")])).toBe("uart:~$ ");
  expect(text([utf8(`uart:~$ ${line}boot\n`)])).toBe("uart:~$ boot\n");
});

test("bytes of a marker that begin none are text", () => {
  expect(text([Uint8Array.of(6, 6, 0x41, 4, 0x42)])).toBe("\u0006\u0006A\u0004B");
});

test("in every split, what is between frames comes out whole and in order", () => {
  const message = fc.uint8Array({ minLength: 8, maxLength: 300 });
  const words = fc.stringMatching(/^[ -~]{0,20}$/);
  const pieces = fc.array(fc.oneof(message, words), { maxLength: 8 });
  fc.assert(
    fc.property(pieces, fc.array(fc.nat(40), { maxLength: 30 }), (parts, cuts) => {
      const wire = Buffer.concat(
        parts.flatMap((part) =>
          typeof part === "string"
            ? [utf8(part)]
            : linesOf(part, "zephyr").map((line) => Buffer.from(line, "latin1")),
        ),
      );
      const chunks: Uint8Array[] = [];
      let at = 0;
      for (const cut of cuts) {
        chunks.push(wire.subarray(at, at + cut));
        at += cut;
      }
      chunks.push(wire.subarray(at));
      expect(text(chunks)).toBe(parts.filter((part) => typeof part === "string").join(""));
    }),
  );
});

test("a terminal obeys colours and cursor moves, and nothing else that a device says", () => {
  const shown = (...pieces: string[]) => {
    const filter = new TerminalFilter();
    return pieces.map((piece) => filter.push(piece)).join("");
  };
  expect(shown("\u001b[1;32mok\u001b[0m\r\n")).toBe("\u001b[1;32mok\u001b[0m\r\n");
  expect(shown("\u001b", "[6n")).toBe("\u001b[6n");
  expect(shown("\u001b]0;title\u0007")).toBe("\\x1b]0;title\u0007");
  expect(shown("\u001bP1$r\u001b\\")).toBe("\\x1bP1$r\\x1b\\");
  expect(shown("\u009d52;c;AAAA")).toBe("\\x9d52;c;AAAA");
});
