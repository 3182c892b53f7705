import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { toHex } from "../../src/bytes.js";
import { canonicalJson, type Json, parseJson } from "../../src/tuf/canonical-json.js";
import { parseMetadata } from "../../src/tuf/metadata.js";
import { refusal } from "../support/tuf-repository.js";

const vectors = JSON.parse(
  readFileSync(new URL("../vectors/tuf/canonical-json.json", import.meta.url), "utf8"),
) as { name: string; json: string; hex: string }[];

const bytes = (text: string) => new TextEncoder().encode(text);

describe("canonical JSON", () => {
  it.each(vectors.map(({ name, json, hex }) => [name, json, hex] as const))(
    "%s: as securesystemslib writes it",
    (_name, json, hex) => expect(toHex(canonicalJson(parseJson(bytes(json), "the vector")))).toBe(hex),
  );

  it("writes minus zero as zero", () => expect(toHex(canonicalJson([-0]))).toBe(toHex(bytes("[0]"))));

  it.each<[string, Json]>([
    ["a fraction", 1.5],
    ["a number that is not exact", 2 ** 60],
    ["half of a surrogate pair", "\ud800"],
    ["endless nesting", JSON.parse(`${"[".repeat(200)}${"]".repeat(200)}`)],
  ])("has none for %s", async (_what, value) => {
    expect(await refusal((async () => canonicalJson(value))())).toBe("bad-metadata -");
  });
});

describe("metadata", () => {
  const signed = {
    _type: "targets",
    spec_version: "1.0.34",
    version: 1,
    expires: "2030-01-01T00:00:00Z",
    targets: { "fw.bin": { length: 3, hashes: { sha256: "00" } } },
    "x-own": { kept: true },
  };
  const file = (change: Record<string, unknown> = {}, signatures: unknown = []) =>
    bytes(JSON.stringify({ signed: { ...signed, ...change }, signatures }));
  const delegation = (change: Record<string, unknown>) => ({
    delegations: {
      keys: {},
      roles: [{ name: "a", keyids: ["k"], threshold: 1, terminating: false, paths: ["*"], ...change }],
    },
  });

  it("keeps fields that it does not know: they are signed", () => {
    const { raw, signedBytes } = parseMetadata("targets", file());
    expect(raw["x-own"]).toEqual({ kept: true });
    expect(new TextDecoder().decode(signedBytes)).toContain('"x-own":{"kept":true}');
  });

  it("is safe from names that JavaScript gives a meaning", () => {
    const text = new TextDecoder().decode(file()).replace('"fw.bin"', '"__proto__"');
    expect([...parseMetadata("targets", bytes(text)).signed.targets.keys()]).toEqual(["__proto__"]);
    expect(Object.keys({}).length).toBe(0);
  });

  it.each<[string, Uint8Array]>([
    ["no JSON", bytes("{")],
    ["not UTF-8", Uint8Array.of(0x22, 0xff, 0x22)],
    ["a list", bytes("[]")],
    ["another type", file({ _type: "snapshot" })],
    ["the type in Uptane's old spelling", file({ _type: "Targets" })],
    ["specification 2", file({ spec_version: "2.0.0" })],
    ["version 0", file({ version: 0 })],
    ["a version that is text", file({ version: "1" })],
    ["an expiry with fractions", file({ expires: "2030-01-01T00:00:00.5Z" })],
    ["an expiry that is no day", file({ expires: "2030-13-01T00:00:00Z" })],
    ["a target without a hash", file({ targets: { a: { length: 1, hashes: {} } } })],
    ["a target of negative length", file({ targets: { a: { length: -1, hashes: { sha256: "00" } } } })],
    [
      "a key that signs twice",
      file({}, [
        { keyid: "k", sig: "00" },
        { keyid: "k", sig: "01" },
      ]),
    ],
    ["a delegation with paths and prefixes", file(delegation({ path_hash_prefixes: ["0"] }))],
    ["a delegation with neither", file(delegation({ paths: undefined }))],
    ["a delegated role named root", file(delegation({ name: "root" }))],
    ["a threshold of 0", file(delegation({ threshold: 0 }))],
    ["a key that is listed twice", file(delegation({ keyids: ["k", "k"] }))],
    ["no terminating", file(delegation({ terminating: undefined }))],
    ["bins and roles", file({ delegations: { keys: {}, roles: [], succinct_roles: {} } })],
  ])("that is %s is refused with its place", async (_what, content) => {
    expect(await refusal((async () => parseMetadata("targets", content))())).toBe("bad-metadata -");
  });
});
