import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromHex, toHex } from "../../src/bytes.js";
import { encodeCbor } from "../../src/smp/cbor.js";
import { command, commandByNumber } from "../../src/smp/command.js";
import { allCommands } from "../../src/smp/groups/all.js";
import { joinMessage } from "../../src/smp/header.js";
import { fromJson, type Json, toJson } from "../../src/smp/json.js";
import { decodeResponse, encodeRequest } from "../../src/smp/message.js";
import { text } from "../../src/smp/schema.js";

const user = commandByNumber({ group: 70, id: 3, op: "write" });
const answer = (payload: Uint8Array, numbers: { group?: number; id?: number } = {}) =>
  joinMessage({ version: 2, op: "write-rsp", group: 70, id: 3, seq: 1, ...numbers }, payload);

describe("a command by its numbers", () => {
  test("carries a payload as it is, both ways", () => {
    const payload = fromHex("00ff1234");
    expect(toHex(encodeRequest(user, payload, { seq: 1, version: 2 }))).toBe(`0a00000400460103${"00ff1234"}`);
    expect(decodeResponse(user, answer(payload))).toEqual(payload);
    expect(decodeResponse(user, answer(new Uint8Array(0)))).toEqual(new Uint8Array(0));
  });

  test("an error in a CBOR answer is still an error, of either form", () => {
    expect(() => decodeResponse(user, answer(encodeCbor({ rc: 8 })))).toThrow(
      expect.objectContaining({ name: "DeviceError", rc: 8 }),
    );
    expect(() => decodeResponse(user, answer(encodeCbor({ err: { group: 70, rc: 2 } })))).toThrow(
      expect.objectContaining({ group: 70, rc: 2 }),
    );
    expect(decodeResponse(user, answer(encodeCbor({ rc: 0, x: 1 })))).toEqual(encodeCbor({ rc: 0, x: 1 }));
  });

  test("where `rc` is a result, it is one here too", () => {
    const shell = commandByNumber({ group: 70, id: 3, op: "write", resultBeside: "o" });
    const payload = encodeCbor({ o: "no", rc: 5 });
    expect(decodeResponse(shell, answer(payload))).toEqual(payload);
  });

  test("an answer to something else is refused", () => {
    expect(() => decodeResponse(user, answer(fromHex("a0"), { id: 4 }))).toThrow(
      expect.objectContaining({ code: "wrong-answer" }),
    );
  });

  test("whatever a device answers, nothing but its payload or a typed error comes out", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (payload) => {
        try {
          expect(decodeResponse(user, answer(payload))).toEqual(payload);
        } catch (error) {
          expect((error as { code?: string }).code).toMatch(/^(smp-error|group-error|wrong-kind)$/);
        }
      }),
    );
  });
});

describe("a user's group", () => {
  const declared = command({
    name: "lamp set",
    does: "set the lamp",
    group: 70,
    id: 3,
    op: "write",
    request: { colour: text },
    response: {},
    errors: [{ rc: 2, name: "NO_SUCH_COLOUR", says: "The lamp has no such colour.", hint: "Try red." }],
  });

  test("has its errors in its own words", () => {
    expect(() => decodeResponse(declared, answer(encodeCbor({ err: { group: 70, rc: 2 } })))).toThrow(
      expect.objectContaining({
        rcName: "NO_SUCH_COLOUR",
        hint: "Try red.",
        message: "lamp set: The lamp has no such colour.",
      }),
    );
  });

  test("others' errors stay others'", () => {
    const elsewhere = answer(encodeCbor({ err: { group: 3, rc: 2 } }));
    expect(() => decodeResponse(declared, elsewhere)).toThrow(
      expect.objectContaining({ rcName: "KEY_TOO_LONG" }),
    );
    expect(() => decodeResponse(declared, answer(encodeCbor({ err: { group: 70, rc: 9 } })))).toThrow(
      expect.objectContaining({ rcName: "9" }),
    );
  });
});

describe("payloads as JSON", () => {
  test("bytes are a map with the one key hex", () => {
    expect(fromJson({ hash: { hex: "cafe" }, n: [1, { hex: "" }] })).toEqual({
      hash: fromHex("cafe"),
      n: [1, new Uint8Array(0)],
    });
    expect(fromJson({ hex: "cafe", more: 1 })).toEqual({ hex: "cafe", more: 1 });
    expect(fromJson({ hex: "xyz" })).toEqual({ hex: "xyz" });
  });

  test("what was decoded can be sent again", () => {
    const leaf = fc.oneof(fc.integer(), fc.string(), fc.boolean(), fc.uint8Array({ maxLength: 8 }));
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: "small" },
        leaf,
        fc.array(tie("tree"), { maxLength: 3 }),
        fc.dictionary(
          // `hex` alone would be bytes, and a plain `__proto__` sets what it should name.
          fc.string({ maxLength: 5 }).filter((key) => key !== "hex" && key !== "__proto__"),
          tie("tree"),
          { maxKeys: 3 },
        ),
      ),
    }));
    fc.assert(
      fc.property(tree, (value) => {
        const again = fromJson(JSON.parse(JSON.stringify(toJson(value))) as Json);
        expect(encodeCbor(again)).toEqual(encodeCbor(value));
      }),
    );
  });
});

test("every declared field says its form, for those who read values from words", () => {
  const forms = new Set(["uint", "int", "text", "bool", "bytes", "list", "map", "anything"]);
  for (const { request } of allCommands)
    for (const kind of Object.values(request.fields)) expect(forms.has(kind.form)).toBe(true);
});
