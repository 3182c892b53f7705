import { describe, expect, expectTypeOf, test } from "vitest";
import { fromHex, toHex } from "../../src/bytes.js";
import { encodeCbor } from "../../src/smp/cbor.js";
import { fsUpload } from "../../src/smp/groups/fs.js";
import { imageErase, imageList, imageMark, imageUpload } from "../../src/smp/groups/image.js";
import { osEcho, osParams, osReset } from "../../src/smp/groups/os.js";
import { shellExec } from "../../src/smp/groups/shell.js";
import { trustCounters } from "../../src/smp/groups/trust.js";
import type { Header } from "../../src/smp/header.js";
import { joinMessage } from "../../src/smp/header.js";
import { DeviceError, decodePayload, decodeResponse, encodeRequest } from "../../src/smp/message.js";

type Addressed = Pick<Header, "group" | "id"> & { op: "read" | "write" };

function answer(to: Addressed, value: unknown, changes: Partial<Header> = {}): Uint8Array {
  const op = to.op === "read" ? "read-rsp" : "write-rsp";
  return joinMessage({ version: 2, op, group: to.group, seq: 1, id: to.id, ...changes }, encodeCbor(value));
}

function failure(act: () => unknown): DeviceError {
  try {
    act();
  } catch (error) {
    if (error instanceof DeviceError) return error;
    throw error;
  }
  throw new Error("nothing failed");
}

describe("a request", () => {
  test("becomes header and payload", () => {
    const message = encodeRequest(osEcho, { d: "hello" }, { seq: 0x42, version: 1 });
    expect(toHex(message)).toBe("0200000900004200a161646568656c6c6f");
    expect(toHex(encodeRequest(osParams, {}, { seq: 1, version: 2 }))).toBe("0800000100000106a0");
  });

  test("is checked before it is sent", () => {
    const envelope = { seq: 0, version: 2 } as const;
    // @ts-expect-error a text is wanted
    expect(() => encodeRequest(osEcho, { d: 5 }, envelope)).toThrow(expect.objectContaining({ path: "d" }));
    // @ts-expect-error data is missing
    expect(() => encodeRequest(imageUpload, { off: 0 }, envelope)).toThrow(
      expect.objectContaining({ code: "missing", path: "data" }),
    );
    const badSha = { off: 0, data: new Uint8Array(1), sha: new Uint8Array(31) };
    expect(() => encodeRequest(imageUpload, badSha, envelope)).toThrow(
      expect.objectContaining({ path: "sha" }),
    );
    expect(() => encodeRequest(osEcho, { d: "" }, { seq: 256, version: 2 })).toThrow(
      expect.objectContaining({ code: "out-of-range" }),
    );
    expect(() => encodeRequest(osEcho, { d: "x".repeat(70_000) }, envelope)).toThrow(
      expect.objectContaining({ code: "too-big" }),
    );
  });

  test("leaves out what is undefined", () => {
    const message = encodeRequest(osReset, { force: undefined, boot_mode: 1 }, { seq: 13, version: 2 });
    expect(toHex(message)).toBe("0a00000c00000d05a169626f6f745f6d6f646501");
  });
});

describe("a response", () => {
  test("is typed and checked", () => {
    const params = decodeResponse(osParams, answer(osParams, { buf_size: 384, buf_count: 4 }));
    expectTypeOf(params).toEqualTypeOf<{ readonly buf_size: number; readonly buf_count: number }>();
    expect(params).toEqual({ buf_size: 384, buf_count: 4 });
    expect(() => decodeResponse(osParams, answer(osParams, { buf_size: "384", buf_count: 4 }))).toThrow(
      expect.objectContaining({ name: "ShapeError", path: "buf_size" }),
    );
  });

  test("without the flags that serial recovery leaves out", () => {
    const entry = { slot: 0, version: "1.2.3" };
    const { images } = decodeResponse(imageList, answer(imageList, { images: [entry] }));
    expect(images[0]).toEqual(entry);
    expect(images[0]?.active).toBeUndefined();
  });

  test("with rc 0, from old servers and MCUboot, is a success without it", () => {
    expect(decodeResponse(imageUpload, answer(imageUpload, { rc: 0, off: 64 }))).toEqual({ off: 64 });
    expect(decodeResponse(osReset, answer(osReset, { rc: 0 }))).toEqual({});
    expect(decodeResponse(osReset, answer(osReset, { err: { group: 0, rc: 0 } }))).toEqual({});
  });

  test("may have no payload at all", () => {
    const silent = joinMessage({ version: 2, op: "write-rsp", group: 0, seq: 0, id: 5 }, new Uint8Array(0));
    expect(decodeResponse(osReset, silent)).toEqual({});
    expect(decodePayload(new Uint8Array(0))).toEqual({});
  });

  test("keeps what vendors add", () => {
    const value = { images: [{ slot: 0, version: "1.0.0", security_counter: 4 }], vendor: "x" };
    expect(decodeResponse(imageList, answer(imageList, value))).toEqual(value);
  });

  test("of the trust group, with and without counters", () => {
    const images = [{ image: 0, counter: 3, slots: [{ slot: 0, counter: 3 }, { slot: 1 }] }];
    expect(decodeResponse(trustCounters, answer(trustCounters, { images })).images).toEqual(images);
    expect(() => decodeResponse(trustCounters, answer(trustCounters, { images: [{ image: 0 }] }))).toThrow(
      expect.objectContaining({ path: "images[0].slots" }),
    );
  });

  test.each([
    ["another group", { group: 3 }, 0, 3],
    ["another command", { id: 7 }, 6, 7],
    ["the other direction", { op: "write-rsp" }, 1, 3],
    ["a request", { op: "read" }, 1, 0],
  ] as const)("to %s is none", (_name, changes, expected, got) => {
    const message = answer(osParams, { buf_size: 1, buf_count: 1 }, changes);
    expect(() => decodeResponse(osParams, message)).toThrow(
      expect.objectContaining({ name: "MessageError", code: "wrong-answer", expected, got }),
    );
  });

  test.each([
    ["80", "wrong-kind"],
    ["05", "wrong-kind"],
    ["4101", "wrong-kind"],
    ["a1", "cbor-truncated"],
  ])("with payload %s is refused", (hex, code) => {
    const message = joinMessage({ version: 2, op: "read-rsp", group: 0, seq: 0, id: 6 }, fromHex(hex));
    expect(() => decodeResponse(osParams, message)).toThrow(expect.objectContaining({ code }));
  });
});

describe("a failure the device reports", () => {
  test("of an answer that does not fit says that the command has been carried out", () => {
    const tooLong = { rc: 7 };
    expect(failure(() => decodeResponse(shellExec, answer(shellExec, tooLong)))).toMatchObject({
      rcName: "EMSGSIZE",
      message: expect.stringContaining("The command has run"),
    });
    expect(failure(() => decodeResponse(imageMark, answer(imageMark, tooLong)))).toMatchObject({
      message: expect.stringContaining("The image is marked"),
    });
    expect(failure(() => decodeResponse(imageErase, answer(imageErase, tooLong))).hint).toContain(
      "it has probably been carried out",
    );
  });

  test("by return code", () => {
    const error = failure(() => decodeResponse(imageErase, answer(imageErase, { rc: 8 })));
    expect(error).toMatchObject({ code: "smp-error", command: "image erase", rc: 8, rcName: "ENOTSUP" });
    expect(error.group).toBeUndefined();
    expect(error.message).toBe("image erase: The device does not have this command.");
    expect(error.hint).toContain("serial recovery");
  });

  test("by return code with the device's own words", () => {
    const error = failure(() =>
      decodeResponse(imageUpload, answer(imageUpload, { rc: 6, rsn: "downgrade" })),
    );
    expect(error).toMatchObject({ rc: 6, rcName: "EBADSTATE", reason: "downgrade" });
    expect(error.message).toContain('The device says: "downgrade".');
  });

  test("by group error, whose group may be another than the command's", () => {
    const value = { err: { group: 1, rc: 27 } };
    const error = failure(() => decodeResponse(imageUpload, answer(imageUpload, value)));
    expect(error).toMatchObject({
      code: "group-error",
      group: 1,
      rc: 27,
      rcName: "CURRENT_VERSION_IS_NEWER",
    });
    const other = failure(() =>
      decodeResponse(imageUpload, answer(imageUpload, { err: { group: 200, rc: 5 } })),
    );
    expect(other).toMatchObject({ group: 200, rc: 5, rcName: "5" });
    expect(other.message).toContain("error 5 of group 200");
  });

  test("under the name of Zephyr 3.4", () => {
    const value = { ret: { group: 1, rc: 3 } };
    expect(failure(() => decodeResponse(imageUpload, answer(imageUpload, value)))).toMatchObject({
      group: 1,
      rcName: "NO_IMAGE",
    });
  });

  test("with fields beside it that tell how to go on", () => {
    const value = { err: { group: 8, rc: 11 }, len: 512 };
    const error = failure(() => decodeResponse(fsUpload, answer(fsUpload, value)));
    expect(error.rcName).toBe("FILE_OFFSET_NOT_VALID");
    expect(error.fields.len).toBe(512);
  });

  test("is a ShapeError when its code is not a number", () => {
    expect(() => decodeResponse(osReset, answer(osReset, { rc: "bad" }))).toThrow(
      expect.objectContaining({ name: "ShapeError", path: "rc" }),
    );
  });

  test.each([[5], [null], [{}], [{ rc: 3 }], [{ group: 1, rc: "3" }]])(
    "that cannot be read (%#) is no success",
    (err) => {
      expect(() => decodeResponse(osReset, answer(osReset, { err }))).toThrow(
        expect.objectContaining({ name: "ShapeError", path: "err" }),
      );
    },
  );

  test("in version 1 form to a version 2 request", () => {
    const error = failure(() => decodeResponse(osReset, answer(osReset, { rc: 10 }, { version: 1 })));
    expect(error.rcName).toBe("EBUSY");
  });
});

describe("the result of a shell command", () => {
  test("is no failure to run it, under either name", () => {
    expect(decodeResponse(shellExec, answer(shellExec, { o: "no", ret: -22 }))).toEqual({
      o: "no",
      ret: -22,
    });
    expect(decodeResponse(shellExec, answer(shellExec, { o: "no", rc: -22 }))).toEqual({ o: "no", rc: -22 });
    expect(decodeResponse(shellExec, answer(shellExec, { o: "", ret: 0, rc: 0 }))).toMatchObject({ ret: 0 });
  });

  test("is absent when it could not be run", () => {
    expect(failure(() => decodeResponse(shellExec, answer(shellExec, { rc: 8 }))).rcName).toBe("ENOTSUP");
    const empty = { err: { group: 9, rc: 3 } };
    expect(failure(() => decodeResponse(shellExec, answer(shellExec, empty))).rcName).toBe("EMPTY_COMMAND");
  });
});
