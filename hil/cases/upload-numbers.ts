import { DeviceError } from "bootproof";
import { imageSlotInfo } from "bootproof/smp";
import { type Finding, fails, unjudged } from "../case.js";
import type { Harness } from "../harness/harness.js";

/** The numbers that a board may take in an upload. */
export interface UploadNumbers {
  readonly numbers: ReadonlySet<number>;
  /** The board said so itself: a number beyond them is then none of its own. */
  readonly isReported: boolean;
  readonly message: string;
}

/**
 * The image numbers of a board, and the numbers of its slots: builds with direct upload count slots, and slot info names
 * them (`upload_image_id`). Without slot info only the images are known.
 */
export async function uploadNumbers(harness: Harness): Promise<UploadNumbers> {
  const listed = new Set([0, ...harness.initial.slots.map(({ image }) => image)]);
  const answer = await harness.client
    .send(imageSlotInfo, {}, { signal: harness.signal })
    .catch((error: unknown) => {
      if (error instanceof DeviceError) return undefined;
      throw error;
    });
  if (answer === undefined)
    return { numbers: listed, isReported: false, message: "It does not report the numbers of its slots." };
  const images = answer.images.map(({ image }) => image);
  const ids = answer.images.flatMap(({ slots }) => slots.flatMap(({ upload_image_id: id }) => id ?? []));
  const numbers = new Set([...listed, ...images, ...ids]);
  return {
    numbers,
    isReported: true,
    message: `It reports ${[...numbers].sort((a, b) => a - b).join(", ")} as its own numbers.`,
  };
}

/** The next numbers that are none of the board's own. */
export function foreignNumbers(own: ReadonlySet<number>, count: number): number[] {
  const foreign: number[] = [];
  for (let number = 1; foreign.length < count; number++) if (!own.has(number)) foreign.push(number);
  return foreign;
}

/** Direct upload takes twice as many numbers as there are images, and one more. */
const SLOTS_AN_IMAGE = 2;

/** The finding when a number was taken; undefined when none was. */
export function judgeNumbers(
  taken: readonly number[],
  tried: readonly number[],
  { numbers, isReported, message }: UploadNumbers,
): Finding | undefined {
  if (taken.length === 0) return undefined;
  const observed = `Taken: ${taken.join(", ")} of ${tried.join(", ")}. ${message}`;
  const images = Math.max(...numbers) + 1;
  if (isReported || taken.some((number) => number > images * SLOTS_AN_IMAGE)) return fails(observed);
  return unjudged(`${observed} With direct upload these would be its own slots.`);
}
