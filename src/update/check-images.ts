import { ImageError, parseHeader } from "../mcuboot/header.js";
import type { Dependency } from "../mcuboot/image.js";
import type { Version } from "../mcuboot/version.js";
import type { BoardFacts } from "../session/facts.js";
import type { Session } from "../session/session.js";
import { preflight } from "./flash.js";
import type { ImageFile, ImagesEvent, ImagesOptions, ImagesResult, Part } from "./images-events.js";
import { memoryOf } from "./memory.js";
import { maySkip, type PreflightCheckName } from "./preflight-check.js";

interface Refusal {
  readonly by?: PreflightCheckName;
  readonly message: string;
  readonly hint?: string | undefined;
}

export async function* checkAll(
  session: Session,
  files: readonly ImageFile[],
  facts: BoardFacts,
  options: ImagesOptions,
): AsyncGenerator<
  ImagesEvent,
  { parts: Part[]; checked: ImagesResult["preflight"]; refused: Refusal | undefined },
  void
> {
  const parts: Part[] = [];
  const checked: ImagesResult["preflight"] = [];
  let refused: Refusal | undefined;
  const alongside = versionsIn(files);
  for (const { name, image: imageNumber, bytes } of files) {
    yield { step: "image", image: imageNumber, name };
    const {
      checks,
      image: parsed,
      bytes: payload,
    } = await preflight(session, bytes, facts, {
      ...options,
      imageNumber,
      alongside,
      policy: options.policyFor?.({ name, image: imageNumber, bytes }),
    });
    yield { step: "preflight", checks };
    checked.push({ image: imageNumber, checks });
    const failed = checks.find((check) => check.result === "fail" && !maySkip(check.name, options.skip));
    if (failed)
      refused ??= {
        by: failed.name,
        message: `Image ${imageNumber} (${name}): ${failed.message}`,
        hint: failed.hint,
      };
    else if (parsed?.imageHash === undefined)
      refused ??= {
        message: `Image ${imageNumber} (${name}) carries no hash by which the board could be asked for it.`,
      };
    else {
      const memory = memoryOf(parsed, imageNumber, options.ratchet);
      parts.push({ name, imageNumber, bytes: payload, parsed, memory, hash: parsed.imageHash.value });
    }
  }
  return { parts, checked, refused };
}

/** The versions that the update brings; a file that is no image brings none. */
function versionsIn(files: readonly ImageFile[]): ReadonlyMap<number, Version> {
  const versions = new Map<number, Version>();
  for (const { image, bytes } of files) {
    try {
      versions.set(image, parseHeader(bytes).header.version);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
    }
  }
  return versions;
}

/** Those that others depend on first; otherwise higher numbers first, so that image 0, which starts, is the last. */
export function inOrder(parts: readonly Part[]): Part[] {
  const left = [...parts].sort((a, b) => b.imageNumber - a.imageNumber);
  const ordered: Part[] = [];
  while (left.length > 0) {
    const isNeededByNone = ({ image }: Dependency) => !left.some(({ imageNumber }) => imageNumber === image);
    const free = left.findIndex(({ parsed, imageNumber }) =>
      parsed.dependencies.every((one) => one.image === imageNumber || isNeededByNone(one)),
    );
    // Images that depend on each other have no right order: MCUboot starts them together or not at all.
    ordered.push(...left.splice(Math.max(free, 0), 1));
  }
  return ordered;
}
