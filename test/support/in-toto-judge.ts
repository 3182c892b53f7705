import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** securesystemslib, the library under in-toto and TUF, from PyPI: a judge of DSSE envelopes that nobody here wrote. */

const folder = join(
  process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"),
  "bootproof-judges/securesystemslib-1.3.0",
);
export const inTotoPython = join(folder, "bin/python");

const PROGRAM = `
import json, sys
from securesystemslib.dsse import Envelope
from securesystemslib.signer import Key, SSlibKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
envelope = Envelope.from_dict(json.load(open(sys.argv[1])))
key = SSlibKey.from_crypto(load_pem_public_key(open(sys.argv[2], "rb").read()), keyid=sys.argv[3])
envelope.verify([key], 1)
print(json.dumps({"type": envelope.payload_type, "statement": json.loads(envelope.payload)}))
`;

/** What the judge reads out of an envelope that it verified. */
export interface Judged {
  readonly type: string;
  readonly statement: Readonly<Record<string, unknown>>;
}

/** Why the judge cannot be had here; undefined when it is there. In CI that is a failure. */
export function installInTotoJudge(): string | undefined {
  const done = join(folder, "installed");
  if (existsSync(done)) return undefined;
  mkdirSync(folder, { recursive: true });
  const steps = [
    ["python3", "-m", "venv", folder],
    [inTotoPython, "-m", "pip", "install", "--quiet", "securesystemslib[crypto]==1.3.0"],
    ["cp", join(folder, "pyvenv.cfg"), done],
  ];
  for (const [program, ...words] of steps) {
    const { status, error, stderr } = spawnSync(program!, words, { encoding: "utf8" });
    if (status === 0) continue;
    const why = `securesystemslib cannot be installed: ${error?.message ?? stderr.trim().split("\n").at(-1)}`;
    if (process.env.CI) throw new Error(why);
    return why;
  }
  return undefined;
}

/** The statement in an envelope, verified; or what the judge complains of. */
export function judgeEnvelope(file: string, publicKey: string, keyId: string): Judged | string {
  const { status, stdout, stderr } = spawnSync(inTotoPython, ["-c", PROGRAM, file, publicKey, keyId], {
    encoding: "utf8",
  });
  return status === 0 ? (JSON.parse(stdout) as Judged) : (stderr.trim().split("\n").at(-1) ?? "");
}
