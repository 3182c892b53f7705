import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { bootproof, keyFile, start, tempFolder } from "../support/cli-run.js";
import { image } from "../support/workflow-board.js";

/**
 * The interface that Mender's Orchestrator calls, walked through by a program that knows the protocol alone. Two boards; the
 * program is killed in each state; another client (smpclient) reads what the boards run afterwards.
 */

const walker = fileURLToPath(new URL("../support/orchestrator_walker.py", import.meta.url));
const canRead = spawnSync("python3", ["-c", "import smpclient"]).status === 0;
if (!canRead)
  console.log(
    "Boards are read by bootproof, not by smpclient, which is not installed (pip install smpclient).",
  );

/** Version and confirmation of the running image, by smpclient over the board's TCP port. */
const READ = `
import asyncio, socket, sys
from smpclient.requests.image_management import ImageStatesRead
from smp import packet

def main(port):
    request = ImageStatesRead()
    with socket.create_connection(("127.0.0.1", port), 10) as link:
        link.settimeout(10)
        for line in packet.encode(bytes(request)):
            link.sendall(line)
        decoder, data = packet.decode(), b""
        next(decoder)
        while True:
            while b"\\n" not in data:
                data += link.recv(4096)
            line, data = data.split(b"\\n", 1)
            start = max(line.find(b"\\x06\\x09"), line.find(b"\\x04\\x14"))
            if start < 0:
                continue
            try:
                decoder.send(line[start:] + b"\\n")
            except StopIteration as done:
                answer = request._Response.loads(done.value)
                print([[str(one.version), bool(one.confirmed)] for one in answer.images if one.active][0])
                return

main(int(sys.argv[1]))
`;

async function running(port: string): Promise<string> {
  if (canRead) {
    const { stdout, stderr } = spawnSync("python3", ["-c", READ, port], { encoding: "utf8" });
    expect(stderr).toBe("");
    return stdout.trim();
  }
  const { stdout } = await bootproof(["image", "list", "-d", `tcp:127.0.0.1:${port}`, "--json"]);
  const [{ slots }] = JSON.parse(stdout).images;
  const { version, confirmed } = slots[0].content;
  return `['${version}', ${confirmed ? "True" : "False"}]`;
}

const STATES = [
  null,
  "Download",
  "ArtifactInstall",
  "ArtifactReboot",
  "ArtifactVerifyReboot",
  "ArtifactCommit",
];

it.each(STATES)("two boards are walked through, the program killed in state %s", async (kill) => {
  const folder = tempFolder();
  const payload = join(folder, "update.bin");
  writeFileSync(payload, await image("good-b", { version: "2.0.0" }));
  const ports: string[] = [];
  const boards = [];
  for (const type of ["left", "right"]) {
    const board = start(["board", "wasm:good", "--flash", join(folder, `${type}.flash`)]);
    const [address, port] = (await board.waitFor(/tcp:127\.0\.0\.1:(\d+)/)) as unknown as [string, string];
    ports.push(port);
    const program = join(folder, type);
    const words = [
      "mender-interface",
      "-d",
      address,
      "--key",
      keyFile("ed25519-1"),
      "--id",
      type,
      "--soak",
      "0",
    ];
    expect(await bootproof([...words, "--launcher", program])).toMatchObject({ status: 0 });
    const files = join(folder, `${type}.files`);
    mkdirSync(files);
    boards.push({ type, program, files });
  }
  const job = join(folder, "job.json");
  writeFileSync(job, JSON.stringify({ payload, kill, boards }));
  const walk = await new Promise<{ status: number | null; stdout: string; stderr: string }>((resolve) => {
    const env = { PATH: process.env.PATH, HOME: folder };
    const child = spawn("python3", [walker, job], { env });
    const said = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk) => (said.stdout += chunk));
    child.stderr.on("data", (chunk) => (said.stderr += chunk));
    child.once("close", (status) => resolve({ status, ...said }));
  });
  expect(walk.stderr).toBe("");
  expect(walk.status).toBe(0);
  const { failed, said } = JSON.parse(walk.stdout) as {
    failed: string | null;
    said: Record<string, string>[];
  };
  expect(failed).toBe(kill && `${kill}: killed`);
  if (kill === null)
    expect(said[0]).toMatchObject({
      Identity: "id=left\n",
      Provides: "rootfs-image.zephyr-image.version=1.0.0\n",
    });
  const isNew = kill === null || kill === "ArtifactCommit";
  const expected = isNew ? "['2.0.0', True]" : "['1.0.0', True]";
  expect([await running(ports[0]!), await running(ports[1]!)]).toEqual([expected, expected]);
  for (const { files } of boards) {
    const left = existsSync(join(files, "tmp")) ? readdirSync(join(files, "tmp")) : [];
    expect(left).toEqual([]);
  }
});
