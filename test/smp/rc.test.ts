import { describe, expect, test } from "vitest";
import { explainGroupError, explainReturnCode, GROUP_ERRORS, RETURN_CODES } from "../../src/smp/rc.js";

/** Highest code of each table; counted from Zephyr's headers. */
const LAST = { 0: 6, 1: 34, 2: 5, 3: 8, 8: 16, 9: 3, 10: 4, 63: 4 } as const;

test("every group with errors of its own has a table", () => {
  expect(Object.keys(GROUP_ERRORS)).toEqual(Object.keys(LAST));
});

describe.each(
  [["SMP", RETURN_CODES, 13] as const].concat(
    Object.entries(LAST).map(
      ([group, last]) => [`group ${group}`, GROUP_ERRORS[Number(group)]!, last] as never,
    ),
  ),
)("%s", (_name, rows, last) => {
  test("has every number once, in order", () => {
    expect(rows.map(({ rc }) => rc)).toEqual(Array.from({ length: last + 1 }, (_, rc) => rc));
    expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
  });

  test("says what happened and what to try, in sentences", () => {
    for (const { rc, name, says, hint } of rows) {
      expect(name).toMatch(/^[A-Z][A-Z0-9_]*$/);
      expect(says).toMatch(/^[A-Z].*\.$/);
      if (rc !== 0) expect(hint).toMatch(/^[A-Z`].*\.$/);
    }
  });
});

// Codes as Zephyr's headers number them.
test.each([
  [0, 4, "RTC_NOT_SET"],
  [1, 9, "NO_FREE_SLOT"],
  [1, 27, "CURRENT_VERSION_IS_NEWER"],
  [1, 34, "ACTIVE_SLOT_NOT_KNOWN"],
  [2, 3, "INVALID_STAT_NAME"],
  [3, 7, "DELETE_NOT_SUPPORTED"],
  [3, 8, "SAVE_NOT_SUPPORTED"],
  [8, 11, "FILE_OFFSET_NOT_VALID"],
  [9, 3, "EMPTY_COMMAND"],
  [10, 4, "INDEX_TOO_LARGE"],
  [63, 4, "FLASH_ERASE_FAILED"],
  [77, 1, "UNKNOWN"],
])("group %i error %i is %s", (group, rc, name) => {
  expect(explainGroupError(group, rc)).toMatchObject({ rc, name });
});

test("numbers no table has are said as numbers", () => {
  expect(explainReturnCode(8).name).toBe("ENOTSUP");
  expect(explainReturnCode(99).says).toContain("return code 99, which SMP does not define");
  expect(explainReturnCode(256).says).toContain("its application defines");
  expect(explainReturnCode(-5)).toMatchObject({ rc: -5, name: "-5" });
  expect(explainGroupError(64, 300).says).toContain("error 300 of group 64");
});
