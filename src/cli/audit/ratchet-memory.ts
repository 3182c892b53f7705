import { statSync } from "node:fs";
import { join } from "node:path";
import { compareVersions, parseVersion } from "../../mcuboot/version.js";
import {
  type BoardIdentity,
  RatchetError,
  type RatchetImage,
  type RatchetMark,
  type RatchetPort,
  type RatchetVerdict,
} from "../../trust/ratchet.js";
import { withConfirmed, withIntent, withoutIntent, withPermissionUsed } from "../../trust/ratchet-changes.js";
import { judgeByRatchet } from "../../trust/ratchet-verdict.js";
import { RatchetStore } from "../../trust-store/ratchet-store.js";
import { SeenImages } from "../../trust-store/seen-images.js";
import { TpmCounter, TpmError, tpmKind } from "../../trust-store/tpm-counter.js";
import { ratchetFolder } from "../state-folders.js";
import { recorder } from "./recorder.js";

/** This user's ratchet. */
export function openRatchet(): RatchetStore {
  return new RatchetStore({
    folder: ratchetFolder(),
    trusted: (index) => new TpmCounter(index),
    onNoCounter: ({ message }) => {
      if (hasWarned) return;
      hasWarned = true;
      process.stderr.write(
        `bootproof: WARNING: the ratchet's trusted counter could not be read: ${message}\n`,
      );
    },
  });
}

let hasWarned = false;

/** What images are that went through this host, by their hashes. */
export function openSeenImages(): SeenImages {
  return new SeenImages({ folder: join(ratchetFolder(), "images") });
}

/** What stands behind the ratchet of this host; undefined when it is bound to no trusted counter that answers. */
export function trustedMemoryKind(): "chip" | "software" | undefined {
  try {
    return openRatchet().read().trustedMemory === undefined ? undefined : tpmKind();
  } catch (error) {
    if (error instanceof TpmError) return undefined;
    throw error;
  }
}

/** How the ratchet orders versions: the build number counts. */
export const orderOfVersions = (a: string, b: string): number =>
  compareVersions(parseVersion(a), parseVersion(b), { build: true });

/** What signed metadata states of an update, for the ratchet. */
export type Release = Pick<RatchetImage, "release" | "metadata">;

/**
 * What this host remembers of one board.
 *
 * @param another - a memory that is not this user's
 * @param release - what the metadata that vouches for the offered image says
 */
export function ratchetOf(
  identity: BoardIdentity,
  another?: RatchetStore,
  release: Release = {},
): RatchetPort {
  const { id } = identity;
  const store = another ?? openRatchet();
  const now = (image: RatchetImage): RatchetMark => ({
    ...image,
    ...release,
    at: new Date().toISOString(),
  });
  const verdict = (imageNumber: number, offered: RatchetImage) =>
    judgeByRatchet(store.read(), identity, imageNumber, { ...offered, ...release }, orderOfVersions);
  const tell = (
    type: "ratchet.intent" | "ratchet.advance",
    number: number,
    { hash, version, counter }: RatchetImage,
  ) => {
    const image = { number, hash, version, ...(counter === undefined ? {} : { counter }) };
    if (id !== undefined) recorder()?.record({ type, board: { id }, image, result: "ok" });
  };
  return {
    async judge(imageNumber, offered) {
      // Updates ask with what the file says; later steps may name the image by nothing but its hash.
      if (id !== undefined && another === undefined) await keepSeen(offered);
      return verdict(imageNumber, offered);
    },
    async intend(imageNumber, image) {
      if (id === undefined) return;
      const { permission } = verdict(imageNumber, image);
      await store.change((state) => {
        const used = permission ? withPermissionUsed(state, id, permission.nonce, now(image).at) : state;
        return withIntent(used, id, imageNumber, now(image));
      });
      tell("ratchet.intent", imageNumber, image);
    },
    async confirmed(imageNumber, image) {
      if (id === undefined) return;
      await store.change((state) => withConfirmed(state, id, imageNumber, now(image), orderOfVersions));
      tell("ratchet.advance", imageNumber, image);
    },
    async notConfirmed(imageNumber, image) {
      if (id === undefined) return;
      await store.change((state) => withoutIntent(state, id, imageNumber, image.hash));
    },
  };
}

/** Keeps what an image's file says of it. Where that cannot be written, a later step has to name the file again. */
export async function keepSeen(image: RatchetImage): Promise<void> {
  try {
    await openSeenImages().keep(image, new Date().toISOString());
  } catch (error) {
    if (!(error instanceof RatchetError)) throw error;
  }
}

/** What this host's memory says of an image of which perhaps only its slot is known. */
export function askMemory(identity: BoardIdentity, imageNumber: number, image: RatchetImage): RatchetVerdict {
  return judgeByRatchet(openRatchet().read(), identity, imageNumber, image, orderOfVersions);
}

/** An emulated chip is its flash file: a copy of the file is another chip, the same file put back is the same one. */
export function emulatedIdentity(flashFile: string | undefined): BoardIdentity {
  if (flashFile === undefined)
    return { reason: "an emulated board without a flash file is a new one each time." };
  const { dev, ino, birthtimeMs } = statSync(flashFile);
  return { id: `emulated-${dev}-${ino}-${Math.round(birthtimeMs)}`, from: "emulated-flash" };
}
