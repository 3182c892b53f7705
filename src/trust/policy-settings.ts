/** What a policy can set, apart from its rules. */

/** `refuse`: what breaks the rule does not happen. `warn`: it is said. `off`: the rule is not looked at. */
export const SEVERITIES = ["refuse", "warn", "off"] as const;
export type Severity = (typeof SEVERITIES)[number];

/** What rules compare with. Rules without their setting have nothing to compare and pass. */
export interface PolicySettings {
  /** Hashes of the keys that may sign images, hex, or how they begin (16 digits or more). */
  readonly keys?: readonly string[];
  /** Signature algorithms that may be used. */
  readonly algorithms?: readonly string[];
  /** No image below this security counter. */
  readonly counterFloor?: number;
  /** No image below this version. */
  readonly minimumVersion?: string;
  /** Vendor and class id that the image must carry, 32 hex digits each. */
  readonly vendorId?: string;
  readonly classId?: string;
  /** Custom TLVs that the image must carry: type as `0x00a0`, value in hex. */
  readonly tlvs?: Readonly<Record<string, string>>;
  /** Milliseconds that a new image must run before it is confirmed. */
  readonly soakMs?: number;
  /** Health checks beside the echo. */
  readonly healthChecks?: number;
  /** SHA-256 of the software bills of materials that may come with an image, hex. */
  readonly sbomDigests?: readonly string[];
  /** A software bill of materials must come with the image, named by its provenance or by sbomDigests. */
  readonly requireSbom?: boolean;
  /** Hashes of the keys that may sign a statement of `prove`. */
  readonly proofKeys?: readonly string[];
  /** How old such a statement may be, days. */
  readonly proofMaxAgeDays?: number;
  /** SHA-256 of the bootloader build on the boards: a statement about it counts for every board. */
  readonly bootloaderBuild?: string;
  /** The ratchet must be bound to a TPM's counter: to any, or to one in a chip. */
  readonly trustedMemory?: "any" | "chip";
  /** What the update must be made for: TUF hardware ids, device types of an artifact, boards of a bundle. */
  readonly deviceTypes?: readonly string[];
  /** Hashes of the keys that may sign a permission for the ratchet. */
  readonly breakGlassKeys?: readonly string[];
  /** Hashes of the keys that may sign a statement of how the image was built. */
  readonly provenanceKeys?: readonly string[];
}

/** What is about to happen: rules that have nothing to say of it are not looked at. */
export const POLICY_ACTIONS = ["flash", "recover", "sign", "prove"] as const;
export type PolicyAction = (typeof POLICY_ACTIONS)[number];
