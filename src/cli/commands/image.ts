import type { Command } from "commander";
import { equal, fromHex, toHex } from "../../bytes.js";
import { tailOf } from "../../mcuboot/file-tail.js";
import { type Image, parseImage } from "../../mcuboot/image.js";
import { type KnownImage, readFacts, runningSlot } from "../../session/board-facts.js";
import type { SlotFacts } from "../../session/facts.js";
import { run } from "../../session/run.js";
import type { Session } from "../../session/session.js";
import { imageErase, imageMark } from "../../smp/groups/image.js";
import { DeviceError } from "../../smp/message.js";
import { pendingCounter, storedCounter } from "../../update/counter-check.js";
import { payloadFor } from "../../update/payload.js";
import { upload } from "../../update/upload.js";
import type { StepGuard } from "../audit/ratchet-guard.js";
import { guardFor, guardOptions, type StepOptions } from "../audit/step-options.js";
import { type BoardOptions, boardOptions } from "../board-options.js";
import { type Context, inContext, onBoard, readKnown, wholeNumber, withBoard } from "../context.js";
import { drawSlots } from "../draw-facts.js";
import { readImageAs } from "../firmware-file.js";
import { EXPECT_SHA256, readContent } from "../image-input.js";
import { NotDoneError } from "../not-done.js";
import { drawUpload } from "../progress.js";
import { type TrailerOptions, trailerOptions } from "../trailer-options.js";
import { UsageError } from "../usage-error.js";

/** Erasing waits for the flash: other clients give it this long too. */
const ERASE_TIMEOUT_MS = 60_000;

/** Before a command has its output. */
const stderr = { note: (text: string) => void process.stderr.write(`${text}\n`) };

interface UploadCommandOptions extends StepOptions, TrailerOptions {
  image?: number;
  upgrade?: boolean;
  wholeFile?: boolean;
  expectSha256?: string;
}

export function define(command: Command): void {
  command.description("single steps for scripts and special cases; bootproof flash does all of them");
  boardOptions(command.command("list").description("show which image is in which slot")).action(
    (options: BoardOptions) => withBoard(options, showSlots),
  );

  trailerOptions(
    guardOptions(
      boardOptions(
        command
          .command("upload <file>")
          .description("send an image without further checks; data after it in the file is not sent"),
      ),
    ),
    "test, confirmed, or none",
  )
    .option("--image <number>", "which image number (pair of slots)", wholeNumber("--image", { max: 255 }))
    .option("--upgrade", "let the board refuse any version that is not higher")
    .option("--whole-file", "also send what follows the image in the file, such as a trailer")
    .option(...EXPECT_SHA256)
    .action(async (file: string, options: UploadCommandOptions) => {
      const read = (bytes: Uint8Array) => ({ file, bytes, image: parseImage(bytes) });
      const cargo = await readImageAs(file, stderr, read, readContent(file, options.expectSha256));
      return inContext(options, async (context) => {
        const guard = await guardFor(options, context);
        const { signal } = context;
        await onBoard(options, context, async (session, identity) => {
          const facts = () => readFacts(session, { signal });
          await guard(identity).upload(cargo.bytes, options.image ?? 0, facts);
          await send(session, context, cargo, options);
        });
      });
    });

  guardOptions(
    boardOptions(
      command
        .command("test <image>")
        .description("mark an image for a test boot; <image> is its hash or its file"),
    ),
  ).action(async (image: string, options: StepOptions) => {
    const { hash, file } = await imageNamed(image);
    await markOn(options, { hash, confirm: false }, file);
  });

  guardOptions(
    boardOptions(
      command
        .command("confirm [image]")
        .description("confirm the running image, or the one named by hash or file"),
    ),
  ).action(async (image: string | undefined, options: StepOptions) => {
    if (image === undefined) return markOn(options, { confirm: true });
    const { hash, file } = await imageNamed(image);
    await markOn(options, { confirm: true, hash }, file);
  });

  boardOptions(command.command("erase").description("erase a slot that is not in use"))
    .option(
      "--slot <number>",
      "counted over all images; default: the other slot of image 0",
      wholeNumber("--slot", { max: 255 }),
    )
    .action((options: BoardOptions & { slot?: number }) =>
      withBoard(options, async (session, context) => {
        const { slot, timeout = ERASE_TIMEOUT_MS } = options;
        await session.client.send(imageErase, slot === undefined ? {} : { slot }, {
          signal: context.signal,
          timeoutMs: timeout,
        });
        await showSlots(session, context);
      }),
    );
}

async function showSlots(session: Session, { out, signal }: Context): Promise<void> {
  const facts = await readFacts(session, { signal });
  out.result({ images: facts.images }, drawSlots(facts));
}

async function send(
  session: Session,
  { out, signal }: Context,
  { file, bytes, image }: { file: string; bytes: Uint8Array; image: Image },
  options: UploadCommandOptions,
): Promise<void> {
  const { image: imageNumber, upgrade, trailer, erased: erasedValue, wholeFile } = options;
  const tail = tailOf(bytes, image);
  // Everything about the board is only asked where it matters.
  const matters =
    trailer !== undefined || tail.kind === "trailer" || session.client.server.mode === "recovery";
  const facts = matters && !wholeFile ? await readFacts(session, { signal }) : undefined;
  const payload = payloadFor(bytes, image, facts, { imageNumber, trailer, erasedValue });
  const { result, message, hint } = payload.check;
  if (!wholeFile && result === "fail") throw new UsageError(message, hint);
  if (wholeFile && tail.kind !== "none")
    out.note(`The whole file is sent, including the ${tail.bytes} bytes that follow the image.`);
  if (!wholeFile && tail.kind !== "none") out.note(message);
  const content = wholeFile ? bytes : payload.bytes;
  const hash = image.imageHash && toHex(image.imageHash.value);
  const sent = await run(upload(session, content, { signal, image: imageNumber, upgrade }), drawUpload(out));
  const seconds = sent.elapsedMs / 1000;
  const rate = Math.round(sent.sentBytes / Math.max(seconds, 0.001));
  out.result(
    {
      ...{ file, bytes: content.length, ...sent, hash },
      ...(wholeFile || tail.kind === "none" ? {} : { notSent: tail }),
      ...(wholeFile || payload.made === undefined ? {} : { madeTrailer: payload.made }),
    },
    `${content.length} bytes are on the board (${seconds.toFixed(1)} s, ${rate} bytes/s). Image hash ${hash ?? "none"}.`,
  );
}

interface MarkRequest {
  hash?: Uint8Array;
  confirm: boolean;
}

/** Marks an image, unless this host remembers that the board may not run it any more, or the policy refuses it. */
function markOn(options: StepOptions, request: MarkRequest, file?: Uint8Array): Promise<void> {
  return inContext(options, async (context) => {
    const guard = await guardFor(options, context);
    const known = await readKnown(context.config.known, context.out);
    await onBoard(options, context, (session, identity) =>
      markGuarded(session, context, { request, file, known, guard: guard(identity) }),
    );
  });
}

async function markGuarded(
  session: Session,
  context: Context,
  {
    request,
    file,
    known,
    guard,
  }: { request: MarkRequest; file?: Uint8Array | undefined; known: KnownImage[]; guard: StepGuard },
): Promise<void> {
  const before = await readFacts(session, { signal: context.signal, known });
  const settlement = await guard.mark(before, request, file);
  try {
    await mark(session, context, request);
  } catch (error) {
    // The board refused it, or read back that it did not happen; a lost link leaves the intent.
    if (error instanceof DeviceError || error instanceof NotDoneError) await settlement.notConfirmed();
    throw error;
  }
  await settlement.confirmed();
}

async function mark(session: Session, { out, signal }: Context, request: MarkRequest): Promise<void> {
  const { hash, confirm } = request;
  await session.client.send(imageMark, request, { signal });
  const facts = await readFacts(session, { signal });
  const slots = facts.images.flatMap((image) => image.slots);
  const isMeant = (slot: SlotFacts) =>
    hash !== undefined && slot.content?.hash !== undefined && equal(slot.content.hash, hash);
  const entry = hash === undefined ? runningSlot(facts) : slots.find(isMeant);
  const took = confirm ? entry?.content?.confirmed || entry?.content?.permanent : entry?.content?.pending;
  if (!took)
    throw new NotDoneError(
      "The board accepted the request, but its image list does not show it.",
      "bootproof image list shows what it reports now.",
    );
  const counter = entry?.content?.securityCounter?.value;
  const stored = entry && storedCounter(facts, entry.image);
  if (confirm && counter !== undefined && stored !== undefined && counter > stored)
    out.note(pendingCounter(stored, counter));
  out.result({ images: facts.images }, drawSlots(facts));
}

/** An image hash, written out or taken from an image file. */
async function imageNamed(text: string): Promise<{ hash: Uint8Array; file?: Uint8Array }> {
  if (/^[0-9a-f]+$/i.test(text) && [64, 96, 128].includes(text.length)) return { hash: fromHex(text) };
  const { bytes, image } = await readImageAs(text, stderr, (content) => ({
    bytes: content,
    image: parseImage(content),
  }));
  if (image.imageHash === undefined)
    throw new UsageError(`The image in ${text} carries no hash by which it could be named.`);
  return { hash: image.imageHash.value, file: bytes };
}
