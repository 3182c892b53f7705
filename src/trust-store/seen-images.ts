import type { RatchetImage, RatchetState } from "../trust/ratchet.js";
import { withConfirmed } from "../trust/ratchet-changes.js";
import { RatchetStore, type RatchetStoreOptions, type StoreWords } from "./ratchet-store.js";

const WORDS: StoreWords = {
  name: "The list of images that were offered to boards",
  notDone: "Nothing was sent.",
  repair: "Remove its folder: then name images by their files again.",
};

/** More are forgotten, the oldest first. */
const MOST_IMAGES = 500;

/**
 * What images are that went through this host: a board that is told to run one by its hash often does not report the
 * security counter of it. Kept as a ratchet is: sealed, changed by one process at a time.
 */
export class SeenImages {
  readonly #store: RatchetStore;

  constructor(options: RatchetStoreOptions) {
    this.#store = new RatchetStore({ ...options, words: WORDS });
  }

  /**
   * What is known of an image; undefined when it never went through this host.
   *
   * @throws RatchetError when the file cannot be believed
   */
  find(hash: string): RatchetImage | undefined {
    const { boards } = this.#store.read();
    const mark = Object.hasOwn(boards, hash) ? boards[hash]!.images[0]?.version : undefined;
    if (mark === undefined) return undefined;
    const { version, counter } = mark;
    return { hash, version, ...(counter === undefined ? {} : { counter }) };
  }

  /**
   * Keeps what an image's file says of it.
   *
   * @throws RatchetError when it cannot be written or believed
   */
  async keep({ hash, version, counter }: RatchetImage, at: string): Promise<void> {
    if (this.find(hash) !== undefined) return;
    const mark = { hash, version, ...(counter === undefined ? {} : { counter }), at };
    await this.#store.change((state) => withoutOldest(withConfirmed(state, hash, 0, mark, () => 0)));
  }
}

function withoutOldest(state: RatchetState): RatchetState {
  const entries = Object.entries(state.boards);
  if (entries.length <= MOST_IMAGES) return state;
  const at = ([, { images }]: (typeof entries)[number]) => images[0]?.version?.at ?? "";
  const newest = entries.sort((a, b) => (at(a) < at(b) ? 1 : -1)).slice(0, MOST_IMAGES);
  return { ...state, boards: Object.fromEntries(newest) };
}
