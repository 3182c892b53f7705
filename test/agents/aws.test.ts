import { spawn, spawnSync } from "node:child_process";
import { createHash, createSign } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { AuditLog } from "../../src/trust-store/audit-log.js";
import { bootproof, json, keyFile, start, tempFolder } from "../support/cli-run.js";
import { freePort } from "../support/free-port.js";
import { image } from "../support/workflow-board.js";

/**
 * Debian's mosquitto as the broker, with client certificates and a policy a thing; the services in another language and process,
 * written from AWS's documentation. Their jobs are driven by Amazon's own SDK too. Boards run real firmware.
 */

const killer = new URL("../support/kill-at-write.mjs", import.meta.url).href;
const services = fileURLToPath(new URL("../support/aws_services.py", import.meta.url));
const has = (words: string[]) => spawnSync(words[0]!, words.slice(1)).status === 0;
const canRun =
  spawnSync("mosquitto", ["-h"]).error === undefined &&
  has(["python3", "-c", "import paho.mqtt.client, cbor2"]);
const hasSdk = has(["python3", "-c", "import awsiot, awscrt"]);
if (!canRun)
  console.log("Tests of the AWS agent are skipped: they need mosquitto, and paho-mqtt and cbor2 from PyPI.");
if (!hasSdk) console.log("Amazon's SDK judges nothing: awsiotsdk is not installed (pip install awsiotsdk).");

const THING = "board-1";

async function rig() {
  const folder = tempFolder();
  // The broker drops its rights and must still read its files.
  chmodSync(folder, 0o755);
  const at = (name: string) => join(folder, name);
  const openssl = (...words: string[]) => {
    const { status, stderr } = spawnSync("openssl", words, { encoding: "utf8" });
    expect(status, stderr).toBe(0);
  };
  const ec = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split(" ");
  openssl("req", "-x509", ...ec, "-subj", "/CN=test-ca", "-keyout", at("ca.key"), "-out", at("ca.pem"));
  const issue = (name: string, extensions: string) => {
    openssl(
      "req",
      "-new",
      ...ec.slice(0, -2),
      "-subj",
      `/CN=${name}`,
      "-keyout",
      at(`${name}.key`),
      "-out",
      at(`${name}.csr`),
    );
    writeFileSync(at("ext"), extensions);
    openssl(
      ..."x509 -req -CAcreateserial -days 2".split(" "),
      ...[
        "-in",
        at(`${name}.csr`),
        "-CA",
        at("ca.pem"),
        "-CAkey",
        at("ca.key"),
        "-extfile",
        at("ext"),
        "-out",
        at(`${name}.pem`),
      ],
    );
    chmodSync(at(`${name}.key`), 0o644);
  };
  issue("localhost", "subjectAltName=DNS:localhost");
  for (const name of [THING, "board-2", "service"]) issue(name, "extendedKeyUsage=clientAuth");
  issue("signer", "extendedKeyUsage=codeSigning\nkeyUsage=digitalSignature");
  const port = String(await freePort());
  writeFileSync(
    at("acl"),
    `user service\ntopic readwrite $aws/#\nuser ${THING}\ntopic readwrite $aws/things/${THING}/#\n`,
  );
  writeFileSync(
    at("mosquitto.conf"),
    [
      `listener ${port} 127.0.0.1`,
      ...[`cafile ${at("ca.pem")}`, `certfile ${at("localhost.pem")}`, `keyfile ${at("localhost.key")}`],
      ...[
        "require_certificate true",
        "use_identity_as_username true",
        `acl_file ${at("acl")}`,
        "persistence false",
      ],
    ].join("\n"),
  );
  const broker = spawn("mosquitto", ["-c", at("mosquitto.conf")]);
  onTestFinished(() => void broker.kill("SIGKILL"));
  await new Promise<void>((resolve, reject) => {
    let said = "";
    broker.stderr.on("data", (text) => {
      said += `${text}`;
      if (/running/.test(said)) resolve();
    });
    broker.once("exit", () => reject(new Error(said)));
  });
  const board = start(["board", "wasm:good", "--flash", at("flash.bin")]);
  const [address] = await board.waitFor(/tcp:127\.0\.0\.1:\d+/);
  const words = [
    ...["agent", "aws", "--once", "--endpoint", "localhost", "--port", port, "--ca", at("ca.pem")],
    ...["--thing", THING, "-d", address, "--id-by-name", "--soak", "0", "--json"],
    ...["--key", keyFile("ed25519-1"), "--code-signer", at("signer.pem")],
  ];
  const identity = ["--cert", at(`${THING}.pem`), "--cert-key", at(`${THING}.key`)];
  const env = { XDG_STATE_HOME: at("state") };
  return {
    at,
    port,
    words,
    /** Starts the services for a scenario, until the test ends. */
    async serve(scenario: object) {
      writeFileSync(at("scenario.json"), JSON.stringify({ thing: THING, ...scenario }));
      const child = spawn("python3", [
        services,
        port,
        at("ca.pem"),
        at("service.pem"),
        at("service.key"),
        at("scenario.json"),
        at("log"),
      ]);
      onTestFinished(() => void child.kill("SIGKILL"));
      await new Promise<void>((resolve, reject) => {
        child.stdout.once("data", () => resolve());
        child.stderr.once("data", (text) => reject(new Error(`${text}`)));
      });
      return child;
    },
    begin: (more: Record<string, string>) => start([...words, ...identity], { env: { ...env, ...more } }),
    async refusals() {
      const log = new AuditLog({ folder: join(at("state"), "bootproof", "audit") });
      const { size } = (await log.checkpoint(log.newest())).checkpoint;
      return [...log.events(log.newest(), size)].filter(({ type }) => type === "refusal");
    },
    async round(own = identity) {
      const { status, stdout, stderr } = await bootproof([...words, ...own], { env });
      const result = JSON.parse(stdout.trim().split("\n").at(-1) || "null") as Record<string, unknown>;
      return { status, result, stderr };
    },
    /** What the service took, in order. */
    updates: () =>
      existsSync(at("log"))
        ? readFileSync(at("log"), "utf8")
            .trim()
            .split("\n")
            .map((line) => JSON.parse(line) as { status: string; details: Record<string, string> })
        : [],
    async stands() {
      const { value } = await json(["image", "list", "-d", address]);
      const [{ slots }] = value.images as [{ slots: { content?: Record<string, unknown> }[] }];
      const { version, confirmed } = slots[0]!.content!;
      return `${version}${confirmed ? " confirmed" : ""}`;
    },
    /** The scenario of a job for a file, its signature by OpenSSL. */
    job(bytes: Uint8Array, { field = "sig-sha256-ecdsa", certfile = "/certs/signer.pem", change = {} } = {}) {
      writeFileSync(at("update.bin"), bytes);
      const signature = createSign("sha256")
        .update(bytes)
        .sign(readFileSync(at("signer.key")), "base64");
      const file = {
        filepath: "/app.bin",
        filesize: bytes.length,
        fileid: 0,
        certfile,
        [field]: signature,
        ...change,
      };
      return {
        file: at("update.bin"),
        stream: "AFR_OTA-1",
        document: { afr_ota: { protocols: ["MQTT"], streamname: "AFR_OTA-1", files: [file] } },
      };
    },
  };
}

/** A port that looks at the first record of TLS, and lets nobody through who does not name Amazon's MQTT in it. */
async function portByAlpn(broker: number): Promise<{ port: number; let: number }> {
  const door = { port: 0, let: 0 };
  const server = createTcpServer((client) => {
    client.on("error", () => client.destroy());
    client.once("data", (hello) => {
      if (hello[0] !== 0x16 || !hello.includes("\x0ex-amzn-mqtt-ca", "latin1")) return void client.destroy();
      door.let++;
      const inner = connect(broker, "127.0.0.1", () => inner.write(hello));
      inner.on("error", () => client.destroy());
      client.pipe(inner).pipe(client);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  door.port = (server.address() as AddressInfo).port;
  return door;
}

const update = (id = "good-b", how = {}) => image(id, { version: "2.0.0", ...how });

describe.skipIf(!canRun)("the AWS agent", () => {
  it("carries out a job that was made while it was away: lost blocks, a lost reply, a throttled question", async () => {
    const { serve, round, updates, stands, job } = await rig();
    const server = await serve({
      ...job(await update()),
      drop: [0, 5, 11],
      lose_reply: "self_test",
      throttle: 1,
    });
    const { status, result } = await round();
    expect(result).toMatchObject({ outcome: "succeeded", job: "job-1", message: "accepted v2.0.0" });
    expect(status).toBe(0);
    expect(await stands()).toBe("2.0.0 confirmed");
    expect(updates()).toEqual([
      { status: "IN_PROGRESS", details: { self_test: "ready", updatedBy: "0x1000000" } },
      { status: "IN_PROGRESS", details: { self_test: "active", updatedBy: "0x1000000" } },
      { status: "SUCCEEDED", details: { reason: "accepted v2.0.0" } },
    ]);
    expect((await round()).result).toMatchObject({ outcome: "nothing" });
    server.kill("SIGKILL");
  });

  it("rejects what must not be flashed, and the board is not touched", async () => {
    const { serve, round, updates, stands, job, refusals } = await rig();
    const good = await update();
    const foreign = await update("good-b", { key: "foreign-ed25519" });
    const cases: [() => object, RegExp][] = [
      [() => job(good, { field: "sig-sha1-ecdsa" }), /sig-sha1-ecdsa/],
      [() => job(good, { certfile: "other.pem" }), /names the certificate other\.pem/],
      [() => ({ ...job(good), stream_size: good.length + 1 }), /has \d+ bytes of file 0/],
      [
        () => job(good, { change: { "sig-sha256-ecdsa": "MAAA" } }),
        /not signed by the certificate signer\.pem/,
      ],
      [() => ({ ...job(good), change_stream: 3, drop: [1] }), /VersionMismatch|changed from version/],
      [() => job(foreign), /None of the given keys/],
      [() => ({ ...job(good), document: { afr_ota: { protocols: ["MQTT"], files: [] } } }), /0 files/],
    ];
    for (const [scenario, why] of cases) {
      const server = await serve(scenario());
      const { status, result } = await round();
      expect(result).toMatchObject({ outcome: "rejected", message: expect.stringMatching(why) });
      expect(status).toBe(61);
      expect(updates().at(-1)).toMatchObject({
        status: "REJECTED",
        details: { reason: expect.stringMatching(why) },
      });
      server.kill("SIGKILL");
    }
    expect(updates().some(({ details }) => "self_test" in details)).toBe(false);
    expect(await stands()).toBe("1.0.0 confirmed");
    // The log names the links that refused: the job, or the image's own signature and the keys that the board trusts.
    expect((await refusals()).map(({ rule }) => rule)).toEqual([
      ...cases.slice(0, 5).map(() => "source/job-rejected"),
      ...["signature", "trusted-key"],
      "source/job-rejected",
    ]);
  });

  it("leaves the jobs of other programs alone", async () => {
    const { serve, round, updates } = await rig();
    await serve({ document: { action: "reboot" } });
    expect(await round()).toMatchObject({ status: 0, result: { outcome: "left" } });
    expect(updates()).toEqual([]);
  });

  it("fails a job whose image crashes, once the old one runs again", async () => {
    const { serve, round, updates, stands, job } = await rig();
    await serve(job(await update("crash")));
    expect(await round()).toMatchObject({ status: 61, result: { outcome: "failed" } });
    expect(updates().at(-1)).toMatchObject({ status: "FAILED" });
    expect(await stands()).toBe("1.0.0 confirmed");
  });

  it.each([
    ["cancels the job", { cancel_at: "self_test" }, "ended"],
    ["lets the job time out", { time_out_at: "self_test" }, "ended"],
    ["drives the job from another host", { take_over_at: "self_test" }, "pending"],
  ])("lets the board go back when somebody %s", async (_who, how, outcome) => {
    const { serve, round, updates, stands, job } = await rig();
    await serve({ ...job(await update()), ...how });
    expect(await round()).toMatchObject({ status: 61, result: { outcome } });
    expect(await stands()).toBe("1.0.0 confirmed");
    expect(updates().some(({ status }) => status === "SUCCEEDED")).toBe(false);
  });

  it("goes on after it was killed at each step, and keeps the blocks that it has", async () => {
    const { serve, begin, round, updates, stands, job } = await rig();
    await serve(job(await update()));
    // Each is in a file of its state, or is its name; the last ones only once those before it are past.
    for (const mark of ['"streamVersion"', "payload\\.map", '"committing": true', '"outcome"']) {
      const { child, ended } = begin({ KILL_ONCE: mark, NODE_OPTIONS: `--import=${killer}` });
      const { stdout, stderr } = await ended;
      expect(child.signalCode, `${mark}: ${stdout}${stderr}`).toBe("SIGKILL");
    }
    const { result } = await round();
    expect(["succeeded", "nothing"]).toContain(result.outcome);
    expect(updates().at(-1)).toMatchObject({ status: "SUCCEEDED" });
    expect(await stands()).toBe("2.0.0 confirmed");
  });

  it("sets the timer of each step, and says what a job that timed out needs", async () => {
    const { at, serve, round, job } = await rig();
    await serve({ ...job(await update()), time_out_at: "self_test" });
    const { result } = await round();
    expect(result).toMatchObject({
      outcome: "ended",
      message: expect.stringMatching(/has ended: TIMED_OUT/),
    });
    const timers = readFileSync(at("log.timers"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { path: string; minutes: number });
    expect(timers.map(({ path }) => path)).toEqual(["start-next", "update"]);
    for (const { minutes } of timers) expect(minutes).toBeGreaterThan(10);
  });

  it("names MQTT in the TLS handshake where a port wants to know", async () => {
    const { port, words, serve, round, updates, job } = await rig();
    await serve(job(await update()));
    const door = await portByAlpn(Number(port));
    words[words.indexOf("--port") + 1] = String(door.port);
    expect((await round()).result).toMatchObject({ outcome: "pending", error: { code: "aws-unreachable" } });
    expect(door.let).toBe(0);
    words.push("--alpn");
    expect((await round()).result).toMatchObject({ outcome: "succeeded" });
    expect(door.let).toBeGreaterThan(0);
    expect(updates().at(-1)).toMatchObject({ status: "SUCCEEDED" });
  });

  it("carries out a plain job by HTTPS, and goes on with the file that was cut", async () => {
    const { at, words, serve, round, updates, stands } = await rig();
    const bytes = await update();
    const ranges: (string | undefined)[] = [];
    const tls = { cert: readFileSync(at("localhost.pem")), key: readFileSync(at("localhost.key")) };
    let isDown = true;
    const server = createServer(tls, (request, response) => {
      const { range } = request.headers;
      ranges.push(range);
      const from = range === undefined ? 0 : Number(/\d+/.exec(range)![0]);
      // Down after the first piece: not one byte more until it is up again.
      if (isDown && from > 0) return void response.destroy();
      const rest = bytes.subarray(from);
      const place = from > 0 && { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` };
      response.writeHead(from > 0 ? 206 : 200, { etag: '"v1"', "content-length": rest.length, ...place });
      if (isDown) response.write(rest.subarray(0, 20_000), () => response.destroy());
      else response.end(rest);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const url = `https://localhost:${(server.address() as AddressInfo).port}/app.bin`;
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    await serve({ document: { bootproof: { url, size: bytes.length, sha256, image: 0 } } });
    words.push("--url-ca", at("ca.pem"));
    expect((await round()).result).toMatchObject({
      outcome: "pending",
      message: expect.stringMatching(/could not be fetched completely/),
    });
    isDown = false;
    expect((await round()).result).toMatchObject({ outcome: "succeeded" });
    expect(ranges.at(-1)).toBe("bytes=20000-");
    expect(updates().at(-1)).toMatchObject({ status: "SUCCEEDED" });
    expect(await stands()).toBe("2.0.0 confirmed");
  });

  it.each([
    ["another SHA-256", { sha256: "0".repeat(64) }, /SHA-256 is not the one/],
    ["another size", { size: 1000 }, /more than the 1000 bytes/],
    ["no TLS", { url: "http://localhost/app.bin" }, /not an https:/],
  ])("rejects a plain job with %s", async (_what, change, why) => {
    const { at, words, serve, round, updates, stands } = await rig();
    const bytes = await update();
    const tls = { cert: readFileSync(at("localhost.pem")), key: readFileSync(at("localhost.key")) };
    const server = createServer(tls, (_request, response) => response.end(bytes));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const url = `https://localhost:${(server.address() as AddressInfo).port}/app.bin`;
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    await serve({ document: { bootproof: { url, size: bytes.length, sha256, ...change } } });
    words.push("--url-ca", at("ca.pem"));
    expect((await round()).result).toMatchObject({
      outcome: "rejected",
      message: expect.stringMatching(why),
    });
    expect(updates().at(-1)).toMatchObject({ status: "REJECTED" });
    expect(await stands()).toBe("1.0.0 confirmed");
  });

  it("says that nothing answers when the policy lets nothing through", async () => {
    const { at, serve, round, job } = await rig();
    await serve(job(await update()));
    const { status, result } = await round(["--cert", at("board-2.pem"), "--cert-key", at("board-2.key")]);
    expect(result).toMatchObject({ error: { code: "aws-no-answer" } });
    expect(status).toBe(61);
  });

  it.skipIf(!hasSdk)("is tried against services that Amazon's own SDK takes for the real ones", async () => {
    const { at, port, serve, job } = await rig();
    await serve(job(await update()));
    mkdirSync(at("sdk"));
    writeFileSync(at("sdk/drive.py"), SDK);
    const { status, stdout, stderr } = spawnSync(
      "python3",
      [at("sdk/drive.py"), port, at("ca.pem"), at(`${THING}.pem`), at(`${THING}.key`), THING],
      { encoding: "utf8" },
    );
    expect(status, stderr).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      started: ["job-1", "IN_PROGRESS", 2, "afr_ota"],
      updated: ["IN_PROGRESS", 3],
      mismatch: "VersionMismatch",
      ended: "SUCCEEDED",
      after: "TerminalStateReached",
      next: null,
    });
  });
});

/** The jobs service, as its own vendor's client uses it. */
const SDK = `
import json, sys
from concurrent.futures import Future
from awscrt import mqtt
from awsiot import iotjobs, mqtt_connection_builder
port, ca, cert, key, thing = sys.argv[1:]
link = mqtt_connection_builder.mtls_from_path(endpoint="localhost", port=int(port), ca_filepath=ca, cert_filepath=cert, pri_key_filepath=key, client_id=thing)
link.connect().result(20)
jobs = iotjobs.IotJobsClient(link)
answers = []
def answered(value):
    answers.pop().set_result(value)
def asked(work):
    future = Future(); answers.append(future); work(); return future.result(20)
QOS = mqtt.QoS.AT_LEAST_ONCE
start = iotjobs.StartNextPendingJobExecutionSubscriptionRequest(thing_name=thing)
jobs.subscribe_to_start_next_pending_job_execution_accepted(start, QOS, answered)[0].result(20)
jobs.subscribe_to_start_next_pending_job_execution_rejected(start, QOS, answered)[0].result(20)
update = iotjobs.UpdateJobExecutionSubscriptionRequest(thing_name=thing, job_id="job-1")
jobs.subscribe_to_update_job_execution_accepted(update, QOS, answered)[0].result(20)
jobs.subscribe_to_update_job_execution_rejected(update, QOS, answered)[0].result(20)
def begin():
    return asked(lambda: jobs.publish_start_next_pending_job_execution(iotjobs.StartNextPendingJobExecutionRequest(thing_name=thing, client_token="t"), QOS))
def tell(status, version):
    request = iotjobs.UpdateJobExecutionRequest(thing_name=thing, job_id="job-1", status=status, expected_version=version, include_job_execution_state=True, status_details={"a": "b"})
    return asked(lambda: jobs.publish_update_job_execution(request, QOS))
first = begin().execution
told = tell(iotjobs.JobStatus.IN_PROGRESS, first.version_number).execution_state
mismatch = tell(iotjobs.JobStatus.IN_PROGRESS, 1).code
ended = tell(iotjobs.JobStatus.SUCCEEDED, told.version_number).execution_state
after = tell(iotjobs.JobStatus.FAILED, ended.version_number).code
print(json.dumps({
    "started": [first.job_id, first.status, first.version_number, *first.job_document],
    "updated": [told.status, told.version_number],
    "mismatch": mismatch, "ended": ended.status, "after": after,
    "next": begin().execution and begin().execution.job_id,
}))
link.disconnect().result(20)
`;
