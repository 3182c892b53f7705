import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { MenderDeployment, MenderIdentity } from "../../agents/mender-server.js";
import { FileError, readInput, writeOutput } from "../files.js";
import { UsageError } from "../usage-error.js";
import { AgentStateFolder, count, fields, text, texts } from "./agent-state.js";

/** How a deployment ended, kept until the server has taken note of it. */
export interface MenderOutcome {
  readonly status: "success" | "failure";
  readonly lines: readonly string[];
  /** What is installed from now on. */
  readonly provides?: Readonly<Record<string, string>>;
}

/** What the agent must know of one board after it was stopped at any moment. */
export interface MenderState {
  /** What is installed, as the artifacts said: `artifact_name` and more. */
  readonly provides: Readonly<Record<string, string>>;
  readonly deployment?: MenderDeployment & {
    /** The last word of the server was heard: from here on only the board decides. */
    readonly committing?: boolean;
    /** How often it was tried and neither succeeded nor was taken back. */
    readonly tries: number;
    readonly outcome?: MenderOutcome;
  };
}

/** The folder in which the agent remembers one board at one server. */
export class MenderStateFolder extends AgentStateFolder<MenderState> {
  constructor(server: string, board: string) {
    super("mender", server, board, { parse: readState, none: { provides: {} } });
  }

  get artifact(): string {
    return join(this.folder, "artifact.mender");
  }

  override write(state: MenderState): void {
    super.write(state);
    if (state.deployment === undefined) rmSync(this.artifact, { force: true });
  }

  /** The board's key at the server: one of the given type is made when there is none. */
  identity(
    idData: Readonly<Record<string, string>>,
    tenantToken: string | undefined,
    type: DeviceKeyType = "ed25519",
  ): MenderIdentity {
    const file = join(this.folder, "identity.pem");
    if (!existsSync(file)) writeOutput(file, newDeviceKey(type), { mode: 0o600 });
    const key = readDeviceKey(file);
    return {
      idData,
      publicKey: createPublicKey(key).export({ type: "spki", format: "pem" }).toString(),
      // The server takes RSA PKCS#1 v1.5 and ECDSA in DER over SHA-256; Ed25519 hashes by itself.
      sign: (body) => new Uint8Array(sign(isEd25519(key) ? null : "sha256", body, key)),
      tenantToken,
    };
  }
}

/** Types of keys by which a device proves itself to the server. */
export const DEVICE_KEY_TYPES = ["ed25519", "rsa-3072", "p256"] as const;
export type DeviceKeyType = (typeof DEVICE_KEY_TYPES)[number];

function newDeviceKey(type: DeviceKeyType): string {
  const make: Readonly<Record<DeviceKeyType, () => KeyObject>> = {
    ed25519: () => generateKeyPairSync("ed25519").privateKey,
    "rsa-3072": () => generateKeyPairSync("rsa", { modulusLength: 3072 }).privateKey,
    p256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
  };
  return make[type]().export({ type: "pkcs8", format: "pem" }).toString();
}

const isEd25519 = (key: KeyObject): boolean => key.asymmetricKeyType === "ed25519";

/** Throws `UsageError` for a key that no Mender server takes. */
function readDeviceKey(file: string): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = createPrivateKey(Buffer.from(readInput(file)));
  } catch (error) {
    if (error instanceof FileError) throw error;
  }
  const { namedCurve, modulusLength = 0 } = key?.asymmetricKeyDetails ?? {};
  const isGood =
    key && (isEd25519(key) || namedCurve === "prime256v1" || (isRsa(key) && modulusLength >= 2048));
  if (key && isGood) return key;
  throw new UsageError(
    `${file} is not an Ed25519, P-256 or RSA key (2048 bits or more).`,
    "Move the file elsewhere; the agent makes a new one.",
  );
}

const isRsa = (key: KeyObject): boolean => key.asymmetricKeyType === "rsa";

function readState(value: unknown): MenderState {
  const { provides, deployment } = fields(value);
  if (deployment === undefined) return { provides: texts(provides) };
  const { id, artifactName, uri, committing, tries, outcome } = fields(deployment);
  return {
    provides: texts(provides),
    deployment: {
      id: text(id),
      artifactName: text(artifactName),
      uri: text(uri),
      tries: count(tries),
      ...(committing === true && { committing }),
      ...(outcome !== undefined && { outcome: readOutcome(fields(outcome)) }),
    },
  };
}

function readOutcome({ status, lines, provides }: Record<string, unknown>): MenderOutcome {
  if (status !== "success" && status !== "failure") throw new TypeError("no status");
  if (!Array.isArray(lines)) throw new TypeError("no lines");
  return { status, lines: lines.map(text), ...(provides !== undefined && { provides: texts(provides) }) };
}
