import { describe, expect, test } from "vitest";
import { KNOWN_BOARDS } from "../../src/profiles/boards.js";
import { matchProfiles } from "../../src/profiles/profile.js";
import { ProfileError, readProfiles } from "../../src/profiles/read.js";

describe.each(KNOWN_BOARDS.map((profile) => [profile.id, profile] as const))("%s", (_id, profile) => {
  const { id: _own, name, sources, unverified, ...facts } = profile;

  test("has a source for each fact, and a fact for each source", () => {
    expect(Object.keys(sources).sort()).toEqual(Object.keys(facts).sort());
    for (const source of Object.values(sources)) expect(source!.length).toBeGreaterThan(8);
    for (const fact of unverified ?? []) expect(facts).toHaveProperty(fact);
  });

  test("has slots that do not overlap", () => {
    const [primary, secondary] = profile.slots ?? [];
    if (primary === undefined || secondary === undefined) return;
    expect(primary.address + primary.size).toBeLessThanOrEqual(secondary.address);
    expect(primary.size % 4096).toBe(0);
  });

  test("can be read back as a profile of a user", () => {
    const text = JSON.stringify([profile]);
    expect(readProfiles(JSON.parse(text), "profiles")).toEqual([
      { ...facts, id: profile.id, name, sources: {} },
    ]);
    expect(name.length).toBeGreaterThan(3);
  });
});

test("no two profiles share a short name", () => {
  const ids = KNOWN_BOARDS.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});

test("a serial number says more than USB ids", () => {
  const [first] = matchProfiles(
    { vendorId: "1915", productId: "9100", serialNumber: "THINGY53_1" },
    KNOWN_BOARDS,
  );
  expect(first?.profile.id).toBe("thingy53");
});

describe("a profile of a user is refused when", () => {
  const cases: [why: string, profile: unknown, field: RegExp][] = [
    ["it is not a list", {}, /^profiles$/],
    ["it has no short name", [{ name: "Board" }], /id$/],
    ["a field is misspelt", [{ id: "x", slot: [] }], /slot$/],
    ["a USB id is no id", [{ id: "x", target: [{ vendorId: "19" }] }], /\[0\]\.target\[0\]\.vendorId$/],
    ["there is one slot", [{ id: "x", slots: [{ address: 0, size: 1 }] }], /slots$/],
    [
      "an address is negative",
      [
        {
          id: "x",
          slots: [
            { address: -1, size: 1 },
            { address: 2, size: 1 },
          ],
        },
      ],
      /address$/,
    ],
    ["a line is neither on nor off", [{ id: "x", enter: [{ dtr: 1 }] }], /enter\[0\]\.dtr$/],
    ["a port has no known role", [{ id: "x", ports: [{ role: "shell", wiredTo: "y" }] }], /role$/],
    ["a text goes on for ever", [{ id: "x", name: "n".repeat(5000) }], /name$/],
  ];
  for (const [why, profile, field] of cases) {
    test(why, () => {
      expect(() => readProfiles(profile, "profiles")).toThrow(ProfileError);
      expect(() => readProfiles(profile, "profiles")).toThrow(
        expect.objectContaining({ field: expect.stringMatching(field) }),
      );
    });
  }
});

test("addresses may be written in hex", () => {
  const [profile] = readProfiles(
    [
      {
        id: "x",
        slots: [
          { address: "0xc000", size: 4096 },
          { address: "0x82000", size: 4096 },
        ],
      },
    ],
    "profiles",
  );
  expect(profile?.slots?.[0].address).toBe(0xc000);
});
