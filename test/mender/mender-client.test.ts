import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bootproof, json, keyFile, start, tempFolder } from "../support/cli-run.js";
import { freePort } from "../support/free-port.js";
import { isOnPath } from "../support/on-path.js";
import { image } from "../support/workflow-board.js";

/**
 * Mender's own client (Debian's 3.4) installs artifacts by our update module on an emulated board, in a mount namespace of its
 * own: its configuration and modules are those of the test.
 */

const canRun =
  process.getuid?.() === 0 && isOnPath("mender") && spawnSync("unshare", ["-m", "true"]).status === 0;
if (!canRun)
  console.log("Tests with Mender's client are skipped: they need root and Debian's mender-client.");

/** A machine that Mender's client looks after, with a board behind it. */
async function rig(options: readonly string[] = []) {
  const folder = tempFolder();
  const at = (...names: string[]) => join(folder, ...names);
  for (const name of ["data", "etc", "modules"]) mkdirSync(at(name));
  // The board comes back at the address where it was.
  const port = String(await freePort());
  const plug = () => start(["board", "wasm:good", "--flash", at("flash.bin"), "--port", port]);
  let board = plug();
  const [address] = await board.waitFor(/tcp:127\.0\.0\.1:\d+/);
  const power = {
    async cycle() {
      board.child.kill("SIGKILL");
      await board.ended;
      board = plug();
      await board.waitFor(/tcp:/);
    },
  };
  const launcher = at("modules", "zephyr-image");
  const written = await bootproof([
    ..."mender-interface -d".split(" "),
    address,
    "--key",
    keyFile("ed25519-1"),
    ...options,
    "--launcher",
    launcher,
  ]);
  expect(written).toMatchObject({ status: 0 });
  writeFileSync(at("data", "device_type"), "device_type=boardA\n");
  writeFileSync(at("etc", "artifact_info"), "artifact_name=first\n");
  writeFileSync(at("etc", "mender.conf"), '{"DeviceTypeFile":"/etc/mender/device_type"}');
  writeFileSync(at("etc", "device_type"), "device_type=boardA\n");
  const mender = (...words: string[]) => {
    const script = `mount --bind ${at("modules")} /usr/share/mender/modules/v3 && mkdir -p /etc/mender && mount --bind ${at("etc")} /etc/mender && exec mender --no-syslog -c /etc/mender/mender.conf -b ${at("none")} -d ${at("data")} ${words.map((word) => `'${word}'`).join(" ")}`;
    const { status, stdout, stderr } = spawnSync("unshare", ["-m", "sh", "-c", script], {
      encoding: "utf8",
      env: { PATH: process.env.PATH, HOME: folder },
    });
    return { status, text: stdout + stderr };
  };
  const stands = async () => {
    const { value } = await json(["image", "list", "-d", address]);
    const [{ slots }] = value.images as [{ slots: { content?: Record<string, unknown> }[] }];
    return slots.map(
      ({ content }) => content && `${content.version}${content.confirmed ? " confirmed" : ""}`,
    );
  };
  return { at, mender, stands, power };
}

/** An artifact around an image, by Mender's own tool. */
function artifact(file: string, name: string, payload: Uint8Array): string {
  writeFileSync(`${file}.bin`, payload);
  const { status, stderr } = spawnSync(
    "mender-artifact",
    `write module-image -T zephyr-image -n ${name} -t boardA --compression none -o ${file} -f ${file}.bin`.split(
      " ",
    ),
    { encoding: "utf8" },
  );
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return file;
}

describe.skipIf(!canRun)("Mender's client", () => {
  it("installs an update that is committed, and says what runs", async () => {
    const { at, mender, stands } = await rig();
    const file = artifact(at("b.mender"), "rel-b", await image("good-b", { version: "2.0.0" }));
    expect(mender("install", file)).toMatchObject({ status: 0 });
    expect(await stands()).toEqual(["2.0.0", "1.0.0 confirmed"]);
    expect(mender("commit")).toMatchObject({ status: 0 });
    expect(await stands()).toEqual(["2.0.0 confirmed", "1.0.0"]);
    expect(mender("show-provides").text).toContain("artifact_name=rel-b");
  });

  it("takes an update back that nobody commits", async () => {
    const { at, mender, stands } = await rig();
    const file = artifact(at("b.mender"), "rel-b", await image("good-b", { version: "2.0.0" }));
    expect(mender("install", file)).toMatchObject({ status: 0 });
    expect(mender("rollback")).toMatchObject({ status: 0 });
    expect(await stands()).toEqual(["1.0.0 confirmed", "2.0.0"]);
    expect(mender("show-provides").text).not.toContain("rel-b");
  });

  it("is stopped before a byte is sent when the image is signed by a foreign key", async () => {
    const { at, mender, stands } = await rig();
    const foreign = await image("good-b", { version: "2.0.0", key: "foreign-ed25519" });
    const ended = mender("install", artifact(at("b.mender"), "rel-b", foreign));
    expect(ended.status).not.toBe(0);
    expect(ended.text).toContain("None of the given keys signed the image");
    expect(await stands()).toEqual(["1.0.0 confirmed", undefined]);
  });

  it("installs nothing of an image that crashes", async () => {
    const { at, mender, stands } = await rig();
    const crash = await image("crash", { version: "2.0.0" });
    const ended = mender("install", artifact(at("c.mender"), "rel-c", crash));
    expect(ended.status).not.toBe(0);
    expect(await stands()).toEqual(["1.0.0 confirmed", undefined]);
  });

  it("does not commit what a power cut has reverted in between", async () => {
    const { at, mender, stands, power } = await rig();
    const file = artifact(at("b.mender"), "rel-b", await image("good-b", { version: "2.0.0" }));
    expect(mender("install", file)).toMatchObject({ status: 0 });
    await power.cycle();
    const ended = mender("commit");
    expect(ended.status).not.toBe(0);
    expect(ended.text).toContain("does not run version 2.0.0");
    expect(await stands()).toEqual(["1.0.0 confirmed", undefined]);
    expect(mender("show-provides").text).not.toContain("rel-b");
  });
});
