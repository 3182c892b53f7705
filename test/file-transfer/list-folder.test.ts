import { afterEach, expect, test } from "vitest";
import { connect } from "../../src/client/connect.js";
import { listFolder } from "../../src/file-transfer/list-folder.js";
import { listGroups } from "../../src/session/groups.js";
import { Session } from "../../src/session/session.js";
import { type HeardRequest, ScriptedPipe } from "../support/pipe-script.js";

/** Zephyr's `fs ls` prints a name a line, folders with a slash (subsys/fs/shell.c); no server at hand has that command. */
let open: Session | undefined;
afterEach(() => open?.close());

async function deviceWith(answer: (request: HeardRequest) => Record<string, unknown>): Promise<Session> {
  const pipe = new ScriptedPipe((request, device) => device.answer(request, answer(request)));
  open = await Session.open((signal) => connect(pipe, { signal }));
  return open;
}

const shell =
  (o: string, ret = 0) =>
  (request: HeardRequest) =>
    request.header.group === 9 ? { o, ret } : { rc: 8 };

test("names and folders are told apart, colours left out", async () => {
  const session = await deviceWith(shell("\u001b[1;37mlfs1/\u001b[0m\r\nboot.cfg\r\na b.txt\r\n"));
  expect(await listFolder(session, "/")).toEqual({
    path: "/",
    entries: [
      { name: "lfs1", kind: "folder" },
      { name: "boot.cfg", kind: "file" },
      { name: "a b.txt", kind: "file" },
    ],
    cut: false,
  });
});

test("a list that the shell cut says so, and keeps whole names only", async () => {
  const session = await deviceWith(shell("one\r\ntwo\r\nthr"));
  expect(await listFolder(session, "/lfs")).toMatchObject({
    cut: true,
    entries: [{ name: "one" }, { name: "two" }],
  });
});

test("control characters in a name do not get out", async () => {
  const session = await deviceWith(shell("a\u0007b\u001b]0;x\r\n"));
  expect((await listFolder(session, "/lfs")).entries).toEqual([{ name: "ab]0;x", kind: "file" }]);
});

test.each([
  [shell("Unable to open /x (err -2)\r\n", -8), "list-failed", "Unable to open /x"],
  [shell("fs: command not found\r\n", -8), "no-listing", "no command"],
  [() => ({ rc: 8 }), "no-listing", "does not have this command"],
  [shell("", -5), "list-failed", "returned -5"],
] as const)("a shell that cannot: %#", async (answer, code, message) => {
  const session = await deviceWith(answer);
  await expect(listFolder(session, "/x")).rejects.toMatchObject({
    code,
    message: expect.stringContaining(message) as string,
  });
});

test.each(["relative", '/a"b', "/a b", "/a\nfs rm /b"])("%j never reaches a shell", async (path) => {
  let asked = 0;
  const session = await deviceWith((request) => {
    if (request.header.group === 9) asked++;
    return { rc: 8 };
  });
  await expect(listFolder(session, path)).rejects.toMatchObject({ code: "list-failed" });
  expect(asked).toBe(0);
});

test("groups of a device that cannot list them are tried with questions that change nothing", async () => {
  const writes: string[] = [];
  const session = await deviceWith(({ header }) => {
    if (header.op === "write") writes.push(`${header.group}/${header.id}`);
    if (header.group === 9) return { err: { group: 9, rc: 3 } };
    if (header.group === 3) return { err: { group: 3, rc: 3 } };
    if (header.group === 0 && header.id === 0) return { r: "" };
    return { rc: 8 };
  });
  writes.length = 0;
  const found = await listGroups(session);
  expect(found.from).toBe("tried");
  expect(found.groups.map(({ group }) => group)).toEqual([0, 3, 9]);
  expect(writes).toEqual(["0/0", "9/0"]);
});

test("a list of groups that does not fit is read one by one", async () => {
  const groups = [0, 10, 64];
  const session = await deviceWith(({ header, fields }) => {
    if (header.group !== 10) return { rc: 8 };
    if (header.id === 1) return { rc: 7 };
    const index = Number(fields.index ?? 0);
    if (header.id === 2) return { group: groups[index], ...(index === 2 ? { end: true } : {}) };
    return { rc: 8 };
  });
  expect(await listGroups(session)).toEqual({
    from: "device",
    groups: [{ group: 0, name: "OS" }, { group: 10, name: "enumeration" }, { group: 64 }],
  });
});
