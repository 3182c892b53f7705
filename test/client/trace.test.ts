import { expect, test } from "vitest";
import { Client } from "../../src/client/client.js";
import { type TraceRecord, toJson, traceRecord } from "../../src/client/trace.js";
import { osEcho } from "../../src/smp/groups/os.js";
import { ScriptedPipe } from "../support/pipe-script.js";

test("both directions are traced, with what they say; what nobody waited for has no command", async () => {
  const records: TraceRecord[] = [];
  const pipe = new ScriptedPipe((request, self) => {
    self.answer(request, { r: "other" }, { seq: (request.header.seq + 1) % 256 });
    self.answer(request, { r: "hello" });
  });
  const client = new Client(pipe, { trace: (record) => records.push(JSON.parse(JSON.stringify(record))) });
  await client.send(osEcho, { d: "hello" });
  expect(records.map(({ direction, command, payload }) => ({ direction, command, payload }))).toEqual([
    { direction: "sent", command: "os echo", payload: { d: "hello" } },
    { direction: "received", command: undefined, payload: { r: "other" } },
    { direction: "received", command: "os echo", payload: { r: "hello" } },
  ]);
  expect(records[2]?.header).toMatchObject({ op: "write-rsp", version: 2, group: 0, id: 0 });
});

test("a record holds the bytes of the wire (SMP echo of facts: 0a00000900004200 a161646568656c6c6f)", () => {
  const bytes = Buffer.from("0a00000900004200a161646568656c6c6f", "hex");
  expect(traceRecord("sent", bytes, "os echo", 5)).toEqual({
    direction: "sent",
    at: 5,
    command: "os echo",
    hex: "0a00000900004200a161646568656c6c6f",
    header: { version: 2, op: "write", flags: 0, length: 9, group: 0, seq: 0x42, id: 0 },
    payload: { d: "hello" },
  });
});

test("bytes that are no message, or no CBOR, are recorded as they are", () => {
  expect(traceRecord("received", Uint8Array.of(1, 2), undefined, 0)).toEqual({
    direction: "received",
    at: 0,
    hex: "0102",
  });
  const record = traceRecord("received", Buffer.from("0b00000200450100ffff", "hex"), undefined, 0);
  expect(record.header?.group).toBe(0x45);
  expect(record).not.toHaveProperty("payload");
});

test("values that JSON does not have are written so that nothing is lost", () => {
  expect(toJson({ a: Uint8Array.of(0xab, 1), b: [2n ** 60n, Number.NaN], c: null, d: { e: true } })).toEqual({
    a: { hex: "ab01" },
    b: ["1152921504606846976", "NaN"],
    c: null,
    d: { e: true },
  });
});
