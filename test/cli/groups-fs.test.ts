import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { boardOnTcp, ownFolder, runCli, type TcpBoard } from "../support/groups-cli.js";

const folder = ownFolder();
let board: TcpBoard;
beforeAll(async () => {
  board = await boardOnTcp();
});
afterAll(async () => {
  await board.close();
  folder.remove();
});

const on = (...args: string[]) =>
  runCli(args, { cwd: folder.path, env: { BOOTPROOF_DEVICE: board.address } });
const at = (name: string) => join(folder.path, name);
const content = Uint8Array.from({ length: 5000 }, (_, index) => (index * 7 + (index >> 7)) & 0xff);
const sha256 = createHash("sha256").update(content).digest("hex");
writeFileSync(at("data.bin"), content);

test("a file is put, measured, hashed and fetched", async () => {
  const sent = await on("fs", "put", "data.bin", "/lfs/data", "--json", "-q");
  expect(sent.json()).toEqual({
    file: "data.bin",
    name: "/lfs/data",
    bytes: 5000,
    movedBytes: 5000,
    resumedAt: 0,
    proof: "sha256",
    elapsedMs: expect.any(Number),
    sha256,
  });
  expect((await on("fs", "status", "/lfs/data", "--json")).json()).toEqual({
    name: "/lfs/data",
    bytes: 5000,
  });
  expect((await on("fs", "hash", "/lfs/data", "--type", "sha256", "--json")).json()).toEqual({
    name: "/lfs/data",
    type: "sha256",
    offset: 0,
    length: 5000,
    output: sha256,
  });
  const part = createHash("sha256").update(content.subarray(100, 300)).digest("hex");
  const hashed = await on(
    "fs",
    "hash",
    "/lfs/data",
    "--type",
    "sha256",
    "--offset",
    "100",
    "--length",
    "200",
  );
  expect(hashed.out).toBe(`${part}  sha256 of 200 bytes\n`);
  expect((await on("fs", "types", "--json")).json()).toEqual({
    types: [
      { name: "crc32", bytes: 4 },
      { name: "sha256", bytes: 32 },
    ],
  });
  const got = await on("fs", "get", "/lfs/data", "--json");
  expect(got.json()).toMatchObject({ name: "/lfs/data", file: "data", bytes: 5000, proof: "sha256", sha256 });
  expect(new Uint8Array(readFileSync(at("data")))).toEqual(content);
  expect(existsSync(at("data.part"))).toBe(false);
});

test("a second time nothing travels", async () => {
  await on("fs", "put", "data.bin", "/lfs/again");
  const { out, err } = await on("fs", "put", "data.bin", "/lfs/again");
  expect(out).toContain("nothing was sent");
  expect(err).toContain("The first 5000 bytes are already there");
});

test("a fetch that was cut goes on behind its part, and a wrong part does no harm", async () => {
  await on("fs", "put", "data.bin", "/lfs/cut");
  writeFileSync(at("cut.part"), content.subarray(0, 3000));
  const { json } = await on("fs", "get", "/lfs/cut", "cut", "--json", "-q");
  expect(json()).toMatchObject({ resumedAt: 3000, bytes: 5000 });
  expect(new Uint8Array(readFileSync(at("cut")))).toEqual(content);

  writeFileSync(at("other.part"), new Uint8Array(3000));
  const anew = await on("fs", "get", "/lfs/cut", "other", "--json", "-q");
  expect(anew.json()).toMatchObject({ resumedAt: 0 });
  expect(new Uint8Array(readFileSync(at("other")))).toEqual(content);
});

test("a file that is here is not replaced unless that is said", async () => {
  await on("fs", "put", "data.bin", "/lfs/keep");
  writeFileSync(at("keep"), "mine");
  const { status, err } = await on("fs", "get", "/lfs/keep");
  expect(status).toBe(20);
  expect(err).toContain("already there");
  expect(readFileSync(at("keep"), "utf8")).toBe("mine");
  expect((await on("fs", "get", "/lfs/keep", "--force", "-q")).status).toBe(0);
  expect(new Uint8Array(readFileSync(at("keep")))).toEqual(content);
});

test("- is stdout", async () => {
  writeFileSync(at("hello.txt"), "hello\n");
  await on("fs", "put", "hello.txt", "/lfs/hello");
  expect((await on("fs", "get", "/lfs/hello", "-")).out).toBe("hello\n");
});

test("what cannot be done is said in words", async () => {
  expect((await on("fs", "get", "/lfs/none")).err).toContain("The device has no such file.");
  expect((await on("fs", "put", "none.bin", "/lfs/x")).status).toBe(20);
  mkdirSync(at("folder"), { recursive: true });
  expect((await on("fs", "put", "folder", "/lfs/x")).err).toContain("is a folder");
  expect((await on("fs", "put", "data.bin", "relative")).err).toContain("not a valid file name");
  const listed = await on("fs", "ls", "/lfs");
  expect(listed.status).not.toBe(0);
  expect(listed.err).toContain("SMP itself cannot list files");
  expect((await on("fs", "close", "--json")).json()).toEqual({ closed: true });
});

test("a name that Git Bash made into a path of its own is told as that, before the board is asked", async () => {
  const made = "C:/Program Files/Git/lfs/data";
  const env = { BOOTPROOF_DEVICE: "tcp:127.0.0.1:9" };
  const put = ["fs", "put", "data.bin", made];
  const told = await runCli(put, { cwd: folder.path, env: { ...env, MSYSTEM: "MINGW64" } });
  expect(told.err).toContain(`${made} is what Git Bash made of a path on the board.`);
  expect(told.status).toBe(2);
  expect((await runCli(put, { cwd: folder.path, env })).err).not.toContain("Git Bash");
});
