import { BootproofError } from "../errors.js";
import {
  type CompareVersions,
  RatchetError,
  type RatchetImage,
  type RatchetMark,
  type RatchetState,
} from "../trust/ratchet.js";
import { withConfirmed, withIntent, withoutIntent } from "../trust/ratchet-changes.js";
import { RatchetStore, type RatchetStoreOptions, type StoreWords } from "./ratchet-store.js";

export type LedgerErrorCode =
  /** A signer was asked for less than it has signed before. */
  | "below-ledger"
  /** The file was changed by hand, or is damaged. */
  | "ledger-edited"
  /** Its key is there and the file is gone: an alarm, not a first use. */
  | "ledger-vanished"
  | "ledger-busy"
  | "ledger-unwritable";

/** The ledger of a signer refuses, or cannot be read, written or trusted. */
export class LedgerError extends BootproofError {
  declare readonly code: LedgerErrorCode;
}

const WORDS: StoreWords = {
  name: "The signer's ledger",
  notDone: "Nothing was signed.",
  repair:
    "Restore its folder from a backup. Without one, move the folder elsewhere and sign with a counter that is certainly higher: the ledger then starts again.",
};

const CODES: Readonly<Partial<Record<RatchetError["code"], LedgerErrorCode>>> = {
  "ratchet-edited": "ledger-edited",
  "bad-ratchet-file": "ledger-edited",
  "ratchet-vanished": "ledger-vanished",
  "ratchet-busy": "ledger-busy",
  "ratchet-unwritable": "ledger-unwritable",
};

/**
 * What a signer has signed, per product: the highest security counter and version. Kept as a ratchet is: sealed, changed
 * by one process at a time, on the disk before a signature leaves.
 */
export class SigningLedger {
  readonly #store: RatchetStore;
  readonly #compareVersions: CompareVersions;

  /** @param compareVersions - how versions are ordered, build numbers included */
  constructor(options: RatchetStoreOptions, compareVersions: CompareVersions) {
    this.#store = new RatchetStore({ ...options, words: WORDS });
    this.#compareVersions = compareVersions;
  }

  /** Per product what was signed with the highest counter. @throws LedgerError when the file cannot be believed */
  products(): Readonly<Record<string, { counter?: RatchetMark; version?: RatchetMark }>> {
    const entries = Object.entries(inOwnWords(() => this.#store.read()).boards);
    return Object.fromEntries(
      entries.map(([product, { images }]) => {
        const { counter, version } = images[0] ?? {};
        return [product, { ...(counter && { counter }), ...(version && { version }) }];
      }),
    );
  }

  /**
   * Signs what is not below what was signed before; the intent is on the disk before `sign` is asked.
   *
   * @param although - the reason to sign a lower counter all the same
   * @throws LedgerError: nothing is signed then
   */
  async sign<T>(
    product: string,
    image: RatchetImage,
    { at, although }: { readonly at: string; readonly although?: string | undefined },
    sign: () => Promise<T>,
  ): Promise<T> {
    const mark: RatchetMark = { ...image, at };
    await this.#change((state) => {
      const known = Object.hasOwn(state.boards, product) ? state.boards[product]!.images[0] : undefined;
      if (although === undefined) mustNotBeBelow(product, mark, known);
      return withIntent(state, product, 0, mark);
    });
    let signed: T;
    try {
      signed = await sign();
    } catch (error) {
      await this.#change((state) => withoutIntent(state, product, 0, mark.hash));
      throw error;
    }
    await this.#change((state) => withConfirmed(state, product, 0, mark, this.#compareVersions));
    return signed;
  }

  async #change(change: (state: RatchetState) => RatchetState): Promise<void> {
    try {
      await this.#store.change(change);
    } catch (error) {
      throw inLedgerWords(error);
    }
  }
}

function inOwnWords<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw inLedgerWords(error);
  }
}

function inLedgerWords(error: unknown): unknown {
  const code = error instanceof RatchetError ? CODES[error.code] : undefined;
  if (code === undefined) return error;
  const { message, hint } = error as RatchetError;
  return new LedgerError(code, message, { cause: error, ...(hint !== undefined && { hint }) });
}

function mustNotBeBelow(
  product: string,
  { counter }: RatchetMark,
  known: { readonly counter?: RatchetMark; readonly intents: readonly RatchetMark[] } | undefined,
): void {
  const floors = [known?.counter, ...(known?.intents ?? [])].filter((mark) => mark?.counter !== undefined);
  const [floor] = floors.sort((a, b) => b!.counter! - a!.counter!);
  if (floor === undefined || (counter !== undefined && counter >= floor.counter!)) return;
  const asked = counter === undefined ? "states no security counter" : `states security counter ${counter}`;
  throw new LedgerError(
    "below-ledger",
    `The request ${asked}; this signer signed ${floor.counter} (version ${floor.version}) for ${product} on ${floor.at.slice(0, 10)}.`,
    {
      hint: "Is it another product? Name it with --product. Otherwise --although-lower REASON signs it; the reason is logged.",
    },
  );
}
