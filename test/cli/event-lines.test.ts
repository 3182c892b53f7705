import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ts from "typescript";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ensureBuilt, root } from "../support/cli-build.js";
import { runOnce } from "../support/cli-run.js";
import { complaints, eventRows } from "../support/topic-types.js";
import { image as signed, trustedKey } from "../support/workflow-board.js";

/** The lines of JSON that `flash`, `recover` and `prove` print while they work, held to the tables of the topic json. */
const folder = mkdtempSync(join(tmpdir(), "bootproof-events-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string) => join(folder, name);
beforeAll(async () => {
  await ensureBuilt();
  writeFileSync(file("update.bin"), await signed("good-b"));
  writeFileSync(file("public.der"), (await trustedKey()).publicDer);
});

const flash = () => ["flash", file("update.bin"), "--key", file("public.der"), "--soak", "0"];
const recover = () => [
  "recover",
  file("update.bin"),
  "--key",
  file("public.der"),
  "--yes",
  "--although-alive",
];
const prove = ["prove", "--seed", "1", "--case", "authenticity/unsigned"];
const cuts = ["--case", "power-cut/random", "--random-cuts", "2"];
const boards = (...names: string[]) => names.flatMap((name) => ["-d", `wasm:good?flash=${file(name)}`]);
const nobody = ["-d", "serial:/dev/none"];

/** What is run, what its lines of events are by type, and what has to be among them. */
const RUNS: readonly { words: () => string[]; type: "Line" | "BoardsLine"; status: number; seen: string }[] =
  [
    {
      words: () => [...flash(), ...boards("a"), "--settle", "--health", "exit 0"],
      type: "Line",
      status: 0,
      seen: "board preflight marked reset back judged health confirmed",
    },
    {
      words: () => [...flash(), "-d", "wasm:p256"],
      type: "Line",
      status: 3,
      seen: "preflight",
    },
    {
      words: () => [...flash(), ...boards("b", "c"), ...nobody],
      type: "BoardsLine",
      status: 60,
      seen: "sent confirmed done failed summary",
    },
    { words: () => [...flash(), ...boards("b2", "c2")], type: "Line", status: 0, seen: "sent confirmed" },
    {
      words: () => [...flash(), "--together", ...boards("d", "e")],
      type: "BoardsLine",
      status: 0,
      seen: "phase marked confirmed summary",
    },
    {
      words: () => [...recover(), ...boards("f")],
      type: "Line",
      status: 0,
      seen: "file found alive method in-recovery",
    },
    {
      words: () => [...recover(), ...boards("g", "h"), ...nobody],
      type: "BoardsLine",
      status: 60,
      seen: "method in-recovery done summary",
    },
    {
      words: () => [...prove, "-d", "wasm:good"],
      type: "Line",
      status: 0,
      seen: "board case result put-back",
    },
    {
      words: () => [...prove, ...cuts, "-d", "wasm:good", "-d", "wasm:no-signature"],
      type: "BoardsLine",
      status: 60,
      seen: "case cut result put-back done summary",
    },
  ];

it("are of no event and no field that the topic does not name, with the kinds of values that it names", async () => {
  const printed = await Promise.all(
    RUNS.map(async ({ words, type, status, seen }) => {
      const args = [...words(), type === "Line" ? "--progress=json" : "--json"];
      const run = await runOnce(args, { env: { HOME: folder } });
      expect(run.status, `${args.join(" ")}\n${run.stderr}`).toBe(status);
      const lines = (type === "Line" ? run.stderr : run.stdout).trim().split("\n");
      // An error that ends the run follows in plain text.
      const told = lines.filter((line) => type === "BoardsLine" || line.startsWith("{"));
      const names = told.flatMap((line) => namesIn(JSON.parse(line)));
      expect(names, args.join(" ")).toEqual(expect.arrayContaining(seen.split(" ")));
      return told.map((line) => [type, line] as [string, string]);
    }),
  );
  expect(complaints(printed.flat())).toEqual([]);
});

interface AnyLine {
  kind?: string;
  event?: { step?: string; kind?: string };
}

const namesIn = ({ kind, event }: AnyLine) =>
  [kind, event?.step, event?.kind].filter((name) => name !== undefined);

it("with an event or a field too many, or one too few, are found", () => {
  const line = (event: object): [string, string] => ["Line", JSON.stringify({ event })];
  const found = complaints(
    [
      { step: "sent", sent: 1, total: 2 },
      { step: "gone" },
      { step: "sent", sent: 1 },
      { step: "sent", sent: "1", total: 2 },
      { step: "sent", sent: 1, total: 2, more: 1 },
    ].map(line),
  );
  expect(found.map((text) => /const (v\d)/.exec(text)?.[1])).toEqual(["v1", "v2", "v3", "v4"]);
});

/** The table of the topic, the tag of its events, and the unions in the sources of which it tells. */
const TABLES = [
  {
    type: "FlashEvent",
    tag: "step",
    unions: [
      ["src/update/events.ts", "FlashEvent"],
      ["src/update/upload.ts", "UploadEvent"],
      ["src/session/reconnect.ts", "WatchEvent"],
      ["src/update/images-events.ts", "ImagesEvent"],
    ],
  },
  { type: "RecoverEvent", tag: "step", unions: [["src/recovery/recover-events.ts", "RecoverEvent"]] },
  { type: "ProofEvent", tag: "kind", unions: [["hil/prove-events.ts", "ProofEvent"]] },
] as const;

it.each(TABLES)("of $type are, in the topic, all that the sources have", ({ type, tag, unions }) => {
  const inSources = unions.flatMap(([path, name]) => membersOf(path, name));
  const named = new Map<string, string[][]>();
  for (const fields of inSources) {
    const name = fields.get(tag)!.replaceAll('"', "");
    const others = [...fields.keys()].filter(
      (field) => field !== tag && !(type === "ProofEvent" && field === "board"),
    );
    named.set(name, [...(named.get(name) ?? []), others]);
  }
  const rows = eventRows(type);
  expect(rows.map(({ name }) => name).sort()).toEqual([...named.keys()].sort());
  for (const { name, fields, when } of rows) {
    const told = [...fields.matchAll(/(\w+)(\??):/g)].map(([, field]) => field!);
    const inSource = new Set(
      named
        .get(name)!
        .flat()
        .map((field) => field.replace("?", "")),
    );
    expect(new Set(told), name).toEqual(inSource);
    expect(when, name).not.toBe("");
  }
});

/** The fields of each member of a union of object types, with the text of their types. */
function membersOf(path: string, name: string): Map<string, string>[] {
  const source = ts.createSourceFile(path, readFileSync(join(root, path), "utf8"), ts.ScriptTarget.ES2022);
  const alias = source.statements.find((one) => ts.isTypeAliasDeclaration(one) && one.name.text === name);
  if (!alias || !ts.isTypeAliasDeclaration(alias) || !ts.isUnionTypeNode(alias.type))
    throw new Error(`${path} has no union ${name}`);
  return alias.type.types.filter(ts.isTypeLiteralNode).map(
    ({ members }) =>
      new Map(
        members.filter(ts.isPropertySignature).map((member) => {
          const field = member.name.getText(source);
          return [member.questionToken ? `${field}?` : field, member.type!.getText(source)];
        }),
      ),
  );
}
