import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createContext, runInContext } from "node:vm";
import { build } from "vite";
import { beforeAll, describe, expect, it } from "vitest";
import { fromHex, toHex } from "../../src/bytes.js";
import { parseKey } from "../../src/crypto/keys.js";
import { signImage } from "../../src/mcuboot/sign.js";
import { inBrowser, noBrowserReason } from "../support/browser.js";
import { type BrowserInput, type BrowserOutcome, scenario } from "../support/image-browser-scenario.js";
import { cliVectors } from "../support/image-cli-vectors.js";
import { payload, vectorFile } from "../support/image-imgtool-args.js";
import { goldenMessages } from "../support/smp-vectors.js";

const src = fileURLToPath(new URL("../../src", import.meta.url));
const ROOMS = ["browser.ts", "pure", "bytes.ts", "errors.ts", "crypto", "formats", "mcuboot", "smp"];
const sources = ROOMS.flatMap((room) =>
  room.endsWith(".ts")
    ? [room]
    : readdirSync(join(src, room), { recursive: true, encoding: "utf8" })
        .filter((file) => file.endsWith(".ts"))
        .map((file) => join(room, file)),
);

describe("the pure rooms name nothing that only Node has", () => {
  it.each(sources)("%s", (file) => {
    const code = readFileSync(join(src, file), "utf8").replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "");
    expect(code).not.toMatch(/\b(?:Buffer|process|__dirname|require|setImmediate)\b(?!["'`:])/);
    expect(code).not.toMatch(/["']node:/);
  });
});

/** All files of the pure rooms, and the scenario, as one script built as for a browser: `page.scenario`. */
async function bundle(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "bootproof-bundle-"));
  try {
    const entry = join(folder, "entry.js");
    const steps = fileURLToPath(new URL("../support/image-browser-scenario.ts", import.meta.url));
    const all = sources.map(
      (file, index) => `export * as file${index} from ${JSON.stringify(join(src, file))};`,
    );
    writeFileSync(entry, [`export { scenario } from ${JSON.stringify(steps)};`, ...all].join("\n"));
    const result = await build({
      configFile: false,
      logLevel: "silent",
      build: { write: false, minify: false, lib: { entry, formats: ["iife"], name: "page" } },
    });
    const [output] = [result].flat() as { output: { code: string }[] }[];
    return output!.output[0]!.code;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const KEY_TYPES = ["ed25519", "ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072"];
const golden = goldenMessages();
const wire = (name: string) =>
  new TextDecoder().decode(golden.find((one) => one.name.startsWith(name))!.wire);
const input: BrowserInput = {
  keys: Object.fromEntries(KEY_TYPES.map((type) => [type, vectorFile(`keys/throw-away-${type}.pem`)])),
  theirs: cliVectors.extra["guarded.img"]!,
  body: toHex(payload("p300")),
  answer: wire("G03"),
};

/** What every machine has to make of it. */
async function expected(): Promise<BrowserOutcome> {
  const key = await parseKey(input.keys.ed25519!);
  const options = { version: "1.2.3", headerSize: 32, padHeader: true, slotSize: 0, securityCounter: 4, key };
  const { bytes } = await signImage(fromHex(input.body), options);
  return {
    nodeNames: [],
    verdicts: Object.fromEntries(KEY_TYPES.map((type) => [type, ["good", "bad", "bad"]])),
    encrypted: "good",
    theirs: {
      version: expect.any(String) as string,
      hash: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    },
    broken: "image-too-short",
    asked: wire("G02"),
    answered: { r: "hello" },
    image: toHex(bytes),
  };
}

describe("images and SMP messages away from Node", () => {
  let code = "";
  beforeAll(async () => {
    code = await bundle();
  });

  it("the scenario itself, here", async () => {
    expect({ ...(await scenario(input)), nodeNames: [] }).toEqual(await expected());
  });

  it("in a context that has what browsers and Node have in common, and nothing else", async () => {
    const context = createContext({ crypto, TextEncoder, TextDecoder, atob, btoa });
    const page = runInContext(`${code}; page`, context) as { scenario: typeof scenario };
    const outcome = await page.scenario(input);
    expect(JSON.parse(JSON.stringify(outcome))).toEqual(await expected());
  });

  it("in a real browser", async ({ skip }) => {
    skip(noBrowserReason !== undefined, noBrowserReason);
    const told = await inBrowser(
      `${code}; page.scenario(${JSON.stringify(input)}).then((outcome) => tell(JSON.stringify(outcome)));`,
    );
    expect(told).not.toMatch(/^error/);
    expect(JSON.parse(told)).toEqual(await expected());
  });
});
