import type { Intercept } from "../../client/relay.js";
import { BootproofError } from "../../errors.js";
import { ImageError } from "../../mcuboot/header.js";
import { readFacts } from "../../session/board-facts.js";
import type { Session } from "../../session/session.js";
import { CborError, encodeCbor } from "../../smp/cbor.js";
import { commandByNumber } from "../../smp/command.js";
import { commandOf } from "../../smp/groups/all.js";
import { type Header, joinMessage, readMessage } from "../../smp/header.js";
import { decodePayload, decodeResponse } from "../../smp/message.js";
import { observeCommands } from "./board-events.js";
import type { Settlement, StepGuard } from "./ratchet-guard.js";
import type { EventSink } from "./recorder.js";

type Fields = Readonly<Record<string, unknown>>;

const IMAGES = 1;
/** SMP's return codes. */
const BAD_REQUEST = 3;
const ACCESS_DENIED = 11;
/** No image of a board is larger: what says so is not kept. */
const LARGEST_IMAGE = 64 * 1024 * 1024;

/**
 * Asks this host's memory and the policy before a request of somebody else's client reaches the board, and records what such
 * clients change. An image that is sent through is looked at before its last bytes are passed on: only then is it known.
 */
export function guardGuests(session: Session, guard: StepGuard, audit: EventSink | undefined): Intercept {
  const upload: { passing?: PassingImage | undefined } = {};
  const observers = new Map<string, ReturnType<typeof observeCommands>>();
  const observerOf = (sink: EventSink, guest: string) => {
    const known = observers.get(guest) ?? observeCommands(naming(sink, guest));
    observers.set(guest, known);
    return known;
  };
  const before = async (header: Header, fields: Fields): Promise<Settlement | undefined> => {
    if (!guard.isNeeded) return undefined;
    switch (`${header.group}/${header.id}`) {
      case "0/5":
        return void (await guard.restart(await readFacts(session)));
      case "1/0": {
        const { hash, confirm } = fields;
        const facts = await readFacts(session);
        return guard.mark(facts, { ...(hash instanceof Uint8Array && { hash }), confirm: confirm === true });
      }
      case "1/1":
        return void (await judgeUpload(session, guard, { upload, fields }));
    }
    return undefined;
  };
  return async (message, guest, pass) => {
    const { header, payload } = readMessage(message);
    if (header.op !== "write") return pass();
    const fields = fieldsOf(payload);
    // What is read differently here and on the board would be judged as something else than it is.
    if (fields === undefined)
      return guard.isNeeded && header.group === IMAGES
        ? refusal(header, BAD_REQUEST, "This request cannot be read.")
        : pass();
    let settlement: Settlement | undefined;
    try {
      settlement = await before(header, fields);
    } catch (error) {
      if (isRefusal(error)) return refusal(header, ACCESS_DENIED, error.message);
      throw error;
    }
    const { group, id, op } = header;
    const command = commandOf({ group, id, op }) ?? commandByNumber({ group, id, op });
    const answer = pass();
    const response = answer.then((bytes) => decodeResponse(command, bytes) as unknown);
    // Nobody else waits for it where nothing is recorded.
    response.catch(() => undefined);
    if (audit) observerOf(audit, guest)(command, fields, response);
    if (settlement) await settle(settlement, response);
    return answer;
  };
}

/** Silence leaves the intent: it is not known what the board did. */
async function settle(settlement: Settlement, response: Promise<unknown>): Promise<void> {
  try {
    await response;
  } catch (error) {
    if (error instanceof BootproofError && "rc" in error) await settlement.notConfirmed();
    return;
  }
  await settlement.confirmed();
}

/** Events of a guest name it. */
function naming(audit: EventSink, guest: string): EventSink {
  return { record: (event) => audit.record({ ...event, detail: { ...event.detail, client: guest } }) };
}

async function judgeUpload(
  session: Session,
  guard: StepGuard,
  { upload, fields }: { upload: { passing?: PassingImage | undefined }; fields: Fields },
): Promise<void> {
  const { off, len, data, image = 0 } = fields;
  const number = isCount(image) ? image : 0;
  if (!isCount(off) || !(data instanceof Uint8Array)) return guard.unseenUpload(number);
  // A board takes one upload at a time.
  if (off === 0)
    upload.passing = isCount(len) && len <= LARGEST_IMAGE ? new PassingImage(number, len) : undefined;
  const { passing } = upload;
  if (passing?.number !== number) return guard.unseenUpload(number);
  passing.add(off, data);
  if (off + data.length < passing.length && !passing.isWhole) return;
  if (!passing.isWhole) return guard.unseenUpload(number);
  try {
    await guard.upload(passing.bytes, number, () => readFacts(session));
  } catch (error) {
    // What is no image never runs, and the board says what it thinks of it.
    if (!(error instanceof ImageError)) throw error;
  }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** An image on its way through, in chunks that may come twice or out of order. */
class PassingImage {
  readonly bytes: Uint8Array;
  /** Chunks by where they begin. */
  readonly #ends = new Map<number, number>();

  constructor(
    readonly number: number,
    readonly length: number,
  ) {
    this.bytes = new Uint8Array(length);
  }

  add(off: number, data: Uint8Array): void {
    if (off + data.length > this.length) return;
    this.bytes.set(data, off);
    this.#ends.set(off, Math.max(this.#ends.get(off) ?? 0, off + data.length));
  }

  get isWhole(): boolean {
    let reached = 0;
    for (const [off, end] of [...this.#ends].sort(([a], [b]) => a - b)) {
      if (off > reached) return false;
      reached = Math.max(reached, end);
    }
    return reached === this.length;
  }
}

function isRefusal(error: unknown): error is BootproofError {
  if (!(error instanceof BootproofError)) return false;
  return error.code === "refused-by-ratchet" || error.code === "policy-refused";
}

function refusal(header: Header, rc: number, reason: string): Uint8Array {
  return joinMessage({ ...header, op: "write-rsp" }, encodeCbor({ rc, rsn: reason }));
}

function fieldsOf(payload: Uint8Array): Fields | undefined {
  try {
    return decodePayload(payload);
  } catch (error) {
    if (error instanceof CborError) return undefined;
    throw error;
  }
}
