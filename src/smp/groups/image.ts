import { command } from "../command.js";
import { bool, bytes, int, list, object, optional, text, uint } from "../schema.js";

/** Group 1, images. Zephyr, smp_group_1.rst; MCUboot's serial recovery answers a part of it. */
const group = 1;

const slotState = object({
  /** Image number. Absent when the device has only one. */ image: optional(uint),
  /** 0 primary, 1 secondary, within the image number. */ slot: uint,
  /** `major.minor.revision`, `.build` only when not 0; `<???>` when unreadable. */ version: text,
  /** The hash TLV of the image, not of the file. 32 bytes as a rule, 48 or 64 by the bootloader. */ hash: optional(
    bytes(),
  ),
  // Serial recovery, and Zephyr with the frugal list, send only flags that are true.
  /** The bootloader may start it. */ bootable: optional(bool),
  /** Will run after the next reset. */ pending: optional(bool),
  /** Stays; in a test boot it is the old image that is confirmed. */ confirmed: optional(bool),
  /** Runs now. Serial recovery never says this of a marked image: nothing has been booted yet. */ active:
    optional(bool),
  /** Pending for good, without a test. */ permanent: optional(bool),
});

const imageState = {
  /** One entry per slot that holds an image. A slot without a valid header is left out, in recovery one that fails validation. */
  images: list(slotState),
  /** Always 0, from applications only; serial recovery and the frugal list leave it out. */
  splitStatus: optional(int),
};

/** What is in the slots. Zephyr checks no signature for this, serial recovery does. */
export const imageList = command({
  name: "image list",
  does: "read which image is in which slot, and its flags",
  group,
  id: 0,
  op: "read",
  request: {},
  response: imageState,
});

/**
 * Mark an image: to be tested at the next boot, or to stay. Without a hash the running image is meant, which can only be
 * confirmed. Answers with the list, as {@link imageList}.
 */
export const imageMark = command({
  name: "image mark",
  does: "mark an image for a test boot, or confirm it",
  group,
  id: 0,
  op: "write",
  repeatable: true,
  returnCodes: [
    {
      rc: 7,
      name: "EMSGSIZE",
      says: "The image is marked, but the image list in the answer does not fit the board's message buffer.",
      hint: "See what the board holds with bootproof info. Build the firmware with a larger CONFIG_MCUMGR_TRANSPORT_NETBUF_SIZE.",
    },
  ],
  request: {
    /** The hash from the list: the image's hash TLV. */ hash: optional(bytes()),
    /** False or absent: test. True: confirm. */ confirm: optional(bool),
  },
  response: imageState,
});

/**
 * Write one chunk of an image; the device answers the offset it wants next, which is the truth even when lower than
 * expected. The first chunk may take tens of seconds: it erases.
 */
export const imageUpload = command({
  name: "image upload",
  does: "write one chunk of an image",
  group,
  id: 1,
  op: "write",
  repeatable: true,
  request: {
    /** Where `data` belongs in the file, bytes. */ off: uint,
    /** Size of the whole file, bytes. Only with off 0, where it must be. */ len: optional(uint),
    /**
     * SHA-256 of the whole file, not the image hash. Only with off 0; lets a cut upload resume and the device check the
     * result. Serial recovery ignores it.
     */
    sha: optional(bytes(32)),
    /** The chunk; the first must hold the 32 bytes of the image header. */ data: bytes(),
    /** Image number (or slot, in builds with direct upload). Only with off 0; default 0. */ image:
      optional(uint),
    /** Refuse the image unless its version is higher. Only with off 0. */ upgrade: optional(bool),
  },
  response: {
    /** The offset wanted next, bytes; equal to `len` when complete. */ off: uint,
    /** Does the slot hold what `sha` promised? Last answer only, in builds that check; false means erase and repeat. */
    match: optional(bool),
  },
});

/** Erase a slot. Synchronous, up to tens of seconds. Refused for a slot that runs, is pending or is needed to revert. */
export const imageErase = command({
  name: "image erase",
  does: "erase a slot",
  group,
  id: 5,
  op: "write",
  request: { /** Counted over all image numbers: 0 to 2n-1. Default 1. */ slot: optional(uint) },
  response: {},
});

/** Sizes of the slots, and where an upload for each of them goes. */
export const imageSlotInfo = command({
  name: "image slot-info",
  does: "read the size of every slot",
  group,
  id: 6,
  op: "read",
  request: {},
  response: {
    images: list(
      object({
        /** Image number. */ image: uint,
        slots: list(
          object({
            /** 0 primary, 1 secondary. */ slot: uint,
            /** Bytes; absent when it could not be read. */ size: optional(uint),
            /** Why the size is absent: a return code. */ rc: optional(int),
            /** `image` for an upload that goes to this slot; absent when none can. */ upload_image_id:
              optional(uint),
          }),
        ),
        /** Largest image the bootloader accepts, trailer considered, bytes; absent when it does not tell. */
        max_image_size: optional(uint),
      }),
    ),
  },
});

/** All of the group. */
export const imageCommands = [imageList, imageMark, imageUpload, imageErase, imageSlotInfo] as const;
