import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, keyFile, tempFolder } from "../support/cli-run.js";

beforeAll(ensureBuilt);

const BOARD = ["mender-interface", "-d", "wasm:good"];

describe.skipIf(process.platform === "win32")("mender-interface --launcher", () => {
  it("names files by whole paths, as Mender starts it in a folder of its own", async () => {
    const folder = tempFolder();
    writeFileSync(join(folder, "public.pem"), readFileSync(keyFile("ed25519-1")));
    const written = await bootproof([...BOARD, "--key", "public.pem", "--launcher", "module"], {
      cwd: folder,
    });
    expect(written).toMatchObject({ status: 0 });
    expect(readFileSync(join(folder, "module"), "utf8")).toMatch(/'--key' '\/[^']*\/public\.pem'/);
    expect(await bootproof([...BOARD, "--launcher", "module"], { cwd: folder })).toMatchObject({ status: 0 });
  });

  it("is not written over another file, nor with a key that is not there or a name of two lines", async () => {
    const folder = tempFolder();
    const at = (name: string) => join(folder, name);
    writeFileSync(at("mine"), "precious");
    const over = await bootproof([...BOARD, "--launcher", at("mine")]);
    expect(over).toMatchObject({ status: 20, stderr: expect.stringMatching(/not a launcher/) });
    expect(readFileSync(at("mine"), "utf8")).toBe("precious");
    const keyless = await bootproof([...BOARD, "--key", at("none.pem"), "--launcher", at("module")]);
    expect(keyless).toMatchObject({ status: 20, stderr: expect.stringMatching(/There is no file/) });
    const named = await bootproof([...BOARD, "--name", "a\nb", "--launcher", at("module")]);
    expect(named).toMatchObject({ status: 2, stderr: expect.stringMatching(/one word/) });
    expect(existsSync(at("module"))).toBe(false);
  });
});

it("Download says which folder is none of Mender's, and makes nothing there", async () => {
  const folder = tempFolder();
  const missing = join(folder, "none");
  const absent = await bootproof([...BOARD, "Download", missing]);
  expect(absent).toMatchObject({ status: 20, stderr: expect.stringMatching(/not the folder of an update/) });
  expect(existsSync(missing)).toBe(false);
  mkdirSync(join(folder, "update"));
  writeFileSync(join(folder, "update", "stream-next"), "streams/absent\n");
  const streamless = await bootproof([...BOARD, "Download", join(folder, "update")]);
  expect(streamless).toMatchObject({ status: 20, stderr: expect.stringMatching(/cannot be read: ENOENT/) });
});
