import { describe, expect, test } from "vitest";
import { fromHex } from "../../src/bytes.js";
import { commandByNumber } from "../../src/smp/command.js";
import { imageUpload } from "../../src/smp/groups/image.js";
import { joinMessage, type SmpVersion } from "../../src/smp/header.js";
import { DeviceError, decodeResponse } from "../../src/smp/message.js";
import { GROUP_ERRORS, RETURN_CODES } from "../../src/smp/rc.js";

/** Names as Zephyr's headers spell them behind their prefixes (mgmt_defines.h and each group's `*_mgmt.h`), by number. */
const SMP =
  "EOK EUNKNOWN ENOMEM EINVAL ETIMEOUT ENOENT EBADSTATE EMSGSIZE ENOTSUP ECORRUPT EBUSY EACCESSDENIED UNSUPPORTED_TOO_OLD UNSUPPORTED_TOO_NEW";
const GROUPS: Readonly<Record<number, string>> = {
  0: "OK UNKNOWN INVALID_FORMAT QUERY_YIELDS_NO_ANSWER RTC_NOT_SET RTC_COMMAND_FAILED QUERY_RESPONSE_VALUE_NOT_VALID",
  1:
    "OK UNKNOWN FLASH_CONFIG_QUERY_FAIL NO_IMAGE NO_TLVS INVALID_TLV TLV_MULTIPLE_HASHES_FOUND TLV_INVALID_SIZE HASH_NOT_FOUND " +
    "NO_FREE_SLOT FLASH_OPEN_FAILED FLASH_READ_FAILED FLASH_WRITE_FAILED FLASH_ERASE_FAILED INVALID_SLOT NO_FREE_MEMORY " +
    "FLASH_CONTEXT_ALREADY_SET FLASH_CONTEXT_NOT_SET FLASH_AREA_DEVICE_NULL INVALID_PAGE_OFFSET INVALID_OFFSET INVALID_LENGTH " +
    "INVALID_IMAGE_HEADER INVALID_IMAGE_HEADER_MAGIC INVALID_HASH INVALID_FLASH_ADDRESS VERSION_GET_FAILED " +
    "CURRENT_VERSION_IS_NEWER IMAGE_ALREADY_PENDING INVALID_IMAGE_VECTOR_TABLE INVALID_IMAGE_TOO_LARGE " +
    "INVALID_IMAGE_DATA_OVERRUN IMAGE_CONFIRMATION_DENIED IMAGE_SETTING_TEST_TO_ACTIVE_DENIED ACTIVE_SLOT_NOT_KNOWN",
  2: "OK UNKNOWN INVALID_GROUP INVALID_STAT_NAME INVALID_STAT_SIZE WALK_ABORTED",
  3:
    "OK UNKNOWN KEY_TOO_LONG KEY_NOT_FOUND READ_NOT_SUPPORTED ROOT_KEY_NOT_FOUND WRITE_NOT_SUPPORTED DELETE_NOT_SUPPORTED " +
    "SAVE_NOT_SUPPORTED",
  8:
    "OK UNKNOWN FILE_INVALID_NAME FILE_NOT_FOUND FILE_IS_DIRECTORY FILE_OPEN_FAILED FILE_SEEK_FAILED FILE_READ_FAILED " +
    "FILE_TRUNCATE_FAILED FILE_DELETE_FAILED FILE_WRITE_FAILED FILE_OFFSET_NOT_VALID FILE_OFFSET_LARGER_THAN_FILE " +
    "CHECKSUM_HASH_NOT_FOUND MOUNT_POINT_NOT_FOUND READ_ONLY_FILESYSTEM FILE_EMPTY",
  9: "OK UNKNOWN COMMAND_TOO_LONG EMPTY_COMMAND",
  10: "OK UNKNOWN TOO_MANY_GROUP_ENTRIES INSUFFICIENT_HEAP_FOR_ENTRIES INDEX_TOO_LARGE",
  63: "OK UNKNOWN FLASH_OPEN_FAILED FLASH_CONFIG_QUERY_FAIL FLASH_ERASE_FAILED",
};

/** A number as CBOR writes it. */
const number = (value: number) =>
  Buffer.from(value < 24 ? [value] : value < 256 ? [0x18, value] : [0x19, value >> 8, value & 0xff]).toString(
    "hex",
  );

/** Zephyr's maps are indefinite. Keys: "rc", "err" or "ret", "group". */
const RC = (rc: number) => `bf627263${number(rc)}ff`;
const ERR = (key: "err" | "ret", group: number, rc: number) =>
  `bf63${Buffer.from(key).toString("hex")}bf6567726f7570${number(group)}627263${number(rc)}ffff`;

function heard(group: number, payload: string, version: SmpVersion = 2): unknown {
  const command = commandByNumber({ group, id: 0, op: "read" });
  try {
    return decodeResponse(
      command,
      joinMessage({ version, op: "read-rsp", group, seq: 0, id: 0 }, fromHex(payload)),
    );
  } catch (error) {
    return error;
  }
}

test("the tables hold these codes and no others", () => {
  expect(RETURN_CODES.map(({ name }) => name)).toEqual(SMP.split(" "));
  const names = Object.entries(GROUP_ERRORS).map(([group, rows]) => [group, rows.map(({ name }) => name)]);
  expect(names).toEqual(Object.entries(GROUPS).map(([group, text]) => [group, text.split(" ")]));
});

describe.each([1, 2] as const)("a return code in version %i", (version) => {
  test.each(SMP.split(" ").map((name, rc) => [rc, name] as const))("%i is %s", (rc, name) => {
    const answer = heard(0, RC(rc), version);
    if (rc === 0) return expect(answer).toEqual(fromHex(RC(0)));
    expect(answer).toBeInstanceOf(DeviceError);
    expect(answer).toMatchObject({
      code: "smp-error",
      rc,
      rcName: name,
      hint: expect.stringMatching(/.\.$/),
    });
  });

  test("of the device's application keeps its number", () => {
    expect(heard(0, RC(256), version)).toMatchObject({ rc: 256, rcName: "256" });
  });
});

describe.each(["err", "ret"] as const)("an error of a group, under the name `%s`", (key) => {
  const rows = Object.entries(GROUPS).flatMap(([group, text]) =>
    text.split(" ").map((name, rc) => [Number(group), rc, name] as const),
  );
  test.each(rows)("group %i, %i is %s", (group, rc, name) => {
    const answer = heard(group, ERR(key, group, rc));
    if (rc === 0) return expect(answer).not.toBeInstanceOf(Error);
    expect(answer).toBeInstanceOf(DeviceError);
    expect(answer).toMatchObject({ code: "group-error", group, rc, rcName: name });
    expect((answer as DeviceError).hint).toMatch(/.\.$/);
  });
});

// img_mgmt_priv.h
test.each([
  "app reject",
  "header malformed",
  "magic mismatch",
  "no slot",
  "fa open fail",
  "fa erase fail",
  "fa write fail",
  "downgrade",
  "img addr mismatch",
  "img too large",
  "data overrun",
])("the device's own words are passed on: %s", (reason) => {
  const words = Buffer.from(reason);
  const payload = `bf6272630663${Buffer.from("rsn").toString("hex")}${(0x60 + words.length).toString(16)}${words.toString("hex")}ff`;
  const message = joinMessage({ version: 1, op: "write-rsp", group: 1, seq: 0, id: 1 }, fromHex(payload));
  expect(() => decodeResponse(imageUpload, message)).toThrow(
    expect.objectContaining({ rc: 6, reason, message: expect.stringContaining(`"${reason}"`) }),
  );
});
