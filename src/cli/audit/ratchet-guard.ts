import { equal, toHex } from "../../bytes.js";
import type { Key } from "../../crypto/keys.js";
import { BootproofError } from "../../errors.js";
import { type Image, parseImage } from "../../mcuboot/image.js";
import { verifyImage } from "../../mcuboot/verify.js";
import { formatVersion, parseVersion, VersionError } from "../../mcuboot/version.js";
import { runningSlot } from "../../session/board-facts.js";
import type { BoardFacts, SlotContent, SlotFacts } from "../../session/facts.js";
import { type Policy, refuses } from "../../trust/policy.js";
import { PolicyError } from "../../trust/policy-error.js";
import { type PolicyFacts, RULES, type RuleName } from "../../trust/policy-rules.js";
import type { BoardIdentity, RatchetImage, RatchetMark, RatchetVerdict } from "../../trust/ratchet.js";
import { rememberedImage } from "../../update/memory.js";
import { boardFacts, companionFacts, imageFacts, provenanceFacts } from "../policy/policy-facts.js";
import { judge, trustedMemoryFacts } from "../policy/policy-judge.js";
import type { ChosenPolicy } from "../policy/policy-options.js";
import { UsageError } from "../usage-error.js";
import { askMemory, keepSeen, openRatchet, openSeenImages, ratchetOf } from "./ratchet-memory.js";
import { type EventSink, recorder } from "./recorder.js";

/** This host remembers that the board may not run the image any more, and a single step would have made it. */
export class RatchetRefusal extends BootproofError {
  declare readonly code: "refused-by-ratchet";
}

/** `--skip ratchet` of the verbs for single steps. @throws UsageError */
export function skipsRatchet(names: readonly string[] = []): boolean {
  const strange = names.find((name) => name !== "ratchet");
  if (strange === undefined) return names.length > 0;
  throw new UsageError(`"${strange}" cannot be skipped here.`, "Only --skip ratchet can.");
}

/** A single step that can make an image run. */
type Step = "upload" | "test" | "confirm" | "restart";

/** An image, as far as the host knows it. */
interface FoundImage {
  readonly image: RatchetImage;
  readonly imageNumber: number;
  /** False: the counter is not known, which is not the same as an image without one. */
  readonly knowsCounter: boolean;
}

/** To be told what came of a confirmation. */
export interface Settlement {
  /** The board shows the image as confirmed. */
  confirmed(): Promise<void>;
  /** It was read back that nothing happened. */
  notConfirmed(): Promise<void>;
}

const NOTHING_TO_SETTLE: Settlement = { confirmed: async () => {}, notConfirmed: async () => {} };

/** How an update becomes confirmed is no question before its confirmation. */
const ABOUT_CONFIRMING: readonly RuleName[] = ["health", "soak", "counter-settled", "host-confirms"];
/** What can be asked of an image that only its slot shows: all else was asked when it was marked. */
const ABOUT_A_SLOT: readonly RuleName[] = ["ratchet", "version-floor", "version-not-older"];

export interface StepGuardOptions {
  readonly identity: BoardIdentity;
  readonly chosen?: ChosenPolicy | undefined;
  /** Public keys that may have signed an image, for the policy. */
  readonly keys?: readonly Key[];
  /** `--skip ratchet`. */
  readonly isSkipped?: boolean;
  readonly note: (text: string) => void;
  /** How the user lets it pass all the same, as a sentence. */
  readonly bypassHint?: string;
  /** Default: the run's. */
  readonly audit?: EventSink | undefined;
}

/** Asks this host's memory and the policy before a single step lets an image run on a board. */
export class StepGuard {
  readonly #options: StepGuardOptions;
  readonly #audit: EventSink | undefined;

  constructor(options: StepGuardOptions) {
    this.#options = options;
    this.#audit = options.audit ?? recorder();
  }

  /** False: the board has no identity and there is no policy, so nothing can refuse and nothing be remembered. */
  get isNeeded(): boolean {
    return this.#options.identity.id !== undefined || this.#options.chosen !== undefined;
  }

  /**
   * An image is about to be sent. `readFacts`: asked where a policy wants to know the board.
   *
   * @throws RatchetRefusal, PolicyError
   */
  async upload(file: Uint8Array, imageNumber: number, readFacts?: () => Promise<BoardFacts>): Promise<void> {
    const image = rememberedImage(parseImage(file));
    if (image && this.#options.identity.id !== undefined) await keepSeen(image);
    const facts = this.#options.chosen && (await readFacts?.());
    const found = image && { image, imageNumber, knowsCounter: true };
    await this.#ask("upload", found, { facts, file });
  }

  /**
   * A file is about to be written past SMP. The memory has nothing to say of one that is no image, and a policy does not let
   * pass what it cannot judge.
   *
   * @throws RatchetRefusal, PolicyError
   */
  async file(content: Uint8Array, isImage: boolean): Promise<void> {
    if (isImage) await this.upload(content, 0);
    else await this.#ask("upload", undefined, { facts: undefined });
  }

  /**
   * An image is about to be complete on the board of which this host saw only a part.
   *
   * @throws RatchetRefusal, PolicyError
   */
  async unseenUpload(imageNumber: number): Promise<void> {
    const image = { hash: "", version: "0.0.0" };
    await this.#ask("upload", { image, imageNumber, knowsCounter: false }, { facts: undefined });
  }

  /**
   * An image is about to be marked. `file`: the image that the hash names. Returns, for a confirmation, once its intent is
   * on the disk.
   *
   * @throws RatchetRefusal, PolicyError
   */
  async mark(
    facts: BoardFacts,
    { hash, confirm }: { readonly hash?: Uint8Array | undefined; readonly confirm: boolean },
    file?: Uint8Array,
  ): Promise<Settlement> {
    const found = imageInSlot(facts, hash, this.#options.identity, file && parseImage(file));
    await this.#ask(confirm ? "confirm" : "test", found, { facts, file });
    if (!confirm || found === undefined) return NOTHING_TO_SETTLE;
    const memory = ratchetOf(this.#options.identity);
    const { imageNumber, image } = found;
    await memory.intend(imageNumber, image);
    return {
      confirmed: () => memory.confirmed(imageNumber, image),
      notConfirmed: () => memory.notConfirmed(imageNumber, image),
    };
  }

  /**
   * The board is about to restart: what somebody has marked would run.
   *
   * @throws RatchetRefusal, PolicyError
   */
  async restart(facts: BoardFacts): Promise<void> {
    const slots = facts.images.flatMap((image) => image.slots);
    for (const { content } of slots) {
      if (!content?.pending || content.hash === undefined) continue;
      const found = imageInSlot(facts, content.hash, this.#options.identity);
      if (found) await this.#ask("restart", found, { facts });
    }
  }

  async #ask(step: Step, found: FoundImage | undefined, how: BoardAndFile): Promise<void> {
    const ratchet = found && this.#askMemory(found);
    const { chosen } = this.#options;
    if (chosen) await this.#askPolicy(step, chosen, { found, ratchet, ...how });
  }

  /** Throws for what it refuses. An image whose counter nobody knows is not let pass where there is one to compare with. */
  #askMemory(found: FoundImage): RatchetVerdict {
    const { identity, isSkipped, note, bypassHint = "--skip ratchet ignores it once." } = this.#options;
    const { image, imageNumber, knowsCounter } = found;
    const verdict = askMemory(identity, imageNumber, image);
    const { result, hint = "" } = verdict;
    if (result === "pass") return verdict;
    const message = knowsCounter ? verdict.message : unknownCounter(verdict.message);
    if (result !== "fail" || isSkipped) {
      note(`ratchet: ${message}`);
      if (result === "fail") this.#record("policy.override", found, { rule: "ratchet", message });
      return verdict;
    }
    this.#record("refusal", found, { rule: "ratchet", message });
    const next = knowsCounter
      ? hint
      : "Name the image by its file, so that its counter is known, or send it through bootproof again.";
    throw new RatchetRefusal("refused-by-ratchet", message, {
      hint: `${next} ${bypassHint}`.trim(),
    });
  }

  async #askPolicy(
    step: Step,
    chosen: ChosenPolicy,
    {
      found,
      ratchet,
      facts,
      file,
    }: BoardAndFile & { found: FoundImage | undefined; ratchet: RatchetVerdict | undefined },
  ): Promise<void> {
    const { identity, isSkipped, keys = [] } = this.#options;
    const listed = found?.image.hash === "" ? undefined : found?.image;
    const image = file
      ? imageFacts(file, (await verifyImage(file, { keys })).signedBy)
      : listed && { ...listed, tlvs: {}, isPreConfirmed: false };
    const about: Omit<PolicyFacts, "compareVersions"> = {
      ...(image && { image }),
      board: boardFacts(facts, identity, found?.imageNumber ?? 0),
      ...(ratchet && { ratchet }),
      confirmation: { healthChecks: 0, soakMs: 0, settles: false },
      skippedChecks: isSkipped ? ["ratchet"] : [],
      ...trustedMemoryFacts(chosen),
      ...(file && provenanceFacts(chosen, file, image?.hash)),
      ...companionFacts(chosen),
    };
    const asked = { ...chosen, policy: forStep(step, chosen.policy, found) };
    const { findings } = judge(asked, "flash", about, this.#audit);
    const refusal = findings.find(refuses(asked.policy));
    if (refusal === undefined) return;
    const { rule, message } = refusal;
    if (rule === "ratchet") throw new RatchetRefusal("refused-by-ratchet", message);
    throw new PolicyError("policy-refused", `The policy's rule "${rule}" refuses it: ${message}`, {
      hint:
        HINTS[rule] ??
        "bootproof policy show explains each rule; bootproof flash does all steps by the policy.",
    });
  }

  #record(
    type: "refusal" | "policy.override",
    { image: { hash, version, counter }, imageNumber: number }: FoundImage,
    { rule, message }: { rule: string; message: string },
  ): void {
    // Of an image that only a part of was seen nothing is known.
    const known = hash === "" ? {} : { hash, version };
    const image = { number, ...known, ...(counter === undefined ? {} : { counter }) };
    const result = type === "refusal" ? "refused" : "ok";
    this.#audit?.record({ type, image, rule, result, detail: { message } });
  }
}

/** The memory compared with an image without counter: it is not known whether this one has any. */
const unknownCounter = (message: string): string =>
  message.replace(
    /; the image carries no security counter\.$/,
    "; the board does not report the security counter of this image.",
  );

interface BoardAndFile {
  readonly facts: BoardFacts | undefined;
  readonly file?: Uint8Array | undefined;
}

const HINTS: Readonly<Partial<Record<string, string>>> = {
  signature: "Name the image by its file, and the key that signed it with --key or in the config file.",
  health: "bootproof flash checks the board's health before it confirms.",
  soak: "bootproof flash lets the image run for a while before it confirms.",
  "counter-settled": "bootproof flash --settle confirms, restarts once more and reads the counter back.",
};

/** The policy with those of its rules that have something to say of a step. */
function forStep(step: Step, policy: Policy, found: FoundImage | undefined): Policy {
  if (step === "confirm") return policy;
  const isAsked = (name: RuleName) => {
    if (step !== "restart") return !ABOUT_CONFIRMING.includes(name);
    const isAboutCounter = name === "counter-floor" || name === "counter-stored";
    return ABOUT_A_SLOT.includes(name) || (isAboutCounter && found?.knowsCounter === true);
  };
  const off = RULES.filter(({ name }) => !isAsked(name)).map(({ name }) => [name, "off"]);
  return { ...policy, rules: { ...policy.rules, ...Object.fromEntries(off) } };
}

/**
 * An image in a slot as the memory knows it: by the file, by what the board reports, by what was confirmed before. Undefined
 * for one that the board does not list, or whose version it cannot read.
 */
function imageInSlot(
  facts: BoardFacts,
  hash: Uint8Array | undefined,
  identity: BoardIdentity,
  file?: Image,
): FoundImage | undefined {
  const slots = facts.images.flatMap((image) => image.slots);
  const isMeant = ({ content }: SlotFacts) =>
    hash !== undefined && content?.hash !== undefined && equal(content.hash, hash);
  const slot = hash === undefined ? runningSlot(facts) : slots.find(isMeant);
  const content = slot?.content;
  if (slot === undefined || content?.hash === undefined) return undefined;
  const version = file ? formatVersion(file.version) : versionOf(content);
  if (version === undefined) return undefined;
  const hex = toHex(content.hash);
  const remembered =
    identity.id === undefined
      ? undefined
      : (marksOf(identity.id).find((mark) => mark.hash === hex) ?? openSeenImages().find(hex));
  const counter = file ? file.securityCounter : (content.securityCounter?.value ?? remembered?.counter);
  return {
    image: {
      hash: hex,
      version,
      ...(counter === undefined ? {} : { counter }),
    },
    imageNumber: slot.image,
    knowsCounter: file !== undefined || counter !== undefined || remembered !== undefined,
  };
}

function marksOf(id: string): RatchetMark[] {
  const images = Object.values(openRatchet().read().boards[id]?.images ?? {});
  return images.flatMap(({ counter, version, intents }) =>
    [counter, version, ...intents].filter((mark) => mark !== undefined),
  );
}

/** Boards write the build number behind a dot; a header that they cannot read has no version. */
function versionOf({ version }: SlotContent): string | undefined {
  const text = version.replace(/^(\d+\.\d+\.\d+)\.(\d+)$/, "$1+$2");
  try {
    return formatVersion(parseVersion(text));
  } catch (error) {
    if (error instanceof VersionError) return undefined;
    throw error;
  }
}
