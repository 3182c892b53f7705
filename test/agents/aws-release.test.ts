import { spawnSync } from "node:child_process";
import { createHash, createSign, verify, X509Certificate } from "node:crypto";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { readAwsJob } from "../../src/agents/aws-job.js";
import { type AwsRelease, planAwsRelease } from "../../src/agents/aws-release.js";
import { bootproof, keyFile, tempFolder } from "../support/cli-run.js";
import { isOnPath } from "../support/on-path.js";
import { image } from "../support/workflow-board.js";

/** Amazon's own command line, where it is installed, against a server that writes down what arrives; else a stand-in for it. */
const hasAws = isOnPath("aws");
if (!hasAws)
  console.log("Amazon's command line judges no release: it is not installed (pip install awscli).");

const TARGET = "arn:aws:iot:eu-west-1:123456789012:thing/board-1";
const ROLE = "arn:aws:iam::123456789012:role/ota";

/** A program named aws that writes down its words and answers what the cloud would. */
const STAND_IN = `#!${process.execPath}
const { appendFileSync, readFileSync } = require("node:fs");
const { execFileSync } = require("node:child_process");
const words = process.argv.slice(2);
const { LOG, SIGNER_KEY, FAIL_AT, ANSWER } = process.env;
appendFileSync(LOG, JSON.stringify(words) + "\\n");
const [service, verb] = words;
if (verb === FAIL_AT) { console.error("An error occurred (AccessDeniedException)"); process.exit(254); }
const after = (name) => words[words.indexOf(name) + 1];
if (verb === "sign") {
  const digest = after("--message").replace("fileb://", "");
  const how = ["pkeyutl", "-sign", "-inkey", SIGNER_KEY, "-in", digest === "/dev/stdin" ? "-" : digest];
  const input = digest === "/dev/stdin" ? readFileSync(0) : undefined;
  const args = input ? how.slice(0, 4) : how;
  console.log(ANSWER ?? execFileSync("openssl", args, { input }).toString("base64"));
} else if (verb === "put-object") console.log("version-7");
else if (verb === "start-signing-job") console.log("0a1b2c3d-0000-4000-8000-000000000000");
`;

async function workspace() {
  const folder = tempFolder();
  const at = (name: string) => join(folder, name);
  const openssl = (...words: string[]) => expect(spawnSync("openssl", words).status).toBe(0);
  openssl(
    ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=signer".split(" "),
    ..."-addext extendedKeyUsage=codeSigning -addext keyUsage=digitalSignature".split(" "),
    ...["-keyout", at("signer.key"), "-out", at("signer.pem")],
  );
  const file = at("it's an app.bin");
  const bytes = await image("good-b", { version: "2.0.0" });
  writeFileSync(file, bytes);
  writeFileSync(at("aws"), STAND_IN);
  chmodSync(at("aws"), 0o755);
  const env = { LOG: at("log"), SIGNER_KEY: at("signer.key"), PATH: `${folder}:${process.env.PATH}` };
  const stream = ["--bucket", "updates", "--role-arn", ROLE];
  return {
    at,
    file,
    bytes,
    env,
    stream,
    release: (words: readonly string[], more: Record<string, string> = {}) =>
      bootproof(
        [
          "release",
          "aws",
          file,
          "--target",
          TARGET,
          "--object-key",
          "app.bin",
          "--key",
          keyFile("ed25519-1"),
          ...words,
        ],
        { env: { ...env, ...more } },
      ),
    kms: ["--code-signer", at("signer.pem"), "--kms-key", "alias/signer"],
    calls: () =>
      existsSync(at("log"))
        ? readFileSync(at("log"), "utf8")
            .trim()
            .split("\n")
            .map((line) => JSON.parse(line) as string[])
        : [],
  };
}

const wordAfter = (words: readonly string[] | undefined, name: string) => words![words!.indexOf(name) + 1]!;

describe("release aws", () => {
  it("signs, makes a stream and a job that the agent takes", async () => {
    const { release, stream, kms, calls, bytes, at } = await workspace();
    const { status, stdout, stderr } = await release([...stream, ...kms, "--upload", "--run", "--json"]);
    expect(status, stderr).toBe(0);
    expect(calls().map(([service, verb]) => `${service} ${verb}`)).toEqual([
      "s3api put-object",
      "kms sign",
      "iot create-stream",
      "iot create-job",
    ]);
    const [, , made, ordered] = calls();
    const { jobId, streamId } = JSON.parse(stdout) as { jobId: string; streamId: string };
    expect(wordAfter(ordered, "--job-id")).toBe(jobId);
    expect(JSON.parse(wordAfter(made, "--files"))).toEqual([
      { fileId: 0, s3Location: { bucket: "updates", key: "app.bin" } },
    ]);
    const job = readAwsJob(JSON.parse(wordAfter(ordered, "--document")))!;
    expect(job).toMatchObject({
      kind: "afr_ota",
      size: bytes.length,
      stream: { name: streamId, fileId: 0 },
      signature: { certificate: "signer.pem", keyType: "ecdsa" },
    });
    const { publicKey } = new X509Certificate(readFileSync(at("signer.pem")));
    expect(verify("sha256", bytes, publicKey, job.signature!.bytes)).toBe(true);
  });

  it("prints what a shell then does, word for word", async () => {
    const { release, stream, kms, calls, env, bytes, at } = await workspace();
    const words = [...stream, ...kms, "--timeout", "90", "--region", "eu-west-1", "--upload"];
    const { stdout } = await release(words);
    expect(calls()).toEqual([]);
    expect(stdout).toContain(`'${at("it'\\''s an app.bin")}'`);
    const shell = spawnSync("sh", ["-c", stdout], { env, encoding: "utf8" });
    expect(shell.status, shell.stderr).toBe(0);
    const printed = calls();
    writeFileSync(at("log"), "");
    expect((await release([...words, "--run"])).status).toBe(0);
    // ECDSA signs with a new secret number each time, and the digest is not read from the same place.
    const steady = (all: string[][]) =>
      all.map((one) => one.map((word) => word.replace(/fileb:.*|(?<="sig-sha256-ecdsa":")[^"]*/, "")));
    expect(steady(calls())).toEqual(steady(printed));
    const ordered = printed.at(-1);
    expect(wordAfter(ordered, "--timeout-config")).toBe("inProgressTimeoutInMinutes=90");
    const { signature } = readAwsJob(JSON.parse(wordAfter(ordered, "--document")))!;
    const { publicKey } = new X509Certificate(readFileSync(at("signer.pem")));
    expect(verify("sha256", bytes, publicKey, signature!.bytes)).toBe(true);
  });

  it("has AWS Signer's job joined by the service", async () => {
    const { release, stream, calls } = await workspace();
    const { status, stderr } = await release([
      ...stream,
      "--upload",
      "--signing-profile",
      "profile_1",
      "--run",
    ]);
    expect(status, stderr).toBe(0);
    const [, signed, waited, made, ordered] = calls();
    expect(JSON.parse(wordAfter(signed, "--source"))).toEqual({
      s3: { bucketName: "updates", key: "app.bin", version: "version-7" },
    });
    expect(waited).toContain("0a1b2c3d-0000-4000-8000-000000000000");
    expect(JSON.parse(wordAfter(made, "--files"))).toMatchObject([{ s3Location: { version: "version-7" } }]);
    expect(JSON.parse(wordAfter(ordered, "--files"))).toMatchObject([
      { codeSigning: { awsSignerJobId: "0a1b2c3d-0000-4000-8000-000000000000" } },
    ]);
  });

  it("takes a signature that is there, and makes plain jobs", async () => {
    const { release, stream, bytes, at, calls } = await workspace();
    writeFileSync(
      at("sig"),
      createSign("sha256")
        .update(bytes)
        .sign(readFileSync(at("signer.key"))),
    );
    const signed = ["--code-signer", at("signer.pem"), "--signature", at("sig")];
    expect((await release([...stream, ...signed, "--run"])).status).toBe(0);
    expect(calls()).toHaveLength(2);
    const plain = await release([
      "--plain",
      "--url",
      "https://host.example/app.bin",
      "--image",
      "0",
      "--json",
    ]);
    const { document } = JSON.parse(plain.stdout) as { document: string };
    expect(readAwsJob(JSON.parse(document))).toEqual({
      kind: "bootproof",
      size: bytes.length,
      sha256: createHash("sha256").update(bytes).digest("hex"),
      url: "https://host.example/app.bin",
      image: 0,
    });
    const links = await release(["--plain", "--presign", "eu-west-1", ...stream, "--json"]);
    expect(JSON.parse(links.stdout).document).toContain(
      `"$\{aws:iot:s3-presigned-url:https://s3.eu-west-1.amazonaws.com/updates/app.bin}"`,
    );
  });

  it("calls nothing for what a board or the service would refuse", async () => {
    const { release, stream, kms, calls, at, file } = await workspace();
    writeFileSync(at("sig"), "MAAA");
    const cases: [words: string[], why: RegExp, status: number][] = [
      [[...stream, ...kms, "--job-id", "a b"], /--job-id "a b"/, 2],
      [[...stream, ...kms, "--region", "eu\nwest"], /not the name of a region/, 2],
      [[...stream, ...kms, "--aws-profile", "a\u001b[31m"], /--aws-profile/, 2],
      [[...stream, ...kms, "--signature", at("sig")], /in one way/, 2],
      [[...stream, "--code-signer", at("signer.pem"), "--signature", at("sig")], /not signed by/, 43],
      [[...stream, "--code-signer", file, "--kms-key", "k"], /not an X\.509 certificate/, 24],
    ];
    for (const [words, why, wanted] of cases) {
      const { status, stderr } = await release([...words, "--run"]);
      expect(stderr).toMatch(why);
      expect(status, stderr).toBe(wanted);
    }
    const foreign = await image("good-b", { key: "foreign-ed25519" });
    writeFileSync(file, foreign);
    expect(await release([...stream, ...kms, "--run"])).toMatchObject({
      status: 6,
      stderr: expect.stringMatching(/image is not good/),
    });
    expect(calls()).toEqual([]);
  });

  it.each<[change: { [Name in keyof AwsRelease]?: unknown }, why: RegExp]>([
    [{ signing: undefined }, /needs a signature/],
    [{ roleArn: undefined }, /role .* is missing/],
    [{ bucket: undefined }, /bucket .* is missing/],
    [{ bucket: "Up_dates" }, /--bucket "Up_dates"/],
    [{ targets: ["thing/board-1"] }, /not the ARN of a thing/],
    [{ targets: [] }, /no target/],
    [{ streamId: "s".repeat(45) }, /44 characters/],
    [{ kind: "bootproof" }, /no signature of its own/],
    [{ url: "http://host.example/app.bin" }, /--url/],
    [{ certificate: undefined }, /certificate of the signer is missing/],
    [{ signing: { by: "profile", profile: "profile_1" } }, /one version of an object/],
    [{ signing: { by: "profile", profile: "-x" } }, /--signing-profile "-x"/],
    [{ signing: { by: "kms", keyId: "--debug" } }, /--kms-key "--debug"/],
    [{ size: 30 << 20 }, /size/],
  ])("plans nothing that the service or the agent would refuse: %j", (change, why) => {
    const good: AwsRelease = {
      ...{ kind: "afr_ota", path: "app.bin", size: 1000, sha256: "0".repeat(64), jobId: "job-1" },
      ...{ targets: [TARGET], bucket: "updates", objectKey: "app.bin", roleArn: ROLE, streamId: "job-1" },
      signing: { by: "kms", keyId: "alias/signer" },
      certificate: { name: "signer.pem", keyType: "ecdsa" },
    };
    expect(planAwsRelease(good).calls).toHaveLength(3);
    expect(() => planAwsRelease({ ...good, ...change } as AwsRelease)).toThrow(why);
  });

  it("stops at the call that fails, and at a signature of another key", async () => {
    const { release, stream, kms, calls, at } = await workspace();
    const failed = await release([...stream, ...kms, "--run"], { FAIL_AT: "create-stream" });
    expect(failed).toMatchObject({
      status: 66,
      stderr: expect.stringMatching(/create-stream ended with status 254/),
    });
    expect(calls()).toHaveLength(2);
    spawnSync("openssl", "ecparam -name prime256v1 -genkey -noout -out".split(" ").concat(at("other.key")));
    const foreign = await release([...stream, ...kms, "--run"], { SIGNER_KEY: at("other.key") });
    expect(foreign).toMatchObject({
      status: 43,
      stderr: expect.stringMatching(/not signed by the certificate/),
    });
    const odd = await release([...stream, ...kms, "--run"], { ANSWER: "None" });
    expect(odd).toMatchObject({ status: 66, stderr: expect.stringMatching(/answers "None"/) });
    expect(calls().some(([, verb]) => verb === "create-job")).toBe(false);
    const none = await release([...stream, ...kms, "--run"], { PATH: at("nowhere") });
    expect(none).toMatchObject({ status: 25, stderr: expect.stringMatching(/cannot be started/) });
  });

  it.skipIf(!hasAws).each([["kms"], ["profile"]])(
    "says what Amazon's own command line takes (%s)",
    async (way) => {
      const { at, file, stream, bytes } = await workspace();
      const seen: { path: string; body: Record<string, unknown> }[] = [];
      const server = createServer((request, response) => {
        const chunks: Buffer[] = [];
        request.on("data", (chunk: Buffer) => chunks.push(chunk));
        request.on("end", () => {
          const body = Buffer.concat(chunks);
          const path = `${request.method} ${request.url!.split("?")[0]}`;
          const isJson = /json/.test(request.headers["content-type"] ?? "") || body[0] === 0x7b;
          seen.push({ path, body: isJson ? JSON.parse(body.toString()) : {} });
          const signature = () =>
            createSign("sha256")
              .update(bytes)
              .sign(readFileSync(at("signer.key")))
              .toString("base64");
          const answers: Record<string, unknown> = {
            "POST /": () => ({ Signature: signature(), KeyId: "k" }),
            "POST /signing-jobs": () => ({ jobId: "0a1b2c3d" }),
            "GET /signing-jobs/0a1b2c3d": () => ({ jobId: "0a1b2c3d", status: "Succeeded" }),
          };
          const answer = answers[path] as (() => object) | undefined;
          response.setHeader("content-type", "application/json");
          response.end(JSON.stringify(answer?.() ?? {}));
        });
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      onTestFinished(() => void server.close());
      const { port } = server.address() as AddressInfo;
      const signing =
        way === "kms"
          ? ["--code-signer", at("signer.pem"), "--kms-key", "alias/signer"]
          : ["--signing-profile", "profile_1", "--object-version", "version-7"];
      const { status, stderr } = await bootproof(
        [
          ...["release", "aws", file, "--target", TARGET, "--object-key", "app.bin", ...stream, ...signing],
          ...["--region", "eu-west-1", "--timeout", "90", "--run"],
        ],
        {
          env: {
            PATH: process.env.PATH!,
            AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
            AWS_ACCESS_KEY_ID: "test",
            AWS_SECRET_ACCESS_KEY: "test",
            AWS_EC2_METADATA_DISABLED: "true",
          },
        },
      );
      expect(status, stderr).toBe(0);
      const ordered = seen.at(-1)!;
      if (way === "kms") {
        expect(seen[0]!.body).toMatchObject({
          KeyId: "alias/signer",
          Message: createHash("sha256").update(bytes).digest("base64"),
          MessageType: "DIGEST",
        });
        expect(ordered.path).toMatch(/^PUT \/jobs\//);
        expect(ordered.body).toMatchObject({
          targets: [TARGET],
          targetSelection: "SNAPSHOT",
          timeoutConfig: { inProgressTimeoutInMinutes: 90 },
        });
        expect(readAwsJob(JSON.parse(ordered.body.document as string))).toMatchObject({ kind: "afr_ota" });
      } else {
        expect(ordered.path).toMatch(/^POST \/otaUpdates\//);
        expect(ordered.body).toMatchObject({
          protocols: ["MQTT"],
          roleArn: ROLE,
          files: [{ codeSigning: { awsSignerJobId: "0a1b2c3d" } }],
        });
      }
      expect(seen.find(({ path }) => path.includes("/streams/"))!.body).toMatchObject({
        roleArn: ROLE,
        files: [{ fileId: 0, s3Location: { bucket: "updates", key: "app.bin" } }],
      });
    },
  );
});
