import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { errorStatuses, exitStatuses, statusFor, UsageError } from "../../src/cli/exit.js";
import { ReceiveDiagnostics } from "../../src/client/receive-diagnostics.js";
import { RequestTimeout } from "../../src/client/request-timeout.js";
import { TransportError } from "../../src/transport/transport.js";
import { root } from "../support/cli-build.js";

/** Texts of all sources below a folder. */
function textsIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
    .map((file) => readFileSync(join(root, folder, file), "utf8"));
}

const CLASS = /class (\w+) extends BootproofError/g;
const classesIn = (texts: readonly string[]) =>
  texts.flatMap((text) => [...text.matchAll(CLASS)].map((found) => found[1]!)).sort();

const sources = textsIn("src");

/** Codes that a class gives to its `super` or that its union lists. */
function codesIn(text: string): string[] {
  const bare = text.replace(/\/\*.*?\*\//gs, "");
  const declared = [...bare.matchAll(/(?:type \w+Code =|declare readonly code:)([^;]+);/g)].map(
    (found) => found[1]!,
  );
  return declared.flatMap((union) => [...union.matchAll(/"([\w-]+)"/g)].map((found) => found[1]!));
}

const tableStatuses = Object.values<Record<string, number>>(errorStatuses).flatMap((row) =>
  Object.values(row),
);

describe("the table of exit statuses", () => {
  it("has every error class of the program, and no other", () => {
    expect(classesIn(sources).length).toBeGreaterThan(25);
    expect(Object.keys(errorStatuses).sort()).toEqual(classesIn([...sources, ...textsIn("hil")]));
  });

  it("has every code of a class that tells its codes apart", () => {
    for (const text of [...sources, ...textsIn("hil")]) {
      const [name, second] = classesIn([text]);
      const row = (errorStatuses as Record<string, number | object>)[name ?? ""];
      if (typeof row !== "object" || second !== undefined) continue;
      expect(Object.keys(row).sort(), name).toEqual([...new Set(codesIn(text))].sort());
    }
  });

  it("has each code under one class only: programs go by the code", () => {
    const codes = Object.values<object>(errorStatuses).flatMap((row) => Object.keys(row));
    expect(codes.filter((code, index) => codes.indexOf(code) !== index)).toEqual([]);
  });

  it("leads to statuses that have a meaning, and every status is reached", () => {
    const meant = new Set(Object.keys(exitStatuses).map(Number));
    expect(tableStatuses.filter((status) => !meant.has(status))).toEqual([]);
    // 0 and 130 are no errors; 3, 4, 7 and 29 to 33 and 38 are outcomes of flash, 36 of recover, 6 of verify, 46 of the ratchet, 49 of keys lint, 60 and up of several boards.
    const elsewhere = [0, 130, 65, 3, 4, 6, 7, 17, 29, 30, 31, 32, 33, 36, 38, 46, 49, 60, 61, 62, 63, 64];
    const reached = new Set<number>([...tableStatuses, ...elsewhere]);
    expect([...meant].filter((status) => !reached.has(status))).toEqual([]);
  });

  it("is the one in the topic", () => {
    const topic = readFileSync(join(root, "src/topics/exit-status.md"), "utf8");
    const rows = [...topic.matchAll(/^\| (\d+) \| (.+) \|$/gm)].map((row) => [row[1], row[2]]);
    expect(rows).toEqual(Object.entries(exitStatuses));
  });
});

describe("the status of", () => {
  const timeout = (heard: string) => {
    const diagnostics = new ReceiveDiagnostics();
    diagnostics.receiveBytes(Buffer.from(heard, "latin1"));
    return new RequestTimeout(
      "/dev/ttyX",
      { command: "os params", attempts: 1, timeoutMs: 100 },
      diagnostics,
    );
  };

  it.each<[string, unknown, number]>([
    ["Ctrl-C", new DOMException("x", "AbortError"), 130],
    ["Ctrl-C in a wait of Node's own", Object.assign(new Error("x"), { name: "AbortError" }), 130],
    ["a board that says nothing", timeout(""), 16],
    ["a board that says something else", timeout("login: "), 17],
    ["a wrong baud rate", timeout("\xff\x80\x81\xfe\x90"), 17],
    ["a port without permission", new TransportError("permission", "/dev/ttyX", "x"), 13],
    ["a command line that cannot be", new UsageError("x"), 2],
    ["a fault of ours", new TypeError("x"), 1],
    ["what is no error at all", "x", 1],
  ])("%s is its own", (_what, error, status) => expect(statusFor(error)).toBe(status));
});
