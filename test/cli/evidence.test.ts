import { spawnSync } from "node:child_process";
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, json, keyFile, signedUpdate } from "../support/cli-run.js";
import { installInTotoJudge, inTotoPython } from "../support/in-toto-judge.js";
import { buildLogJudge } from "../support/log-judge.js";

beforeAll(ensureBuilt);

const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    statSync(join(folder, name)).isFile(),
  );

/** Runs the page's own program over and over in one process, each time with another byte changed. */
const CHANGE_EACH_BYTE = `
import contextlib, io, json, os, random, sys

program, folder, key = sys.argv[1:4]
code = compile(open(program).read(), program, "exec")
seeded = random.Random(13)


def is_good():
    sys.argv = [program, folder, key]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            exec(code, {"__name__": "__main__"})
    except SystemExit as ended:
        return ended.code in (None, 0)
    except Exception:
        return False
    return True


def places(size):
    if size <= 200:
        return range(size)
    borders = {at + by for at in range(0, size, 4096) for by in (-1, 0)}
    ends = set(range(32)) | set(range(size - 32, size))
    chosen = {at for at in borders | ends if 0 <= at < size}
    return sorted(chosen | set(seeded.sample(range(size), 200)))


assert is_good()
tried, kept = {}, []
for at, _, names in os.walk(folder):
    for name in names:
        path = os.path.join(at, name)
        whole = open(path, "rb").read()
        shown = os.path.relpath(path, folder)
        tried[shown] = 0
        with open(path, "r+b", buffering=0) as file:
            for place in places(len(whole)):
                file.seek(place)
                file.write(bytes([whole[place] ^ (1 << seeded.randrange(8))]))
                if is_good():
                    kept.append(f"{shown} at {place}")
                file.seek(place)
                file.write(whole[place : place + 1])
                tried[shown] += 1
assert is_good()
print(json.dumps({"tried": tried, "kept": kept}))
`;

it("a pack is checked with Python and Go alone, and no byte of it can be changed", async (context) => {
  const { folder, image, publicKey } = await signedUpdate();
  const at = (name: string) => join(folder, name);
  const env = { XDG_STATE_HOME: at("state") };
  const run = (...words: string[]) => bootproof(words, { env });
  const device = `wasm:good?flash=${at("flash.bin")}`;
  const attested = at("attest.pem");
  await run("keys", "public", keyFile("p256-1"), attested);
  const sign = ["--attest-key", keyFile("p256-1")];
  const flashed = await run(
    ...["flash", image, "--key", publicKey, "-d", device, "--soak", "0", "--settle"],
    ...["--attest", at("flash.intoto.jsonl"), ...sign, "--log-proof", at("update.tlog-proof")],
  );
  expect(flashed.status).toBe(0);
  await run(
    ...["prove", "-d", "wasm:good", "--claim", "signature", "--quick"],
    ...["--attest", at("prove.intoto.jsonl"), ...sign],
  );
  writeFileSync(at("sbom.json"), '{"bomFormat":"CycloneDX","specVersion":"1.6"}\n');
  writeFileSync(at("policy.yaml"), "version: 1\nlevel: bench\n");

  const words = (pack: string) => [
    ...["evidence", "make", pack, "-k", keyFile("ed25519-2"), "--image", image, "--trusted-key", attested],
    ...[
      "--statement",
      at("flash.intoto.jsonl"),
      "--statement",
      at("prove.intoto.jsonl"),
      "--sbom",
      at("sbom.json"),
    ],
    ...["--policy-file", at("policy.yaml"), "--log-proof", at("update.tlog-proof"), "-d", device],
  ];
  const pack = at("pack");
  const made = await json(words(pack), { env });
  expect(made).toMatchObject({
    status: 0,
    value: { board: { runsImage: true, storedCounter: 2, runningVersion: "2.0.0" } },
  });
  expect(await run(...words(pack))).toMatchObject({ status: 20, stderr: /is there already/ });
  expect(await run("evidence", "make", at("empty"), "-k", keyFile("ed25519-2"))).toMatchObject({ status: 2 });
  const unsigned = await run(
    "evidence",
    "make",
    at("other"),
    "-k",
    keyFile("ed25519-2"),
    "--statement",
    at("flash.intoto.jsonl"),
    "--trusted-key",
    publicKey,
  );
  expect(unsigned.status).toBe(47);
  expect(readdirSync(folder)).not.toContain("other");

  // Digests are what the board itself reports, asked anew.
  const { value: info } = await json(["info", "-d", device], { env });
  const [{ slots }] = info.images as [{ slots: { content?: { hash: string; active: boolean } }[] }];
  const running = slots.find(({ content }) => content?.active)!.content!.hash;
  const top = readdirSync(pack).find((name) => name.endsWith(".intoto.json"))!;
  const { payload } = JSON.parse(readFileSync(join(pack, top), "utf8"));
  const { predicate } = JSON.parse(Buffer.from(payload, "base64").toString());
  expect(predicate).toMatchObject({
    image: { hash: running, securityCounter: 2 },
    board: { runningHash: running },
  });

  const reason = installInTotoJudge();
  if (reason !== undefined) return context.skip(reason);
  const page = readFileSync(join(pack, "README.md"), "utf8");
  expect(page).toContain("claims no conformity");
  writeFileSync(at("check.py"), /```python\n(.*?)```/s.exec(page)![1]!);
  const signer = at("signer.pem");
  await run("keys", "public", keyFile("ed25519-2"), signer);
  const check = (where: string) =>
    spawnSync(inTotoPython, [at("check.py"), where, signer], { encoding: "utf8" });
  expect(check(pack)).toMatchObject({ status: 0, stdout: expect.stringMatching(/^good: \d+ files/) });

  const judge = buildLogJudge();
  if (judge) {
    const key = readFileSync(join(pack, "log/log.vkey"), "utf8").trim();
    expect(judge.proof(join(pack, "log/update.tlog-proof"), key)).toEqual(expect.any(Number));
    judge.remove();
  }

  // Every byte of small files; of large ones both ends, the borders of blocks and a sample that is the same each time.
  const copy = at("copy");
  cpSync(pack, copy, { recursive: true });
  writeFileSync(at("change.py"), CHANGE_EACH_BYTE);
  const changing = spawnSync(inTotoPython, [at("change.py"), at("check.py"), copy, signer], {
    encoding: "utf8",
  });
  expect(changing).toMatchObject({ status: 0, stderr: "" });
  const { tried, kept } = JSON.parse(changing.stdout) as { tried: Record<string, number>; kept: string[] };
  expect(kept).toEqual([]);
  expect(Object.keys(tried).sort()).toEqual(filesBelow(copy).sort());
  for (const [name, count] of Object.entries(tried))
    expect(count, name).toBeGreaterThanOrEqual(Math.min(statSync(join(copy, name)).size, 200));
  expect(check(copy).status).toBe(0);
  writeFileSync(join(copy, "more"), "");
  expect(check(copy)).toMatchObject({ status: 1, stderr: expect.stringContaining("added or taken away") });
  if (!judge) context.skip("the Go judge cannot be built here");
});
