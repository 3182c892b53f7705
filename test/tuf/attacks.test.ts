import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import type { JsonObject } from "../../src/tuf/canonical-json.js";
import { TufClient } from "../../src/tuf/client.js";
import { trustRoot } from "../../src/tuf/first-trust.js";
import { parseMetadata } from "../../src/tuf/metadata.js";
import { fileBytes, stage } from "../../src/tuf/repository/draft.js";
import { addDelegation } from "../../src/tuf/repository/draft-delegations.js";
import { changeKeys } from "../../src/tuf/repository/draft-keys.js";
import { memoryStore } from "../../src/tuf/repository/rehearse.js";
import { httpFetch } from "../../src/tuf-store/http-fetch.js";
import { verifyNatively } from "../../src/tuf-store/native-signatures.js";
import { days, newSigner, refusal, START, TestRepository, TestUser } from "../support/tuf-repository.js";

/** Section 1.5.2 of the specification lists the attacks; the help topic says which check stops each. */
const ATTACKS = [
  "arbitrary software",
  "endless data",
  "extraneous dependencies",
  "fast-forward",
  "indefinite freeze",
  "malicious mirror",
  "mix-and-match",
  "rollback",
  "slow retrieval",
  "key compromise",
  "wrong software",
] as const;

async function bench() {
  const repository = await TestRepository.create();
  const user = await TestUser.of(repository);
  await user.refresh();
  return { repository, user };
}

const bytes = (text: string) => new TextEncoder().encode(text);

/** A server of our own making, for what happens below the metadata. */
async function served(answer: Parameters<typeof createServer>[1]): Promise<string> {
  const server: Server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("arbitrary software", () => {
  it.each(["timestamp", "snapshot", "targets"])("%s signed by a stranger is refused", async (role) => {
    const { repository, user } = await bench();
    await repository.renew("targets", "snapshot", "timestamp");
    await repository.forge(role, (signed) => signed, [await newSigner()]);
    const step = { timestamp: "5.4.2", snapshot: "5.5.3", targets: "5.6.3" }[role];
    expect(await refusal(user.refresh())).toBe(`arbitrary-software ${step}`);
  });

  it("a root that the keys of the old one did not sign is refused", async () => {
    const { repository, user } = await bench();
    const stranger = await newSigner();
    const change = (signed: JsonObject) => ({ ...signed, version: 2 });
    await repository.forge("root", change, [stranger]);
    expect(await refusal(user.refresh())).toBe("arbitrary-software 5.3.4");
  });

  it("a target with other bytes than its role lists is refused", async () => {
    const { repository, user } = await bench();
    for (const path of repository.targets.keys()) repository.targets.set(path, bytes("evil ware!"));
    expect(await refusal(user.get("fw.bin"))).toBe("arbitrary-software 5.7.3");
  });

  it("one person with one key under two ids does not reach a threshold of two", async () => {
    const repository = await TestRepository.create();
    const [signer] = repository.signers.timestamp!;
    const alias = { ...signer!, id: "the-same-key-again" };
    repository.state = changeKeys(
      repository.state,
      "timestamp",
      { add: [alias], threshold: 2 },
      repository.expires,
    );
    await repository.publish();
    expect(await refusal((await TestUser.of(repository)).refresh())).toBe("arbitrary-software 5.4.2");
  });

  it.each([0, -1, 1.5, "1"])("a threshold of %j is no threshold", async (threshold) => {
    const { repository, user } = await bench();
    const change = (signed: JsonObject): JsonObject => {
      const roles = signed.roles as { timestamp: JsonObject };
      return { ...signed, version: 2, roles: { ...roles, timestamp: { ...roles.timestamp, threshold } } };
    };
    if (threshold === 1.5) {
      // It has no canonical form, so nobody can sign it.
      const file = { signed: change(repository.state.published.get("root")!.signed), signatures: [] };
      repository.files.set("2.root.json", bytes(JSON.stringify(file)));
    } else {
      await repository.forge("root", change, repository.signers.root!);
    }
    expect(await refusal(user.refresh())).toBe("bad-metadata -");
  });

  it("a delegated role counts only with the keys of the parent that asks: a diamond", async () => {
    const { repository, user } = await diamond("b");
    expect(await refusal(user.get("a/fw.bin"))).toBe("arbitrary-software 5.6.3");
    const other = await TestUser.of(repository);
    expect(await other.get("b/fw.bin")).toBe("shared");
    // The shared role was verified for parent b, which says nothing about parent a.
    const client = other.client();
    await client.refresh();
    await client.findTarget("b/fw.bin");
    expect(await refusal(client.findTarget("a/fw.bin"))).toBe("arbitrary-software 5.6.3");
  });
});

/** Roles `a` and `b` both delegate to `shared`, each with keys of its own; `shared` is signed by those that one names. */
async function diamond(signedFor: "a" | "b") {
  const repository = await TestRepository.create();
  const keys = { a: await newSigner(), b: await newSigner() };
  for (const name of ["a", "b"] as const) {
    repository.signers[name] = [await newSigner()];
    const delegation = { name, threshold: 1, terminating: false, paths: [`${name}/*`] };
    repository.state = addDelegation(
      repository.state,
      { ...delegation, keys: repository.signers[name] },
      repository.expires,
    );
    const inner = {
      name: "shared",
      keyids: [keys[name].id],
      threshold: 1,
      terminating: false,
      paths: [`${name}/*`],
    };
    const delegations = { keys: { [keys[name].id]: keys[name].key }, roles: [inner] };
    repository.state = stage(
      repository.state,
      name,
      { _type: "targets", targets: {}, delegations },
      repository.expires,
    );
  }
  await repository.publish();
  const shared = bytes("shared");
  repository.state = stage(repository.state, "shared", { _type: "targets", targets: {} }, repository.expires);
  for (const name of ["a", "b"]) repository.add(`${name}/fw.bin`, shared, "shared");
  const { signed } = repository.state.staged.get("shared")!;
  repository.state = { ...repository.state, staged: new Map() };
  await repository.publish();
  const file = { published: repository.state.published, signed };
  repository.state = {
    ...repository.state,
    published: new Map([...file.published, ["shared", { signed, signatures: [] }]]),
  };
  await repository.forge("shared", (content) => content, [keys[signedFor]]);
  const withShared = (content: JsonObject): JsonObject => ({
    ...content,
    version: (content.version as number) + 1,
    meta: { ...(content.meta as JsonObject), "shared.json": { version: 1 } },
  });
  const snapshot = await repository.forge("snapshot", withShared, repository.signers.snapshot!);
  const meta = { "snapshot.json": { version: snapshot.signed.version as number } };
  const newer = (content: JsonObject): JsonObject => ({
    ...content,
    version: (content.version as number) + 1,
    meta,
  });
  await repository.forge("timestamp", newer, repository.signers.timestamp!);
  return { repository, user: await TestUser.of(repository) };
}

describe("endless data", () => {
  it("a file that does not end is left off at its limit", async () => {
    let sent = 0;
    const url = await served((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(4096))) sent += 4096;
      };
      response.on("drain", more);
      more();
    });
    const fetch = httpFetch({ metadataUrl: url, targetsUrl: url });
    expect(await refusal(fetch.metadata("timestamp.json", 16_384))).toBe("endless-data 1.5.2");
    // What was under way in buffers may have been sent; the rest was not waited for.
    expect(sent).toBeLessThan(16_000_000);
  });

  it("metadata longer than the role above lists is not read", async () => {
    const { repository, user } = await bench();
    const file = repository.state.published.get("snapshot")!;
    const length = fileBytes(file).length;
    const listed = (signed: JsonObject): JsonObject => ({
      ...signed,
      version: 2,
      meta: { "snapshot.json": { version: 2, length } },
    });
    await repository.forge("timestamp", listed, repository.signers.timestamp!);
    await repository.forge(
      "snapshot",
      (signed) => ({ ...signed, version: 2, filler: "x".repeat(1000) }),
      repository.signers.snapshot!,
    );
    expect(await refusal(user.refresh())).toBe("endless-data -");
  });

  it("a chain of roots without an end stops at its limit", async () => {
    const { repository, user } = await bench();
    for (let version = 2; version < 12; version++)
      await repository.forge("root", (signed) => ({ ...signed, version }), repository.signers.root!);
    const { store, now } = user;
    const limits = { rootVersions: 4 };
    const client = new TufClient({ fetch: repository, store, now, verify: verifyNatively, limits });
    expect((await client.refresh()).root.signed.version).toBe(5);
  });

  it("no more roles are visited than the limit", async () => {
    const { repository, user } = await bench();
    const keys = [await newSigner()];
    for (let role = 0; role < 40; role++)
      repository.state = addDelegation(
        repository.state,
        { name: `r${role}`, keys, threshold: 1, terminating: false, paths: ["*"] },
        repository.expires,
      );
    repository.signers.all = keys;
    await repository.publish();
    repository.asked.length = 0;
    expect(await refusal(user.get("nothing"))).toBe("no-such-target 5.7.2");
    expect(repository.asked.filter((name) => /\.r\d+\.json$/.test(name))).toHaveLength(31);
  });
});

describe("extraneous dependencies", () => {
  it("a role has no say about paths that are not delegated to it", async () => {
    const { repository, user } = await bench();
    repository.signers.app = [await newSigner()];
    const delegation = { name: "app", keys: repository.signers.app, threshold: 1, terminating: false };
    repository.state = addDelegation(
      repository.state,
      { ...delegation, paths: ["app/*"] },
      repository.expires,
    );
    repository.add("boot/loader.bin", bytes("not app's"), "app");
    await repository.publish();
    expect(await refusal(user.get("boot/loader.bin"))).toBe("no-such-target 5.7.2");
  });
});

describe("fast-forward", () => {
  it("versions that an attacker raised do not lock the owner out once the keys are exchanged", async () => {
    const { repository, user } = await bench();
    const far = (signed: JsonObject): JsonObject => ({
      ...signed,
      version: 9_000_000,
      meta: { "snapshot.json": { version: 8_000_000 } },
    });
    const stolen = repository.signers.timestamp!;
    const honest = repository.snapshot();
    await repository.forge("timestamp", far, stolen);
    await repository.forge(
      "snapshot",
      (signed) => ({ ...signed, version: 8_000_000 }),
      repository.signers.snapshot!,
    );
    expect((await user.refresh()).timestamp!.signed.version).toBe(9_000_000);
    repository.serve(honest);
    // Before the exchange, the owner's own timestamp looks like a rollback.
    expect(await refusal(user.refresh())).toBe("rollback 5.4.3.1");
    const [old] = stolen;
    const added = await newSigner();
    repository.signers.timestamp = [added];
    const change = { add: [added], remove: [old!.id] };
    repository.state = changeKeys(repository.state, "timestamp", change, repository.expires);
    await repository.publish();
    const { timestamp, snapshot } = await user.refresh();
    expect([timestamp!.signed.version, snapshot!.signed.version]).toEqual([2, 1]);
    expect(user.events).toContainEqual({ kind: "recovered", role: "timestamp" });
  });

  it("an exchange of the snapshot's keys alone is enough, even where the old signatures still count", async () => {
    const { repository, user } = await bench();
    const [snapshotKey] = repository.signers.snapshot!;
    await repository.forge("snapshot", (signed) => ({ ...signed, version: 500 }), [snapshotKey!]);
    const listed = (signed: JsonObject): JsonObject => ({
      ...signed,
      version: 2,
      meta: { "snapshot.json": { version: 500 } },
    });
    const honest = repository.snapshot();
    await repository.forge("timestamp", listed, repository.signers.timestamp!);
    await user.refresh();
    repository.serve(honest);
    const added = await newSigner();
    repository.signers.snapshot = [snapshotKey!, added];
    repository.state = changeKeys(repository.state, "snapshot", { add: [added] }, repository.expires);
    await repository.renew("snapshot");
    await repository.renew("timestamp");
    const { snapshot } = await user.refresh();
    expect(snapshot!.signed.version).toBe(2);
  });
});

describe("indefinite freeze", () => {
  it.each([
    ["timestamp", 8, "5.4.4"],
    ["snapshot", 31, "5.5.6"],
    ["targets", 181, "5.6.5"],
    ["root", 366, "5.3.10"],
  ])("%s that has expired is refused", async (role, after, step) => {
    const { repository, user } = await bench();
    user.now = days(after);
    repository.now = days(after - 1);
    // All others are fresh.
    const fresh = ["timestamp", "snapshot", "targets", "root"].filter((name) => name !== role);
    if (role !== "root")
      await repository.renew(...fresh.filter((name) => name === "root" || rank(name) > rank(role)));
    expect(await refusal(user.refresh())).toBe(`freeze ${step}`);
  });

  it("stored metadata that has expired still counts against rollback", async () => {
    const { repository, user } = await bench();
    const old = repository.snapshot();
    await repository.renew("timestamp");
    await user.refresh();
    repository.serve(old);
    user.now = days(300);
    expect(await refusal(user.refresh())).toBe("rollback 5.4.3.1");
  });
});

/** Roles that must be signed again when a role is: those that list it. */
const rank = (role: string) => ["targets", "snapshot", "timestamp"].indexOf(role);

describe("malicious mirror", () => {
  it("that withholds files is noticed, and what was trusted stays", async () => {
    const { repository, user } = await bench();
    await repository.renew("snapshot", "timestamp");
    repository.files.delete("2.snapshot.json");
    expect(await refusal(user.refresh())).toBe("not-in-repository 5.5.1");
    expect(await user.store.read("targets")).toBeDefined();
    // Another copy of the repository is enough to go on.
    await repository.renew("timestamp", "snapshot");
    expect((await user.refresh()).snapshot!.signed.version).toBe(3);
  });

  it("that redirects away from https is not followed", async () => {
    const url = await served((_request, response) => {
      response.writeHead(302, { location: "ftp://127.0.0.1/timestamp.json" }).end();
    });
    const fetch = httpFetch({ metadataUrl: url, targetsUrl: url });
    await expect(fetch.metadata("timestamp.json", 1000)).rejects.toMatchObject({ code: "http-status" });
  });
});

describe("mix-and-match", () => {
  it("targets of another version than the snapshot lists are refused", async () => {
    const { repository, user } = await bench();
    const old = repository.files.get("1.targets.json")!;
    repository.add("fw.bin", bytes("firmware 2"));
    await repository.publish();
    repository.files.set("2.targets.json", old);
    expect(await refusal(user.refresh())).toBe("mix-and-match 5.6.4");
  });

  it("a snapshot of another version than the timestamp lists is refused", async () => {
    const { repository, user } = await bench();
    const old = repository.files.get("1.snapshot.json")!;
    await repository.renew("snapshot", "timestamp");
    repository.files.set("2.snapshot.json", old);
    expect(await refusal(user.refresh())).toBe("mix-and-match 5.5.4");
  });

  it("a snapshot with another hash than the timestamp lists is refused, though its signature is good", async () => {
    const { repository, user } = await bench();
    const meta = { "snapshot.json": { version: 2, hashes: { sha256: "00".repeat(32) } } };
    await repository.forge("snapshot", (signed) => ({ ...signed, version: 2 }), repository.signers.snapshot!);
    await repository.forge(
      "timestamp",
      (signed) => ({ ...signed, version: 2, meta }),
      repository.signers.timestamp!,
    );
    expect(await refusal(user.refresh())).toBe("mix-and-match 5.5.2");
  });
});

describe("rollback", () => {
  it("an older timestamp is refused", async () => {
    const { repository, user } = await bench();
    const old = repository.snapshot();
    await repository.renew("timestamp");
    await user.refresh();
    repository.serve(old);
    expect(await refusal(user.refresh())).toBe("rollback 5.4.3.1");
  });

  it("an older snapshot in a newer timestamp is refused", async () => {
    const { repository, user } = await bench();
    await repository.renew("snapshot", "timestamp");
    await user.refresh();
    const meta = { "snapshot.json": { version: 1 } };
    await repository.forge(
      "timestamp",
      (signed) => ({ ...signed, version: 9, meta }),
      repository.signers.timestamp!,
    );
    expect(await refusal(user.refresh())).toBe("rollback 5.4.3.2");
  });

  it.each([
    ["older targets", { "targets.json": { version: 1 } }],
    ["a role that vanished", {}],
  ])("%s in a newer snapshot are refused", async (_what, meta) => {
    const { repository, user } = await bench();
    repository.add("fw.bin", bytes("firmware 2"));
    await repository.publish();
    await user.refresh();
    await repository.forge(
      "snapshot",
      (signed) => ({ ...signed, version: 9, meta }),
      repository.signers.snapshot!,
    );
    const listed = { "snapshot.json": { version: 9 } };
    await repository.forge(
      "timestamp",
      (signed) => ({ ...signed, version: 9, meta: listed }),
      repository.signers.timestamp!,
    );
    expect(await refusal(user.refresh())).toBe("rollback 5.5.5");
  });

  it("a root that skips a version is refused", async () => {
    const { repository, user } = await bench();
    const file = await repository.forge(
      "root",
      (signed) => ({ ...signed, version: 3 }),
      repository.signers.root!,
    );
    repository.files.set("2.root.json", fileBytes(file));
    expect(await refusal(user.refresh())).toBe("rollback 5.3.5");
  });

  it("trust does not go back to an old root, nor to a stranger's, by accident", async () => {
    const { repository, user } = await bench();
    await repository.renew("root");
    await user.refresh();
    const verify = verifyNatively;
    const again = await trustRoot(repository.files.get("1.root.json")!, user.store, { verify });
    expect(again.signed.version).toBe(1);
    expect(parseMetadata("root", (await user.store.read("root"))!).signed.version).toBe(2);
    const stranger = (await TestRepository.create()).files.get("1.root.json")!;
    expect(await refusal(trustRoot(stranger, user.store, { verify }))).toBe("rollback -");
    await trustRoot(stranger, user.store, { verify, replace: true });
    expect(await user.store.read("root")).toEqual(stranger);
  });
});

describe("slow retrieval", () => {
  it("a server that trickles is left", async () => {
    const url = await served((_request, response) => {
      response.write("x");
      const timer = setInterval(() => response.write("x"), 20);
      response.on("close", () => clearInterval(timer));
    });
    const fetch = httpFetch({ metadataUrl: url, targetsUrl: url, patienceMs: 100, minRate: 10_000 });
    expect(await refusal(fetch.metadata("timestamp.json", 16_384))).toBe("slow-retrieval 1.5.2");
  });

  it("a server that says nothing at all is left", async () => {
    const url = await served(() => {});
    const fetch = httpFetch({ metadataUrl: url, targetsUrl: url, answerMs: 100 });
    await expect(fetch.metadata("timestamp.json", 1000)).rejects.toMatchObject({ code: "unreachable" });
  });
});

describe("key compromise", () => {
  it("a removed key signs nothing any more", async () => {
    const { repository, user } = await bench();
    const [stolen] = repository.signers.targets!;
    const added = await newSigner();
    repository.signers.targets = [added];
    const change = { add: [added], remove: [stolen!.id] };
    repository.state = changeKeys(repository.state, "targets", change, repository.expires);
    await repository.publish();
    await user.refresh();
    await repository.renew("targets");
    await repository.forge("targets", (signed) => signed, [stolen!]);
    expect(await refusal(user.refresh())).toBe("arbitrary-software 5.6.3");
  });

  it("fewer keys than the threshold sign nothing", async () => {
    const repository = await TestRepository.create();
    const second = await newSigner();
    repository.signers.targets!.push(second);
    repository.state = changeKeys(
      repository.state,
      "targets",
      { add: [second], threshold: 2 },
      repository.expires,
    );
    await repository.publish();
    const user = await TestUser.of(repository);
    expect(await user.get("fw.bin")).toBe("firmware 1");
    await repository.renew("targets");
    await repository.forge("targets", (signed) => signed, [second]);
    expect(await refusal(user.refresh())).toBe("arbitrary-software 5.6.3");
  });

  it("an online key alone cannot make new software valid", async () => {
    const { repository, user } = await bench();
    const online = [...repository.signers.snapshot!, ...repository.signers.timestamp!];
    const targets = { "fw.bin": { length: 4, hashes: { sha256: "00".repeat(32) } } };
    await repository.renew("targets");
    await repository.forge("targets", (signed) => ({ ...signed, targets }), online);
    expect(await refusal(user.refresh())).toBe("arbitrary-software 5.6.3");
  });

  it("one key id never stands for two keys", async () => {
    const { repository, user } = await bench();
    const [honest] = repository.signers.root!;
    const impostor = { ...(await newSigner()), id: honest!.id };
    repository.state = addDelegation(
      repository.state,
      { name: "app", keys: [impostor], threshold: 1, terminating: false, paths: ["*"] },
      repository.expires,
    );
    await repository.publish();
    expect(await refusal(user.refresh())).toBe("bad-metadata 4.5");
  });
});

describe("wrong software", () => {
  it("a trusted file under another name is refused", async () => {
    const { repository, user } = await bench();
    repository.add("other.bin", bytes("for other boards"));
    await repository.publish();
    const [wanted, other] = ["fw.bin", "other.bin"].map((end) =>
      [...repository.targets.keys()].find((path) => path.endsWith(end)),
    );
    repository.targets.set(wanted!, repository.targets.get(other!)!);
    const outcome = await refusal(user.get("fw.bin"));
    // Longer than listed, and it would have had another hash.
    expect(outcome).toBe("endless-data -");
  });

  it("what a target is for travels with it, signed", async () => {
    const { repository, user } = await bench();
    repository.add("fw.bin", bytes("firmware 2"), "targets", { hardwareIds: ["board-a"] });
    await repository.publish();
    const client = user.client();
    await client.refresh();
    expect((await client.findTarget("fw.bin")).target.custom).toEqual({ hardwareIds: ["board-a"] });
  });
});

it("every attack of the list has tests here, and a line in the help topic", () => {
  const topic = readFileSync(new URL("../../src/topics/tuf.md", import.meta.url), "utf8");
  const own = readFileSync(new URL(import.meta.url), "utf8");
  for (const attack of ATTACKS) {
    expect(own).toContain(`describe("${attack}"`);
    expect(topic).toMatch(new RegExp(`^\\| ${attack}[^|]*\\| \\d`, "m"));
  }
});

it("the store begins with what the user trusts and nothing else", async () => {
  const store = memoryStore();
  const repository = await TestRepository.create();
  const client = new TufClient({ fetch: repository, store, now: START, verify: verifyNatively });
  expect(await refusal(client.refresh())).toBe("no-trusted-root -");
});
