import { describe, expect, test } from "vitest";
import { encodeCbor } from "../../src/smp/cbor.js";
import { consoleFraming } from "../../src/smp/framing/console.js";
import { crc16 } from "../../src/smp/framing/crc16.js";
import { rawFraming } from "../../src/smp/framing/raw.js";
import { commandOf } from "../../src/smp/groups/all.js";
import { answers, decodeHeader, joinMessage, readMessage } from "../../src/smp/header.js";
import { DeviceError, decodePayload, decodeResponse, encodeRequest } from "../../src/smp/message.js";
import { ShapeError } from "../../src/smp/schema.js";
import { type Golden, goldenMessages, recordedExchanges } from "../support/smp-vectors.js";
import { SPLITS, slowCrc, wireOf } from "../support/smp-wire.js";

const golden = goldenMessages();
const recorded = recordedExchanges();
const answered = recorded.flatMap(({ response, ...rest }) => (response ? [{ ...rest, response }] : []));

/** Requests a sender made to see what happens: no codec would write them. */
const NOT_CANONICAL = new Set([
  "bad_cbor_v2",
  "indefinite_map_echo",
  "payload_trailing_bytes",
  "empty_payload",
  "os_echo_version3_reserved",
]);
/** Requests that break the command's own declaration. */
const NOT_IN_SHAPE = new Set([
  "echo_no_d_v2",
  "extra_unknown_key_ignored",
  "settings_read_no_name",
  "shell_no_argv_v2",
  "stat_show_missing_name_v2",
]);

test("the vectors are all there", () => {
  expect(golden).toHaveLength(50);
  expect(recorded).toHaveLength(314);
  expect(recorded.reduce((sum, { on }) => sum + on.length, 0)).toBe(876);
  expect(answered).toHaveLength(307);
  const names = new Set(recorded.map(({ name }) => name));
  for (const name of [...NOT_CANONICAL, ...NOT_IN_SHAPE]) expect(names).toContain(name);
});

const isRequest = ({ message }: Golden) => ["read", "write"].includes(decodeHeader(message).op);
/** Three requests come from clients that send indefinite maps; ours does not. */
const isIndefinite = ({ message }: Golden) => message[8] === 0xbf;

describe("golden", () => {
  test.each(golden)("$name: is decoded", ({ message, crc, wire, value }) => {
    expect(decodePayload(readMessage(message).payload)).toEqual(value);
    expect(crc16(message)).toBe(crc);
    expect(consoleFraming().decoder().push(wire)).toEqual([{ kind: "message", bytes: message }]);
    expect(rawFraming.decoder().push(message)).toEqual([{ kind: "message", bytes: message }]);
  });

  const requests = golden.filter((vector) => isRequest(vector) && !isIndefinite(vector));
  test.each(requests)("$name: is encoded", ({ message, wire, value }) => {
    const { header } = readMessage(message);
    expect(encodeRequest(commandOf(header)!, value, header)).toEqual(message);
    expect(consoleFraming().encode(message)).toEqual(wire);
  });

  const responses = golden.filter((vector) => !isRequest(vector));
  test.each(responses)("$name: is understood", ({ message, value }) => {
    expect(heard(commandOf(decodeHeader(message))!, message)).toEqual(saidIn(value));
  });

  test("covers both directions", () => {
    expect([requests.length, responses.length]).toEqual([25, 22]);
  });
});

describe("recorded from Zephyr 4.4", () => {
  test("the requests were framed as here", () => {
    const wires = recorded.flatMap(({ request }) =>
      request.wire.map((wire) => ({ wire, message: request.message })),
    );
    expect(wires.length).toBeGreaterThan(200);
    for (const { wire, message } of wires) expect(consoleFraming().encode(message)).toEqual(wire);
  });

  test("the answers' lines are decoded, whichever way they were split", () => {
    let lines = 0;
    for (const { response } of answered) {
      for (const wire of response.wire) {
        expect(consoleFraming().decoder().push(wire)).toEqual([{ kind: "message", bytes: response.message }]);
        // This also proves the sender that the framing tests use.
        expect(SPLITS.map((split) => wireOf(response.message, split))).toContainEqual(wire);
        lines += wire.filter((byte) => byte === 0x0a).length;
      }
    }
    expect(lines).toBeGreaterThan(300);
    expect(answered.map(({ response }) => crc16(response.message))).toEqual(
      answered.map(({ response }) => slowCrc(response.message)),
    );
  });

  test.each(answered)("$name: the answer ($on.0)", ({ request, response }) => {
    const asked = readHeaderLeniently(request.message);
    const { header, payload } = readMessage(response.message);
    expect(decodePayload(payload)).toEqual(response.value);
    expect(answers(header, asked)).toBe(true);
    const command = commandOf(asked);
    if (command !== undefined) expect(heard(command, response.message)).toEqual(saidIn(response.value));
  });

  const canonical = recorded.filter(({ name }) => !NOT_CANONICAL.has(name));
  test.each(canonical)("$name: the request ($on.0)", ({ name, request }) => {
    const { header } = readMessage(request.message);
    expect(joinMessage(header, encodeCbor(request.value))).toEqual(request.message);
    const command = commandOf(header);
    if (command === undefined) return;
    const encode = () => encodeRequest(command, request.value, header);
    if (NOT_IN_SHAPE.has(name)) expect(encode).toThrow(ShapeError);
    else expect(encode()).toEqual(request.message);
  });
});

/** What our decoder makes of an answer: the response, or the figures of the error. */
function heard(command: NonNullable<ReturnType<typeof commandOf>>, message: Uint8Array): unknown {
  try {
    return decodeResponse(command, message);
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    expect(error.message).toContain(command.name);
    expect(error.rcName).toMatch(/^[A-Z0-9_]+$/);
    expect(error.hint).toMatch(/\.$/);
    return { failed: { group: error.group, rc: error.rc, reason: error.reason } };
  }
}

/** The same, read off the recorder's value by the rules of the protocol. */
function saidIn(value: Record<string, unknown>): unknown {
  const { err, rc, rsn, ...rest } = value as {
    err?: { group: number; rc: number };
    rc?: number;
    rsn?: string;
  };
  if (err !== undefined) return { failed: { ...err, reason: rsn } };
  if (rc !== undefined && rc !== 0) return { failed: { group: undefined, rc, reason: rsn } };
  return rest;
}

/** One recorded request has a reserved version on purpose; what it asks is the same. */
function readHeaderLeniently(message: Uint8Array) {
  const copy = message.slice();
  copy[0]! &= 0b1111;
  return decodeHeader(copy);
}
