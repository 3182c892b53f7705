import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, fromHex } from "../../src/bytes.js";
import type { Received } from "../../src/smp/framing/framing.js";
import { rawFraming } from "../../src/smp/framing/raw.js";
import { joinMessage } from "../../src/smp/header.js";
import { recordedExchanges } from "../support/smp-vectors.js";

function messageOf(size: number): Uint8Array {
  const payload = Uint8Array.from({ length: size }, (_, index) => (index * 13 + size) & 0xff);
  return joinMessage({ version: 2, op: "read-rsp", group: 1, seq: size & 0xff, id: 0 }, payload);
}

const receivedOf = (...messages: Uint8Array[]): Received[] =>
  messages.map((bytes) => ({ kind: "message", bytes }));
const fault = (code: string, numbers: object): unknown =>
  expect.objectContaining({ kind: "fault", code, ...numbers });

test("a message is sent as it is, as a copy", () => {
  const message = messageOf(5);
  const sent = rawFraming.encode(message);
  expect(sent).toEqual(message);
  expect(sent.buffer).not.toBe(message.buffer);
});

test("every size, one by one and back to back", () => {
  const messages = Array.from({ length: 300 }, (_, size) => messageOf(size));
  const decoder = rawFraming.decoder();
  for (const message of messages) expect(decoder.push(message)).toEqual(receivedOf(message));
  expect(decoder.push(concat(...messages))).toEqual(receivedOf(...messages));
  expect(decoder.push(messageOf(0xffff))).toEqual(receivedOf(messageOf(0xffff)));
});

test("every split of the chunks", () => {
  const messages = [messageOf(0), messageOf(30), messageOf(1), messageOf(100)];
  const wire = concat(...messages);
  for (let size = 1; size <= wire.length; size++) {
    const decoder = rawFraming.decoder();
    const received: Received[] = [];
    for (let at = 0; at < wire.length; at += size)
      received.push(...decoder.push(wire.subarray(at, at + size)));
    expect(received).toEqual(receivedOf(...messages));
  }
});

test("the answers of real servers, one after the other", () => {
  const answers = recordedExchanges().flatMap(({ response }) => (response ? [response.message] : []));
  expect(rawFraming.decoder().push(concat(...answers))).toEqual(receivedOf(...answers));
});

test("bytes that begin no message are stepped over and counted", () => {
  const log = new TextEncoder().encode("*** Booting ***\r\n");
  expect(rawFraming.decoder().push(concat(log, messageOf(3), log, messageOf(4)))).toEqual([
    fault("orphan", { got: log.length }),
    ...receivedOf(messageOf(3)),
    fault("orphan", { got: log.length }),
    ...receivedOf(messageOf(4)),
  ]);
});

test("a header that announces more than wanted is no header", () => {
  const decoder = rawFraming.decoder({ maxMessage: 100 });
  expect(decoder.push(messageOf(92))).toEqual(receivedOf(messageOf(92)));
  expect(decoder.push(fromHex("0900005d00010000"))[0]).toEqual(fault("orphan", {}));
});

test("a rest that never comes is given up on request", () => {
  const decoder = rawFraming.decoder();
  expect(decoder.push(messageOf(50).subarray(0, 30))).toEqual([]);
  expect(decoder.flush()).toEqual([fault("length", { expected: 58, got: 30 })]);
  expect(decoder.flush()).toEqual([]);
  expect(decoder.push(messageOf(2))).toEqual(receivedOf(messageOf(2)));
  decoder.push(Uint8Array.of(9));
  expect(decoder.flush()).toEqual([fault("length", { expected: 8, got: 1 })]);
});

test("any noise gives values, never an exception, and after giving up a message is heard", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 20 }), (chunks) => {
      const decoder = rawFraming.decoder({ maxMessage: 2048 });
      for (const chunk of chunks) decoder.push(chunk);
      decoder.flush();
      expect(decoder.push(messageOf(7))).toEqual(receivedOf(messageOf(7)));
    }),
    { numRuns: 500 },
  );
});
