import { existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { trustedTime } from "../../src/tuf/trusted-time.js";
import { FileStore } from "../../src/tuf-store/file-store.js";
import { folderFetch } from "../../src/tuf-store/folder-fetch.js";
import { httpFetch } from "../../src/tuf-store/http-fetch.js";
import { tempFolder } from "../support/cli-run.js";
import { refusal } from "../support/tuf-repository.js";

const at = (text: string) => new Date(text);

describe("the time that counts", () => {
  const clock = at("2026-06-01T12:00:00Z");
  const floor = (text: string, source: string) => ({ time: at(text), source });

  it("is the clock's while nothing is known to be later", () => {
    expect(trustedTime(clock, [])).toEqual({ now: clock, source: "clock" });
    expect(trustedTime(clock, [floor("2026-06-01T12:00:00Z", "metadata")]).source).toBe("clock");
  });

  it("is the latest of all that is known to have passed when the clock is behind", () => {
    const floors = [
      floor("2026-06-02T00:00:00Z", "metadata"),
      floor("2026-06-03T00:00:00Z", "audit log"),
      floor("2026-05-01T00:00:00Z", "ratchet"),
    ];
    expect(trustedTime(clock, floors)).toEqual({
      now: at("2026-06-03T00:00:00Z"),
      source: "audit log",
      clockBehindMs: 36 * 3_600_000,
    });
  });
});

describe("the store", () => {
  it("remembers the latest time and never an earlier one", () => {
    const store = new FileStore(join(tempFolder(), "store"));
    expect(store.readLatestTime()).toBeUndefined();
    store.writeLatestTime(at("2026-06-02T00:00:00Z"));
    store.writeLatestTime(at("2026-06-01T00:00:00Z"));
    expect(store.readLatestTime()).toEqual({ time: at("2026-06-02T00:00:00Z"), source: "metadata" });
    writeFileSync(join(store.folder, "latest-time"), "no time");
    expect(store.readLatestTime()).toBeUndefined();
  });

  it("keeps a delegated role apart from a top-level one where file systems see one name", async () => {
    const store = new FileStore(join(tempFolder(), "store"));
    for (const role of ["root", "Root", "../root", "a/b"]) await store.write(role, Buffer.from(role));
    const names = readdirSync(store.folder).map((name) => name.toLowerCase());
    expect(new Set(names).size).toBe(names.length);
    expect(readFileSync(join(store.folder, "root.json"), "utf8")).toBe("root");
    for (const role of ["Root", "../root", "a/b"])
      expect(Buffer.from((await store.read(role))!).toString()).toBe(role);
    await store.remove("Root");
    expect(await store.read("Root")).toBeUndefined();
    expect(await store.read("root")).toBeDefined();
  });

  it("clears what a killed program left an hour ago, and nothing younger", () => {
    const { folder } = new FileStore(join(tempFolder(), "store"));
    const [old, young] = ["root.json.1.part", "root.json.2.part"].map((name) => join(folder, name)) as [
      string,
      string,
    ];
    for (const path of [old, young]) writeFileSync(path, "half");
    const hoursAgo = new Date(Date.now() - 2 * 3_600_000);
    utimesSync(old, hoursAgo, hoursAgo);
    new FileStore(folder);
    expect([existsSync(old), existsSync(young)]).toEqual([false, true]);
  });

  it("says which file is in the way", async () => {
    const folder = tempFolder();
    writeFileSync(join(folder, "store"), "a file");
    expect(() => new FileStore(join(folder, "store"))).toThrow(/Cannot make .*store/);
  });
});

describe("a repository in a folder", () => {
  const folders = () => {
    const folder = tempFolder();
    writeFileSync(join(folder, "timestamp.json"), "12345");
    return folderFetch({ metadata: folder, targets: folder });
  };

  it("gives whole files up to a limit, and none for what is not there", async () => {
    const fetch = folders();
    expect(Buffer.from((await fetch.metadata("timestamp.json", 5))!).toString()).toBe("12345");
    expect(await refusal(fetch.metadata("timestamp.json", 4))).toBe("endless-data 1.5.2");
    expect(await fetch.metadata("2.root.json", 4)).toBeUndefined();
  });

  it.each(["../timestamp.json", "/etc/hostname", "a//b", "./a", "C:\\x", ""])(
    "does not follow the path %j out of itself, nor does one on the web",
    async (path) => {
      const bad = { code: "bad-path" };
      await expect(folders().target(path, 100)).rejects.toMatchObject(bad);
      const web = httpFetch({ metadataUrl: "http://127.0.0.1:1", targetsUrl: "http://127.0.0.1:1" });
      await expect(web.target(path, 100)).rejects.toMatchObject(bad);
    },
  );

  it("is not an address of another kind", () => {
    expect(() => httpFetch({ metadataUrl: "file:///x", targetsUrl: "http://x" })).toThrow(
      /not an https: or http:/,
    );
  });
});
