import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, json, keyFile, tempFolder } from "../support/cli-run.js";

beforeAll(ensureBuilt);

function workspace() {
  const folder = tempFolder();
  const at = (name: string) => join(folder, name);
  const env = { XDG_STATE_HOME: at("state") };
  const run = (...words: string[]) => bootproof(words, { env });
  const board = (variant: string) => `wasm:${variant}?flash=${at(`${variant}.bin`)}`;
  return { at, env, run, board };
}

interface Question {
  question: string;
  answer: string;
  reasons: string[];
  next?: string;
}

const answers = (value: Record<string, unknown>) =>
  Object.fromEntries((value.questions as Question[]).map(({ question, answer }) => [question, answer]));

it("audit: stated and open before, proven after prove, broken on a board that breaks a claim", async () => {
  const { at, env, run, board } = workspace();
  const ask = (variant: string, ...words: string[]) =>
    json(["audit", "-d", board(variant), ...words], { env });
  const before = await ask("good");
  expect(before.status).toBe(27);
  expect(answers(before.value)).toEqual({
    authenticity: "stated",
    integrity: "open",
    compatibility: "open",
    freshness: "stated",
    recovery: "stated",
  });
  const [authenticity, integrity] = before.value.questions as Question[];
  expect(authenticity!.reasons[0]).toMatch(/accepts 1 key\(s\): 99638d140e140ca6/);
  expect(integrity!.next).toBe(`bootproof prove -d ${board("good")} --claim integrity`);

  const attested = at("attest.pem");
  await run("keys", "public", keyFile("p256-1"), attested);
  const claims = [
    "signature",
    "integrity",
    "compatibility",
    "anti-rollback-counter",
    "rollback",
    "recovery-checked",
  ];
  const prove = (variant: string, names: string[], ...words: string[]) =>
    run("prove", "-d", board(variant), "--quick", ...names.flatMap((name) => ["--claim", name]), ...words);
  expect(
    (await prove("good", claims, "--attest", at("proof"), "--attest-key", keyFile("p256-1"))).status,
  ).toBe(0);
  const after = await ask("good");
  expect(after.status).toBe(0);
  expect(Object.values(answers(after.value))).toEqual(Array(5).fill("proven"));
  expect((after.value.questions as Question[])[0]!.reasons[0]).toMatch(
    /^signature: holds \(\d{4}-\d\d-\d\d, audit log 1, entry \d+\)$/,
  );

  // The same from the signed statement, on a host that has no log of it.
  const elsewhere = { env: { XDG_STATE_HOME: at("elsewhere") } };
  const words = ["audit", "-d", board("good"), "--proof", at("proof")];
  expect(await json([...words, "--proof-key", attested], elsewhere)).toMatchObject({ status: 0 });
  expect((await bootproof(words, elsewhere)).status).toBe(2);
  const other = await json(
    ["audit", "-d", board("offset"), "--proof", at("proof"), "--proof-key", attested],
    elsewhere,
  );
  expect(other).toMatchObject({ status: 27, stderr: expect.stringContaining("not about this board") });

  // A log that was edited answers nothing.
  const file = at("state/bootproof/audit/log-000001/checkpoint");
  writeFileSync(file, readFileSync(file, "utf8").replace(/\n\d+\n/, "\n1\n"));
  expect((await ask("good")).status).toBe(27);

  expect((await prove("no-signature", ["signature"])).status).toBe(26);
  const broken = await json(["audit", "-d", board("no-signature")], { env: { XDG_STATE_HOME: at("third") } });
  expect(answers(broken.value).authenticity).toBe("stated");
  await bootproof(["prove", "-d", board("no-signature"), "--quick", "--claim", "signature"], {
    env: { XDG_STATE_HOME: at("third") },
  });
  const told = await json(["audit", "-d", board("no-signature")], { env: { XDG_STATE_HOME: at("third") } });
  expect(told.status).toBe(26);
  expect(answers(told.value).authenticity).toBe("broken");
});

it("provision record: read, stated and compared, signed and in the log", async () => {
  const { at, env, run, board } = workspace();
  const signer = at("station.pem");
  await run("keys", "public", keyFile("p256-1"), signer);
  writeFileSync(at("boot.elf"), "the bootloader that was built");
  const record = (file: string, ...words: string[]) =>
    json(["provision", "record", "-d", board("good"), "-o", at(file), "-k", keyFile("p256-1"), ...words], {
      env,
    });
  expect(await record("bad", "--state", "colour=blue")).toMatchObject({ status: 2 });
  const made = await record(
    "unit",
    "--bootloader",
    at("boot.elf"),
    "--state",
    "root-of-trust=write-protected flash",
  );
  expect(made).toMatchObject({
    status: 0,
    value: {
      acceptedKeys: { how: "read", keys: [{ type: "ed25519", hash: expect.stringMatching(/^99638d14/) }] },
      storedCounters: [{ image: 0, how: "read", value: 1 }],
      upgradeMode: "swap using move",
      bootloader: { build: { how: "stated" } },
      firmware: { version: "1.0.0" },
      stated: { "root-of-trust": { answer: "write-protected flash" } },
    },
  });
  const verified = await json(["attest", "verify", at("unit"), "--key", signer], { env });
  expect(verified).toMatchObject({
    status: 0,
    value: { statement: { predicateType: "urn:x-bootproof:attestation:provisioning:v1" } },
  });
  // Asked once: the answer is remembered, and a record is never written over.
  expect((await record("second")).value).toMatchObject({
    stated: { "root-of-trust": { answer: "write-protected flash" } },
  });
  expect((await record("unit")).status).toBe(20);
  const { keyHash } = (await json(["keys", "show", signer])).value as { keyHash: string };
  writeFileSync(at("policy.yaml"), `version: 1\nlevel: production\nsettings: { keys: ["${keyHash}"] }\n`);
  const compared = await record("third", "--policy", at("policy.yaml"));
  expect(compared).toMatchObject({ status: 48, value: { policy: { decision: "refuse" } } });
  expect(existsSync(at("third"))).toBe(true);
  const events = (await json(["log", "show", "--type", "provision.record"], { env }))
    .value as unknown as object[];
  expect(events).toMatchObject([{ result: "ok" }, { result: "ok" }, { result: "refused" }]);
});
