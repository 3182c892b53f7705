import type { ErrorRow } from "./rc.js";
import type { Fields, Kind, ObjectOf, TypeOf } from "./schema.js";
import { bytes, object } from "./schema.js";

/** One command, declared once. Everything else (types, checks, encoding, the raw command) is derived from it. */
export interface Command<Req, Res> {
  /** `image upload`: as the raw command and the trace call it. */
  readonly name: string;
  /** What it does, one sentence. */
  readonly does: string;
  readonly group: number;
  readonly id: number;
  readonly op: "read" | "write";
  readonly request: Kind<Req> & { readonly fields: Fields };
  readonly response: Kind<Res>;
  /** Response key beside which `rc` is a result of the command and not a failure to run it. */
  readonly resultBeside?: string;
  /**
   * Sent twice it does no more than sent once, so a lost answer may be cured by asking again. Left out: reads are, writes
   * are not. Say so on writes that set a state or carry their own offset, never on those that run, append or reset.
   */
  readonly repeatable?: boolean;
  /** What the group's own error numbers mean for this command: a user's group, or more than `rc.ts` says of them. */
  readonly errors?: readonly ErrorRow[];
  /** What SMP's own return codes mean for this command, where that is more than `rc.ts` says of them. */
  readonly returnCodes?: readonly ErrorRow[];
  /** `bytes`: request and response are whole payloads, CBOR or not. Left out: CBOR maps. */
  readonly payload?: "bytes";
}

/** Any command, for code that works on all of them. Its requests are checked at run time only. */
export type AnyCommand = Command<unknown, unknown>;
export type RequestOf<C> = C extends Command<infer Req, unknown> ? Req : never;
export type ResponseOf<C> = C extends Command<unknown, infer Res> ? Res : never;

interface Declaration<Req extends Fields, Res> {
  name: string;
  does: string;
  group: number;
  id: number;
  op: "read" | "write";
  request: Req;
  response: Res;
  resultBeside?: string;
  repeatable?: boolean;
  errors?: readonly ErrorRow[];
  returnCodes?: readonly ErrorRow[];
}

/**
 * Declares a command. `response` is a table of fields, or a {@link Kind} when its keys are data. `rc` and `err` are not
 * part of it: they are the protocol's own and never reach a response.
 *
 * @param declared - group and id as the server has them; groups from 64 on are the application's own
 * @returns to be given to `Client.send`
 *
 * @example
 * ```ts
 * import { command, encodeRequest, text, uint } from "bootproof/smp";
 * const blink = command({
 *   name: "lamp blink",
 *   does: "blink a lamp",
 *   group: 64,
 *   id: 1,
 *   op: "write",
 *   request: { times: uint },
 *   response: { state: text },
 * });
 * const message = encodeRequest(blink, { times: 3 }, { seq: 0, version: 2 });
 * if (message.length < 8) throw new Error("no header");
 * ```
 */
export function command<const Req extends Fields, const Res extends Fields | Kind<unknown>>(
  declared: Declaration<Req, Res>,
): Command<
  ObjectOf<Req>,
  Res extends Kind<unknown> ? TypeOf<Res> : Res extends Fields ? ObjectOf<Res> : never
> {
  const response = isKind(declared.response) ? declared.response : object(declared.response as Fields);
  return { ...declared, request: object(declared.request), response } as never;
}

/**
 * Any command by its numbers, declared or not. Request and response are the payload's bytes, since groups of users need
 * not speak CBOR; an answer that is a CBOR map with an error in it is still an error.
 *
 * @param numbers - group, id and op of the command; `resultBeside`: a field beside which `rc` is part of the answer
 * @returns takes and gives bytes
 */
export function commandByNumber(
  numbers: Pick<AnyCommand, "group" | "id" | "op"> & { resultBeside?: string | undefined },
): Command<Uint8Array, Uint8Array> {
  const { group, id, op, resultBeside } = numbers;
  return {
    name: `group ${group} command ${id} ${op}`,
    does: "whatever the device makes of it",
    group,
    id,
    op,
    request: { ...bytes(), fields: {} },
    response: bytes(),
    payload: "bytes",
    ...(resultBeside === undefined ? {} : { resultBeside }),
  };
}

function isKind(value: Fields | Kind<unknown>): value is Kind<unknown> {
  return typeof value.check === "function";
}
