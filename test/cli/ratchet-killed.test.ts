import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it, onTestFinished } from "vitest";
import { connect } from "../../src/client/connect.js";
import { Relay } from "../../src/client/relay.js";
import { startBoard } from "../../src/emulator/start.js";
import { parseImage } from "../../src/mcuboot/image.js";
import { imageMark } from "../../src/smp/groups/image.js";
import { readMessage } from "../../src/smp/header.js";
import { decodePayload } from "../../src/smp/message.js";
import { listenUdp } from "../../src/transport/udp.js";
import { ensureBuilt } from "../support/cli-build.js";
import { bootproof, json, keyFile, start, tempFolder } from "../support/cli-run.js";
import { image } from "../support/workflow-board.js";

beforeAll(ensureBuilt);

/** A board without stored counter behind UDP; `onConfirm` is called when a confirmation reaches it. */
async function bench() {
  const folder = tempFolder();
  const at = (name: string) => join(folder, name);
  const board = await startBoard({ machine: "wasm", variant: "no-counter" });
  const client = await connect(await board.connect(), {});
  const on = { confirm: () => {} };
  const relay: Relay = new Relay(
    client,
    () => {},
    (message, _guest, pass) => {
      const { header, payload } = readMessage(message);
      const isMark = header.group === imageMark.group && header.id === imageMark.id && header.op === "write";
      if (isMark && decodePayload(payload).confirm === true) on.confirm();
      return pass();
    },
  );
  const listener = await listenUdp("127.0.0.1", 0, (pipe) => void relay.serve(pipe));
  onTestFinished(async () => {
    await listener.close();
    await client.close();
    await board.close();
  });
  const signed = { variant: "no-counter" as const };
  const newer = await image("good-b", { ...signed, version: "2.0.0", counter: 7 });
  writeFileSync(at("newer.bin"), newer);
  writeFileSync(at("older.bin"), await image("good-a", { ...signed, version: "2.1.0", counter: 3 }));
  mkdirSync(at("home"));
  const rack = { address: `udp:127.0.0.1:${listener.port}`, identity: { setting: "id/serial" } };
  writeFileSync(at("home/.bootproof.json"), JSON.stringify({ boards: { rack } }));
  const options = { env: { XDG_STATE_HOME: at("state") }, cwd: at("home") };
  await bootproof(["allow"], options);
  await bootproof(["keys", "public", keyFile("ed25519-1"), at("public.pem")], options);
  const hash = Buffer.from(parseImage(newer).imageHash!.value).toString("hex");
  return { at, on, options, hash, port: listener.port };
}

type Bench = Awaited<ReturnType<typeof bench>>;

const VERBS: Readonly<Record<string, (bench: Bench) => Promise<string[]>>> = {
  flash: async ({ at }) => [
    ...["flash", at("newer.bin"), "--key", at("public.pem"), "-d", "rack", "--soak", "0"],
  ],
  "image confirm": async ({ at, options }) => {
    await bootproof(["image", "upload", at("newer.bin"), "-d", "rack"], options);
    return ["image", "confirm", at("newer.bin"), "-d", "rack"];
  },
  "mcumgr image confirm": async ({ at, options, hash, port }) => {
    const link = ["mcumgr", "--conntype", "udp", "--connstring", `127.0.0.1:${port}`, "image"];
    await bootproof([...link, "upload", at("newer.bin")], options);
    return [...link, "confirm", hash];
  },
};

it.each(Object.keys(VERBS))(
  "%s, killed as its confirmation reaches the board: the older build is refused",
  async (verb) => {
    const made = await bench();
    const { at, on, options } = made;
    const words = await VERBS[verb]!(made);
    let wasKilled = false;
    const run = start(words, options);
    on.confirm = () => {
      wasKilled = run.child.kill("SIGKILL");
    };
    await run.ended;
    expect(wasKilled).toBe(true);
    const { value } = await json(["ratchet", "show"], options);
    expect(value["smp-0001"]).toMatchObject({ images: { 0: { intents: [{ counter: 7 }] } } });
    expect(await bootproof(["image", "upload", at("older.bin"), "-d", "rack"], options)).toMatchObject({
      status: 46,
      stderr: /this host was about to confirm counter 7/i,
    });
  },
);
