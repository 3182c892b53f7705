import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ADDRESS_FORMS } from "../../src/transport/address.js";
import { GATE_CHECKS } from "../../src/workflow/gate.js";
import { ensureBuilt, root } from "../support/cli-build.js";
import { bootproof, tempFolder } from "../support/cli-run.js";

beforeAll(ensureBuilt, 120_000);

const readme = readFileSync(join(root, "README.md"), "utf8");

/** What the README says a command prints: the lines below its prompt, up to the next prompt or the end of the block. */
function printedBy(command: string): string {
  const from = readme.indexOf(`$ bootproof ${command}`);
  expect(from, command).toBeGreaterThan(0);
  const lines = readme.slice(from).split("\n");
  const first = lines.findIndex((line) => !line.endsWith("\\")) + 1;
  const end = lines.findIndex((line, index) => index >= first && (line.startsWith("$ ") || line === "```"));
  return lines.slice(first, end).join("\n");
}

/** Builds differ in hashes and sizes, runs in times. */
const shape = (text: string) =>
  text
    .replace(/\b[0-9a-f]{12,}\b/g, "HASH")
    .replace(/\d+\.\d s\b/g, "TIME")
    .replace(/\b\d{5}\b/g, "BYTES")
    .replace(/^sending.*\n/gm, "")
    .trim();

describe("the README", () => {
  it("shows what the commands really print", async () => {
    const folder = tempFolder();
    const image = join(folder, "update.bin");
    const key = "firmware-fixtures/keys/throwaway-ed25519-1.pem";
    const sign = `sign -k ${key} -v 2.0.0 -s 2 --pad-header`;
    const rest = "-S 0x20000 --align 4 -M 32 firmware-fixtures/prebuilt/app-good-b.wasm";
    expect(readme).toContain(`${rest} update.bin`);
    const signed = await bootproof([...`${sign} ${rest}`.split(" "), image]);
    expect(shape(signed.stdout.replace(`${folder}/`, ""))).toBe(shape(printedBy(sign)));
    const flash = `flash update.bin --key ${key} -d wasm:good`;
    const flashed = await bootproof(flash.replace("update.bin", image).split(" "));
    expect(shape(`${flashed.stderr}${flashed.stdout}`)).toBe(shape(printedBy(flash)));
    const info = await bootproof("info -d wasm:good".split(" "));
    expect(shape(info.stdout)).toBe(shape(printedBy("info -d wasm:good")));
  });

  it("has every check of the gate, in its order", () => {
    const rows = [...readme.matchAll(/^\| ([a-z-]+) \| .+ \|$/gm)].map((row) => row[1]);
    expect(rows.filter((name) => (GATE_CHECKS as readonly (string | undefined)[]).includes(name))).toEqual(
      GATE_CHECKS,
    );
  });

  it("has every kind of address", () => {
    for (const form of ADDRESS_FORMS) expect(readme).toContain(`| \`${form.split(":")[0]}:`);
  });
});
