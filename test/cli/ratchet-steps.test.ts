import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, json, keyFile, signWords, start, tempFolder } from "../support/cli-run.js";

beforeAll(ensureBuilt);

/** A board without stored counter on which this host has confirmed counter 7, and an older signed image. */
async function workspace() {
  const folder = tempFolder();
  const at = (name: string) => join(folder, name);
  const env = { XDG_STATE_HOME: at("state") };
  const run = (...words: string[]) => bootproof(words, { env });
  const publicKey = at("public.pem");
  await run("keys", "public", keyFile("ed25519-1"), publicKey);
  const newer = at("newer.bin");
  const older = at("older.bin");
  await run(...signWords("good-b", newer, "2.0.0", 7));
  await run(...signWords("good-a", older, "2.1.0", 3));
  const device = `wasm:no-counter?flash=${at("flash.bin")}`;
  const on = ["-d", device];
  const flash = (file: string, ...more: string[]) =>
    run("flash", file, "--key", publicKey, ...on, "--soak", "0", ...more);
  expect((await flash(newer)).status).toBe(0);
  const board = Object.keys((await json(["ratchet", "show"], { env })).value)[0]!;
  return { at, env, run, publicKey, newer, older, device, on, flash, board };
}

describe("what this host remembers", () => {
  it("stops single steps and raw ones: upload, test, confirm", async () => {
    const { run, older, newer, on, env } = await workspace();
    const message =
      /This host confirmed counter 7 \(version 2\.0\.0\).*the image has counter 3.*\n.*--skip ratchet/;
    expect(await run("image", "upload", older, ...on)).toMatchObject({ status: 46, stderr: message });
    expect((await run("image", "upload", older, ...on, "--skip", "signature")).status).toBe(2);
    expect(await run("image", "upload", older, ...on, "--skip", "ratchet")).toMatchObject({ status: 0 });
    const before = (await json(["image", "list", ...on], { env })).value;
    const { slots } = (before.images as { slots: { content?: { hash: string } }[] }[])[0]!;
    const hash = slots[1]!.content!.hash;
    for (const what of [older, hash])
      expect(await run("image", "test", what, ...on)).toMatchObject({ status: 46, stderr: message });
    expect((await run("image", "confirm", older, ...on)).status).toBe(46);
    const raw = ["raw", "1", "0", "write", `{"hash": {"hex": "${hash}"}, "confirm": true}`, ...on];
    expect(await run(...raw)).toMatchObject({ status: 46, stderr: message });
    // A byte behind the map: the board may overlook it.
    const hex = `a264686173685820${hash}67636f6e6669726df500`;
    const strange = await run("raw", "1", "0", "write", "--hex", hex, ...on);
    expect(strange).toMatchObject({ status: 2, stderr: /cannot be checked/ });
    const listed = await json(["image", "list", ...on], { env });
    expect(JSON.stringify(listed.value)).not.toContain('"pending":true');

    // The running image is the one that was confirmed: nothing is in the way of saying so again.
    expect(await run("image", "confirm", ...on)).toMatchObject({ status: 0 });
    expect((await run("image", "test", older, ...on, "--skip", "ratchet")).status).toBe(0);
    expect(newer).toBeDefined();
  });

  it("stops a plug-in's mark", async () => {
    const { at, run, older, on, env } = await workspace();
    const plugin = at("mark.mjs");
    writeFileSync(
      plugin,
      `export default ({ command, bytes, optional, bool, anything }) => ({ name: "slots", commands: [command({
        name: "slots mark", does: "mark", group: 1, id: 0, op: "write",
        request: { hash: optional(bytes()), confirm: optional(bool) }, response: { images: anything },
      })] });\n`,
    );
    expect((await run("image", "upload", older, ...on, "--skip", "ratchet")).status).toBe(0);
    const listed = (await json(["image", "list", ...on], { env })).value;
    const { slots } = (listed.images as { slots: { content?: { hash: string } }[] }[])[0]!;
    const mark = ["--plugin", plugin, "slots", "mark", "--hash", slots[1]!.content!.hash, ...on];
    const message = /This host confirmed counter 7/;
    expect(await run(...mark)).toMatchObject({ status: 46, stderr: message });
    expect(await run(...mark, "--skip", "ratchet")).toMatchObject({ status: 0 });
    const refusals = (await json(["log", "show", "--type", "refusal"], { env })).value;
    expect(refusals).toMatchObject([{ rule: "ratchet", image: { counter: 3 } }]);
  });

  it("asks the policy of single steps too, whoever names it", async () => {
    const { at, run, newer, publicKey, env, on } = await workspace();
    const policy = at("policy.yaml");
    writeFileSync(policy, "version: 1\nlevel: bench\nsettings: { counterFloor: 8 }\n");
    const strict = (...words: string[]) => bootproof(words, { env: { ...env, BOOTPROOF_POLICY: policy } });
    const next = at("next.bin");
    await run(...signWords("good-a", next, "3.0.0", 9));
    const floor = /rule "counter-floor" refuses it: Security counter 7 is below the 8/;
    expect(await strict("image", "upload", newer, "--key", publicKey, ...on)).toMatchObject({
      status: 48,
      stderr: floor,
    });
    // Without a key nothing is known of who signed it.
    expect(await strict("image", "upload", next, ...on)).toMatchObject({
      status: 48,
      stderr: /rule "signature" refuses it/,
    });
    expect((await strict("image", "upload", next, "--key", publicKey, ...on)).status).toBe(0);
    expect((await strict("image", "test", next, "--key", publicKey, ...on)).status).toBe(0);
    writeFileSync(policy, "version: 1\nlevel: bench\nrules: { health: refuse }\n");
    expect(await strict("image", "confirm", next, "--key", publicKey, ...on)).toMatchObject({
      status: 48,
      stderr: /rule "health" refuses it[\s\S]*bootproof flash checks the board's health/,
    });
  });

  it("remembers what image confirm confirmed, intent first", async () => {
    const { run, at, on, board, env, flash } = await workspace();
    const next = at("next.bin");
    await run(...signWords("good-a", next, "3.0.0", 9));
    expect((await flash(next, "--no-confirm")).status).toBe(0);
    const known = async () =>
      (await json(["ratchet", "show", board], { env })).value[board] as {
        images: { 0: { counter: { counter: number } } };
      };
    expect((await known()).images[0].counter.counter).toBe(7);
    // The trial is over when the emulated board is switched off: it is marked to stay from the first.
    expect((await run("image", "upload", next, ...on)).status).toBe(0);
    expect((await run("image", "confirm", next, ...on)).status).toBe(0);
    expect((await known()).images[0].counter.counter).toBe(9);
    const events = (await json(["log", "show", "--board", board], { env })).value as unknown as {
      type: string;
    }[];
    const types = events.map(({ type }) => type);
    expect(types.slice(types.lastIndexOf("ratchet.intent"))).toEqual(
      expect.arrayContaining(["ratchet.intent", "confirm", "ratchet.advance"]),
    );
  });

  it("stops recover, before anything is done to the board", async () => {
    const { run, older, newer, publicKey, on, env } = await workspace();
    const recover = (file: string) =>
      run("recover", file, "--key", publicKey, ...on, "--yes", "--although-alive");
    expect(await recover(older)).toMatchObject({
      status: 46,
      stdout: /refused-by-preflight.*confirmed counter 7/,
    });
    expect(await recover(newer)).toMatchObject({ status: 0 });
    const events = (await json(["log", "show"], { env })).value as unknown as { type: string }[];
    expect(events.filter(({ type }) => type === "plan" || type === "install")).toMatchObject([
      { type: "install", detail: { outcome: "confirmed" } },
      { type: "plan", detail: { method: expect.any(String) } },
      { type: "install", result: "ok", image: { counter: 7 }, detail: { outcome: "recovered" } },
    ]);
  });
});

it("the policy names who may break the glass", async () => {
  const { run, at, older, board, env } = await workspace();
  const glass = at("glass.pem");
  await run("keys", "public", keyFile("p256-1"), glass);
  const { keyHash } = (await json(["keys", "show", glass])).value as { keyHash: string };
  const permission = at("permission");
  const words = ["ratchet", "permit", "--board", board, "--image", older, "-k", keyFile("p256-1")];
  await run(...words, "--reason", "bisecting", "-o", permission);
  const policy = (hash: string) => {
    const file = at(`${hash.slice(0, 4)}.yaml`);
    writeFileSync(file, `version: 1\nlevel: bench\nsettings: { breakGlassKeys: ["${hash}"] }\n`);
    return file;
  };
  const allow = (file: string) => run("ratchet", "allow", permission, "--key", glass, "--policy", file);
  expect(await allow(policy("00".repeat(16)))).toMatchObject({ status: 48, stderr: /breakGlassKeys/ });
  expect((await allow(policy(keyHash))).status).toBe(0);
  const events = (await json(["log", "show", "--type", "ratchet.change"], { env }))
    .value as unknown as object[];
  expect(events).toMatchObject([{ board: { id: board }, detail: { reason: "bisecting", keyHash } }]);
});

it("an application that confirms itself early is flagged, and refused where the policy wants the host to confirm", async () => {
  const { run, at, publicKey } = await workspace();
  const image = at("self.bin");
  await run(...signWords("self-confirm", image, "4.0.0", 9));
  const flash = (name: string, ...more: string[]) =>
    json(["flash", image, "--key", publicKey, "-d", `wasm:good?flash=${at(name)}`, "--soak", "0", ...more]);
  expect(await flash("one.bin")).toMatchObject({
    status: 0,
    value: {
      outcome: "confirmed",
      selfConfirmed: true,
      hint: expect.stringContaining("Let the host confirm"),
    },
  });
  const policy = at("policy.yaml");
  writeFileSync(policy, "version: 1\nlevel: bench\nrules: { host-confirms: refuse }\n");
  expect(await flash("two.bin", "--policy", policy)).toMatchObject({
    status: 48,
    value: { selfConfirmed: true, refusedBy: "policy/host-confirms" },
  });
});

it("a board on a network is known by what it tells of itself, where the config file says how to ask", async () => {
  const { run, at, newer, older, publicKey, env } = await workspace();
  const running = start(["board", "wasm:no-counter", "--flash", at("other.bin")], { env });
  const [, port] = await running.waitFor(/tcp:127\.0\.0\.1:(\d+)/);
  const config = at("config");
  const boards = (identity: object) => ({ rack: { address: `tcp:127.0.0.1:${port}`, identity } });
  const write = (identity: object) => {
    writeFileSync(join(config, ".bootproof.json"), JSON.stringify({ boards: boards(identity) }));
    return bootproof(["allow"], { env, cwd: config });
  };
  await run("shims", config);
  const flash = (file: string) =>
    bootproof(["flash", file, "--key", publicKey, "-d", "rack", "--soak", "0"], { env, cwd: config });
  writeFileSync(
    join(config, ".bootproof.json"),
    JSON.stringify({ boards: boards({ setting: "id/serial" }) }),
  );
  expect(await bootproof(["info", "-d", "rack"], { env, cwd: config })).toMatchObject({
    status: 0,
    stderr: /left out of it: identity of "rack"/,
  });
  expect((await write({ setting: "id/serial" })).status).toBe(0);
  expect((await flash(newer)).status).toBe(0);
  expect(Object.keys((await json(["ratchet", "show"], { env })).value)).toContain("smp-0001");
  expect(await flash(older)).toMatchObject({ status: 46, stdout: /confirmed counter 7/ });
  expect((await write({ shell: "echo ID: 0x5fe3c0ffee" })).status).toBe(0);
  expect((await flash(newer)).status).toBe(0);
  expect(Object.keys((await json(["ratchet", "show"], { env })).value)).toContain("smp-0x5fe3c0ffee");
  expect((await write({ setting: "no/such" })).status).toBe(0);
  expect(await flash(newer)).toMatchObject({
    status: 0,
    stderr: /does not report its identity \(the setting no\/such\)/,
  });
  expect(await write({ tarot: "x" })).toMatchObject({
    status: 2,
    stderr: /nothing that identifies a board/,
  });
  expect(readFileSync(join(config, ".bootproof.json"), "utf8")).toContain("tarot");
});

/** A board that goes on running, which tells its identity to whoever reads this folder's config file. */
async function rack() {
  const { at, run, newer, older, env } = await workspace();
  const running = start(["board", "wasm:no-counter", "--flash", at("other.bin")], { env });
  const [, tcp] = await running.waitFor(/tcp:127\.0\.0\.1:(\d+)/);
  const cwd = at("config");
  await run("shims", cwd);
  const name = async (address: string) => {
    const boards = { rack: { address, identity: { setting: "id/serial" } } };
    writeFileSync(join(cwd, ".bootproof.json"), JSON.stringify({ boards }));
    expect((await bootproof(["allow"], { env, cwd })).status).toBe(0);
  };
  const inFolder = (...words: string[]) => bootproof(words, { env, cwd });
  const hashOf = async (file: string) =>
    ((await json(["inspect", file])).value.imageHash as { value: string }).value;
  const events = async (...words: string[]) =>
    (await json(["log", "show", ...words], { env })).value as unknown as {
      type: string;
      rule?: string;
      detail?: { client?: string };
    }[];
  return { tcp: `tcp:127.0.0.1:${tcp}`, at, env, cwd, name, inFolder, run, newer, older, hashOf, events };
}

it("mcumgr's commands are asked and logged as our own verbs are", async () => {
  const { tcp, name, inFolder, newer, older, hashOf, events, env } = await rack();
  // mcumgr knows no TCP; its bridge knows nothing of the board's identity.
  const bridge = start(["bridge", "-d", tcp, "--port", "0"], { env });
  const [, port] = await bridge.waitFor(/is at udp:\S+:(\d+) and tcp:/);
  await name(`udp:127.0.0.1:${port}`);
  const link = ["--conntype", "udp", "--connstring", `127.0.0.1:${port}`];
  const mcumgr = (...words: string[]) => inFolder("mcumgr", ...link, ...words);
  expect(await mcumgr("image", "upload", newer)).toMatchObject({ status: 0, stdout: /Done/ });
  expect(await mcumgr("image", "confirm", await hashOf(newer))).toMatchObject({ status: 0 });
  expect((await json(["ratchet", "show"], { env })).value["smp-0001"]).toMatchObject({
    images: { 0: { counter: { counter: 7 } } },
  });
  expect((await mcumgr("reset")).status).toBe(0);
  const message = /confirmed counter 7/;
  expect(await mcumgr("image", "upload", older)).toMatchObject({ status: 46, stderr: message });
  // Somebody else's program sends and marks it; the restart into it is refused.
  const elsewhere = (...words: string[]) =>
    bootproof([...words, "-d", `tcp:127.0.0.1:${port}`, "--no-log"], { env });
  expect((await elsewhere("image", "upload", older)).status).toBe(0);
  const hash = await hashOf(older);
  expect(await mcumgr("image", "test", hash)).toMatchObject({ status: 46, stderr: message });
  expect((await elsewhere("image", "test", hash)).status).toBe(0);
  expect(await mcumgr("reset")).toMatchObject({ status: 46, stderr: message });
  expect(await inFolder("reset", "-d", "rack")).toMatchObject({ status: 46, stderr: message });
  expect((await inFolder("reset", "-d", "rack", "--skip", "ratchet")).status).toBe(0);
  const told = await events("--board", "smp-0001");
  expect(told.map(({ type }) => type)).toEqual(
    expect.arrayContaining(["upload.done", "ratchet.intent", "confirm", "ratchet.advance", "reset"]),
  );
  expect(told.filter(({ type }) => type === "refusal").map(({ rule }) => rule)).toEqual(
    Array(4).fill("ratchet"),
  );
});

it("a bridge asks before a client's request reaches the board, and logs what clients change", async () => {
  const { tcp, name, env, cwd, newer, older, hashOf, events } = await rack();
  await name(tcp);
  const bridge = start(["bridge", "-d", "rack", "--port", "0"], { env, cwd });
  const [, port] = await bridge.waitFor(/is at udp:\S+:(\d+) and tcp:/);
  // The client keeps no memory and no log of its own.
  const client = (...words: string[]) => bootproof([...words, "-d", `tcp:127.0.0.1:${port}`, "--no-log"], {});
  expect((await client("image", "upload", newer)).status).toBe(0);
  expect((await client("image", "confirm", newer)).status).toBe(0);
  const shown = (await json(["ratchet", "show"], { env })).value;
  expect(shown["smp-0001"]).toMatchObject({ images: { 0: { counter: { counter: 7 } } } });
  expect((await client("reset")).status).toBe(0);
  const denied = /The device refuses access[\s\S]*This host confirmed counter 7/;
  expect(await client("image", "upload", older)).toMatchObject({ status: 18, stderr: denied });
  expect(await client("image", "test", await hashOf(older))).toMatchObject({ status: 18 });
  bridge.child.kill("SIGTERM");
  await bridge.ended;
  const told = await events("--board", "smp-0001");
  expect(
    told.filter(({ detail }) => detail?.client?.startsWith("127.0.0.1:")).map(({ type }) => type),
  ).toEqual(expect.arrayContaining(["upload.start", "upload.done", "confirm", "reset"]));
  expect(told.filter(({ type }) => type === "refusal").map(({ rule }) => rule)).toEqual(["ratchet"]);
});
