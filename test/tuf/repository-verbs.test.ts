import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { orderOfVersions } from "../../src/cli/audit/ratchet-memory.js";
import { withConfirmed } from "../../src/trust/ratchet-changes.js";
import { AuditLog } from "../../src/trust-store/audit-log.js";
import { RatchetStore } from "../../src/trust-store/ratchet-store.js";
import { ensureBuilt, program } from "../support/cli-build.js";
import { keyFile, signWords } from "../support/cli-run.js";
import { JUDGES, type JudgeName, judgeTarget, tufJudge } from "../support/tuf-judges.js";

/** A repository made and maintained with the program's own verbs, read by clients that nobody here wrote. */

const folder = mkdtempSync(join(tmpdir(), "bootproof-tuf-verbs-"));
const repo = join(folder, "repo");
const root = join(repo, "metadata/1.root.json");
const at = (name: string) => join(folder, name);
const env = { XDG_STATE_HOME: at("state"), XDG_CONFIG_HOME: at("config") };
const keys = {
  root1: keyFile("ed25519-1"),
  root2: keyFile("ed25519-2"),
  targets: keyFile("rsa2048-1"),
  online: keyFile("p256-1"),
  app: at("app.pem"),
  new: at("new.pem"),
};
let url: string;
/** Files that the server gives in place of the repository's. */
const instead = new Map<string, string>();

const server = createServer((request, response) => {
  const path = decodeURIComponent(request.url ?? "/");
  try {
    response.end(instead.get(path) ?? readFileSync(join(repo, path)));
  } catch {
    // Not in the repository.
    response.writeHead(404).end();
  }
});

/** Runs the program to its end; the test's own server answers it meanwhile. */
function bootproof(words: readonly string[], { env: more }: { env?: Record<string, string> } = {}) {
  const child = spawn(process.execPath, [program, ...words], {
    env: { PATH: process.env.PATH, HOME: folder, ...env, ...more },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
    });
  return new Promise<{ status: number | null; stdout: string; stderr: string }>((resolve) =>
    child.once("close", (status) => resolve({ status, ...said })),
  );
}

/** Runs a verb that must succeed. */
async function tuf(...words: string[]): Promise<string> {
  const { status, stdout, stderr } = await bootproof(["tuf", ...words], { env });
  if (status !== 0) throw new Error(`tuf ${words.join(" ")} ended with ${status}: ${stderr}`);
  return stdout;
}

async function tufJson(...words: string[]) {
  return JSON.parse(await tuf(...words, "--json")) as Record<string, unknown>;
}

const refused = async (...words: string[]) => {
  const { status, stdout, stderr } = await bootproof(["tuf", ...words], { env });
  expect(stdout).toBe("");
  return { status, stderr };
};

beforeAll(async () => {
  await ensureBuilt();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  mkdirSync(at("config"));
  for (const [name, type] of [
    ["app", "ecdsa-p256"],
    ["new", "ed25519"],
    ["p384", "ecdsa-p384"],
  ] as const)
    await bootproof(["keys", "generate", "-t", type, at(`${name}.pem`)]);
  await bootproof(signWords("good-b", at("update.bin"), "2.1.0", 5));
  writeFileSync(at("notes.txt"), "plain text\n");
  await tuf(
    ...["init", repo, "--root-key", keys.root1, "--root-key", keys.root2, "--threshold", "root=2"],
    ...["--targets-key", keys.targets, "--snapshot-key", keys.online, "--timestamp-key", keys.online],
  );
  await tuf(
    "add",
    repo,
    at("update.bin"),
    "--path",
    "boards/a/update.bin",
    "--hardware",
    "board-a",
    "--release-counter",
    "7",
  );
  await tuf("delegate", repo, "app", "--key", keys.app, "--path", "app/*", "--terminating");
  await tuf("add", repo, at("notes.txt"), "--path", "app/notes.txt", "--role", "app");
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("the ceremony", () => {
  it("publishes nothing while a signature is missing, and all of it with the last one", async () => {
    const online = ["-k", keys.root1, "-k", keys.online, "-k", keys.targets, "-k", keys.app];
    const { status, stderr } = await refused("publish", repo, ...online, "--request", at("requests"));
    expect(status).toBe(57);
    expect(stderr).toMatch(/Nothing was published: root needs 1 more of/);
    expect(readdirSync(join(repo, "metadata"))).toEqual([]);
    const request = at("requests/root-1.request.json");
    const shown = await bootproof(["tuf", "sign", request, at("response.json"), "-k", keys.root2, "--yes"], {
      env,
    });
    // Whoever signs sees all that is signed.
    expect(shown.stderr).toContain('"consistent_snapshot": true');
    expect(await tuf("publish", repo, "--attach", at("response.json"))).toMatch(/published .*root 1/);
    expect(readdirSync(join(repo, "metadata")).sort()).toEqual(
      ["1.app.json", "1.root.json", "1.snapshot.json", "1.targets.json", "timestamp.json"].sort(),
    );
    expect(readdirSync(join(repo, "staged"))).toEqual([]);
  });

  it("takes no response for something else, and no key that is not asked for", async () => {
    const { status } = await refused("publish", repo, "--attach", at("response.json"));
    // Nothing is staged that it could sign.
    expect(status).toBe(2);
    await tuf("key", repo, "root", "--threshold", "1");
    const late = await refused("publish", repo, "--attach", at("response.json"));
    expect(late.status).toBe(51);
    const request = at("requests/root-1.request.json");
    const stranger = await refused("sign", request, at("no.json"), "-k", keys.new, "--yes");
    expect(stranger.status).toBe(2);
    expect(stranger.stderr).toMatch(/is not for the key/);
    writeFileSync(request, readFileSync(request, "utf8").replace('"version": 1', '"version": 2'));
    expect((await refused("sign", request, at("no.json"), "-k", keys.root2, "--yes")).status).toBe(22);
    // The change of the threshold is signed by the two keys that count so far.
    await tuf("publish", repo, "-k", keys.root1, "-k", keys.root2);
  });
});

describe("the user", () => {
  it("trusts a root that is named, refreshes, and gets what was signed with what it says of itself", async () => {
    expect((await refused("refresh", url)).status).toBe(56);
    expect(await tufJson("trust", url, root)).toMatchObject({ version: 1, threshold: 2 });
    const [refreshed] = (await tufJson("refresh", url)) as unknown as Record<string, unknown>[];
    expect(refreshed).toMatchObject({
      versions: { root: 2, timestamp: 1, snapshot: 1, targets: 1 },
      time: { source: "clock" },
    });
    const got = await tufJson("get", url, "boards/a/update.bin", at("got.bin"));
    expect(got).toMatchObject({
      role: "targets",
      wasThere: false,
      custom: { version: "2.1.0", securityCounter: 5, hardwareIds: ["board-a"], releaseCounter: 7 },
    });
    expect((got.custom as Record<string, string>).mcubootHash).toMatch(/^[0-9a-f]{64}$/);
    expect(readFileSync(at("got.bin"))).toEqual(readFileSync(at("update.bin")));
    expect(await tufJson("get", url, "app/notes.txt", at("notes.out"))).toMatchObject({ role: "app" });
    // What is there already is neither fetched nor replaced, and another file of that name is not replaced.
    expect(await tufJson("get", url, "app/notes.txt", at("notes.out"))).toMatchObject({ wasThere: true });
    writeFileSync(at("notes.out"), "mine\n");
    expect((await refused("get", url, "app/notes.txt", at("notes.out"))).status).toBe(20);
    expect(readFileSync(at("notes.out"), "utf8")).toBe("mine\n");
    expect((await refused("get", url, "nothing")).status).toBe(55);
  });

  it("names a repository in the config file, with its root, and takes a carried copy of it", async () => {
    mkdirSync(at("config/bootproof"), { recursive: true });
    const config = { tuf: { vendor: { from: url, root } } };
    writeFileSync(at("config/bootproof/config.json"), JSON.stringify(config));
    expect(await tuf("refresh")).toMatch(/^vendor: up to date: root 2/);
    // The stick: the same trust, another way to the files.
    expect(await tuf("refresh", "vendor", "--from", repo)).toMatch(/^vendor: up to date/);
    const status = await tufJson("status", "vendor");
    expect(status).toMatchObject({ targets: ["boards/a/update.bin"], delegations: ["app"] });
    writeFileSync(at("config/bootproof/config.json"), JSON.stringify({ tuf: { vendor: { url } } }));
    const wrong = await refused("refresh", "vendor");
    expect(wrong.status).toBe(2);
    expect(wrong.stderr).toMatch(/unknown field "tuf.vendor.url"/);
    rmSync(at("config/bootproof"), { recursive: true });
  });

  it("is warned of a clock that runs behind what an update has seen, and keeps to that time", async () => {
    const [store] = readdirSync(at("state/bootproof/tuf")).filter((name) => name !== "vendor");
    const latest = join(at("state/bootproof/tuf"), store!, "latest-time");
    const before = readFileSync(latest);
    writeFileSync(latest, "2099-01-01T00:00:00.000Z\n");
    const { status, stderr } = await refused("refresh", url);
    expect(status).toBe(53);
    expect(stderr).toMatch(/WARNING: This computer's clock is behind: by the metadata it is .*2099/);
    expect(stderr).toMatch(/expired at .*; it is 2099-01-01/);
    writeFileSync(latest, before);
    const [refreshed] = (await tufJson("refresh", url)) as unknown as { time: object }[];
    expect(refreshed!.time).toMatchObject({ source: "clock" });
  });

  it("keeps to the time of the last event of the audit log, and warns of a log that cannot be read", async () => {
    const folder = at("log");
    const time = { time: "2098-01-01T00:00:00.000Z", monotonicMs: 1, boot: "b" };
    await new AuditLog({ folder, clock: () => time }).append([
      { type: "command", job: "a job", tool: "a test" },
    ]);
    const logged = { env: { BOOTPROOF_LOG_FOLDER: folder } };
    const expired = await bootproof(["tuf", "refresh", url], logged);
    expect(expired.status).toBe(53);
    expect(expired.stderr).toMatch(/the audit log it is at least 2098/);
    const log = readdirSync(folder, { recursive: true, encoding: "utf8" }).find((name) =>
      /checkpoint$/.test(name),
    );
    writeFileSync(join(folder, log!), "not a checkpoint\n");
    const damaged = await bootproof(["tuf", "refresh", url], logged);
    expect(damaged.status).toBe(0);
    expect(damaged.stderr).toMatch(/WARNING: The audit log says nothing of the time/);
  });
});

it("the user keeps to the time of the ratchet's last confirmation", async () => {
  const folder = at("ratchet");
  const mark = { hash: "ab".repeat(32), version: "1.0.0", at: "2097-01-01T00:00:00.000Z" };
  await new RatchetStore({ folder }).change((state) =>
    withConfirmed(state, "usb-683001122", 0, mark, orderOfVersions),
  );
  const { status, stderr } = await bootproof(["tuf", "refresh", url], {
    env: { BOOTPROOF_RATCHET_FOLDER: folder },
  });
  expect(status).toBe(53);
  expect(stderr).toMatch(/the ratchet it is at least 2097/);
});

describe("the owner", () => {
  it("rehearses a rotation without a real key, then makes it", async () => {
    const shown = await tufJson("key", repo, "timestamp");
    const [{ id }] = shown.keys as [{ id: string }];
    const before = readdirSync(repo, { recursive: true });
    const words = ["rotate", repo, "timestamp", "--remove", id.slice(0, 8), "--add", keys.new];
    const { outcomes } = (await tufJson(...words, "--rehearse")) as { outcomes: Record<string, unknown>[] };
    expect(outcomes.map(({ accepted, wanted, step }) => [accepted, wanted, step ?? "-"])).toEqual([
      [true, true, "-"],
      [true, true, "-"],
      [true, true, "-"],
      [false, false, "5.4.2"],
      // Where the rotation does not arrive, the removed key still counts: the window is shown.
      [true, false, "-"],
    ]);
    expect(outcomes[4]!.outcome).toMatch(/until the old root expires at \d{4}-/);
    expect(readdirSync(repo, { recursive: true })).toEqual(before);
    await tuf(...words);
    await tuf("publish", repo, "-k", keys.root1, "-k", keys.new);
    const [refreshed] = (await tufJson("refresh", url)) as unknown as { versions: unknown }[];
    expect(refreshed!.versions).toMatchObject({ root: 3, timestamp: 2 });
  });

  it("signs again before something expires, and makes the same metadata from the same changes", async () => {
    expect(await tuf("resign", repo, "-k", keys.new)).toMatch(/published timestamp 3/);
    const unsigned = async (name: string) => {
      const target = at(name);
      const fixed = { env: { ...env, SOURCE_DATE_EPOCH: "1790000000" } };
      const one = ["--key", keys.root1];
      await bootproof(["tuf", "init", target, ...one], fixed);
      await bootproof(["tuf", "add", target, at("update.bin")], fixed);
      await bootproof(["tuf", "publish", target, ...one], fixed);
      return readdirSync(join(target, "metadata")).map((file) => {
        const { signed } = JSON.parse(readFileSync(join(target, "metadata", file), "utf8"));
        return [file, signed];
      });
    };
    const first = await unsigned("same-1");
    expect(first).toHaveLength(4);
    expect(await unsigned("same-2")).toEqual(first);
  });

  it("has a program sign that holds the key", async () => {
    const program = at("signer.mjs");
    writeFileSync(
      program,
      `#!/usr/bin/env node
import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { readFileSync } from "node:fs";
const key = createPrivateKey(readFileSync(${JSON.stringify(keys.new)}));
const { op, input, message } = JSON.parse(readFileSync(0, "utf8"));
const publicKey = createPublicKey(key).export({ type: "spki", format: "pem" });
const signature = () => sign(null, Buffer.from(message, "base64"), key).toString("base64");
const answer = op === "publicKey" ? { publicKey } : { signature: signature(), encoding: "raw", was: input };
console.log(JSON.stringify({ v: 1, ...answer }));
`,
      { mode: 0o755 },
    );
    const words = ["--signer-command", process.execPath, "--signer-arg", program];
    expect(await tuf("resign", repo, ...words)).toMatch(/published timestamp 4/);
    const [refreshed] = (await tufJson("refresh", url)) as unknown as { versions: unknown }[];
    expect(refreshed!.versions).toMatchObject({ timestamp: 4 });
  });

  it("is stopped from what no client would accept", async () => {
    const cases: [string[], RegExp][] = [
      [["key", repo, "timestamp", "--threshold", "3"], /1 keys and a threshold of 3/],
      [["key", repo, "nobody"], /does not delegate to nobody/],
      [["key", repo, "root", "--remove", "ffff"], /No key of the role has an id that begins with ffff/],
      [["add", repo, at("notes.txt"), "--path", "../notes.txt"], /is not a path of a target/],
      [["add", repo, at("notes.txt"), "--path", "a\u001b[31mred"], /is not a path of a target/],
      [["add", repo, at("notes.txt"), "--role", "nobody"], /has no role nobody/],
      [
        ["delegate", repo, "root", "--key", keys.app, "--path", "*"],
        /cannot be the name of a delegated role/,
      ],
      [["add", repo, "--remove", "nothing"], /lists no target nothing/],
      [["init", repo, "--key", keys.app], /is a TUF repository already/],
      [["publish", at("nowhere"), "--key", keys.app], /is not a TUF repository/],
      [["publish", repo, "--key", keys.app], /Nothing is staged/],
    ];
    for (const [words, why] of cases) {
      const { status, stderr } = await refused(...words);
      expect(stderr, words.join(" ")).toMatch(why);
      expect([2, 20, 50], words.join(" ")).toContain(status);
    }
    expect(readdirSync(join(repo, "staged"))).toEqual([]);
  });
});

describe.each(JUDGES)("judged by %s", (name: JudgeName) => {
  let judge: ReturnType<typeof tufJudge>;
  beforeAll(() => {
    judge = tufJudge(name);
  }, 400_000);

  // tuf-js hashes with SHA-256 whatever the curve, so that it verifies nothing by a P-384 key.
  const readsP384 = name !== "tuf-js";
  it(`${readsP384 ? "reads" : "does not read"} a repository with P-384 keys`, async (context) => {
    if ("missing" in judge) return context.skip(judge.missing);
    const other = join(repo, "p384");
    const key = ["--key", at("p384.pem")];
    if (!existsSync(other)) {
      await tuf("init", other, ...key);
      await tuf("add", other, at("notes.txt"));
      await tuf("publish", other, ...key);
    }
    const place = { url: `${url}/p384`, root: join(other, "metadata/1.root.json"), target: "notes.txt" };
    const { accepted, content, why } = await judgeTarget(judge, place);
    expect({ accepted, content }, why).toEqual({
      accepted: readsP384,
      content: readsP384 ? "plain text\n" : "",
    });
  });

  // python-tuf allows the four roles of the specification and no others.
  const readsMoreRoles = name !== "python-tuf";
  it(`${readsMoreRoles ? "reads" : "does not read"} a Director's root with the two offline roles`, async (context) => {
    if ("missing" in judge) return context.skip(judge.missing);
    const other = join(repo, "six-roles");
    if (!existsSync(other)) {
      await tuf("init", other, "--key", keys.root1, "--offline-key", keys.root2);
      await tuf("add", other, at("notes.txt"));
      await tuf("publish", other, "-k", keys.root1);
    }
    const place = { url: `${url}/six-roles`, root: join(other, "metadata/1.root.json"), target: "notes.txt" };
    const { accepted, content, why } = await judgeTarget(judge, place);
    expect({ accepted, content }, why).toEqual({
      accepted: readsMoreRoles,
      content: readsMoreRoles ? "plain text\n" : "",
    });
  });

  it("reads what the verbs made, roots and delegations included, and refuses another content", async (context) => {
    if ("missing" in judge) {
      return context.skip(judge.missing);
    }
    const ask = (target: string) => judgeTarget(judge as readonly string[], { url, root, target });
    const notes = await ask("app/notes.txt");
    expect(notes, notes.why).toMatchObject({ accepted: true, content: "plain text\n" });
    const path = readdirSync(join(repo, "targets/app"))[0]!;
    instead.set(`/targets/app/${path}`, "evil text!\n");
    expect((await ask("app/notes.txt")).accepted).toBe(false);
    instead.clear();
    instead.set(
      "/metadata/timestamp.json",
      readFileSync(join(repo, "metadata/timestamp.json"), "utf8").replace(/"version": \d+/, '"version": 99'),
    );
    expect((await ask("app/notes.txt")).accepted).toBe(false);
    instead.clear();
  });
});
