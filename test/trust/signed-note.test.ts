import { describe, expect, it } from "vitest";
import { fromHex, toBase64, toHex } from "../../src/bytes.js";
import { formatCheckpoint, openCheckpoint, parseCheckpoint } from "../../src/trust/checkpoint.js";
import {
  formatVerifierKey,
  noteKeyId,
  openNote,
  parseNote,
  parseVerifierKey,
  signNote,
} from "../../src/trust/signed-note.js";
import { noteSigner, noteVerifier } from "../../src/trust-store/log-key.js";

// Made outside this project with OpenSSL from the seed 00 01 .. 1f; see test/vectors/trust/README.md.
const NAME = "flash.example/rig7";
const PUBLIC = fromHex("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8");
const VERIFIER_KEY = "flash.example/rig7+c43e3fb2+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
const TEXT = "flash.example/rig7\n3\nNmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE=\n";
const NOTE = `${TEXT}\n— flash.example/rig7 xD4/smIZuvXbTzr4VWAKl2l3l4hSzBropnm/MoXeMuxlDVrYGKZx3pl30UZ5UtRdmPbBQPS2GD+0YvzLbQuIMzA6GQU=\n`;
// PKCS#8 of the same seed, RFC 8410.
const SEED = Uint8Array.from({ length: 32 }, (_, index) => index);
const PEM = `-----BEGIN PRIVATE KEY-----\n${toBase64(Buffer.concat([fromHex("302e020100300506032b657004220420"), SEED]))}\n-----END PRIVATE KEY-----\n`;

const verifier = noteVerifier({ name: NAME, publicKey: PUBLIC });

describe("signed notes", () => {
  it("name a key as others do", () => {
    expect(toHex(noteKeyId(NAME, PUBLIC))).toBe("c43e3fb2");
    expect(formatVerifierKey(verifier)).toBe(VERIFIER_KEY);
    expect(parseVerifierKey(VERIFIER_KEY)).toEqual({ name: NAME, publicKey: PUBLIC });
  });

  it("are written byte for byte as by another signer, and opened", async () => {
    expect(await signNote(TEXT, noteSigner(NAME, PEM))).toBe(NOTE);
    expect(await openNote(NOTE, [verifier])).toBe(TEXT);
    expect(await openCheckpoint(NOTE, [verifier])).toEqual({
      origin: NAME,
      size: 3,
      root: fromHex("36642e73c2540ab121e3a6bf9545b0a24982cd830eb13d3cd19de3ce6c021ec1"),
    });
  });

  it("ignore signatures by strangers, and are refused when a known key's is wrong or none is there", async () => {
    const stranger = await signNote(TEXT, noteSigner("witness.example", PEM));
    const both = `${NOTE}${stranger.slice(stranger.indexOf("\n\n") + 2)}`;
    expect(await openNote(both, [verifier])).toBe(TEXT);
    await expect(openNote(stranger, [verifier])).rejects.toThrow(
      /signed by witness\.example.*expected flash/,
    );
    const changed = NOTE.replace("\n3\n", "\n4\n");
    await expect(openNote(changed, [verifier])).rejects.toMatchObject({ code: "log-bad-signature" });
  });

  it("are refused when any character of them is changed or missing", async () => {
    for (let at = 0; at < NOTE.length; at++) {
      const cut = NOTE.slice(0, at) + NOTE.slice(at + 1);
      await expect(openNote(cut, [verifier]), `without character ${at}`).rejects.toThrow();
    }
  });

  it.each([
    ["no signature", TEXT],
    ["no empty line", `${TEXT}— a AAAAAAA=\n`],
    ["a carriage return", NOTE.replace("\n3", "\r\n3")],
    ["half a signature line", NOTE.slice(0, -1)],
    ["base64 with spare bits", `${TEXT}\n— a AAAAAAB=\n`],
    ["a hyphen for the dash", NOTE.replace("—", "-")],
    ["a huge text", `${"x".repeat(70_000)}\n\n— a AAAAAAAA\n`],
  ])("are not what has %s", (_, text) => {
    expect(() => parseNote(text)).toThrow(/not a signed note/);
  });

  it.each(["", "a\n", "a\nb\nc\n", "a\n03\nNmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE=\n", "a\n3\nAAAA\n"])(
    "hold no checkpoint when the text is %j",
    (text) => expect(() => parseCheckpoint(text)).toThrow(/not a checkpoint/),
  );

  it("give a checkpoint's text back", () => {
    expect(formatCheckpoint(parseCheckpoint(TEXT))).toBe(TEXT);
  });

  it.each(["", "name", "name+c43e3fb2+AAAA", VERIFIER_KEY.replace("c43e3fb2", "c43e3fb3")])(
    "refuse the verifier key %j",
    (text) => expect(() => parseVerifierKey(text)).toThrow(/not a verifier key/),
  );
});
