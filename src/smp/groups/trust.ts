import { command } from "../command.js";
import { bytes, int, list, object, optional, text, uint } from "../schema.js";

/**
 * Group 200, trust: what a bootloader enforces and what it did. Our own, from the range for users, since SMP has no
 * command for it; firmware-fixtures/README.md is its specification. Texts are open sets: expect words of later versions.
 */
const group = 200;

/** Security counters: what the device has stored, and what the images in its slots carry. */
export const trustCounters = command({
  name: "trust counters",
  does: "read the security counters stored and in the slots",
  group,
  id: 0,
  op: "read",
  request: {},
  response: {
    images: list(
      object({
        /** Image number. */ image: uint,
        /** Stored security counter: lower ones are refused. Absent when the bootloader keeps none. */ counter:
          optional(uint),
        /** Bytes of the largest image that the bootloader takes, header to last TLV. */ "max-size":
          optional(uint),
        /** Steps that the stored counter can still take. Absent when it has no end, or the device does not say. */ "steps-left":
          optional(uint),
        slots: list(
          object({
            slot: uint,
            /** Protected TLV 0x50 of the image in the slot. Absent without image or TLV. */ counter:
              optional(uint),
          }),
        ),
      }),
    ),
  },
});

/** The public keys whose signatures the bootloader accepts. */
export const trustKeys = command({
  name: "trust keys",
  does: "read the hashes of the trusted keys",
  group,
  id: 1,
  op: "read",
  request: {},
  response: {
    keys: list(
      object({
        /** `ed25519`, `ecdsa-p256`, `rsa-2048`, `rsa-3072`. */ type: text,
        /** SHA-256 of the public key, as in the KEYHASH TLV. */ hash: bytes(),
      }),
    ),
  },
});

/** How the device came to run what it runs. */
export const trustBoot = command({
  name: "trust boot",
  does: "read boot mode, state and reset cause",
  group,
  id: 2,
  op: "read",
  request: {},
  response: {
    /** As `mode` of OS bootloader info, but from the bootloader itself. */ mode: int,
    /** `application` or `recovery`. */ state: text,
    /** Of the last reset: `power-on`, `software`, `watchdog`, `fault`. Absent when the server cannot know. */
    cause: optional(text),
    /** Boots since power on. Absent when nobody counts them. */ boots: optional(uint),
    /** The slot that runs, when the bootloader says so. */ slot: optional(uint),
    /** Of the images it accepts: `none`, `rsa`, `ecdsa-p256`, `ed25519`. */ signature: optional(text),
    /** The bootloader's own way in: `none`, `serial`, `dfu`. */ recovery: optional(text),
    /** Of the bootloader: `2.3.0`, or `2.3.0+1` with a build number. */ version: optional(text),
    /** What it unpacks of compressed images: `lzma2`, `arm-thumb`. Absent: it unpacks nothing, or does not say. */
    compression: optional(list(text)),
  },
});

/** What the bootloader did since power on, oldest first, the newest 24. */
export const trustEvents = command({
  name: "trust events",
  does: "read what the bootloader did since power on",
  group,
  id: 3,
  op: "read",
  request: {},
  response: {
    events: list(
      object({
        /** `verify-failed`, `swapped`, `reverted`, `counter-advanced`, `started`, ... */ type: text,
        /** Image number. */ image: uint,
        slot: uint,
        /** Why: `signature`, `counter-low`, ... */ reason: optional(text),
        /** The number in question, such as the counter. */ value: optional(uint),
      }),
    ),
  },
});

/** All of the group. */
export const trustCommands = [trustCounters, trustKeys, trustBoot, trustEvents] as const;
