import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readTar, writeTar } from "../../src/formats/tar.js";
import type { LogEvent } from "../../src/trust/events.js";
import { AuditLog } from "../../src/trust-store/audit-log.js";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, json, keyFile, runOnce, signWords } from "../support/cli-run.js";

/** Bundles as their makers and users handle them: made, carried, verified and flashed by the program's own verbs. */

const folder = mkdtempSync(join(tmpdir(), "bootproof-bundle-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (...names: string[]) => join(folder, ...names);

const keys = { vendor: keyFile("ed25519-1"), director: keyFile("p256-1"), offline: keyFile("ed25519-2") };
const publicKey = at("public.pem");
const roots = [
  "--director-root",
  at("director/metadata/1.root.json"),
  "--images-root",
  at("images/metadata/1.root.json"),
];
const DAY = 86_400;
const now = Math.floor(Date.now() / 1000);

/** Runs a verb that must succeed. */
async function must(...words: string[]): Promise<string> {
  return mustAt({}, ...words);
}
async function mustAt(env: Record<string, string>, ...words: string[]): Promise<string> {
  const { status, stdout, stderr } = await runOnce(words, { env: { ...laptop("maker"), ...env } });
  if (status !== 0) throw new Error(`${words.join(" ")} ended with ${status}: ${stderr}`);
  return stdout;
}

/** A laptop of its own: it trusts nothing yet. */
const laptop = (name: string) => ({ XDG_STATE_HOME: at("laptops", name), XDG_CONFIG_HOME: at("no-config") });

const made = (output: string, words: string[] = [], ago = 0) =>
  mustAt(
    { SOURCE_DATE_EPOCH: `${now - ago}` },
    ...["bundle", "make", at(output), "--director", at("director"), "--images", at("images")],
    ...["--name", "spring", "-k", keys.offline, ...words],
  );

/** What a laptop says of a bundle: `done`, or the code of its error and its exit status. Its audit log says which check refused. */
async function verdict(name: string, bundle: string, ...words: string[]): Promise<string> {
  const log = at("logs", name);
  const { status, value } = await json(["bundle", "verify", at(bundle), ...roots, ...words], {
    env: { ...laptop(name), BOOTPROOF_LOG_FOLDER: log },
  });
  const { error } = value as { error?: { code: string } };
  if (!error) return "done";
  expect(await lastRefusal(log)).toMatchObject({ rule: `source/${error.code}`, result: "refused" });
  return `${error.code} ${status}`;
}

async function lastRefusal(folder: string): Promise<LogEvent | undefined> {
  const log = new AuditLog({ folder });
  const { size } = (await log.checkpoint(log.newest())).checkpoint;
  return [...log.events(log.newest(), size)].findLast(({ type }) => type === "refusal");
}

beforeAll(async () => {
  await ensureBuilt();
  await must("keys", "public", keys.vendor, publicKey);
  for (const [file, version, counter] of [
    ["old.bin", "2.0.0", 2],
    ["new.bin", "2.1.0", 2],
  ] as const)
    await must(...signWords("good-b", at(file), version, counter));
  writeFileSync(at("notes.txt"), "what is new\n");
  await must("tuf", "init", at("images"), "--key", keys.vendor);
  const image = (path: string, release: string) => [
    "--path",
    path,
    "--hardware",
    "hw-a",
    "--release-counter",
    release,
  ];
  await must("tuf", "add", at("images"), at("old.bin"), ...image("app/old.bin", "1"));
  await must("tuf", "add", at("images"), at("new.bin"), ...image("app/new.bin", "2"));
  await must("tuf", "add", at("images"), at("notes.txt"), "--path", "notes.txt");
  await must("tuf", "publish", at("images"), "-k", keys.vendor);
  await must("tuf", "init", at("director"), "--key", keys.director, "--offline-key", keys.offline);
  await must("tuf", "publish", at("director"), "-k", keys.director);
  await made("first.bundle", ["--target", "hw-a=app/old.bin"], 3 * DAY);
  await made("second.bundle", ["--target", "hw-a=app/new.bin", "--artifact", "notes.txt"], 2 * DAY);
  await made("third", ["--target", "hw-a=app/new.bin"]);
});

describe("a bundle", () => {
  it("is verified without a network, and its files come out", async () => {
    const env = laptop("a");
    const { status, value, stderr } = await json(
      ["bundle", "verify", at("second.bundle"), ...roots, "--extract", at("out")],
      { env },
    );
    expect(status, stderr).toBe(0);
    expect(value).toMatchObject({
      name: "spring",
      version: 2,
      snapshotVersion: 2,
      images: [{ target: "app/new.bin", hardwareIds: ["hw-a"], releaseCounter: 2, role: "targets" }],
      artifacts: [{ target: "notes.txt", role: "targets" }],
    });
    expect(readFileSync(at("out/app/new.bin"))).toEqual(readFileSync(at("new.bin")));
    expect(existsSync(at("out/notes.txt"))).toBe(true);
    // From then on it is trusted without being told, and may come as a folder.
    const again = await bootproof(["bundle", "verify", at("third")], { env });
    expect(again.status, again.stderr).toBe(0);
  });

  it("is laid out as PURE-2 has it", () => {
    expect(readdirSync(at("third/metadata/director")).sort()).toEqual([
      "1.root.json",
      "Offline-update-snapshot.json",
      "spring.json",
    ]);
    expect(readdirSync(at("third/metadata/image-repo")).sort()).toEqual([
      "1.root.json",
      "snapshot.json",
      "targets.json",
    ]);
    const inFile = readTar(new Uint8Array(readFileSync(at("first.bundle")))).map(({ name }) => name);
    expect(inFile).toContain("images/app/old.bin");
  });

  it("of a Director that nobody trusts is not taken", async () => {
    const { status, stderr } = await bootproof(["bundle", "verify", at("third")], { env: laptop("new") });
    expect(status).toBe(56);
    expect(stderr).toContain("--director-root FILE");
  });

  it("flashes a board, whose ratchet then holds on any laptop that imports it", async () => {
    const env = laptop("b");
    const board = `wasm:good?flash=${at("board.flash")}`;
    const words = (bundle: string, ...more: string[]) => [
      ...["bundle", "flash", at(bundle), "--hardware", "hw-a", "--key", publicKey, "-d", board],
      ...["--soak", "0", ...more],
    ];
    const { status, value, stderr } = await json(words("second.bundle", ...roots), { env });
    expect(status, stderr).toBe(0);
    expect(value).toMatchObject({
      outcome: "confirmed",
      source: { kind: "offline-bundle", release: { release: 2 } },
    });
    // Another laptop has seen neither bundle: the older one is good there, but not for this board.
    const other = laptop("c");
    await bootproof(["ratchet", "export", "-o", at("ratchet.json")], { env });
    await bootproof(["ratchet", "import", at("ratchet.json")], { env: other });
    const old = await bootproof(words("first.bundle", ...roots), { env: other });
    expect(old.status, old.stderr).toBe(46);
    expect(old.stderr).toContain("release 2");
    const fresh = await bootproof(
      [
        "bundle",
        "flash",
        at("first.bundle"),
        "--hardware",
        "hw-a",
        "--key",
        publicKey,
        "-d",
        "wasm:good",
        "--dry-run",
      ],
      { env: other },
    );
    expect(fresh.status, fresh.stderr).toBe(0);
  });
});

it("updates the boards of a board file together, each by what it is", async () => {
  const file = (name: string, right: string) => {
    writeFileSync(
      at(name),
      `boards:
  - { name: left, kind: wasm, flash: l.flash, ecu: { serial: L, hardware: hw-a } }
  - { name: right, kind: wasm, flash: r.flash, ecu: { serial: R, hardware: ${right} } }
`,
    );
    return at(name);
  };
  const env = laptop("rack");
  const flash = (boards: string) =>
    bootproof(
      ["bundle", "flash", at("third"), ...roots, "--boards", boards, "--key", publicKey, "--soak", "0"],
      { env },
    );
  const strange = await flash(file("strange.yaml", "hw-b"));
  expect(strange.status).toBe(58);
  expect(strange.stderr).toContain("nothing for right, which is hw-b; it is for hw-a");
  const run = await flash(file("rack.yaml", "hw-a"));
  expect(run.status, run.stderr).toBe(0);
  expect(run.stdout).toMatch(/left +confirmed +2\.1\.0[\s\S]*right +confirmed +2\.1\.0/);
  const unmade = await bootproof(
    [
      ...["bundle", "make", at("unmade.bundle"), "--director", at("director"), "--images", at("images")],
      ...[
        "--name",
        "rack",
        "--target",
        "hw-a=app/new.bin",
        "--boards",
        at("strange.yaml"),
        "-k",
        keys.offline,
      ],
    ],
    { env },
  );
  expect(unmade).toMatchObject({ status: 2, stderr: expect.stringContaining("right is hw-b") });
});

describe("in Uptane's words", () => {
  it("rollback: an old bundle that is used again is refused, by whoever has seen a newer one", async () => {
    expect(await verdict("d", "first.bundle")).toBe("done");
    expect(await verdict("d", "second.bundle")).toBe("done");
    expect(await verdict("d", "first.bundle")).toBe("rollback 52");
  });

  it("freeze: a bundle that has expired is refused, on a laptop that has seen nothing else too", async () => {
    await made("expired.bundle", ["--target", "hw-a=app/new.bin", "--days", "1"], 2 * DAY);
    expect(await verdict("e", "expired.bundle")).toBe("freeze 53");
  });

  it("mixed bundle: directions of one and images of another are refused", async () => {
    cpSync(at("third"), at("mixed"), { recursive: true });
    await must("tuf", "init", at("others"), "--key", keys.vendor);
    await must("tuf", "add", at("others"), at("notes.txt"), "--path", "app/other.bin");
    await must("tuf", "publish", at("others"), "-k", keys.vendor);
    for (const name of ["snapshot", "targets"])
      cpSync(at(`others/metadata/1.${name}.json`), at(`mixed/metadata/image-repo/${name}.json`));
    expect(await verdict("f", "mixed")).toBe("mixed-bundle 54");
  });

  it("mix-and-match: metadata of different versions is refused", async () => {
    cpSync(at("third"), at("matched"), { recursive: true });
    const old = readTar(new Uint8Array(readFileSync(at("second.bundle"))));
    const file = old.find(({ name }) => name.endsWith("director/Offline-update-snapshot.json"))!;
    writeFileSync(at("matched/metadata/director/Offline-update-snapshot.json"), file.bytes);
    expect(await verdict("g", "matched")).toBe("mix-and-match 54");
  });

  it.each([
    "metadata/director/Offline-update-snapshot.json",
    "metadata/director/spring.json",
    "metadata/image-repo/1.root.json",
    "metadata/image-repo/snapshot.json",
    "metadata/image-repo/targets.json",
    "images/app/new.bin",
  ])("partial bundle: without %s it is refused", async (path) => {
    const name = `without-${path.replace(/\W/g, "-")}.bundle`;
    const files = readTar(new Uint8Array(readFileSync(at("second.bundle"))));
    expect(files.some((file) => file.name === path)).toBe(true);
    writeFileSync(at(name), writeTar(files.filter((file) => file.name !== path)));
    expect(await verdict(name, name)).toBe("partial-bundle 54");
  });

  it("partial bundle: a file that is cut short is refused", async () => {
    writeFileSync(at("cut.bundle"), readFileSync(at("second.bundle")).subarray(0, 20_000));
    expect(await verdict("h", "cut.bundle")).toBe("partial-bundle 54");
  });

  it("arbitrary software: other bytes, and files that nobody lists, are refused", async () => {
    cpSync(at("third"), at("other-bytes"), { recursive: true });
    const image = readFileSync(at("new.bin"));
    image[0x1000]! ^= 1;
    writeFileSync(at("other-bytes/images/app/new.bin"), image);
    expect(await verdict("i", "other-bytes")).toBe("arbitrary-software 51");
    cpSync(at("third"), at("stowaway"), { recursive: true });
    writeFileSync(at("stowaway/images/app/stowaway.bin"), image);
    expect(await verdict("i", "stowaway")).toBe("mixed-bundle 54");
  });

  it("endless data: metadata longer than any is refused", async () => {
    cpSync(at("third"), at("endless"), { recursive: true });
    writeFileSync(at("endless/metadata/director/spring.json"), Buffer.alloc(70_000, " "));
    expect(await verdict("j", "endless")).toBe("endless-data 50");
  });

  it("a bundle for other hardware is refused", async () => {
    const words = ["--hardware", "hw-b", "--key", publicKey, "-d", "wasm:good"];
    const { status, stderr } = await bootproof(["bundle", "flash", at("third"), ...roots, ...words], {
      env: laptop("k"),
    });
    expect(status).toBe(58);
    expect(stderr).toContain("nothing for the hardware hw-b; it is for hw-a");
  });
});

it("the help topic names each attack, and a test here does", () => {
  const [topic, own] = ["../../src/topics/bundles.md", "bundle-verbs.test.ts"].map((name) =>
    readFileSync(new URL(name, import.meta.url), "utf8"),
  ) as [string, string];
  const attacks = [...topic.matchAll(/^\| ([a-z -]+) \| `([a-z-]+)`/gm)].map(([, attack, code]) => [
    attack!,
    code!,
  ]);
  expect(attacks.length).toBe(8);
  for (const [attack, code] of attacks) {
    if (attack !== "wrong hardware") expect(own).toContain(`${attack}: `);
    expect(own, code).toMatch(new RegExp(`"${code} |other hardware is refused`));
  }
});

describe("a plain TUF folder", () => {
  it("is not a bundle, and is taken with a warning only", async () => {
    const { status, stderr } = await bootproof(["bundle", "verify", at("images")], { env: laptop("l") });
    expect(status).toBe(22);
    expect(stderr).toContain("plain TUF repository");
    const env = laptop("l");
    await bootproof(["tuf", "trust", at("images"), at("images/metadata/1.root.json")], { env });
    const refreshed = await bootproof(["tuf", "refresh", at("images")], { env });
    expect(refreshed.status, refreshed.stderr).toBe(0);
    expect(refreshed.stderr).toMatch(/WARNING.*carried offline.*freeze.*old image/i);
  });
});

describe("what is newer counts", () => {
  it("an update that is still the current one passes, though its snapshot is older than the one known here", async () => {
    await made("current", ["--target", "hw-a=app/new.bin"]);
    await made("autumn", ["--name", "autumn", "--target", "hw-a=app/old.bin"]);
    const env = laptop("m");
    const [known, old] = [
      await json(["bundle", "verify", at("autumn"), ...roots], { env }),
      await json(["bundle", "verify", at("current")], { env }),
    ];
    expect([known.status, old.status], old.stderr).toEqual([0, 0]);
    expect(old.value.newerHere).toEqual([expect.stringContaining("Offline-update-snapshot")]);
  });

  it("an image that the Image repository has replaced meanwhile is refused where that is known", async () => {
    const env = laptop("n");
    const images = ["--images", at("images")];
    await runOnce(["tuf", "trust", at("images"), at("images/metadata/1.root.json")], { env });
    expect((await runOnce(["bundle", "verify", at("third"), ...roots, ...images], { env })).status).toBe(0);
    await must("tuf", "add", at("images"), at("old.bin"), "--path", "app/new.bin", "--hardware", "hw-a");
    await must("tuf", "publish", at("images"), "-k", keys.vendor);
    await runOnce(["tuf", "refresh", at("images")], { env });
    const { status, stderr } = await bootproof(["bundle", "verify", at("third"), ...images], { env });
    expect(status, stderr).toBe(52);
    expect(stderr).toContain("snapshot 2 of the Image repository (carried: 1)");
  });
});

describe("whoever makes a bundle", () => {
  it("has its keys sign where they are, and gets the bundle with the last signature", async () => {
    const words = [
      ...["bundle", "make", at("ceremony.bundle"), "--director", at("director"), "--images", at("images")],
      ...["--name", "ceremony", "--target", "hw-a=app/old.bin"],
    ];
    const env = laptop("maker");
    const asked = await bootproof([...words, "--request", at("to-sign")], { env });
    expect(asked.status, asked.stderr).toBe(57);
    const requests = readdirSync(at("to-sign")).sort();
    expect(requests).toEqual([
      expect.stringMatching(/^Offline-update-snapshot-\d+\.request\.json$/),
      "Offline-update-targets-1.request.json",
    ]);
    const attach: string[] = [];
    for (const [index, request] of requests.entries()) {
      const response = at(`response-${index}.json`);
      await must("tuf", "sign", at("to-sign", request), response, "-k", keys.offline, "-y");
      attach.push("--attach", response);
    }
    const half = await bootproof([...words, ...attach.slice(0, 2)], { env });
    expect(half.status, half.stderr).toBe(57);
    const other = words.map((word) => (word === "hw-a=app/old.bin" ? "hw-a=notes.txt" : word));
    expect((await bootproof([...other, ...attach], { env })).status).toBe(51);
    expect(existsSync(at("ceremony.bundle"))).toBe(false);
    const done = await bootproof([...words, ...attach], { env });
    expect(done.status, done.stderr).toBe(0);
    expect(existsSync(at("director/waiting"))).toBe(false);
    expect(await verdict("ceremony", "ceremony.bundle")).toBe("done");
  });

  it("is stopped from what no laptop would accept", async () => {
    const words = (...more: string[]) => [
      ...["bundle", "make", at("never.bundle"), "--director", at("director"), "--images", at("images")],
      ...["--name", "spring", ...more],
    ];
    const refused = async (...more: string[]) => {
      const { status, stderr } = await bootproof(words(...more), { env: laptop("maker") });
      expect(existsSync(at("never.bundle"))).toBe(false);
      return { status, stderr };
    };
    expect(await refused("--target", "hw-b=app/new.bin", "-k", keys.offline)).toMatchObject({ status: 58 });
    expect(await refused("--target", "hw-a=app/none.bin", "-k", keys.offline)).toMatchObject({ status: 55 });
    expect(await refused("--target", "hw-a=app/new.bin", "-k", keys.director)).toMatchObject({ status: 57 });
    const twice = ["--target", "hw-a=app/new.bin", "--target", "hw-a=app/old.bin"];
    expect(await refused(...twice, "-k", keys.offline)).toMatchObject({ status: 58 });
    expect(await refused("--target", "hw-a", "-k", keys.offline)).toMatchObject({ status: 2 });
  });
});

describe("a rotation of an offline role", () => {
  const role = "Offline-update-targets";
  it("is rehearsed without a real key and without writing anything, then made", async () => {
    const env = laptop("rotated");
    const own = keyFile("foreign-ed25519");
    const shown = JSON.parse(await must("tuf", "key", at("director"), role, "--json"));
    const words = ["tuf", "rotate", at("director"), role, "--remove", shown.keys[0].id, "--add", own];
    const before = readdirSync(at("director"), { recursive: true });
    const { outcomes } = JSON.parse(await must(...words, "--rehearse", "--json"));
    expect(
      outcomes.map((one: Record<string, unknown>) => [one.client, one.accepted, one.wanted, one.step ?? "-"]),
    ).toEqual([
      ["a laptop that knows the last bundle", true, true, "-"],
      ["a laptop that begins with root 1", true, true, "-"],
      ["a laptop after the rotation", true, true, "-"],
      ["a laptop after the rotation", false, false, "PURE-2 4.2"],
      ["a laptop after the rotation", false, false, "PURE-2 4.2"],
      // Where no newer bundle arrives, the removed key still counts: the window is shown.
      ["a laptop that is kept from new bundles", true, false, "-"],
    ]);
    expect(outcomes[5].outcome).toMatch(/until the old root expires at \d{4}-/);
    expect(readdirSync(at("director"), { recursive: true })).toEqual(before);

    await made("by-old", ["--name", "summer", "--target", "hw-a=app/old.bin"]);
    await must(...words);
    await must("tuf", "publish", at("director"), "-k", keys.director);
    await made("by-new", ["--name", "summer", "--target", "hw-a=app/old.bin", "-k", own]);
    const verify = (bundle: string) => runOnce(["bundle", "verify", at(bundle), ...roots], { env });
    expect((await verify("by-new")).status).toBe(0);
    expect((await verify("by-old")).status).toBe(52);
  });

  it("of the snapshot shows that its removed key lists nothing any more", async () => {
    const snapshot = "Offline-update-snapshot";
    const shown = JSON.parse(await must("tuf", "key", at("director"), snapshot, "--json"));
    const words = ["--remove", shown.keys[0].id, "--add", keys.vendor, "--rehearse", "--json"];
    const { outcomes } = JSON.parse(await must("tuf", "rotate", at("director"), snapshot, ...words));
    expect(outcomes.map(({ step }: { step?: string }) => step ?? "-")).toEqual([
      ...["-", "-", "-", "PURE-2 3.2", "PURE-2 3.2", "-"],
    ]);
  });
});
