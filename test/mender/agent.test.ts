import { spawn, spawnSync } from "node:child_process";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { bootproof, json, keyFile, start, tempFolder } from "../support/cli-run.js";
import { isOnPath } from "../support/on-path.js";
import { image } from "../support/workflow-board.js";

/** A server written from Mender's documentation, in another language and process, over TLS; boards run real firmware. */

const program = fileURLToPath(new URL("../support/mender_server.py", import.meta.url));
const canRun =
  spawnSync("python3", ["-c", "import cryptography"]).status === 0 && isOnPath("mender-artifact");
if (!canRun)
  console.log("Tests of the Mender agent are skipped: they need Python's cryptography and mender-artifact.");

interface Entry {
  method: string;
  path: string;
  body: string;
  range?: string;
}

/** A server, a board, and the agent's command line between them. */
async function rig() {
  const folder = tempFolder();
  const at = (name: string) => join(folder, name);
  const openssl = (...words: string[]) => expect(spawnSync("openssl", words).status).toBe(0);
  openssl(
    ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost".split(" "),
    ...["-addext", "subjectAltName=DNS:localhost", "-keyout", at("tls.key"), "-out", at("tls.pem")],
  );
  openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", at("artifact.key"));
  openssl("pkey", "-in", at("artifact.key"), "-pubout", "-out", at("artifact.pub"));
  const wish = (scenario: object) => writeFileSync(at("scenario.json"), JSON.stringify(scenario));
  wish({});
  const server = spawn("python3", [program, at("tls.pem"), at("tls.key"), at("scenario.json"), at("log")]);
  onTestFinished(() => void server.kill("SIGKILL"));
  const port = await new Promise<string>((resolve, reject) => {
    server.stdout.once("data", (line) => resolve(`${line}`.trim()));
    server.stderr.once("data", (line) => reject(new Error(`${line}`)));
  });
  const board = start(["board", "wasm:good", "--flash", at("flash.bin")]);
  const [address] = await board.waitFor(/tcp:127\.0\.0\.1:\d+/);
  const words = [
    ...["agent", "mender", "--once", "--server", `https://localhost:${port}`, "--ca", at("tls.pem")],
    ...["--device-type", "boardA", "-d", address, "--id-by-name", "--soak", "0"],
    ...["--key", keyFile("ed25519-1"), "--artifact-key", at("artifact.pub"), "--json"],
  ];
  const env = { XDG_STATE_HOME: at("state") };
  const requests = (): Entry[] =>
    existsSync(at("log"))
      ? readFileSync(at("log"), "utf8")
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as Entry)
      : [];
  return {
    wish,
    words,
    at,
    begin: () => start(words, { env }),
    async round() {
      const { status, stdout, stderr } = await bootproof(words, { env });
      return { status, result: JSON.parse(stdout || "null") as Record<string, unknown>, stderr };
    },
    /** The statuses that the server was told, in order. */
    statuses: () =>
      requests()
        .filter(({ path }) => path.endsWith("/status"))
        .map(({ body }) => (JSON.parse(body) as { status: string }).status),
    requests,
    async artifact(payload: Uint8Array, { type = "boardA", signed = true, name = "rel-2" } = {}) {
      writeFileSync(at("update.bin"), payload);
      const file = at(`${name}.mender`);
      const { stderr } = spawnSync(
        "mender-artifact",
        [
          ...`write module-image -T zephyr-image -n ${name} -t ${type} --compression none`.split(" "),
          ...(signed ? ["-k", at("artifact.key")] : []),
          ...["-o", file, "-f", at("update.bin")],
        ],
        { encoding: "utf8" },
      );
      expect(stderr).toBe("");
      return file;
    },
    async stands() {
      const { value } = await json(["image", "list", "-d", address]);
      const [{ slots }] = value.images as [{ slots: { content?: Record<string, unknown> }[] }];
      const { version, confirmed } = slots[0]!.content!;
      return `${version}${confirmed ? " confirmed" : ""}`;
    },
  };
}

const update = (id = "good-b", how = {}) => image(id, { version: "2.0.0", ...how });

describe.skipIf(!canRun)("the Mender agent", () => {
  it("waits to be accepted, has nothing to do, then installs and reports once", async () => {
    const { wish, round, statuses, artifact, stands, requests } = await rig();
    wish({ accepted: false });
    expect(await round()).toMatchObject({ status: 61, result: { error: { code: "device-not-accepted" } } });
    wish({});
    expect(await round()).toMatchObject({ status: 0, result: { outcome: "nothing" } });
    wish({
      artifact: await artifact(await update()),
      name: "rel-2",
      cut: 20_000,
      forget_token: "installing",
    });
    expect(await round()).toMatchObject({ status: 0, result: { outcome: "success", artifact: "rel-2" } });
    expect(await stands()).toBe("2.0.0 confirmed");
    expect([...new Set(statuses())]).toEqual(["downloading", "installing", "rebooting", "success"]);
    expect(requests().find(({ range }) => range)?.range).toBe("bytes=20000-");
    expect(await round()).toMatchObject({ status: 0, result: { outcome: "nothing" } });
    const last = requests().findLast(({ path }) => path.endsWith("/next"))!;
    expect(JSON.parse(last.body).device_provides).toMatchObject({
      artifact_name: "rel-2",
      device_type: "boardA",
      "rootfs-image.zephyr-image.version": "rel-2",
    });
  });

  it.each(["rsa-3072", "p256"])("proves itself by a key of type %s, and keeps it", async (type) => {
    const { words, round, requests } = await rig();
    words.push("--device-key-type", type);
    expect(await round()).toMatchObject({ status: 0, result: { outcome: "nothing" } });
    words.splice(-2);
    expect(await round()).toMatchObject({ status: 0, result: { outcome: "nothing" } });
    const keys = requests()
      .filter(({ path }) => path.endsWith("/auth_requests"))
      .map(({ body }) => createPublicKey((JSON.parse(body) as { pubkey: string }).pubkey));
    expect(keys).toHaveLength(2);
    expect(keys[0]!.asymmetricKeyType).toBe(type === "p256" ? "ec" : "rsa");
    expect(keys[1]!.equals(keys[0]!)).toBe(true);
  });

  it("takes no key that a server would not", async () => {
    const { at, round } = await rig();
    await round();
    const [own] = readdirSync(at("state/bootproof/mender"));
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "secp384r1" });
    const file = at(`state/bootproof/mender/${own}/identity.pem`);
    for (const pem of [privateKey.export({ type: "pkcs8", format: "pem" }), "no key"]) {
      writeFileSync(file, pem);
      const { result } = await round();
      expect(result).toMatchObject({
        outcome: "pending",
        message: expect.stringMatching(/not an Ed25519, P-256/),
      });
    }
  });

  it("refuses what is not signed, not for this board, or signed by a foreign key, and says why", async () => {
    const { wish, round, statuses, artifact, stands, requests } = await rig();
    const bad = [
      { file: await artifact(await update(), { signed: false, name: "unsigned" }), why: /not signed/ },
      { file: await artifact(await update(), { type: "boardB", name: "other" }), why: /boardB/ },
      {
        file: await artifact(await update("good-b", { key: "foreign-ed25519" }), { name: "foreign" }),
        why: /None of the given keys/,
      },
    ];
    for (const [index, { file, why }] of bad.entries()) {
      wish({ artifact: file, name: "rel", id: `d-${index}` });
      const { status, result } = await round();
      expect(result).toMatchObject({ outcome: "failure", message: expect.stringMatching(why) });
      expect(status).toBe(61);
      expect(statuses().at(-1)).toBe("failure");
      const log = requests().findLast(({ path }) => path.endsWith("/log"))!;
      expect(log.body).toMatch(why);
    }
    expect(statuses()).not.toContain("rebooting");
    expect(await stands()).toBe("1.0.0 confirmed");
  });

  it("reports the failure of an image that crashes once the old one runs again", async () => {
    const { wish, round, statuses, artifact, stands } = await rig();
    wish({ artifact: await artifact(await update("crash")), name: "rel-2" });
    expect(await round()).toMatchObject({ status: 61, result: { outcome: "failure" } });
    expect(statuses()).toEqual(["downloading", "installing", "rebooting", "failure"]);
    expect(await stands()).toBe("1.0.0 confirmed");
  });

  it.each(["installing", "rebooting"])(
    "stops at %s when somebody aborts the deployment",
    async (abort_at) => {
      const { wish, round, statuses, artifact, stands } = await rig();
      wish({ artifact: await artifact(await update()), name: "rel-2", abort_at });
      expect(await round()).toMatchObject({ status: 61, result: { outcome: "aborted" } });
      expect(statuses().at(-1)).toBe(abort_at);
      expect(await stands()).toBe("1.0.0 confirmed");
      expect(await round()).toMatchObject({ result: { outcome: "nothing" } });
    },
  );

  it("gives a server that fails up after a bounded number of questions, and goes on in the next round", async () => {
    const { wish, round, statuses, artifact, stands, requests } = await rig();
    const file = await artifact(await update());
    wish({ artifact: file, name: "rel-2", fail: { status: 5 } });
    expect(await round()).toMatchObject({ status: 61, result: { outcome: "pending" } });
    expect(requests().filter(({ path }) => path.endsWith("/status"))).toHaveLength(5);
    wish({ artifact: file, name: "rel-2" });
    expect(await round()).toMatchObject({ status: 0, result: { outcome: "success" } });
    expect(statuses().at(-1)).toBe("success");
    expect(await stands()).toBe("2.0.0 confirmed");
  });

  it("goes on after it was killed at each step", async () => {
    const { wish, begin, round, statuses, artifact, stands, requests } = await rig();
    wish({ artifact: await artifact(await update()), name: "rel-2" });
    for (let kills = 0; ; kills++) {
      const before = requests().length;
      const running = begin();
      // Killed at each of the server's sightings in turn: the login, the question, each status.
      const isThere = () => requests().length - before > kills;
      await Promise.race([
        running.ended,
        new Promise<void>((resolve) => {
          const timer = setInterval(() => {
            if (!isThere() && running.child.exitCode === null) return;
            clearInterval(timer);
            resolve();
          }, 5);
        }),
      ]);
      if (running.child.exitCode !== null) break;
      running.child.kill("SIGKILL");
      await running.ended;
    }
    expect(await stands()).toBe("2.0.0 confirmed");
    expect(statuses()).not.toContain("failure");
    expect(statuses().at(-1)).toBe("success");
    expect(await round()).toMatchObject({ status: 0, result: { outcome: "nothing" } });
  });
});
