import { boardVariant, fixtureKey, signedFixture } from "bootproof/boards";
import { describe, expect, it } from "vitest";
import type { SurfaceItem } from "../../hil/attack-surface.js";
import { entryOf } from "../../hil/board-files/board-file.js";
import { ImageFactory } from "../../hil/images/image-factory.js";
import { proveAssembled, proveBoard } from "../../hil/prove.js";
import { toHtml } from "../../hil/report/html.js";
import { toText } from "../../hil/report/terminal.js";
import type { BoardResult, ProofReport } from "../../hil/result.js";
import { nothingOptional } from "../support/nothing-optional.js";
import { wireBoard } from "../support/wire-board.js";
import { inVirtualTime } from "../support/workflow-clock.js";
import type { Fault } from "../support/workflow-wire.js";

const EACCESSDENIED = 11;

/** A run over all claims of which nothing but the survey is of interest: no case is claimed. */
function survey(cable: Fault): Promise<BoardResult> {
  return inVirtualTime(async () => {
    const install = await signedFixture("good-a", "wasm", boardVariant("good"), {
      version: "3.0.0",
      counter: 4,
    });
    const entry = { ...entryOf("tcp:127.0.0.1:1"), claims: [], startsWithinMs: 3000 };
    const board = await wireBoard(entry, { install, cable });
    const factory = new ImageFactory({ base: install, key: await fixtureKey("ed25519-1") });
    const assembly = { board, factory, layout: undefined, keys: { accepted: [], refused: [] } };
    return proveAssembled(entry, assembly, { signal: new AbortController().signal, seed: 1 });
  });
}

const verdicts = ({ surface = [] }: BoardResult) =>
  Object.fromEntries(surface.map(({ id, verdict }) => [id, verdict]));

/** As a build does that hooks into MCUmgr and denies what is not for everybody. */
const denies =
  (...commands: readonly string[]): Fault =>
  ({ direction, header: { group, id, op } }) =>
    direction === "to-host" && commands.includes(`${group}/${id} ${op}`)
      ? { fields: { rc: EACCESSDENIED } }
      : "pass";

const reportOf = (result: BoardResult): ProofReport => ({
  format: "bootproof proof 1",
  tool: { name: "bootproof", version: "1.2.3" },
  startedAt: new Date(0).toISOString(),
  elapsedMs: 0,
  seed: 1,
  scope: "full",
  interrupted: false,
  boards: [result],
});

describe("what anybody on this link can do", () => {
  it("lists everything of a board that refuses nothing, and leaves it as it was", async () => {
    const result = await survey(() => "pass");
    expect(verdicts(result)).toEqual({
      upload: "open",
      erase: "open",
      confirm: "open",
      shell: "open",
      files: "open",
      settings: "open",
      statistics: "open",
      images: "open",
      reset: "open",
      recovery: "open",
      "other-groups": "not-tried",
    });
    const evidence = Object.fromEntries((result.surface ?? []).map((item) => [item.id, item.evidence]));
    expect(evidence).toMatchObject({
      upload: "it took the first 64 bytes of an image",
      shell: 'it ran "help", which returned 0',
      files: "it answered FILE_NOT_FOUND for one that does not exist, so it accepts such requests",
      "other-groups":
        "the board lists 10 (enum mgmt), 63 (zephyr basic mgmt), 200 (trust mgmt); what they change was not tried",
    });
    expect(result.putBack).toMatchObject({ ok: true });
    expect(toText(reportOf(result))).toMatch(
      /Anybody on this link can, without a password:\n {6}upload an image to the update slot: it took/,
    );
    expect(toHtml(reportOf(result))).toMatch(
      /What anybody on this link can do<\/h3>.*<td>run shell commands<\/td><td>yes<br>/s,
    );
  });

  it("tells what a hardened board refuses, by its own answer", async () => {
    const result = await survey(denies("1/1 write-rsp", "1/5 write-rsp", "9/0 write-rsp", "8/1 read-rsp"));
    expect(verdicts(result)).toMatchObject({
      upload: "refused",
      erase: "refused",
      shell: "refused",
      files: "refused",
      settings: "open",
    });
    expect(result.surface?.find(({ id }) => id === "shell")?.evidence).toBe("it answered EACCESSDENIED");
    expect(toText(reportOf(result))).toMatch(/The board refuses to:\n {6}upload an image/);
  });

  it("calls nothing open that the board does not know", async () => {
    const result = await survey(nothingOptional());
    expect(verdicts(result)).toEqual({
      upload: "open",
      erase: "open",
      confirm: "open",
      shell: "absent",
      files: "absent",
      settings: "absent",
      statistics: "absent",
      images: "open",
      reset: "open",
      recovery: "open",
    } satisfies Record<string, SurfaceItem["verdict"]>);
  });

  it("is left out of runs over chosen cases", async () => {
    const signal = new AbortController().signal;
    const result = await proveBoard(entryOf("wasm:good"), {
      signal,
      seed: 1,
      cases: ["integrity/flip-magic"],
    });
    expect(result.surface).toBeUndefined();
  });
});
