import type { PolicyAction, PolicySettings, Severity } from "./policy-settings.js";
import type { RatchetVerdict } from "./ratchet.js";

/** What rules are judged by. What is not known is absent. */
export interface PolicyFacts {
  readonly image?: {
    /** Hex. */
    readonly hash?: string;
    readonly version: string;
    readonly counter?: number;
    /** The key whose signature was verified. */
    readonly signedBy?: { readonly type: string; readonly hash: string; readonly published?: string };
    readonly vendorId?: string;
    readonly classId?: string;
    /** Protected custom TLVs: type as `0x00a0`, value in hex. */
    readonly tlvs: Readonly<Record<string, string>>;
    /** A trailer in the file would mark it as confirmed, and skip the trial boot. */
    readonly isPreConfirmed: boolean;
  };
  readonly board?: {
    /** Absent: it shows none, for this reason. */
    readonly identity?: string;
    readonly noIdentityBecause?: string;
    readonly storedCounter?: number;
    readonly runningVersion?: string;
    /** Absent: the board does not report its upgrade mode. */
    readonly canRevert?: boolean;
    /** Hashes of the keys it accepts, hex. */
    readonly trustedKeys?: readonly string[];
  };
  readonly ratchet?: RatchetVerdict;
  /** What the ratchet is bound to; absent: to nothing that answers. */
  readonly trustedMemory?: "chip" | "software";
  /** How an update becomes confirmed. */
  readonly confirmation?: {
    /** Who confirmed it; known once it runs. */
    readonly by?: "host" | "application";
    readonly healthChecks: number;
    readonly soakMs: number;
    /** The extra restart after which the counter protects, and its reading back. */
    readonly settles: boolean;
  };
  /** Checks of the preflight that the command line lets fail. */
  readonly skippedChecks?: readonly string[];
  /** A signed statement of how the image was built. */
  readonly provenance?: {
    readonly namesImage: boolean;
    readonly signedBy: string;
    readonly builder?: string;
  };
  /** What the update was made for, as its TUF metadata, its artifact or its bundle says; absent: a plain file says nothing. */
  readonly madeFor?: readonly string[];
  /** A software bill of materials that came with the image. */
  readonly sbom?: { readonly digest: string; readonly isNamedByProvenance: boolean };
  /** A signed statement of `prove`. */
  readonly proof?: {
    readonly result: string;
    readonly signedBy: string;
    readonly boardIds: readonly string[];
    /** SHA-256 of its subjects. */
    readonly subjects: readonly string[];
    /** Absent: it does not say when. */
    readonly ageDays?: number;
  };
  /** Versions in order: negative, 0 or positive. */
  readonly compareVersions: (a: string, b: string) => number;
}

export type RuleName =
  | "signature"
  | "signing-key"
  | "published-key"
  | "algorithm"
  | "counter-required"
  | "counter-floor"
  | "counter-stored"
  | "counter-settled"
  | "ratchet"
  | "version-floor"
  | "version-not-older"
  | "hardware"
  | "board-identity"
  | "board-keys"
  | "pre-confirmed"
  | "revert"
  | "health"
  | "soak"
  | "host-confirms"
  | "provenance"
  | "sbom"
  | "proved"
  | "device-type"
  | "trusted-memory"
  | "no-skips";

interface Judged {
  readonly result: "pass" | "broken" | "unknown";
  readonly message: string;
}

export interface Rule {
  readonly name: RuleName;
  /** One sentence: what holds where the rule holds. */
  readonly summary: string;
  /** At bench, pilot, production. */
  readonly severity: readonly [Severity, Severity, Severity];
  readonly actions: readonly PolicyAction[];
  readonly judge: (facts: PolicyFacts, settings: PolicySettings) => Judged;
}

const pass = (message: string): Judged => ({ result: "pass", message });
const broken = (message: string): Judged => ({ result: "broken", message });
const unknown = (message: string): Judged => ({ result: "unknown", message });

const UPDATES: readonly PolicyAction[] = ["flash", "recover"];
const IMAGES: readonly PolicyAction[] = ["flash", "recover", "sign"];

/** Every rule, in the order in which they are told. Revert and anti-rollback are rules of their own and never one. */
export const RULES: readonly Rule[] = [
  {
    name: "signature",
    summary: "The image is signed by one of the given keys.",
    severity: ["refuse", "refuse", "refuse"],
    actions: UPDATES,
    judge: ({ image }) =>
      image?.signedBy
        ? pass(`Signed by ${image.signedBy.type} key ${short(image.signedBy.hash)}.`)
        : broken("None of the given keys signed the image."),
  },
  {
    name: "signing-key",
    summary: "The key that signed is one of settings.keys.",
    severity: ["warn", "refuse", "refuse"],
    actions: IMAGES,
    judge: ({ image }, { keys }) => {
      if (keys === undefined) return pass("The policy names no keys.");
      if (!image?.signedBy) return unknown("It is not known who signed the image.");
      const { hash } = image.signedBy;
      return keys.some((key) => hash.startsWith(key))
        ? pass(`The policy names key ${short(hash)}.`)
        : broken(`Key ${short(hash)} is not one of the ${keys.length} that the policy names.`);
    },
  },
  {
    name: "published-key",
    summary: "The key that signed is not a development key whose private part is public.",
    severity: ["warn", "refuse", "refuse"],
    actions: IMAGES,
    judge: ({ image }) => {
      if (!image?.signedBy) return unknown("It is not known who signed the image.");
      const { published, hash } = image.signedBy;
      return published === undefined
        ? pass(`Key ${short(hash)} is not a published development key.`)
        : broken(`The image is signed with ${published}, whose private part is published.`);
    },
  },
  {
    name: "algorithm",
    summary: "The signature's algorithm is one of settings.algorithms (default: all but rsa-2048).",
    severity: ["off", "refuse", "refuse"],
    actions: IMAGES,
    judge: ({ image }, { algorithms = ["rsa-3072", "ecdsa-p256", "ecdsa-p384", "ed25519"] }) => {
      if (!image?.signedBy) return unknown("It is not known who signed the image.");
      const { type } = image.signedBy;
      return algorithms.includes(type)
        ? pass(`${type} is allowed.`)
        : broken(`${type} is not among ${algorithms.join(", ")}.`);
    },
  },
  {
    name: "counter-required",
    summary: "The image carries a security counter (anti-rollback).",
    severity: ["warn", "refuse", "refuse"],
    actions: IMAGES,
    judge: ({ image }) =>
      image?.counter === undefined
        ? broken("The image carries no security counter: any older image can replace it.")
        : pass(`Security counter ${image.counter}.`),
  },
  {
    name: "counter-floor",
    summary: "The security counter is not below settings.counterFloor (anti-rollback).",
    severity: ["refuse", "refuse", "refuse"],
    actions: IMAGES,
    judge: ({ image }, { counterFloor }) => {
      if (counterFloor === undefined) return pass("The policy states no floor.");
      const counter = image?.counter;
      return counter !== undefined && counter >= counterFloor
        ? pass(`Security counter ${counter} is not below the policy's ${counterFloor}.`)
        : broken(`Security counter ${counter ?? "-"} is below the ${counterFloor} that the policy states.`);
    },
  },
  {
    name: "counter-stored",
    summary: "The security counter is not below the one that the board has stored (anti-rollback).",
    severity: ["refuse", "refuse", "refuse"],
    actions: ["flash"],
    judge: ({ image, board }) => {
      const stored = board?.storedCounter;
      // A board that reports none is protected by the ratchet, which has a rule of its own.
      if (stored === undefined) return pass("The board reports no stored counter; see the rule ratchet.");
      const counter = image?.counter;
      return counter !== undefined && counter >= stored
        ? pass(`Security counter ${counter} is not below the ${stored} that the board has stored.`)
        : broken(`Security counter ${counter ?? "-"} is below the ${stored} that the board has stored.`);
    },
  },
  {
    name: "ratchet",
    summary: "This host has confirmed no higher counter on the board (anti-rollback).",
    severity: ["refuse", "refuse", "refuse"],
    actions: UPDATES,
    judge: ({ ratchet }) => {
      if (ratchet === undefined) return unknown("What this host remembers about the board was not checked.");
      // A board without identity breaks a rule of its own.
      if (ratchet.result === "unknown") return pass(`${ratchet.message} See the rule board-identity.`);
      return ratchet.result === "fail" ? broken(ratchet.message) : pass(ratchet.message);
    },
  },
  {
    name: "counter-settled",
    summary: "The update restarts the board once more and reads its stored counter back (flash --settle).",
    severity: ["off", "warn", "refuse"],
    actions: ["flash"],
    judge: ({ confirmation }) =>
      confirmation?.settles
        ? pass("The stored counter is read back after one more restart.")
        : broken("Older images are accepted until one more restart: add --settle."),
  },
  {
    name: "trusted-memory",
    summary: "This host's memory is bound to a TPM's counter (settings.trustedMemory: any or chip).",
    severity: ["warn", "refuse", "refuse"],
    actions: UPDATES,
    judge: ({ trustedMemory }, { trustedMemory: wanted }) => {
      if (wanted === undefined) return pass("The policy requires no trusted memory.");
      if (trustedMemory === undefined)
        return broken("This host's memory is bound to no TPM that answers (bootproof ratchet bind).");
      return wanted === "any" || trustedMemory === "chip"
        ? pass(`This host's memory is bound to a TPM (${trustedMemory}).`)
        : broken(
            "The TPM behind this host's memory is software that keeps its state in a file; the policy requires a chip.",
          );
    },
  },
  {
    name: "version-floor",
    summary: "The version is not below settings.minimumVersion.",
    severity: ["refuse", "refuse", "refuse"],
    actions: IMAGES,
    judge: ({ image, compareVersions }, { minimumVersion }) => {
      if (minimumVersion === undefined || image === undefined) return pass("The policy states no version.");
      return compareVersions(image.version, minimumVersion) >= 0
        ? pass(`Version ${image.version} is not below the policy's ${minimumVersion}.`)
        : broken(`Version ${image.version} is below the ${minimumVersion} that the policy states.`);
    },
  },
  {
    name: "version-not-older",
    summary: "The version is not older than the one that runs.",
    severity: ["warn", "refuse", "refuse"],
    actions: ["flash"],
    judge: ({ image, board, compareVersions }) => {
      if (board?.runningVersion === undefined || image === undefined)
        return unknown("The board does not report which version runs.");
      return compareVersions(image.version, board.runningVersion) >= 0
        ? pass(`Version ${image.version} is not older than the running ${board.runningVersion}.`)
        : broken(`Version ${image.version} is older than the running ${board.runningVersion}.`);
    },
  },
  {
    name: "hardware",
    summary: "The image carries settings.vendorId, classId and tlvs: it is made for this hardware.",
    severity: ["refuse", "refuse", "refuse"],
    actions: IMAGES,
    judge: ({ image }, { vendorId, classId, tlvs = {} }) => {
      const wanted = Object.entries({ "vendor id": vendorId, "class id": classId, ...tlvs }).filter(
        (one): one is [string, string] => one[1] !== undefined,
      );
      if (wanted.length === 0) return pass("The policy states no hardware.");
      const has: Record<string, string | undefined> = {
        ...image?.tlvs,
        "vendor id": image?.vendorId,
        "class id": image?.classId,
      };
      const missed = wanted.find(([name, value]) => has[name] !== value);
      return missed === undefined
        ? pass("The image carries what the policy states of the hardware.")
        : broken(
            `The image's ${missed[0]} is ${has[missed[0]] ?? "absent"}; the policy requires ${missed[1]}.`,
          );
    },
  },
  {
    name: "board-identity",
    summary: "The board has an identity of its own, so that the ratchet can remember it.",
    severity: ["warn", "refuse", "refuse"],
    actions: ["flash", "prove"],
    judge: ({ board }) =>
      board?.identity === undefined
        ? broken(`Unprotected by this host's memory: ${board?.noIdentityBecause ?? "there was no board."}`)
        : pass(`The board is ${board.identity}.`),
  },
  {
    name: "board-keys",
    summary: "The board accepts no keys but settings.keys, as far as it reports them.",
    severity: ["off", "warn", "refuse"],
    actions: ["flash", "prove"],
    judge: ({ board }, { keys }) => {
      if (keys === undefined) return pass("The policy names no keys.");
      if (board?.trustedKeys === undefined)
        return pass("The board reports no keys; bootproof prove finds out.");
      const strange = board.trustedKeys.find((hash) => !keys.some((key) => hash.startsWith(key)));
      return strange === undefined
        ? pass("The board accepts no key that the policy does not name.")
        : broken(`The board accepts key ${short(strange)}, which the policy does not name.`);
    },
  },
  {
    name: "pre-confirmed",
    summary: "No trailer in the file marks the image as confirmed, which would skip the trial boot.",
    severity: ["warn", "refuse", "refuse"],
    actions: UPDATES,
    judge: ({ image }) =>
      image?.isPreConfirmed
        ? broken("A trailer in the file marks the image as confirmed: it would skip the trial boot.")
        : pass("Nothing in the file marks the image as confirmed."),
  },
  {
    name: "revert",
    summary:
      "The board's upgrade mode returns to the old image when the new one is not confirmed (rollback).",
    severity: ["warn", "refuse", "refuse"],
    actions: ["flash", "prove"],
    judge: ({ board }) => {
      if (board?.canRevert === undefined) return unknown("The board does not report its upgrade mode.");
      return board.canRevert
        ? pass("An image that is not confirmed is reverted.")
        : broken("The upgrade mode of this board cannot revert to the old image.");
    },
  },
  {
    name: "health",
    summary: "At least settings.healthChecks (default 1) must succeed before the image is confirmed.",
    severity: ["off", "warn", "refuse"],
    actions: ["flash"],
    judge: ({ confirmation }, { healthChecks = 1 }) => {
      const given = confirmation?.healthChecks ?? 0;
      return given >= healthChecks
        ? pass(`${given} health check(s) before the confirmation.`)
        : broken(`${given} health check(s) were given; the policy requires ${healthChecks} (--health).`);
    },
  },
  {
    name: "soak",
    summary: "A new image runs for settings.soakMs (default 1000) before it is confirmed.",
    severity: ["off", "warn", "refuse"],
    actions: ["flash"],
    judge: ({ confirmation }, { soakMs = 1000 }) => {
      const given = confirmation?.soakMs ?? 0;
      return given >= soakMs
        ? pass(`The image runs ${given} ms before it is confirmed.`)
        : broken(
            `The image runs ${given} ms before it is confirmed; the policy requires ${soakMs} (--soak).`,
          );
    },
  },
  {
    name: "host-confirms",
    summary:
      "The host confirms the image, after the health checks; the application does not confirm itself before them.",
    severity: ["warn", "warn", "refuse"],
    actions: ["flash"],
    judge: ({ confirmation }) => {
      if (confirmation?.by === undefined) return pass("This can be judged only when the image runs.");
      return confirmation.by === "host"
        ? pass("The host confirmed the image.")
        : broken(
            "The application confirmed itself before the health checks: nothing could have reverted it.",
          );
    },
  },
  {
    name: "provenance",
    summary: "A statement signed by one of settings.provenanceKeys says how this image was built.",
    severity: ["off", "off", "refuse"],
    actions: UPDATES,
    judge: ({ provenance }, { provenanceKeys }) => {
      if (provenanceKeys === undefined) return pass("The policy names no keys for provenance.");
      if (provenance === undefined) return broken("No provenance was given (--provenance).");
      if (!provenance.namesImage) return broken("The provenance is of another image.");
      return provenanceKeys.some((key) => provenance.signedBy.startsWith(key))
        ? pass(`Built by ${provenance.builder ?? "-"}, signed by key ${short(provenance.signedBy)}.`)
        : broken(
            `The provenance is signed by key ${short(provenance.signedBy)}, which the policy does not name.`,
          );
    },
  },
  {
    name: "sbom",
    summary:
      "A software bill of materials comes with the image and is named by digest (settings.requireSbom, sbomDigests).",
    severity: ["off", "warn", "refuse"],
    actions: UPDATES,
    judge: ({ sbom }, { requireSbom = false, sbomDigests }) => {
      if (sbom === undefined)
        return requireSbom || sbomDigests !== undefined
          ? broken("No software bill of materials was given (--sbom).")
          : pass("The policy requires no software bill of materials.");
      return sbom.isNamedByProvenance || sbomDigests?.includes(sbom.digest)
        ? pass(`The software bill of materials ${short(sbom.digest)} is named by digest.`)
        : broken(
            `Neither the provenance nor the policy names the software bill of materials ${short(sbom.digest)}.`,
          );
    },
  },
  {
    name: "proved",
    summary:
      "A signed, fresh statement of prove says that this board, or its bootloader build, keeps its claims.",
    severity: ["off", "warn", "refuse"],
    actions: ["flash"],
    judge: ({ proof, board }, { proofKeys, proofMaxAgeDays = 90, bootloaderBuild }) => {
      if (proofKeys === undefined) return pass("The policy names no keys for statements of prove.");
      if (proof === undefined) return broken("No statement of prove was given (--proof).");
      const { signedBy, result, ageDays, boardIds, subjects } = proof;
      if (!proofKeys.some((key) => signedBy.startsWith(key)))
        return broken(
          `The statement of prove is signed by key ${short(signedBy)}, which the policy does not name.`,
        );
      if (result !== "PASSED") return broken(`The run of prove ended as ${result || "-"}, not as PASSED.`);
      if (ageDays === undefined) return broken("The statement of prove does not say when it was made.");
      if (ageDays > proofMaxAgeDays || ageDays < -1)
        return broken(
          `The statement of prove is ${Math.round(ageDays)} days old; the policy requires at most ${proofMaxAgeDays}.`,
        );
      if (bootloaderBuild !== undefined && subjects.includes(bootloaderBuild))
        return pass(`Proven for this bootloader build ${Math.round(ageDays)} days ago.`);
      if (board?.identity === undefined)
        return broken("The board has no identity to look for in the statement of prove.");
      return boardIds.includes(board.identity)
        ? pass(`Proven on this board ${Math.round(ageDays)} days ago.`)
        : broken(
            "The statement of prove is about another board, and not about a bootloader build that the policy names.",
          );
    },
  },
  {
    name: "device-type",
    summary:
      "The update is made for one of settings.deviceTypes, as its TUF metadata, artifact or bundle says.",
    severity: ["refuse", "refuse", "refuse"],
    actions: UPDATES,
    judge: ({ madeFor }, { deviceTypes }) => {
      if (deviceTypes === undefined) return pass("The policy names no device types.");
      if (madeFor === undefined || madeFor.length === 0)
        return unknown(
          "It is not known for which device type the update is made: a plain file does not say.",
        );
      const found = madeFor.find((one) => deviceTypes.includes(one));
      return found === undefined
        ? broken(
            `The update is made for ${madeFor.join(", ")}; the policy requires ${deviceTypes.join(" or ")}.`,
          )
        : pass(`The update is made for ${found}.`);
    },
  },
  {
    name: "no-skips",
    summary: "No failed check of the preflight is skipped (--skip, --no-preflight).",
    severity: ["off", "refuse", "refuse"],
    actions: UPDATES,
    judge: ({ skippedChecks = [] }) =>
      skippedChecks.length === 0
        ? pass("No check of the preflight is skipped.")
        : broken(`The command line skips checks: ${skippedChecks.join(", ")}.`),
  },
];

export function evaluateRule(rule: Rule, facts: PolicyFacts, settings: PolicySettings): Judged {
  return rule.judge(facts, settings);
}

const short = (hash: string): string => hash.slice(0, 16);
