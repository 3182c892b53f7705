import { describe, expect, it } from "vitest";
import { decodeCbor } from "../../src/smp/cbor.js";
import { LEFT_OUT, type LeftOut } from "../support/mcumgr-left-out.js";
import { inputsOf, type Recording, recordings, replay } from "../support/mcumgr-recordings.js";

const leftOutOf = (recording: Recording) => LEFT_OUT.find(({ of }) => of(recording));
const withInputs = recordings.filter((recording) => inputsOf(recording) !== undefined);
const same = withInputs.filter((recording) => !leftOutOf(recording));
const different = withInputs.flatMap((recording): [string, Recording, LeftOut][] => {
  const leftOut = leftOutOf(recording);
  return leftOut ? [[recording.id, recording, leftOut]] : [];
});

/** The original sends several requests of an upload before their answers; where one did not go as it guessed, ours differ. */
function sendsAhead({ command, wire = [] }: Recording): boolean {
  let wanted = 0;
  for (const line of command === "image upload" ? wire : []) {
    if (line === "...") return false;
    const [direction, hex] = line.split(" ") as [string, string];
    const { off = 0 } = decodeCbor(new Uint8Array(Buffer.from(hex.slice(16), "hex"))) as { off?: number };
    if (direction === "<") wanted = off;
    else if (off !== wanted) return true;
  }
  return false;
}

/** Help texts are our own words, and the recordings have `$USAGE` for them. */
const withoutUsage = (text: string) =>
  text
    .replace(/Usage:\n[\s\S]*?Flags:\n( .*\n)+/, "$USAGE\n")
    // A description of several lines is help as well.
    .replace(/^(\nshow - )[\s\S]*?\n\n\$USAGE\n$/, "$1\n\n$USAGE\n");

/** Speeds, the number of updates and the time of the system vary. */
const withoutSpeed = (text: string) => {
  const steps = text
    .replace(/( 100\.00%) [^\n]*/, "$1 $SPEED")
    // The bar takes what the speed leaves; a step before the last may be full already.
    .replace(/\[=+\]/g, "[=]")
    .split("\r");
  const isLong = steps.length > 3 && steps[0] === "" && steps[1]!.startsWith(" 0 / ");
  return (isLong ? ["", steps[1], steps.at(-1)] : steps).join("\r");
};
const told = (stdout: string) => withoutSpeed(withoutUsage(stdout));

describe("bootproof mcumgr: the same requests, answers, files and status as the recorded runs", () => {
  it("covers nearly all of them", () => expect(same.length).toBeGreaterThanOrEqual(515));

  it.each(
    same.map(
      (recording) => [`${recording.id}: ${recording.argv.join(" ")}`.slice(0, 160), recording] as const,
    ),
  )("%s", async (_name, recording) => {
    const run = await replay(recording, inputsOf(recording)!);
    const { stdout, stderr, status, wire = [], files_after = {}, profile_before, profile_after } = recording;
    expect(told(run.stdout)).toBe(told(stdout));
    expect(
      withoutUsage(run.stderr).replace(/udp: no address to send to/, "udp [::]:$EPHEMERAL->:0: sendto"),
    ).toBe(stderr);
    expect(run.status).toBe(status);
    expect(Object.keys(run.files).sort()).toEqual(Object.keys(files_after).sort());
    for (const [name, { size, sha256 }] of Object.entries(files_after))
      expect(run.files[name]).toEqual({ size, sha256 });
    expect(run.profile).toBe(profile_after ?? (recording.env ? run.profile : profile_before));
    const requests = wire.filter((line) => line.startsWith("> ")).map((line) => line.slice(2));
    if (sendsAhead(recording)) return;
    if (wire.includes("...")) for (const request of requests) expect(run.sent).toContain(request);
    else if (recording.server !== "none") expect(run.sent).toEqual(requests);
  });
});

describe("bootproof mcumgr: what is left out ends with a clear error", () => {
  it("knows no class that does not occur", () => {
    const occurring = new Set(different.map(([, , leftOut]) => leftOut));
    expect(LEFT_OUT.filter((leftOut) => !occurring.has(leftOut))).toEqual([]);
  });

  it.each(different.filter(([, , { message }]) => message))("%s", async (_id, recording, { message }) => {
    const run = await replay(recording, {});
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(message!);
  });
});
