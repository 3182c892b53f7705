import { isList } from "../tuf/canonical-json.js";
import type { TargetFile } from "../tuf/metadata-types.js";
import type { Assignment } from "./director.js";
import { UptaneError } from "./error.js";

/** What the two repositories together say of a directed image. */
export interface Match {
  /** Absent when no repository states one. */
  readonly releaseCounter?: number;
  /** Does the Image repository say for which hardware the image is? */
  readonly isHardwareStated: boolean;
}

/**
 * The match rule: Director and Image repository must say the same of a target. Same length; a hash in common, and all
 * common hashes equal; the ECU's hardware among the image's; the same release counter, and none that is lower than the
 * installed image's.
 *
 * Source: Uptane Standard 2.1.0, section 5.4
 *
 * @param image - the target of the same path as the Image repository lists it
 * @throws UptaneError `repositories-disagree`, `wrong-hardware-id`, `older-release`
 */
export function mustAgree({ ecu, target }: Assignment, image: TargetFile): Match {
  const { path } = target;
  if (target.length !== image.length)
    throw disagree(
      path,
      `the Director says that it has ${target.length} bytes, the Image repository ${image.length}`,
    );
  const common = [...target.hashes].filter(([name]) => image.hashes.has(name));
  if (common.length === 0) throw disagree(path, "they have no kind of hash in common");
  for (const [name, hash] of common)
    if (image.hashes.get(name) !== hash)
      throw disagree(
        path,
        `the Director says ${name} ${hash}, the Image repository ${image.hashes.get(name)}`,
      );
  const isHardwareStated = mustBeForHardware(path, ecu.hardwareId, image);
  const releaseCounter = releaseCounterOf(target, image);
  mustNotGoBack(path, ecu, releaseCounter);
  return { isHardwareStated, ...(releaseCounter !== undefined && { releaseCounter }) };
}

function mustBeForHardware(path: string, hardwareId: string, { custom }: TargetFile): boolean {
  const ids = custom?.hardwareIds;
  if (ids === undefined) return false;
  if (isList(ids) && ids.includes(hardwareId)) return true;
  const listed = isList(ids) ? ids.join(", ") : String(ids);
  throw new UptaneError(
    "wrong-hardware-id",
    path,
    `The Image repository lists ${path} for ${listed}, not for ${hardwareId}.`,
  );
}

function releaseCounterOf(target: TargetFile, image: TargetFile): number | undefined {
  const [directed, signed] = [counterIn(target, "Director"), counterIn(image, "Image repository")];
  if (directed !== undefined && directed !== signed)
    throw disagree(
      target.path,
      `the Director says release counter ${directed}, the Image repository ${signed ?? "says none"}`,
    );
  // The Image repository's keys are the safer ones: what it states counts even where the Director is silent.
  return signed;
}

function counterIn({ path, custom }: TargetFile, by: string): number | undefined {
  const counter = custom?.releaseCounter;
  if (counter === undefined) return undefined;
  if (typeof counter === "number" && Number.isSafeInteger(counter) && counter >= 0) return counter;
  throw disagree(
    path,
    `the release counter of the ${by} is ${JSON.stringify(counter)}, which is not a whole number`,
  );
}

function mustNotGoBack(path: string, ecu: Assignment["ecu"], counter: number | undefined): void {
  const { serial, releaseCounter: installed } = ecu;
  if (installed === undefined || (counter !== undefined && counter >= installed)) return;
  const found = counter === undefined ? "no release counter" : `release counter ${counter}`;
  throw new UptaneError(
    "older-release",
    serial,
    `${path} has ${found}; ECU ${serial} runs an image with ${installed}.`,
  );
}

function disagree(path: string, how: string): UptaneError {
  return new UptaneError(
    "repositories-disagree",
    path,
    `Director and Image repository do not agree about ${path}: ${how}.`,
  );
}
