import { beforeAll, expect, it } from "vitest";
import { connect } from "../../src/client/connect.js";
import type { Address } from "../../src/transport/address.js";
import { openStream } from "../../src/transport/open-stream.js";
import { parseAddress } from "../../src/transport/parse-address.js";
import { ensureBuilt } from "../support/cli-build.js";
import { start } from "../support/cli-run.js";

beforeAll(ensureBuilt);

it("an emulated board's port takes the next client when the last one leaves, and none beside it", async () => {
  const board = start(["board", "wasm:good"]);
  const [address] = await board.waitFor(/tcp:127\.0\.0\.1:\d+/);
  const open = () => openStream(parseAddress(address!) as Extract<Address, { kind: "tcp" }>);
  const first = await open();
  expect((await connect(first)).server.mode).toBe("application");
  // It is there before the board can know that the first one has left.
  const second = await open();
  await first.close();
  expect((await connect(second)).server.mode).toBe("application");
  await expect(connect(await open())).rejects.toMatchObject({ code: "lost" });
  await second.close();
  board.child.kill("SIGINT");
  expect((await board.ended).status).toBe(0);
});
