import { toHex } from "../bytes.js";
import type { SendOptions } from "../client/client.js";
import { upgradeModesOfNumber } from "../mcuboot/upgrade-modes.js";
import type { Command, ResponseOf } from "../smp/command.js";
import { imageList, imageSlotInfo } from "../smp/groups/image.js";
import { osBootloaderInfo, osInfo } from "../smp/groups/os.js";
import { trustBoot, trustCounters, trustEvents, trustKeys } from "../smp/groups/trust.js";
import { DeviceError } from "../smp/message.js";
import { ShapeError } from "../smp/schema.js";
import type { BoardFacts, BootEvent, SlotFacts } from "./facts.js";
import { arrange, defined } from "./image-facts.js";
import type { KnownImage } from "./known-images.js";
import type { Session } from "./session.js";
import { queryCounters } from "./vendor-counters.js";

export type { KnownImage } from "./known-images.js";

export interface FactsOptions {
  signal?: AbortSignal | undefined;
  /** Image files whose hash may turn up in a slot. */
  known?: readonly KnownImage[] | undefined;
}

/** The name of an upgrade mode as a board numbers it; -1 is MCUboot's own number for unknown. */
function nameOfMode(number: number): string {
  if (number === -1) return "unknown";
  return upgradeModesOfNumber(number)[0]?.title ?? `mode ${number}`;
}

/**
 * Asks a board everything that this project wants to know of it. Questions it does not know are left open: what it does not
 * report is absent, never 0 or false.
 *
 * @param session - the board
 * @param options - `known` images, whose hash may turn up in a slot; `signal` aborts with its own reason
 * @returns one answer to each question that the board knows
 * @throws what talking to the board throws: TransportError, RequestTimeout, DeviceError
 *
 * @example
 * ```ts
 * import { connect, readFacts, runningSlot, Session, startBoard } from "bootproof";
 * const board = await startBoard({ machine: "wasm", variant: "good" });
 * const session = await Session.open(async (signal) => connect(await board.connect(), { signal }));
 * const facts = await readFacts(session);
 * if (facts.bootloader?.mode !== 3 || !runningSlot(facts)?.content?.confirmed) throw new Error("not a fresh board");
 * await session.close();
 * await board.close();
 * ```
 */
export async function readFacts(
  { client }: Pick<Session, "client">,
  options: FactsOptions = {},
): Promise<BoardFacts> {
  const { signal, known = [] } = options;
  const ask = <Req, Res>(command: Command<Req, Res>, request: Req) =>
    askMaybe((how) => client.send(command, request, how), signal);

  const state = await client.send(imageList, {}, { signal }).catch(withoutImages);
  const info = await ask(osInfo, { format: "a" });
  const named = await ask(osBootloaderInfo, {});
  const moded = await ask(osBootloaderInfo, { query: "mode" });
  const sizes = await ask(imageSlotInfo, {});
  const boot = await ask(trustBoot, {});
  const counters = boot && (await ask(trustCounters, {}));
  const queried = counters || !named ? new Map() : await queryCounters(client, { signal });
  const keys = boot && (await ask(trustKeys, {}));
  const events = boot && (await ask(trustEvents, {}));

  const mode = boot?.mode ?? moded?.mode;
  const builtFor = boot === undefined || moded?.mode === boot.mode ? undefined : moded?.mode;
  const { server } = client;
  return defined({
    name: client.name,
    server: server.mode,
    bufSize: server.bufSize,
    bufCount: server.bufCount,
    bufSizeFrom: server.bufSizeFrom,
    info: info?.output,
    bootloader:
      mode === undefined && named?.bootloader === undefined
        ? undefined
        : defined({
            name: named?.bootloader,
            mode,
            modeName: mode === undefined ? undefined : nameOfMode(mode),
            applicationMode: builtFor,
            applicationModeName: builtFor === undefined ? undefined : nameOfMode(builtFor),
            noDowngrade: moded?.["no-downgrade"],
            compression: boot?.compression,
            modeFrom:
              mode === undefined ? undefined : boot ? ("bootloader" as const) : ("application" as const),
            version: boot?.version,
            signature: boot?.signature,
            recovery: boot?.recovery,
            runningSlot: boot?.slot,
          }),
    images: arrange(
      state.images,
      { sizes: sizes?.images ?? [], counters: counters?.images ?? [], queried },
      known,
    ),
    noImageGroup: "noImageGroup" in state ? true : undefined,
    trustedKeys: keys?.keys,
    boot: bootFacts(boot),
    events: events?.events.map((event) => defined({ ...event })) as BootEvent[] | undefined,
    reportsTrust: boot !== undefined,
  }) as BoardFacts;
}

/** Something a restart changes: the boot counter where there is one, and the flags and hashes of the images. */
export async function restartFingerprint(session: Session, signal: AbortSignal | undefined): Promise<string> {
  const { client } = session;
  const boot = await askMaybe((how) => client.send(trustBoot, {}, how), signal);
  const state = await client.send(imageList, {}, { signal, timeoutMs: 1000 }).catch(withoutImages);
  const images = state.images.map(({ hash, ...flags }) => ({ ...flags, hash: hash && toHex(hash) }));
  return JSON.stringify([client.server.mode, boot?.boots, images]);
}

/** The slots of image 0 or of the number given. */
export function slotsOf(facts: BoardFacts, image = 0): readonly SlotFacts[] {
  return facts.images.find((candidate) => candidate.image === image)?.slots ?? [];
}

/**
 * The slot that runs, of image 0 or of the number given.
 *
 * @param facts - by {@link readFacts}
 * @param image - image number
 * @returns undefined when none is listed
 */
export function runningSlot(facts: BoardFacts, image = 0): SlotFacts | undefined {
  const slots = slotsOf(facts, image);
  const started = (image === 0 ? facts.bootloader?.runningSlot : undefined) ?? 0;
  // Serial recovery calls nothing active: there the primary slot is what would run, unless the bootloader names another.
  return (
    slots.find((slot) => slot.content?.active) ?? slots.find((slot) => slot.slot === started && slot.content)
  );
}

/** Servers that read what the bootloader left know its mode, but not always what came before. */
function bootFacts(boot: ResponseOf<typeof trustBoot> | undefined): BoardFacts["boot"] {
  if (boot?.cause === undefined || boot.boots === undefined) return undefined;
  return { cause: boot.cause, boots: boot.boots };
}

/** The answer, or undefined when the device does not know the question (any refusal) or answers with nonsense. */
async function askMaybe<Res>(
  ask: (how: SendOptions) => Promise<Res>,
  signal: AbortSignal | undefined,
): Promise<Res | undefined> {
  try {
    return await ask({ signal });
  } catch (error) {
    if (error instanceof DeviceError || error instanceof ShapeError) return undefined;
    throw error;
  }
}

/** Servers without the image group still have a name and buffers. */
function withoutImages(error: unknown): { images: []; noImageGroup: true } {
  if (error instanceof DeviceError && error.rcName === "ENOTSUP") return { images: [], noImageGroup: true };
  throw error;
}
