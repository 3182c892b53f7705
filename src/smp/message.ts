import { BootproofError } from "../errors.js";
import { CborError, cborLength, decodeCbor, encodeCborBehind } from "./cbor.js";
import type { AnyCommand, Command, ResponseOf } from "./command.js";
import type { Header, SmpVersion } from "./header.js";
import { HEADER_SIZE, joinMessage, MessageError, OPS, putHeader, readMessage } from "./header.js";
import { explainGroupError, explainReturnCode } from "./rc.js";
import { define, describe, ShapeError } from "./schema.js";

export { readMessage } from "./header.js";

export type DeviceErrorCode =
  /** A return code of SMP itself (`rc`), the only form version 1 and serial recovery have. */
  | "smp-error"
  /** An error of one group (`err`), version 2. */
  | "group-error";

/** The device understood the message and refused, or could not do it. */
export class DeviceError extends BootproofError {
  declare readonly code: DeviceErrorCode;
  /** The command that was asked for. */
  readonly command: string;
  /** The group whose error table `rc` belongs to; absent for a return code of SMP itself. */
  readonly group?: number;
  readonly rc: number;
  /** `ENOTSUP`, `CURRENT_VERSION_IS_NEWER`, ...; the number as text when no table has it. */
  readonly rcName: string;
  /** The device's own words, from builds with verbose errors. */
  readonly reason?: string;
  /** What else the answer said, such as `len` beside a refused file offset. */
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(
    asked: Pick<AnyCommand, "name" | "group" | "errors" | "returnCodes">,
    failure: Failure,
    fields: Readonly<Record<string, unknown>>,
  ) {
    const { group, rc, reason } = failure;
    const command = asked.name;
    const own = group === asked.group ? asked.errors : undefined;
    const known =
      group === undefined ? explainReturnCode(rc, asked.returnCodes) : explainGroupError(group, rc, own);
    const words = reason === undefined ? "" : ` The device says: "${reason}".`;
    super(group === undefined ? "smp-error" : "group-error", `${command}: ${known.says}${words}`, {
      hint: known.hint,
    });
    this.command = command;
    if (group !== undefined) this.group = group;
    this.rc = rc;
    this.rcName = known.name;
    if (reason !== undefined) this.reason = reason;
    this.fields = fields;
  }
}

interface Failure {
  group?: number;
  rc: number;
  reason?: string;
}

export interface Envelope {
  /** 0 to 255; the device repeats it. */
  seq: number;
  version: SmpVersion;
}

/**
 * A command and its request as one message. Keys travel in the order given.
 *
 * @param command - as declared
 * @param request - its fields
 * @param envelope - sequence number and SMP version
 * @returns header and payload
 * @throws `ShapeError` when the request is not what the command declares, `CborError` when it is too big for a
 *   message
 */
export function encodeRequest<Req>(
  command: Command<Req, unknown>,
  request: Req,
  envelope: Envelope,
): Uint8Array {
  const fields = command.request.check(request, "", "say");
  const { op, group, id } = command;
  if (command.payload === "bytes") return joinMessage({ ...envelope, op, group, id }, fields as Uint8Array);
  const message = encodeCborBehind(HEADER_SIZE, fields);
  const { seq, version } = envelope;
  putHeader(message, { seq, version, op, group, id, flags: 0, length: message.length - HEADER_SIZE });
  return message;
}

/** How long the message of a request is, header included, without making it. Throws as {@link encodeRequest}. */
export function requestLength<Req>(command: Command<Req, unknown>, request: Req): number {
  const fields = command.request.check(request, "", "say");
  return HEADER_SIZE + (command.payload === "bytes" ? (fields as Uint8Array).length : cborLength(fields));
}

/**
 * What the device answered, checked against the declaration; keys the declaration does not know are kept. The
 * sequence number is the caller's to compare.
 *
 * @param command - as declared
 * @param message - header and payload
 * @returns its fields
 * @throws {@link DeviceError} when the device reports a failure, `ShapeError`, `CborError` or `MessageError` when
 *   the bytes are no answer to this command
 */
export function decodeResponse<C extends AnyCommand>(command: C, message: Uint8Array): ResponseOf<C> {
  const { header, payload } = readMessage(message);
  mustAnswer(command, header);
  if (command.payload === "bytes") return wholePayload(command, payload) as ResponseOf<C>;
  const fields = decodePayload(payload);
  const failure = failureIn(fields, command.resultBeside);
  if (failure !== undefined) throw new DeviceError(command, failure, fields);
  return command.response.check(withoutSuccess(fields, command), "", "hear") as ResponseOf<C>;
}

/** A payload as it is, unless it is a CBOR map that reports a failure. */
function wholePayload(command: AnyCommand, payload: Uint8Array): Uint8Array {
  let fields: Record<string, unknown>;
  try {
    fields = decodePayload(payload);
  } catch (error) {
    // Not CBOR, then: a user group's own format, in which only its user can find errors.
    if (error instanceof CborError || error instanceof ShapeError) return payload.slice();
    throw error;
  }
  const failure = failureIn(fields, command.resultBeside);
  if (failure !== undefined) throw new DeviceError(command, failure, fields);
  return payload.slice();
}

/**
 * The map in a payload, of a request or a response. No bytes at all count as an empty map.
 *
 * @param payload - CBOR
 * @returns the map's fields
 * @throws `CborError`, `ShapeError`
 */
export function decodePayload(payload: Uint8Array): Record<string, unknown> {
  const value = payload.length === 0 ? {} : decodeCbor(payload);
  if (!isMap(value)) throw new ShapeError("wrong-kind", "", "a map", describe(value));
  return value;
}

function mustAnswer(command: AnyCommand, header: Header): void {
  if (header.group === command.group && header.id === command.id && OPS[header.op] === OPS[command.op] + 1)
    return;
  const pairs = [
    ["group", command.group, header.group],
    ["command", command.id, header.id],
    ["op", OPS[command.op] + 1, OPS[header.op]],
  ] as const;
  for (const [what, expected, got] of pairs) {
    if (expected !== got)
      throw new MessageError(
        "wrong-answer",
        `${command.name}: the answer has ${what} ${got} instead of ${expected}.`,
        {
          expected,
          got,
        },
      );
  }
}

/** A missing `rc` and a missing `err` mean success, and so does 0 in either (smp_protocol.rst). */
function failureIn(fields: Record<string, unknown>, resultBeside: string | undefined): Failure | undefined {
  const reason = typeof fields.rsn === "string" ? { reason: fields.rsn } : {};
  const groupError = groupErrorIn(fields.err) ?? groupErrorIn(fields.ret);
  if (groupError !== undefined) return groupError.rc === 0 ? undefined : { ...groupError, ...reason };
  // An error that cannot be read must not pass as a success.
  if (Object.hasOwn(fields, "err"))
    throw new ShapeError("wrong-kind", "err", "map with group, rc", describe(fields.err));
  if (resultBeside !== undefined && Object.hasOwn(fields, resultBeside)) return undefined;
  const rc = Object.hasOwn(fields, "rc") ? fields.rc : 0;
  if (typeof rc !== "number") throw new ShapeError("wrong-kind", "rc", "int", describe(rc));
  return rc === 0 ? undefined : { rc, ...reason };
}

/** Zephyr 3.4 called the map `ret`, where the shell's answer has a number (zephyr issue 60984): only a map is an error. */
function groupErrorIn(value: unknown): { group: number; rc: number } | undefined {
  if (!isMap(value)) return undefined;
  const { group, rc } = value;
  return typeof group === "number" && typeof rc === "number" ? { group, rc } : undefined;
}

/**
 * Servers with the legacy option, and MCUboot, add `rc: 0` to a success; it is no part of any response, and neither is an
 * `err` that says 0.
 */
function withoutSuccess(fields: Record<string, unknown>, command: AnyCommand): Record<string, unknown> {
  const ownsRc = command.resultBeside !== undefined;
  const isProtocols = (key: string) => key === "err" || (key === "rc" && !ownsRc);
  if (!Object.keys(fields).some(isProtocols)) return fields;
  const own: Record<string, unknown> = {};
  for (const key of Object.keys(fields)) if (!isProtocols(key)) define(own, key, fields[key]);
  return own;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  );
}
