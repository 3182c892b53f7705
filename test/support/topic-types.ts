import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { root } from "./cli-build.js";

const topic = readFileSync(join(root, "src/topics/json.md"), "utf8");

/** A row of one of the topic's tables of events. */
export interface EventRow {
  /** What its `step` or `kind` says. */
  readonly name: string;
  /** Its fields as TypeScript: `at: number; why: string`. */
  readonly fields: string;
  readonly when: string;
}

/** The table of events that stands behind these words, or the next one. */
export function eventRows(type: "FlashEvent" | "RecoverEvent" | "ProofEvent"): EventRow[] {
  const [, behind = ""] = topic.split(new RegExp(`\`${type}\` has `));
  const [table = ""] = /(?:^\|.*\n)+/m.exec(behind) ?? [];
  const rows = table.trim().split("\n").slice(2);
  return rows.map((row) => {
    const [, name = "", fields = "", when = ""] = row.split(/(?<!\\)\|/).map((cell) => cell.trim());
    return { name: code(name), fields: code(fields), when };
  });
}

const code = (cell: string) => cell.replaceAll("`", "").replaceAll("\\|", "|");

/** The topic's types: its blocks of TypeScript, and its tables of events as unions. */
function topicTypes(): string {
  const blocks = [...topic.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, block]) => block);
  const union = (type: Parameters<typeof eventRows>[0], tag: string) =>
    eventRows(type).map(({ name, fields }) => `| { ${tag}: "${name}"; ${fields} }`);
  return [
    ...blocks,
    `type FlashEvent = ${union("FlashEvent", "step").join("\n")};`,
    `type RecoverEvent = FlashEvent ${union("RecoverEvent", "step").join("\n")};`,
    `type ProofEvent = ${union("ProofEvent", "board: string; kind").join("\n")};`,
  ].join("\n");
}

/** The compiler's own libraries, read once. */
const libraries = new Map<string, ts.SourceFile | undefined>();

/** What the compiler says of values of JSON as the topic's types: a key that is missing or not named, a value of another kind. */
export function complaints(values: readonly [type: string, json: string][]): string[] {
  const lines = values.map(([type, json], index) => `const v${index}: ${type} = ${json};`);
  const text = `${topicTypes()}\n${lines.join("\n")}\nexport {};`;
  const name = "/shapes.ts";
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    target: ts.ScriptTarget.ES2022,
    lib: ["lib.es2022.d.ts"],
    types: [],
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile } = host;
  host.getSourceFile = (file, ...rest) => {
    if (file === name) return ts.createSourceFile(file, text, ts.ScriptTarget.ES2022);
    const library = libraries.get(file) ?? getSourceFile(file, ...rest);
    libraries.set(file, library);
    return library;
  };
  const compiled = ts.createProgram([name], options, host);
  // The values only: to check the compiler's own libraries takes seconds.
  const checked = compiled.getSourceFile(name);
  const found = [...compiled.getSyntacticDiagnostics(checked), ...compiled.getSemanticDiagnostics(checked)];
  return found.map(({ messageText, file, start = 0 }) => {
    const words = ts.flattenDiagnosticMessageText(messageText, " ");
    // Each value is on one line, which begins with its name.
    const line = file?.text.slice(file.text.lastIndexOf("\n", start) + 1, start + 100) ?? "";
    return `${words} ${line}`;
  });
}
