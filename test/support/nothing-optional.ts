import type { Fault, Passing } from "./workflow-wire.js";

/** MCUmgr's "not supported". */
const ENOTSUP = 8;

/** Commands that a server for updates cannot do without: echo, reset; list, mark, upload and erase of images. */
const KEPT: readonly string[] = ["0/0", "0/5", "1/0", "1/1", "1/5"];
const FLAGS = ["bootable", "pending", "confirmed", "active", "permanent"] as const;

/**
 * In front of a real board of ours: makes it one that answers nothing optional. Every command that a build may leave out is
 * refused, and every field too: an application states only flags that are true, serial recovery none at all.
 */
export function nothingOptional(more: { hashes?: boolean } = {}): Fault {
  const { hashes = true } = more;
  let isRecovery = false;
  return ({ direction, header, fields }: Passing) => {
    if (direction === "to-board") return "pass";
    // Only serial recovery knows this command, and that is how a client tells the two apart.
    if (header.group === 0 && header.id === 1) {
      isRecovery = fields.rc === undefined || fields.rc === 0;
      return "pass";
    }
    const id = `${header.group}/${header.id}`;
    if (!KEPT.includes(id)) return { fields: { rc: ENOTSUP } };
    if (id === "1/1" && "off" in fields) return { fields: { off: fields.off } };
    if (id !== "1/0" || !Array.isArray(fields.images)) return "pass";
    return { fields: { images: fields.images.map((entry) => bare(entry, { isRecovery, hashes })) } };
  };
}

function bare(
  entry: Record<string, unknown>,
  { isRecovery, hashes }: { isRecovery: boolean; hashes: boolean },
): Record<string, unknown> {
  const { slot, version, hash } = entry;
  const flags = isRecovery ? [] : FLAGS.filter((flag) => entry[flag] === true);
  return {
    slot,
    version,
    ...(hashes ? { hash } : {}),
    ...Object.fromEntries(flags.map((flag) => [flag, true])),
  };
}
