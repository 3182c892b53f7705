import type { BootloaderOptions } from "../bootloader-options.js";
import type { DecryptionKeyOptions } from "../decryption-key.js";
import type { GeometryOptions } from "../geometry.js";
import type { SourceOptions } from "../source-options.js";
import type { CommonOptions } from "../verb-context.js";

export interface InspectOptions
  extends CommonOptions,
    BootloaderOptions,
    DecryptionKeyOptions,
    GeometryOptions,
    SourceOptions {
  slot?: boolean;
  secondary?: string;
  slots?: string[];
  erased?: number;
  key?: string[];
  passphraseFile?: string;
  /** Absent when neither form was given. */
  preventDowngrade?: boolean;
  bootstrap?: boolean;
  validatePrimary?: boolean;
  decompresses?: boolean;
}
