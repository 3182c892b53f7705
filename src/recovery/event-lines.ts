import type { Key } from "../crypto/keys.js";
import type { ImagesEvent } from "../update/images-events.js";
import type { RecoverEvent } from "./recover-events.js";

/** A value as the program prints it in JSON: bytes as lower-case hex, a key by its type, hash and file. */
export type AsJson<T> = T extends Uint8Array
  ? string
  : T extends Key
    ? { readonly file?: string; readonly type: string; readonly hash: string }
    : T extends readonly (infer Item)[]
      ? readonly AsJson<Item>[]
      : T extends object
        ? { readonly [Name in keyof T]: AsJson<T[Name]> }
        : T;

/** An event of `flash` as it is printed. Sizes are in bytes, times in milliseconds. */
export type FlashLine = AsJson<ImagesEvent>;

/** An event of `recover` as it is printed. Sizes are in bytes, times in milliseconds. */
export type RecoverLine = AsJson<RecoverEvent>;

/**
 * A line on stderr with `--progress json`. `board` is there when there are several boards. `Event`: {@link FlashLine},
 * {@link RecoverLine}, or `ProofLine` of `bootproof/prove`.
 */
export type ProgressLine<Event> =
  | {
      readonly progress: {
        readonly label: string;
        readonly done: number;
        readonly total: number;
        readonly unit: string;
      };
    }
  | { readonly note: string }
  | { readonly warning: string }
  | { readonly board?: string; readonly event: Event };

/** A line on stdout of a verb that works on several boards, with `--json`: an event of one of them, or what was noted. */
export type BoardEventLine<Event> =
  | { readonly board: string; readonly kind: "event"; readonly event: Event }
  | { readonly board: string; readonly kind: "note"; readonly text: string };
