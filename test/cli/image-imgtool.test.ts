import { describe, expect, it } from "vitest";
import { yamlOf } from "../../src/cli/imgtool/yaml.js";
import { DEVIATIONS, type Deviation } from "../support/image-cli-deviations.js";
import { type CliRow, type CliRun, cliVectors, digestOf, runInFolder } from "../support/image-cli-vectors.js";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A run in the form of a row. */
function told(run: CliRun, row: CliRow): unknown {
  const { args, out: wanted } = row;
  const asksForHelp = args.includes("-h") || args.includes("--help");
  const silent = wanted === undefined && (run.exit !== 0 || asksForHelp || run.out.length === 0);
  const files = [...run.files].map(([name, bytes]) => {
    const file = row.files?.[name];
    if (!file || Array.isArray(file)) return [name, digestOf(bytes)];
    const prefix = digestOf(bytes.subarray(0, file.prefix[0]));
    return [name, { ...(file.length !== undefined && { length: bytes.length }), prefix }];
  });
  return {
    exit: run.exit,
    ...(!silent && { out: Array.isArray(wanted) ? digestOf(run.out) : text(run.out) }),
    ...(files.length > 0 && { files: Object.fromEntries(files) }),
  };
}

const line = (row: CliRow) => row.args.join(" ");
const deviationOf = (row: CliRow) => DEVIATIONS.find(({ of }) => of(line(row), row));
const same = cliVectors.rows.filter((row) => !deviationOf(row));
const different = cliVectors.rows.flatMap((row): [string, CliRow, Deviation][] => {
  const deviation = deviationOf(row);
  return deviation ? [[line(row), row, deviation]] : [];
});

describe(`${cliVectors.made_by}: the same files, answers and exit status`, () => {
  it("covers at least 300 runs", () => expect(same.length).toBeGreaterThanOrEqual(300));

  it.each(same.map((row) => [line(row), row] as const))("%s", async (_name, row) => {
    const run = await runInFolder(row.args);
    const { exit, out, files } = row;
    expect(told(run, row), run.err).toEqual({
      exit,
      ...(out !== undefined && { out }),
      ...(files && { files }),
    });
  });
});

describe(`${cliVectors.made_by}: a trap there, a clear answer here`, () => {
  it("knows no deviation that does not occur", () => {
    const occurring = new Set(different.map(([, , deviation]) => deviation));
    expect(DEVIATIONS.filter((deviation) => !occurring.has(deviation))).toEqual([]);
  });

  it.each(different)("%s", async (_name, row, { exit, message, writes }) => {
    const run = await runInFolder(row.args);
    const { args: _args, ...recorded } = row;
    expect(told(run, row)).not.toEqual(recorded);
    expect(run.exit).toBe(exit);
    expect(text(run.out) + run.err).toMatch(message);
    if (!writes) expect([...run.files.keys()]).toEqual([]);
  });
});

describe("YAML as PyYAML writes it", () => {
  // yaml.dump({"f": name}) of PyYAML 6, without "f: ".
  it.each([
    ["a b", "a b"],
    ["it's", "it's"],
    ["123", "'123'"],
    ["1.5", "'1.5'"],
    ["yes", "'yes'"],
    ["- a", "'- a'"],
    ["-a", "-a"],
    ["?x", "?x"],
    ["a: b", "'a: b'"],
    ["a:b", "a:b"],
    ["a #b", "'a #b'"],
    ["a#b", "a#b"],
    ["\u00e4.bin", '"\\xE4.bin"'],
    ['x"y', 'x"y'],
    ["~", "'~'"],
    ["2020-01-01", "'2020-01-01'"],
    ["1:20", "'1:20'"],
    ["0x1F", "'0x1F'"],
    ["1_000", "'1_000'"],
    [".5", "'.5'"],
    ["--- a", "'--- a'"],
    ["...", "'...'"],
    ["a ", "'a '"],
    ["{a}", "'{a}'"],
    ["@x", "'@x'"],
    ["a,b", "a,b"],
    ["1e5", "1e5"],
    ["1.0e+5", "'1.0e+5'"],
    ["!x", "'!x'"],
    ["Null", "'Null'"],
    ["+1", "'+1'"],
    ["0o7", "0o7"],
    ["1.2.3", "1.2.3"],
    ["y", "y"],
    ["\u65e5\u672c.bin", '"\\u65E5\\u672C.bin"'],
    ["trUe", "trUe"],
    ["1.", "'1.'"],
    ['\u00e9"q.bin', '"\\xE9\\"q.bin"'],
  ])("%s", (name, written) => expect(yamlOf({ f: name })).toBe(`f: ${written}\n`));
});
