import { join } from "node:path";
import { expect, it } from "vitest";
import { allCommands, commandOf, GROUP_NAMES } from "../../src/smp/groups/all.js";
import { decodeHeader } from "../../src/smp/header.js";
import { isOptional, type Kind } from "../../src/smp/schema.js";
import { root } from "../support/cli-build.js";
import { goldenMessages, recordedExchanges } from "../support/smp-vectors.js";

/**
 * Commands of which no message by another implementation is at hand, each with what stands in for one. A new command needs a
 * vector, or a row here.
 */
const WITHOUT_VECTOR: Readonly<Record<string, string>> = {
  "crash trigger": "no Zephyr server has it, only Mynewt's descendants",
  "log clear": "no Zephyr server has it, only Mynewt's descendants",
  "log levels": "no Zephyr server has it, only Mynewt's descendants",
  "log list": "no Zephyr server has it, only Mynewt's descendants",
  "log modules": "no Zephyr server has it, only Mynewt's descendants",
  "log show": "no Zephyr server has it, only Mynewt's descendants",
  "transport connect": "no server with this group was at hand to record",
  "transport details": "no server with this group was at hand to record",
  "transport disconnect": "no server with this group was at hand to record",
  "transport list": "no server with this group was at hand to record",
  "transport modes": "no server with this group was at hand to record",
  "transport status": "no server with this group was at hand to record",
  "trust boot": "our own group: firmware in C has its own codec (test/emulator/firmware-trust.test.ts)",
  "trust counters": "our own group: firmware in C has its own codec (test/emulator/firmware-trust.test.ts)",
  "trust events": "our own group: firmware in C has its own codec (test/emulator/firmware-trust.test.ts)",
  "trust keys": "our own group: firmware in C has its own codec (test/emulator/firmware-trust.test.ts)",
};

const idOf = ({ group, id, op }: { group: number; id: number; op: string }) => `${group} ${id} ${op}`;

it("every command has a message that another implementation made, or a reason why not", () => {
  const messages = [
    ...goldenMessages().map(({ message }) => message),
    ...recordedExchanges().map(({ request }) => request.message),
  ];
  const covered = new Set<string>();
  for (const message of messages) {
    const copy = Uint8Array.from(message);
    // A recorded request has a reserved version on purpose.
    copy[0]! &= 0b1111;
    const command = commandOf(decodeHeader(copy));
    if (command) covered.add(idOf(command));
  }
  const missing = allCommands.filter((command) => !covered.has(idOf(command))).map(({ name }) => name);
  expect(missing.sort()).toEqual(Object.keys(WITHOUT_VECTOR).sort());
});

it("every command has a row in the topic, with its JSON types; vitest -u writes it anew", async () => {
  const rows = allCommands.map((command) => {
    const { group, id, op, name, does, request, response } = command;
    return `| ${group} | ${id} | ${op} | \`${name}\` | ${does} | \`${jsonType(request)}\` | \`${jsonType(response)}\` |`;
  });
  const groups = Object.entries(GROUP_NAMES).map(([number, name]) => `${number} ${name}`);
  const text = [
    "# SMP commands",
    "",
    "These are the commands that have a name. `bootproof raw GROUP ID OP JSON` sends any of them; `bootproof raw --list` lists them too, and a",
    "plug-in adds commands of your own group (`bootproof help plugins`). The types are those of the JSON that `raw` takes and prints:",
    "bytes are hex, a field with `?` may be absent.",
    "",
    `Groups: ${groups.join(", ")}.`,
    "",
    "| group | id | op | name | what it does | request | response |",
    "|---|---|---|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
  await expect(text).toMatchFileSnapshot(join(root, "src/topics/smp.md"));
});

/** Commands whose types leave something open, each with why. A new command tells the type of every field, or is listed here. */
const WITHOUT_TYPE: Readonly<Record<string, string>> = {
  "fs hash": "output is a number or bytes, by the type of hash that was asked for",
  "log show": "msg is text or bytes, by the type beside it",
  "transport details": "each transport of a vendor has fields of its own",
  "transport modes": "each transport of a vendor has fields of its own",
  "transport status": "Zephyr does not say what the two fields hold",
};

it("every command tells the JSON type of all that it takes and gives, or a reason why not", () => {
  const open = allCommands.filter(({ request, response }) =>
    [request, response].some((kind) => /\bunknown\b/.test(jsonType(kind))),
  );
  expect(open.map(({ name }) => name).sort()).toEqual(Object.keys(WITHOUT_TYPE).sort());
});

/** The TypeScript type of what `--json` prints for a kind. */
function jsonType(kind: Kind<unknown>): string {
  const { fields } = kind as { fields?: Readonly<Record<string, Kind<unknown>>> };
  if (fields) {
    const entries = Object.entries(fields).map(([key, field]) => {
      const name = /^\w+$/.test(key) ? key : `"${key}"`;
      return `${name}${isOptional(field) ? "?" : ""}: ${jsonType(field)}`;
    });
    return entries.length === 0 ? "{}" : `{ ${entries.join("; ")} }`;
  }
  const item = kind.item ? jsonType(kind.item) : "unknown";
  const types: Readonly<Record<Kind<unknown>["form"], string>> = {
    uint: "number",
    int: "number",
    text: "string",
    bool: "boolean",
    bytes: "string",
    list: `${item}[]`,
    map: `Record<string, ${item}>`,
    anything: "unknown",
  };
  return types[kind.form];
}
