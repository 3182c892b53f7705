import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ECHO, ECHO_ANSWER, frame } from "../support/board-frames.js";
import { FirmwareSession } from "../support/firmware-session.js";

/** The console framing of the firmware, fed with what real lines carry: cuts, noise, damage, foreign text. */

const START = "\x06\x09";
const NEXT = "\x04\x14";
/** os echo "hello", v2, seq 0x42, as the specification's example has it. */
const WHOLE = `${START}ABMKAAAJAABCAKFhZGVoZWxsb0YZ\n`;
const CUT = [`${START}ABMKAAAJ\n`, `${NEXT}AABCAKFh\n`, `${NEXT}ZGVoZWxs\n`, `${NEXT}b0YZ\n`];
/** The same echo, seq 0x43: its answer shows that nothing was answered before. */
const MARK = frame("0a 00 00 09 00 00 43 00 | a161646568656c6c6f");
const MARK_ANSWER = ECHO_ANSWER.replace("4200", "4300");
const LOG = "[00:00:01.000] <inf> x\r\n";

let session: FirmwareSession;
beforeAll(async () => {
  session = await FirmwareSession.open();
});
afterAll(() => session.close());

const accepted: [name: string, wire: string][] = [
  ["one line", WHOLE],
  ["short lines", CUT.join("")],
  ["log text between the lines", CUT.join(LOG)],
  ["CR LF", WHOLE.replace("\n", "\r\n")],
  ["a packet that begins again", CUT[0] + WHOLE],
  ["an empty line before", `\n${WHOLE}`],
  ["half a line of noise, then a line feed", `AAAA\x06\n${WHOLE}`],
  ["a line that is too long before it", `${"x".repeat(500)}\n${WHOLE}`],
  ["a line that is too long within it", [CUT[0], "y".repeat(500), "\n", ...CUT.slice(1)].join("")],
];

test.each(accepted)("takes: %s", async (_, wire) => {
  await session.send(wire);
  expect((await session.answer()).hex).toBe(ECHO_ANSWER);
});

test.each(accepted)("takes it byte by byte: %s", async (_, wire) => {
  for (const byte of wire) await session.send(byte);
  expect((await session.answer()).hex).toBe(ECHO_ANSWER);
});

const dropped: [name: string, wire: string][] = [
  ["a wrong CRC", `${START}ABMKAAAJAABCAKFhZGVoZWxsb0YY\n`],
  ["a CRC with its bytes swapped", `${START}ABMKAAAJAABCAKFhZGVoZWxsbxlG\n`],
  ["a length too large", `${START}ABcKAAAJAABCAKFhZGVoZWxsb0YZ\n`],
  ["a length too small", `${START}AA8KAAAJAABCAKFhZGVoZWxsb0YZ\n`],
  ["a length of nothing", `${START}AAIAAA==\n`],
  ["a continuation without a start", `${NEXT}b0YZ\n`],
  ["a cut within four characters", `${START}ABMKAAAJA\n${NEXT}ABCAKFhZGVoZWxsb0YZ\n`],
  ["text before the marker", `uart:~$ ${WHOLE}`],
  ["a byte that is not base64", WHOLE.replace("ABMK", "AB*K")],
  ["padding in the middle", WHOLE.replace("ABMK", "AB==")],
  ["a message shorter than a header", `${START}AAUBAgMwOQ==\n`],
  ["a line longer than the line buffer", `${START}${"QUFB".repeat(40)}\n`],
];

test.each(dropped)("drops in silence: %s", async (_, wire) => {
  await session.send(wire);
  await session.send(MARK);
  expect((await session.answer()).hex).toBe(MARK_ANSWER);
});

test("a damaged packet costs only itself: the lines behind it are not taken for a part", async () => {
  const damaged = [CUT[0], CUT[1]!.replace("AABC", "AA!C"), ...CUT.slice(2)].join("");
  await session.send(damaged + WHOLE);
  expect((await session.answer()).hex).toBe(ECHO_ANSWER);
});

test("the damage is counted", async () => {
  const { fields } = (await session.ask({ group: 2, id: 0, body: { name: "smp" } })) as {
    fields: Record<string, number>;
  };
  for (const name of [
    "crc_errors",
    "length_errors",
    "base64_errors",
    "foreign_lines",
    "long_lines",
    "stray_lines",
  ])
    expect(fields[name], name).toBeGreaterThan(0);
});

describe("every size of message", () => {
  test("is taken up to the server buffer less four, and answered in whole lines", async () => {
    for (let length = 0; length <= 1020 - 14; length += length < 200 ? 1 : 37) {
      const text = "A".repeat(length);
      expect(await session.ask({ group: 0, id: 0, op: "write", body: { d: text } })).toEqual({ r: text });
    }
  });

  test("is dropped in silence beyond", async () => {
    const largest = 1020 - 14;
    const echo = (length: number) =>
      session.encode({ group: 0, id: 0, op: "write", body: { d: "A".repeat(length) } });
    expect(Buffer.from(echo(largest), "hex")).toHaveLength(1020);
    await session.send(frame(echo(largest)));
    expect((await session.answer()).body).toEqual({ r: "A".repeat(largest) });
    await session.send(frame(echo(largest + 1)));
    await session.send(MARK);
    expect((await session.answer()).hex).toBe(MARK_ANSWER);
  });

  test("follows the provisioned size: 252 of 256, and what does not fit an answer is rc 7", async () => {
    const small = await FirmwareSession.open({ variant: "small-buffer" });
    const echo = (length: number) => ({
      group: 0,
      id: 0,
      op: "write" as const,
      body: { d: "A".repeat(length) },
    });
    expect(await small.ask({ group: 0, id: 6 })).toEqual({ buf_size: 256, buf_count: 1 });
    expect(await small.ask(echo(252 - 13))).toEqual({ r: "A".repeat(239) });
    await small.send(frame(small.encode(echo(253 - 13))));
    await small.send(MARK);
    expect((await small.answer()).hex).toBe(MARK_ANSWER);
    expect(await small.ask({ group: 10, id: 3 })).toEqual({ rc: 7 });
    await small.close();
  });
});

describe("log text on the same wire", () => {
  test("comes between lines when asked for, and the messages are whole all the same", async () => {
    await session.ask({ group: 9, id: 0, op: "write", body: { argv: ["log", "on"] } });
    await session.send(frame(session.encode({ group: 0, id: 0, op: "write", body: { d: "B".repeat(300) } })));
    const { body, sent, lines } = await session.answer();
    expect(body).toEqual({ r: "B".repeat(300) });
    expect(lines.length).toBeGreaterThan(2);
    expect(sent).toMatch(/\n\[\d{6}\] app: between two lines of a message\r\n/);
    expect(sent.split("\r\n")[1]).toMatch(new RegExp(`^${NEXT}`));
  });

  test("and as a prompt before the marker, on the same line", async () => {
    await session.ask({ group: 9, id: 0, op: "write", body: { argv: ["log", "prompt"] } });
    await session.send(frame(ECHO));
    const { hex, sent } = await session.answer();
    expect(hex).toBe(ECHO_ANSWER);
    expect(sent.startsWith(`uart:~$ ${START}`)).toBe(true);
    await session.ask({ group: 9, id: 0, op: "write", body: { argv: ["log", "off"] } });
    await session.send(frame(ECHO));
    expect((await session.answer()).sent.startsWith(START)).toBe(true);
  });
});
