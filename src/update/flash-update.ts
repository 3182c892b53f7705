import { equal } from "../bytes.js";
import { ImageError } from "../mcuboot/header.js";
import { parseImage } from "../mcuboot/image.js";
import { readFacts, runningSlot } from "../session/board-facts.js";
import type { BoardFacts } from "../session/facts.js";
import type { Session } from "../session/session.js";
import { type Payload, SourceError } from "../sources/source.js";
import type { FlashOptions, FlashResult, PolicyHook } from "./events.js";
import { flash } from "./flash.js";
import { flashImages } from "./flash-images.js";
import type { ImageFile, ImagesEvent, ImagesResult } from "./images-events.js";
import { overLosses } from "./observe.js";

export interface UpdateOptions extends Omit<FlashOptions, "policy"> {
  /** What a policy says of each image. */
  policyFor?: ((file: ImageFile) => PolicyHook | undefined) | undefined;
}

/**
 * Flashes an update of one image or of several. Of two builds for execute in place the one for the free slot is
 * taken. With `imageNumber`, only that image of a larger update is flashed.
 *
 * @param session - the board
 * @param payloads - of a source, by `openSource`
 * @param options - as of {@link flash}, for every image; `policyFor` gives each its policy
 * @returns what became of the update; refusals and reverts are results
 * @throws `SourceError` when the image asked for is not there; what talking to the board throws: TransportError,
 *   DeviceError, AwayError
 */
export async function* flashUpdate(
  session: Session,
  payloads: readonly Payload[],
  { policyFor, ...options }: UpdateOptions = {},
): AsyncGenerator<ImagesEvent, FlashResult | ImagesResult, void> {
  const [first] = payloads;
  if (payloads.length === 1 && first) {
    const how = { ...options, ...numberOf(first, options) };
    const policy = policyFor?.({ ...first, image: how.imageNumber ?? 0 });
    return yield* flash(session, first.bytes, { ...how, policy });
  }
  const facts = yield* overLosses(session, options, () => readFacts(session, options));
  const files = filesFor(payloads, facts, options.imageNumber);
  const [only] = files;
  if (files.length === 1 && only)
    return yield* flash(session, only.bytes, {
      ...options,
      imageNumber: only.image,
      policy: policyFor?.(only),
    });
  return yield* flashImages(session, files, { ...options, policyFor });
}

function numberOf({ image }: Payload, { imageNumber }: FlashOptions): Pick<FlashOptions, "imageNumber"> {
  // What is given on the command line goes before what a manifest says.
  const number = imageNumber ?? image;
  return number === undefined ? {} : { imageNumber: number };
}

/** The files for this board: one an image, the variant that runs in the slot that is free. */
function filesFor(payloads: readonly Payload[], facts: BoardFacts, wanted: number | undefined): ImageFile[] {
  const images = new Set(payloads.map(({ image = 0 }) => image));
  const files = [...images]
    .filter((image) => wanted === undefined || image === wanted)
    .map((image) => variantFor(payloads, image, facts))
    .filter((payload) => payload !== undefined)
    .map(({ name, bytes, image = 0 }) => ({ name, bytes, image }));
  if (files.length > 0) return files;
  throw new SourceError(
    "bad-source",
    wanted === undefined || images.has(wanted)
      ? "The update contains no variant for the free slot of this board."
      : `The update holds no image ${wanted}; it holds ${[...images].join(", ")}.`,
  );
}

/**
 * Of the builds of one image, the one for this board: what it runs already, whichever slot that is in, so that an update
 * that was cut short goes on; else the one for the slot that is free.
 *
 * @param payloads - of a source; a slot tells builds for execute in place apart
 * @param image - image number
 * @param facts - what the board reports
 * @returns undefined when there is none for the free slot
 */
export function variantFor(
  payloads: readonly Payload[],
  image: number,
  facts: BoardFacts,
): Payload | undefined {
  const builds = payloads.filter((payload) => (payload.image ?? 0) === image);
  const running = runningSlot(facts, image);
  const hash = running?.content?.hash;
  const isRunning = ({ bytes, slot }: Payload) =>
    slot !== undefined && slot === running?.slot && hash !== undefined && equal(hashOf(bytes), hash);
  const free = running?.slot === 1 ? 0 : 1;
  return builds.find(isRunning) ?? builds.find(({ slot }) => slot === undefined || slot === free);
}

/** No bytes when it is no image: the preflight says so. */
function hashOf(bytes: Uint8Array): Uint8Array {
  try {
    return parseImage(bytes).imageHash?.value ?? new Uint8Array();
  } catch (error) {
    if (error instanceof ImageError) return new Uint8Array();
    throw error;
  }
}
