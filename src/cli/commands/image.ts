import type { Command } from "commander";
import { equal, fromHex, toHex } from "../../bytes.js";
import { parseImage } from "../../image/image.js";
import { imageErase, imageMark } from "../../smp/groups/image.js";
import { readFacts, runningSlot } from "../../workflow/facts.js";
import { run } from "../../workflow/run.js";
import type { Session } from "../../workflow/session.js";
import { upload } from "../../workflow/upload.js";
import { type BoardOptions, boardOptions, type Context, wholeNumber, withBoard } from "../context.js";
import { drawSlots } from "../draw-facts.js";
import { UsageError } from "../exit.js";
import { readAs } from "../files.js";
import { NotDoneError } from "../not-done.js";
import { drawUpload } from "../progress.js";

/** Erasing waits for the flash: other clients give it this long too. */
const ERASE_TIMEOUT_MS = 60_000;

interface UploadCommandOptions extends BoardOptions {
  image?: number;
  upgrade?: boolean;
}

export function define(command: Command): void {
  command.description(
    "single steps, for scripts and for boards that need them; bootproof flash does all of it",
  );
  boardOptions(command.command("list").description("show which image is in which slot")).action(
    (options: BoardOptions) => withBoard(options, showSlots),
  );

  boardOptions(
    command.command("upload <file>").description("send an image; it is checked to be one, and no more"),
  )
    .option("--image <number>", "which pair of slots", wholeNumber("--image", { max: 255 }))
    .option("--upgrade", "have the board refuse anything but a higher version")
    .action(async (file: string, options: UploadCommandOptions) => {
      const cargo = await readAs(file, (bytes) => {
        const { imageHash } = parseImage(bytes);
        return { file, bytes, hash: imageHash && toHex(imageHash.value) };
      });
      return withBoard(options, (session, context) => send(session, context, cargo, options));
    });

  boardOptions(
    command.command("test <image>").description("have an image booted once; <image> is its hash or its file"),
  ).action(async (image: string, options: BoardOptions) => {
    const request = { hash: await hashOf(image), confirm: false };
    return withBoard(options, (session, context) => mark(session, context, request));
  });

  boardOptions(
    command
      .command("confirm [image]")
      .description("keep the running image, or the one named by hash or file"),
  ).action(async (image: string | undefined, options: BoardOptions) => {
    const request = { confirm: true, ...(image === undefined ? {} : { hash: await hashOf(image) }) };
    return withBoard(options, (session, context) => mark(session, context, request));
  });

  boardOptions(command.command("erase").description("erase a slot that is not in use"))
    .option(
      "--slot <number>",
      "counted over all images; default: the other slot of image 0",
      wholeNumber("--slot", { max: 255 }),
    )
    .action((options: BoardOptions & { slot?: number }) =>
      withBoard(options, async (session, context) => {
        const { slot } = options;
        await session.client.send(imageErase, slot === undefined ? {} : { slot }, {
          signal: context.signal,
          timeoutMs: ERASE_TIMEOUT_MS,
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
  { file, bytes, hash }: { file: string; bytes: Uint8Array; hash: string | undefined },
  options: UploadCommandOptions,
): Promise<void> {
  const { image, upgrade } = options;
  const sent = await run(upload(session, bytes, { signal, image, upgrade }), drawUpload(out));
  const seconds = sent.elapsedMs / 1000;
  const rate = Math.round(sent.sentBytes / Math.max(seconds, 0.001));
  out.result(
    { file, bytes: bytes.length, ...sent, hash },
    `${bytes.length} bytes are on the board (${seconds.toFixed(1)} s, ${rate} bytes/s). Image hash ${hash ?? "none"}.`,
  );
}

async function mark(
  session: Session,
  { out, signal }: Context,
  request: { hash?: Uint8Array; confirm: boolean },
): Promise<void> {
  const { hash, confirm } = request;
  await session.client.send(imageMark, request, { signal });
  const facts = await readFacts(session, { signal });
  const slots = facts.images.flatMap((image) => image.slots);
  const entry =
    hash === undefined
      ? runningSlot(facts)
      : slots.find(({ content }) => content?.hash && equal(content.hash, hash));
  const took = confirm ? entry?.content?.confirmed || entry?.content?.permanent : entry?.content?.pending;
  if (!took)
    throw new NotDoneError(
      "The board accepted the request, but its image list does not show it.",
      "bootproof image list shows what it reports now.",
    );
  out.result({ images: facts.images }, drawSlots(facts));
}

/** An image hash, written out or taken from an image file. */
async function hashOf(text: string): Promise<Uint8Array> {
  if (/^[0-9a-f]+$/i.test(text) && [64, 96, 128].includes(text.length)) return fromHex(text);
  const { imageHash } = await readAs(text, parseImage);
  if (imageHash === undefined) throw new UsageError(`The image in ${text} carries no hash to name it by.`);
  return imageHash.value;
}
