import type { KnownImage } from "./known-images.js";

/** Where a figure was read. */
export type FactSource =
  /** The board's trust group said so. */
  | "device"
  /** The board's answer to a vendor's bootloader-info query. */
  | "bootloader-info"
  /** A vendor's key beside the slot, in the board's image list. */
  | "image-list"
  /** A vendor's key beside the slot, in the board's slot information. */
  | "slot-info"
  /** An image file here, or a list of known images, with the hash that the board reports. */
  | "known-file";

/** A figure and where it was read. What nobody reports is absent. */
export interface Sourced<T> {
  value: T;
  source: FactSource;
}

export interface SlotFacts {
  /** Image number. */
  image: number;
  /** 0 primary, 1 secondary. */
  slot: number;
  /** Bytes, when the board tells. */
  size?: number;
  /** Largest image that the bootloader takes, bytes, when the board tells. */
  maxImageSize?: number;
  /**
   * The image that the board lists for it; absent when it lists none. That does not say that the slot is empty: serial
   * recovery lists only what it accepts, and applications only what has a readable header.
   */
  content?: SlotContent;
}

export interface SlotContent {
  /** As the board writes it: `1.2.3`, or `1.2.3.4` with a build number. */
  version: string;
  /** The image hash, not the file's. */
  hash?: Uint8Array;
  /** The flags are absent when the board reports none at all, as serial recovery without the image-state option. */
  active?: boolean;
  confirmed?: boolean;
  pending?: boolean;
  permanent?: boolean;
  bootable?: boolean;
  /** TLV 0x50 of this image. */
  securityCounter?: Sourced<number>;
  /** Hash of the key that signed it, hex. */
  signedBy?: Sourced<string>;
  /** Bytes, header to last TLV. */
  imageSize?: Sourced<number>;
  /** Where it starts, on a Cortex-M: initial stack pointer and reset vector. */
  vectors?: Sourced<NonNullable<KnownImage["vectors"]>>;
}

export interface ImageFacts {
  image: number;
  /** The security counter that the board has stored: images with a lower one are refused. */
  storedCounter?: Sourced<number>;
  /** Steps that it can still take, where the board tells: on many chips they are few. */
  counterStepsLeft?: number;
  /** Largest image that the bootloader takes, bytes, when the board tells. */
  maxImageSize?: number;
  slots: SlotFacts[];
}

export interface BootEvent {
  type: string;
  image: number;
  slot: number;
  reason?: string;
  value?: number;
}

/** What a board says of itself. Everything optional is absent when the board does not report it. */
export interface BoardFacts {
  /** The pipe it was reached by. */
  name: string;
  /** Who answers. */
  server: "application" | "recovery" | "unknown";
  bufSize: number;
  bufCount?: number;
  bufSizeFrom: "server" | "assumed";
  /** OS info, all of it. */
  info?: string;
  bootloader?: {
    name?: string;
    /** MCUmgr's number of the upgrade mode, its name beside it. */
    mode?: number;
    modeName?: string;
    /** What the application was built for, its name beside it, where the bootloader itself reports another mode. */
    applicationMode?: number;
    applicationModeName?: string;
    /**
     * Older images are refused, by version or by counter: the board does not say which. Absent when the board does not
     * report it: Zephyr sends it only when true, and before 3.7 never.
     */
    noDowngrade?: boolean;
    /**
     * What it unpacks of compressed images, by the words of the trust group: `lzma2`, `arm-thumb`. Absent when it does not
     * say; of MCUboot itself nobody says it.
     */
    compression?: readonly string[];
    /** `bootloader`: it said so itself (trust group); `application`: its build settings. */
    modeFrom?: "bootloader" | "application";
    /** What it told the trust group of itself: its version as `2.3.0`, the signatures it asks for, its own way in. */
    version?: string;
    signature?: string;
    recovery?: string;
    /** The slot of image 0 that it started. */
    runningSlot?: number;
  };
  images: ImageFacts[];
  /** The server has no image group: `images` is empty because nobody tells. */
  noImageGroup?: true;
  trustedKeys?: { type: string; hash: Uint8Array }[];
  boot?: { cause: string; boots: number };
  events?: BootEvent[];
  /** False when the board has no trust group: counters, keys and events are then not reported. */
  reportsTrust: boolean;
}
