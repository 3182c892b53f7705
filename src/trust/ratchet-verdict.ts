import type {
  BoardIdentity,
  CompareVersions,
  ImageRatchet,
  RatchetImage,
  RatchetMark,
  RatchetState,
  RatchetVerdict,
} from "./ratchet.js";

/**
 * May this image run on this board, by what this host remembers?
 *
 * `fail`: an image with a lower security counter, or none, after one with a counter was confirmed here; a lower release
 * counter; older metadata of the same repository. `warn`: only the version is lower and no counter is known, no metadata
 * states a release counter although one is remembered, or a permission lets it pass. `unknown`: the board has no identity.
 *
 * @param state - what this host remembers
 * @param board - its identity, or the reason why there is none
 * @param imageNumber - as MCUboot counts images
 * @param offered - hash (hex), version and counters of the image
 * @param compareVersions - of version texts
 * @returns the verdict, and why
 */
export function judgeByRatchet(
  state: RatchetState,
  board: BoardIdentity,
  imageNumber: number,
  offered: RatchetImage,
  compareVersions: CompareVersions,
): RatchetVerdict {
  if (board.id === undefined)
    return { result: "unknown", message: `Unprotected by this host's memory: ${board.reason}` };
  const known = state.boards[board.id];
  const image = known?.images[imageNumber];
  if (image === undefined)
    return { result: "pass", message: "This host has confirmed no image on this board so far." };
  const verdicts = [
    judgeCounter(image, offered, compareVersions),
    ...judgeRelease(image, offered),
    ...judgeMetadata(image, offered),
  ];
  const bad =
    verdicts.find(({ result }) => result === "fail") ?? verdicts.find(({ result }) => result === "warn");
  if (bad?.result !== "fail") return bad ?? verdicts[0]!;
  const permission = known?.permissions?.find(
    ({ hash, usedAt }) => hash === offered.hash && usedAt === undefined,
  );
  if (!permission) return bad;
  return { result: "warn", message: `${bad.message} Permitted once: ${permission.reason}`, permission };
}

function judgeCounter(
  image: ImageRatchet,
  offered: RatchetImage,
  compareVersions: CompareVersions,
): RatchetVerdict {
  const floor = highest("counter", image);
  if (floor?.counter === undefined) return judgeVersion(image, offered, compareVersions);
  const since = describe(floor, image, `counter ${floor.counter}`);
  if (offered.counter !== undefined && offered.counter >= floor.counter)
    return { result: "pass", message: `Security counter ${offered.counter} is not below: ${since}.` };
  const has =
    offered.counter === undefined ? "carries no security counter" : `has counter ${offered.counter}`;
  return {
    result: "fail",
    message: `${capital(since)}; the image ${has}.`,
    hint: "Build a new image with a counter that is not lower. bootproof help ratchet explains exceptions.",
  };
}

/** A release counter is stated beside an image: an image that comes without metadata has none to compare. */
function judgeRelease(image: ImageRatchet, offered: RatchetImage): RatchetVerdict[] {
  const floor = highest("release", image);
  if (floor?.release === undefined || (offered.release ?? -1) >= floor.release) return [];
  const since = capital(describe(floor, image, `release ${floor.release}`));
  if (offered.release === undefined)
    return [
      {
        result: "warn",
        message: `${since}; the image comes without signed metadata that states its release counter.`,
      },
    ];
  return [
    {
      result: "fail",
      message: `${since}; the image is release ${offered.release}.`,
      hint: "To go back on purpose, sign the old image's metadata again with a higher release counter. bootproof help ratchet explains exceptions.",
    },
  ];
}

/** Metadata that is older than what vouched for an image on this board before: a rollback, whatever else is remembered. */
function judgeMetadata({ metadata = {} }: ImageRatchet, offered: RatchetImage): RatchetVerdict[] {
  const { by, versions = {} } = offered.metadata ?? {};
  const known = by === undefined || !Object.hasOwn(metadata, by) ? undefined : metadata[by];
  if (!known) return [];
  const shared = Object.keys(known).filter((role) => versions[role] !== undefined);
  const isRoot = (role: string) => /\broot$/.test(role);
  // New roots may have exchanged the keys of all other roles, whose versions then begin anew.
  const rootIsNewer = shared.some((role) => isRoot(role) && versions[role]! > known[role]!);
  const older = shared.find((role) => versions[role]! < known[role]! && (isRoot(role) || !rootIsNewer));
  if (older === undefined) return [];
  return [
    {
      result: "fail",
      message: `Version ${known[older]} of ${older} has vouched for an image on this board; this update comes with version ${versions[older]}.`,
      hint: "The metadata is old: this may be a rollback attack. Bring it up to date, or get the current bundle.",
    },
  ];
}

function judgeVersion(
  image: ImageRatchet,
  offered: RatchetImage,
  compareVersions: CompareVersions,
): RatchetVerdict {
  const highest = [image.version, ...image.intents]
    .filter((mark) => mark !== undefined)
    .reduce<RatchetMark | undefined>(
      (best, mark) => (best && compareVersions(best.version, mark.version) >= 0 ? best : mark),
      undefined,
    );
  if (highest === undefined || compareVersions(offered.version, highest.version) >= 0)
    return { result: "pass", message: "No newer version was confirmed on this board by this host." };
  return {
    result: "warn",
    message: `This host confirmed version ${highest.version} on this board on ${dateOf(highest)}; the image is ${offered.version}; without security counters the older one is not refused.`,
  };
}

/** The highest counter of its kind that was confirmed, or was to be. */
function highest(kind: "counter" | "release", image: ImageRatchet): RatchetMark | undefined {
  return [image[kind], ...image.intents].reduce<RatchetMark | undefined>(
    (best, mark) => ((mark?.[kind] ?? -1) > (best?.[kind] ?? -1) ? mark : best),
    undefined,
  );
}

function describe(mark: RatchetMark, { intents }: ImageRatchet, which: string): string {
  const what = `${which} (version ${mark.version}) on this board on ${dateOf(mark)}`;
  return intents.includes(mark)
    ? `this host was about to confirm ${what}, but was interrupted`
    : `this host confirmed ${what}`;
}

const dateOf = ({ at }: RatchetMark): string => at.slice(0, 10);
const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);
