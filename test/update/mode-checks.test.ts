import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type Image, parseImage } from "../../src/mcuboot/image.js";
import { signImage } from "../../src/mcuboot/sign.js";
import type { BoardFacts, ImageFacts, SlotContent } from "../../src/session/facts.js";
import { explainOldImage } from "../../src/update/explain-outcome.js";
import { judge } from "../../src/update/observe.js";
import { checkAgainstBoard } from "../../src/update/preflight.js";
import type { PreflightCheck, PreflightCheckName } from "../../src/update/preflight-check.js";
import { bench, image, tell } from "../support/workflow-board.js";
import { inVirtualTime } from "../support/workflow-clock.js";
import type { Fault } from "../support/workflow-wire.js";

const input = (name: string) =>
  parseImage(new Uint8Array(readFileSync(new URL(`../vectors/inputs/${name}`, import.meta.url))));
const ofVersion = async (version: string): Promise<Image> =>
  parseImage(
    (await signImage(new Uint8Array(64), { version, headerSize: 512, padHeader: true, slotSize: 0 })).image,
  );

const HASH = { old: new Uint8Array(32).fill(1), loader: new Uint8Array(32).fill(2) };

function content(version: string, more: Partial<SlotContent> = {}): SlotContent {
  return {
    version,
    hash: HASH.old,
    active: false,
    confirmed: true,
    pending: false,
    permanent: false,
    bootable: true,
    ...more,
  };
}

function pair(image: number, primary?: SlotContent, secondary?: SlotContent): ImageFacts {
  return {
    image,
    slots: [
      { image, slot: 0, ...(primary && { content: primary }) },
      { image, slot: 1, ...(secondary && { content: secondary }) },
    ],
  };
}

/** A board that answers from its application, running 1.0.0 in slot 0 of image 0. */
function board(mode: number | undefined, images = [pair(0, content("1.0.0", { active: true }))]): BoardFacts {
  return {
    name: "x",
    server: "application",
    bufSize: 384,
    bufSizeFrom: "server",
    reportsTrust: false,
    images,
    ...(mode === undefined ? {} : { bootloader: { mode, modeName: `mode ${mode}` } }),
  };
}

function check(
  name: PreflightCheckName,
  image: Image,
  facts: BoardFacts,
  imageNumber = 0,
): PreflightCheck | undefined {
  return checkAgainstBoard({ image, facts, imageNumber, throughRecovery: false }).find(
    (one) => one.name === name,
  );
}

describe("boards that pick by version", () => {
  it.each([
    [4, "0.9.9", "fail", /lower than the running 1\.0\.0: this bootloader starts the higher version/],
    [4, "0.0.0", "fail", /lower than the running/],
    [4, "1.0.0", "fail", /runs already, in slot 0: of two equal versions/],
    [4, "1.0.0+7", "fail", /of two equal versions/],
    [4, "1.0.1", "pass", /newer/],
    [5, "0.9.9", "fail", /starts the higher version/],
    [6, "1.0.0", "fail", /of two equal versions/],
    [3, "0.9.9", "warn", /older than the running/],
    [2, "1.0.0", "pass", /also the running version/],
    [undefined, "0.9.9", "warn", /older than the running/],
  ] as const)("mode %s, version %s: %s", async (mode, version, result, message) => {
    const judged = check("version", await ofVersion(version), board(mode));
    expect(judged).toMatchObject({ result, message: expect.stringMatching(message) });
    if (result === "fail") expect(judged?.hint).toMatch(/^Raise the version above 1\.0\.0/);
  });

  it("an equal version does start when the other one runs in slot 1", async () => {
    const facts = board(4, [pair(0, undefined, content("1.0.0", { active: true }))]);
    expect(check("version", await ofVersion("1.0.0"), facts)?.result).toBe("pass");
  });

  it("have their verdict without a word of reverting", async () => {
    const sent = await ofVersion("0.9.0");
    const hash = sent.imageHash!.value;
    const after = board(4, [pair(0, content("1.0.0", { active: true }), content("0.9.0", { hash }))]);
    const { message, hint } = explainOldImage(board(4), after, { hash, imageNumber: 0, image: sent });
    expect(message).toMatch(/is in the other slot\. Version 0\.9\.0 is lower than the running 1\.0\.0/);
    expect(`${message}${hint}`).not.toMatch(/revert|crash/);
  });

  /** Takes the test boot away from a real board, and its mode: nothing tells how it decides until it is asked. */
  const withoutTest: Fault = ({ direction, header }) => {
    if (direction === "to-board") return "pass";
    const isMark = header.group === 1 && header.id === 0 && header.op === "write-rsp";
    return isMark || header.group === 200 || (header.group === 0 && header.id === 8)
      ? { fields: { rc: 8 } }
      : "pass";
  };

  it("and tell so only when they are asked for a test boot: the same, before a restart", () =>
    inVirtualTime(async () => {
      const { session } = await bench({ fault: withoutTest });
      const { result, steps } = await tell(session, await image("good-b", { version: "1.0.0" }));
      expect(result).toMatchObject({
        outcome: "not-running",
        message: expect.stringMatching(/^Version 1\.0\.0 runs already/),
        hint: expect.stringMatching(/^Raise the version/),
      });
      expect(steps).not.toContain("reset");
    }));
});

describe("images that need others", () => {
  const needs = input("v2dep.bin");
  const one = (version: string, more: Partial<SlotContent> = {}) => content(version, more);
  const main = pair(0, content("1.0.0", { active: true }));

  it.each([
    [
      "too old",
      [main, pair(1, one("0.0.1"))],
      "fail",
      /image 1 of version 0\.0\.2 or later; the board has version 0\.0\.1 there/,
    ],
    ["not there at all", [main], "fail", /the board lists no such image/],
    ["there", [main, pair(1, one("0.0.2"))], "pass", /are met: image 1 0\.0\.2/],
    [
      "pending in its other slot",
      [main, pair(1, one("0.0.1"), one("0.0.2", { pending: true }))],
      "pass",
      /0\.0\.2/,
    ],
    [
      "pending and too old",
      [main, pair(1, one("0.0.2"), one("0.0.1", { pending: true }))],
      "fail",
      /0\.0\.1 there/,
    ],
    [
      "in the other slot, not asked for",
      [main, pair(1, one("0.0.1"), one("0.0.2"))],
      "fail",
      /0\.0\.1 there/,
    ],
    ["not listed in its slots", [main, pair(1)], "unknown", /does not report its version/],
    ["of no readable version", [main, pair(1, one("<???>"))], "unknown", /does not report/],
    ["on a board that lists nothing", [], "unknown", /does not report/],
  ] as const)("what is needed is %s", (_title, images, result, message) => {
    expect(check("dependencies", needs, board(3, [...images]))).toMatchObject({
      result,
      message: expect.stringMatching(message),
    });
  });

  it("an image that needs none is not asked about", async () => {
    expect(check("dependencies", await ofVersion("1.0.0"), board(3))).toBeUndefined();
  });

  it("a dependency of an odd length is that", () => {
    expect(check("dependencies", input("dep8.bin"), board(3))).toMatchObject({
      result: "fail",
      message: expect.stringMatching(/8/),
    });
  });
});

describe("boards whose application takes no image", () => {
  const loader = content("1.1.0", { active: true, confirmed: false, hash: HASH.loader });

  it("a single slot points to the bootloader", async () => {
    for (const mode of [0, 8])
      expect(check("slot-free", await ofVersion("2.0.0"), board(mode))).toMatchObject({
        result: "fail",
        hint: expect.stringMatching(/bootproof recover/),
      });
  });

  it("an active, unconfirmed loader in slot 1 is its normal state; the image is compared with slot 0", async () => {
    const facts = board(7, [pair(0, content("1.0.0"), loader)]);
    const sent = await ofVersion("1.0.5");
    expect(check("slot-free", sent, facts)).toMatchObject({
      result: "pass",
      message: expect.stringMatching(/loader answers/),
    });
    expect(check("version", sent, facts)).toMatchObject({
      result: "pass",
      message: expect.stringMatching(/newer than the running 1\.0\.0/),
    });
    expect(check("revert-possible", sent, facts)?.result).toBe("warn");
  });

  it("the application itself would write over the loader", async () => {
    const facts = board(7, [pair(0, content("1.0.0", { active: true }), content("1.1.0"))]);
    expect(check("slot-free", await ofVersion("2.0.0"), facts)).toMatchObject({
      result: "fail",
      message: expect.stringMatching(/only the loader in slot 1 takes images/),
    });
  });
});

const net = input("net.bin");

/** An image whose vectors are these. */
function startingAt(stack: number, entry: number): Image {
  const body = net.body.slice();
  new DataView(body.buffer).setUint32(0, stack, true);
  new DataView(body.buffer).setUint32(4, entry, true);
  return { ...net, body };
}

describe("images that go elsewhere", () => {
  const target = (image: Image, imageNumber: number) => ({
    image,
    hash: image.imageHash!.value,
    imageNumber,
  });
  const main = pair(0, content("1.0.0", { active: true }));

  it("through a pair whose primary slot lists nothing: taken, and not called refused", async () => {
    const sent = await ofVersion("2.0.0");
    const judged = judge(board(3, [main, pair(1)]), board(3, [main, pair(1)]), target(sent, 1));
    expect(judged).toMatchObject({
      runs: false,
      taken: true,
      message: expect.stringMatching(/What runs there is not reported/),
    });
    expect(judged.message).not.toMatch(/refused/);
  });

  it("through the pair of the application, told by their vectors", () => {
    expect(judge(board(3), board(3), target(net, 0))).toMatchObject({ runs: false, taken: true });
  });

  it("through the pair of the application, told by an entry outside of the running image's slot (MCUboot's own update)", () => {
    const running = (entry: number): BoardFacts =>
      board(3, [
        {
          image: 0,
          slots: [
            {
              ...{ image: 0, slot: 0, size: 0x8_0000 },
              content: {
                ...content("1.0.0", { active: true }),
                vectors: { value: { stack: 0x2000_4000, entry }, source: "known-file" },
              },
            },
            { image: 0, slot: 1, size: 0x8_0000 },
          ],
        },
      ]);
    const image = startingAt(0x2000_4000, 0x4201);
    const far = running(0x0080_4201);
    expect(judge(far, far, target(image, 0))).toMatchObject({ runs: false, taken: true });
    const near = running(0x4301);
    expect("taken" in judge(near, near, target(image, 0))).toBe(false);
    const check = (facts: BoardFacts, sent = image) =>
      checkAgainstBoard({ image: sent, facts, imageNumber: 0, throughRecovery: false }).find(
        ({ name }) => name === "start",
      );
    expect(check(far)).toMatchObject({
      result: "warn",
      message: expect.stringMatching(/entry point 0x00004201 is not in the slot .* 0x00804201/),
    });
    expect(check(near)).toMatchObject({
      result: "pass",
      message: expect.stringContaining("near the running"),
    });
    expect(check(near, startingAt(0x1000_4000, 0x4201))?.message).toContain("other memory");
    // Of images that run from either slot each is linked for its own.
    const either = { ...far, bootloader: { mode: 4 } };
    expect(check(either)).toMatchObject({ result: "pass" });
    expect(check(board(3), net)).toMatchObject({
      result: "warn",
      message: expect.stringContaining("network core"),
    });
    expect(check(board(3), startingAt(0, 0))?.message).toContain("begins with zeros");
  });

  it("are judged by the version where it is told without a hash", async () => {
    const sent = await ofVersion("2.0.0");
    const { hash: _none, ...listed } = content("2.0.0");
    expect(
      judge(board(3, [main, pair(1)]), board(3, [main, pair(1, listed)]), target(sent, 1)),
    ).toMatchObject({ runs: true });
  });

  it("an ordinary image that vanishes was refused", async () => {
    const sent = await ofVersion("2.0.0");
    const judged = judge(board(3), board(3), target(sent, 0));
    expect(judged).toMatchObject({
      runs: false,
      message: expect.stringMatching(/most likely refused and erased it/),
    });
    expect("taken" in judged).toBe(false);
  });
});

describe("modes and sizes that are not told", () => {
  const sized = (size: number, mode?: number) =>
    board(mode, [{ image: 0, slots: [{ image: 0, slot: 1, size }] }]);

  it("an unknown mode number promises and denies nothing", async () => {
    const sent = await ofVersion("2.0.0");
    for (const mode of [-1, 10, 250])
      for (const name of ["revert-possible", "power-cut-safe"] as const)
        expect(check(name, sent, board(mode)), `${name} in mode ${mode}`).toMatchObject({
          result: "unknown",
        });
  });

  it("a size that fits some modes only is noted", async () => {
    const sent = { ...(await ofVersion("2.0.0")), size: 217_806 } as Image;
    expect(check("fits-slot", sent, sized(225_280))).toMatchObject({
      result: "warn",
      message: expect.stringMatching(
        /fit a slot of 225280 bytes, but not in every mode.*swap using move takes 217088/,
      ),
    });
    expect(check("fits-slot", { ...sent, size: 100_000 } as Image, sized(225_280))?.result).toBe("pass");
    expect(check("fits-slot", { ...sent, size: 225_280 } as Image, sized(225_280))?.result).toBe("fail");
  });

  it("where the size of the old image is not reported, no swap is called safe", async () => {
    for (const mode of [1, 3, 9])
      expect(check("power-cut-safe", await ofVersion("2.0.0"), board(mode))?.result).toBe("unknown");
  });
});

describe("after a preflight that was overruled", () => {
  it("its own finding is the likeliest reason", () =>
    inVirtualTime(async () => {
      const { session } = await bench();
      const file = await image("good-b", { key: "foreign-ed25519" });
      const { result } = await tell(session, file, { keys: [], skip: "all" });
      expect(result).toMatchObject({
        outcome: "not-running",
        hint: expect.stringMatching(/^The likeliest reason is what the preflight found \(signature\)/),
      });
    }));
});
