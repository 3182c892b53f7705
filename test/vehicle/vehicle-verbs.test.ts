import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { keyFile, runOnce, signWords } from "../support/cli-run.js";

/** A vehicle as its bench and its Director handle it, by the program's own verbs. */

const folder = mkdtempSync(join(tmpdir(), "bootproof-vehicle-verbs-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (...names: string[]) => join(folder, ...names);
const key = keyFile("ed25519-1");
const env = { XDG_STATE_HOME: at("state"), XDG_CONFIG_HOME: at("no-config") };

/** Runs a verb that must end with a status; what it printed. */
async function run(status: number, ...words: string[]): Promise<string> {
  const ended = await runOnce(words, { env });
  if (ended.status !== status)
    throw new Error(`${words.join(" ")} ended with ${ended.status}: ${ended.stderr}`);
  return status === 0 ? ended.stdout : ended.stderr;
}
const must = (...words: string[]) => run(0, ...words);

beforeAll(async () => {
  await ensureBuilt();
  await must("keys", "public", key, at("public.pem"));
  await must(...signWords("good-b", at("update.bin"), "2.1.0", 2));
  await must("tuf", "init", at("director"), "--key", key, "--offline-key", key);
  await must("tuf", "init", at("images"), "--key", key);
  const target = ["--path", "app/update.bin", "--release-counter", "7"];
  await must("tuf", "add", at("images"), at("update.bin"), ...target, "--hardware", "hw-a");
  await must(
    ...["tuf", "add", at("director"), at("update.bin"), ...target, "--vehicle", "VIN-1"],
    ...["--ecu", "ECU-left=hw-a", "--ecu", "ECU-right=hw-a"],
  );
  for (const name of ["director", "images"]) await must("tuf", "publish", at(name), "-k", key);
  writeFileSync(
    at("vehicle.yaml"),
    `vehicle:
  id: VIN-1
  primary: bench
  director: director
  director-root: director/metadata/1.root.json
  images: images
  images-root: images/metadata/1.root.json
boards:
  - { name: left, kind: wasm, flash: left.flash, ecu: { serial: ECU-left, hardware: hw-a } }
  - { name: right, kind: wasm, flash: right.flash, ecu: { serial: ECU-right, hardware: hw-a, may-stay-behind: true } }
`,
  );
});

it("a bench enrols its vehicle, installs what is directed, and reports it so that a Director believes it once", async () => {
  await must("uptane", "enroll", at("vehicle.yaml"), "-o", at("keys.json"));
  const enrolled = JSON.parse(readFileSync(at("keys.json"), "utf8")) as { ecus: Record<string, object> };
  expect(Object.keys(enrolled.ecus).sort()).toEqual(["ECU-left", "ECU-right", "bench"]);
  const table = await must(
    ...["uptane", "install", at("vehicle.yaml"), "--key", at("public.pem"), "--soak", "0"],
    ...["--manifest", at("manifest.json")],
  );
  expect(table).toMatch(/left +ECU-left +app\/update\.bin +confirmed +2\.1\.0/);
  expect(table).toMatch(/right +ECU-right +app\/update\.bin +confirmed +2\.1\.0/);
  const check = ["uptane", "manifest", at("manifest.json"), "--vehicle", at("keys.json")];
  const shown = JSON.parse(await must(...check, "--remember", "--json")) as { reports: object[] };
  expect(shown.reports).toMatchObject([
    { ecu: "ECU-left", installed: { path: "app/update.bin" }, counter: 1 },
    { ecu: "ECU-right", installed: { path: "app/update.bin" }, counter: 1 },
    { ecu: "bench" },
  ]);
  expect(await run(59, ...check)).toContain("its counter is 1; 1 was there before");
  await must("uptane", "report", at("vehicle.yaml"), "-o", at("manifest.json"));
  expect(await must(...check)).toContain("the bridge bench, which holds the key of this ECU");
  // The release counter stands in each board's ratchet.
  const boards = JSON.parse(await must("ratchet", "show", "--json")) as Record<string, object>;
  expect(Object.values(boards)).toMatchObject([
    { images: { 0: { release: { release: 7 } } } },
    { images: { 0: { release: { release: 7 } } } },
  ]);
});

it("says that nothing was sent to boards that ran their image before, and why it would not be now", async () => {
  const shown = await must("uptane", "install", at("vehicle.yaml"), "--soak", "0");
  expect(shown).toContain("All boards ran their image before, confirmed; nothing was sent.");
  expect(shown).toMatch(/The preflight refuses it now: Not checked: no key was given/);
});

it("lets what the vehicle has seen count against an old bundle", async () => {
  const images = ["--director", at("director"), "--images", at("images")];
  const target = ["--name", "spring", "--target", "hw-a=app/update.bin"];
  await must("bundle", "make", at("old.bundle"), ...images, ...target, "-k", key);
  // The Image repository moves on, and the vehicle hears of it.
  await must(...signWords("good-b", at("newer.bin"), "2.2.0", 2));
  const counter = ["--path", "app/update.bin", "--release-counter", "8"];
  await must("tuf", "add", at("images"), at("newer.bin"), ...counter, "--hardware", "hw-a");
  const ecus = ["--ecu", "ECU-left=hw-a", "--ecu", "ECU-right=hw-a", "--vehicle", "VIN-1"];
  await must("tuf", "add", at("director"), at("newer.bin"), ...counter, ...ecus);
  for (const name of ["director", "images"]) await must("tuf", "publish", at(name), "-k", key);
  await must("uptane", "install", at("vehicle.yaml"), "--key", at("public.pem"), "--soak", "0");

  // Who knows neither vehicle nor repositories cannot tell that the bundle is old.
  const roots = ["--director-root", at("director/metadata/1.root.json")];
  roots.push("--images-root", at("images/metadata/1.root.json"));
  const other = { env: { ...env, XDG_STATE_HOME: at("other-state") } };
  expect(await runOnce(["bundle", "verify", at("old.bundle"), ...roots], other)).toMatchObject({ status: 0 });
  // The vehicle's roots are trusted; what it has seen is newer.
  const verify = ["bundle", "verify", at("old.bundle"), "--boards", at("vehicle.yaml")];
  expect(await run(52, ...verify)).toContain("snapshot 2 of the Image repository (carried: 1)");
  const flash = ["--boards", at("vehicle.yaml"), "--key", at("public.pem")];
  expect(await run(52, "bundle", "flash", at("old.bundle"), ...flash)).toContain("old bundle");
  await must("bundle", "make", at("new.bundle"), ...images, ...target, "-k", key);
  await must("bundle", "verify", at("new.bundle"), "--boards", at("vehicle.yaml"));
});

it("verifies in part what it publishes itself: the file names with versions are found", async () => {
  const words = ["--director", at("director"), "--director-root", at("director/metadata/1.root.json")];
  const ecus = ["--ecu", "ECU-left=hw-a", "--ecu", "ECU-right=hw-a"];
  const shown = await must("uptane", "verify", "--partial", ...words, ...ecus, "--vehicle", "VIN-1");
  expect(shown).toContain("of the Director: root, targets ");
  expect(shown).toMatch(/ECU-left +app\/update\.bin/);
});

it("keeps the keys of the ECUs to the user who holds them", () => {
  const find = (path: string): string[] =>
    statSync(path).isDirectory() ? readdirSync(path).flatMap((name) => find(join(path, name))) : [path];
  const keys = find(at("state")).filter((path) => /vehicles.*[.]pem$/.test(path));
  expect(keys).toHaveLength(3);
  for (const path of keys) expect(statSync(path).mode & 0o077).toBe(0);
});

it("says what is wrong with a board file's vehicle", async () => {
  const bad = async (text: string) => {
    writeFileSync(at("bad.yaml"), text);
    return run(2, "uptane", "report", at("bad.yaml"), "-o", at("never.json"));
  };
  const board = "boards: [{ name: a, kind: wasm, ecu: { serial: S, hardware: h } }]\n";
  expect(await bad("boards: [{ name: a, kind: wasm }]\n")).toContain("describes no vehicle");
  expect(await bad(board)).toContain("describes no vehicle");
  const vehicle = "vehicle: { id: V, primary: S, director: d, images: i }\n";
  expect(await bad(vehicle + board)).toContain("two ECUs have the serial S");
  expect(await bad(`${vehicle}boards: [{ name: a, kind: wasm }]\n`)).toContain(
    "no board of the vehicle has an ecu",
  );
});
