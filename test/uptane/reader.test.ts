import { describe, expect, it } from "vitest";
import { TufError } from "../../src/tuf/error.js";
import { parseUptaneMetadata } from "../../src/uptane/reader.js";
import { uptaneFiles } from "../support/uptane-vectors.js";

const files = uptaneFiles();
const fileOf = (name: string) => new TextDecoder().decode(files.get(`simple/0/${name}`));
const read = (text: string, type: "root" | "targets" = "root") =>
  parseUptaneMetadata(type, new TextEncoder().encode(text));

describe("the reader of Uptane metadata", () => {
  it("keeps what is signed as it is spelled", () => {
    const root = read(fileOf("director/1.root.json"));
    expect(root.raw._type).toBe("Root");
    expect(new TextDecoder().decode(root.signedBytes)).toContain('"_type":"Root"');
    expect(root.signed.type).toBe("root");
  });

  it.each([
    ["a type that is neither spelling", '"Root"', '"ROOT"'],
    ["a type of another role", '"Root"', '"Targets"'],
    ["a root that leaves out one of timestamp and snapshot", '"snapshot"', '"x"'],
    ["a key under another id", '"13d1cfd0', '"23d1cfd0'],
    ["a threshold of zero", '"threshold": 1', '"threshold": 0'],
    ["a version that is not a number", '"version": 1', '"version": "1"'],
  ])("refuses %s", (_, from, to) => {
    const text = fileOf("image_repo/1.root.json");
    expect(text).toContain(from);
    expect(() => read(text.replaceAll(from, to))).toThrow(TufError);
  });

  it("says of any damaged file that it is no metadata, and nothing else", () => {
    const whole = fileOf("image_repo/targets.json");
    const junk = ["null", "[]", '""', "{}", "1", "-1", "1.5", "true"];
    let refused = 0;
    for (let at = 0; at < whole.length; at += 7)
      for (const text of [
        whole.slice(0, at),
        whole.slice(0, at) + junk[at % junk.length] + whole.slice(at + 3),
      ])
        try {
          read(text, "targets");
        } catch (error) {
          refused++;
          expect(error).toBeInstanceOf(TufError);
        }
    expect(refused).toBeGreaterThan(100);
  });
});
