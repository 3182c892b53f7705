import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { toHex } from "../../bytes.js";
import { environmentWithoutSecrets } from "../../child-environment.js";
import { generateKey, type Key, toPem } from "../../crypto/keys.js";
import { keySigner } from "../../crypto/signer.js";
import { fixtureBody } from "../../emulator/catalog.js";
import { LAYOUT } from "../../emulator/layout.js";
import { startBoard } from "../../emulator/start.js";
import { signImage } from "../../mcuboot/sign.js";
import { hasPkcs11js } from "../../signers/pkcs11.js";
import { signEnvelope } from "../../trust/dsse.js";
import { formatStatement, IN_TOTO, SLSA_PROVENANCE } from "../../trust/statement.js";
import type { DemoWorkspace } from "./workspace.js";

/** Everything that one product consists of at the demonstration's desk. */
export interface Product {
  /** The image signing key, public part. */
  readonly key: Key;
  readonly publicKey: string;
  readonly signer: OfflineSigner;
  readonly body: string;
  readonly policy: string;
  readonly update: string;
  /** An older release, validly signed. */
  readonly older: string;
  readonly proof: string;
  readonly witness: string;
  readonly attestation: string;
  readonly attestKey: string;
  readonly attestPublicKey: string;
  /** The build server's key: it signs how an image was built, and no image. */
  readonly buildKey: Key;
  readonly buildPublicKey: string;
  /** How the update was built: an SLSA statement of that key. */
  readonly provenance: string;
  /** Addresses: a board with stored counters and one without. */
  readonly board: string;
  readonly boardWithoutCounter: string;
}

/** Where the image key is: nowhere that the build can reach. */
export interface OfflineSigner {
  readonly kind: "softhsm" | "file";
  readonly summary: string;
  /** Options of `keys sign-request`. */
  readonly words: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

/** The product, and another one of the same maker. */
export const HARDWARE = { own: "rack", other: "door" } as const;

/** Makes keys, boards that accept the image key, firmware and a policy. */
export async function prepareProduct(workspace: DemoWorkspace): Promise<Product> {
  const vault = workspace.makeFolder("vault");
  const key = await generateKey("ecdsa-p256");
  const privateFile = join(vault, "image.pem");
  writeFileSync(privateFile, await toPem(key, "private"), { mode: 0o600 });
  const publicKey = workspace.path("image-public.pem");
  writeFileSync(publicKey, await toPem(key.publicKey, "public"));
  const signer = (await moveToSoftHsm(vault, privateFile)) ?? {
    kind: "file",
    summary: "a key file in another folder answered the build's request",
    words: ["-k", privateFile],
    environment: {},
  };

  const attest = await generateKey("ed25519");
  const attestKey = workspace.path("attest.pem");
  writeFileSync(attestKey, await toPem(attest, "private"), { mode: 0o600 });
  const attestPublicKey = workspace.path("attest-public.pem");
  writeFileSync(attestPublicKey, await toPem(attest.publicKey, "public"));

  const buildKey = await generateKey("ed25519");
  const buildPublicKey = workspace.path("build-public.pem");
  writeFileSync(buildPublicKey, await toPem(buildKey.publicKey, "public"));

  const body = workspace.path("app.bin");
  writeFileSync(body, fixtureBody("good-b", "wasm"));
  const policy = workspace.path("bootproof.policy.yaml");
  writeFileSync(policy, policyText(key, buildKey));
  return {
    key: key.publicKey,
    publicKey,
    signer,
    body,
    policy,
    update: workspace.path("update.bin"),
    older: workspace.path("older.bin"),
    proof: workspace.path("update.tlog-proof"),
    witness: workspace.path("witness.checkpoint"),
    attestation: workspace.path("update.intoto.jsonl"),
    attestKey,
    attestPublicKey,
    buildKey,
    buildPublicKey,
    provenance: workspace.path("update.provenance.intoto.jsonl"),
    board: await factory(workspace, "good", key),
    boardWithoutCounter: await factory(workspace, "no-counter", key),
  };
}

function policyText(key: Key, buildKey: Key): string {
  return `version: 1
level: production
settings:
  keys: ["${toHex(key.keyHash).slice(0, 32)}"]
  algorithms: [ecdsa-p256]
  counterFloor: 2
  soakMs: 300
  healthChecks: 1
  tlvs: { "0x00a0": "${hardwareTlv(HARDWARE.own)}" }
  provenanceKeys: ["${toHex(buildKey.keyHash).slice(0, 32)}"]
`;
}

/** What the build server states of an image: an SLSA provenance in a DSSE envelope. */
export async function stateProvenance(
  image: string,
  output: string,
  { body, buildKey }: Pick<Product, "body" | "buildKey">,
): Promise<void> {
  const digest = (file: string) => createHash("sha256").update(readFileSync(file)).digest("hex");
  const predicate = {
    buildDefinition: {
      buildType: "urn:x-bootproof:demo:build:v1",
      externalParameters: { board: HARDWARE.own },
      resolvedDependencies: [{ name: basename(body), digest: { sha256: digest(body) } }],
    },
    runDetails: { builder: { id: BUILDER }, metadata: { invocationId: basename(image) } },
  };
  const subject = [{ name: basename(image), digest: { sha256: digest(image) } }];
  const statement = formatStatement(subject, SLSA_PROVENANCE, predicate);
  writeFileSync(output, await signEnvelope(IN_TOTO, statement, [keySigner(buildKey)]));
}

const BUILDER = "https://build.example/rack";

/** The product that an image is for, as a custom TLV. */
export function hardwareTlv(product: string): string {
  return Buffer.from(product).toString("hex");
}

/** A board that left the factory with this key and firmware 1.0.0; returns its address. */
async function factory(workspace: DemoWorkspace, variant: string, key: Key): Promise<string> {
  const flashFile = workspace.path(`${variant}.flash`);
  const { image } = await signImage(fixtureBody("good-a", "wasm"), {
    key,
    version: "1.0.0",
    securityCounter: 1,
    headerSize: LAYOUT.imageHeaderSize,
    slotSize: LAYOUT.slotSize,
    padHeader: true,
  });
  const board = await startBoard({
    machine: "wasm",
    variant,
    flashFile,
    trustedKeys: [key.publicKey],
    install: image,
    off: true,
  });
  await board.close();
  return `wasm:${variant}?flash=${flashFile}`;
}

/** What an image is signed with, beside its version and counter. */
export interface SignWish {
  readonly output: string;
  readonly version: string;
  readonly counter: number;
  readonly hardware?: string;
}

/** The words of `sign` for this product. */
export function signWords({ body }: Product, wish: SignWish): string[] {
  const { output, version, counter, hardware = HARDWARE.own } = wish;
  return [
    ...[
      "sign",
      "-H",
      `${LAYOUT.imageHeaderSize}`,
      "--pad-header",
      "-S",
      "0x20000",
      "--align",
      "4",
      "-M",
      "32",
    ],
    ...["-v", version, "-s", `${counter}`, "--custom-tlv", `0xa0=0x${hardwareTlv(hardware)}`],
    ...[body, output],
  ];
}

/** The round trip over the air gap: request, response, image. */
export async function signOffline(
  workspace: DemoWorkspace,
  product: Product,
  wish: SignWish,
): Promise<{ hash: string; counter: number }> {
  const request = `${wish.output}.request.json`;
  const response = `${wish.output}.response.json`;
  const words = signWords(product, wish);
  await workspace.must([...words, "--public-key", product.publicKey, "--with-payload", "--request", request]);
  await workspace.must(approveWords(product, request, response), product.signer.environment);
  const attached = await workspace.must([...words, "--public-key", product.publicKey, "--attach", response]);
  return { hash: String(attached.value.hash), counter: wish.counter };
}

export function approveWords(product: Product, request: string, response: string): string[] {
  return ["keys", "sign-request", request, response, ...product.signer.words, "--yes"];
}

const LIBRARIES = [
  "/usr/lib/softhsm/libsofthsm2.so",
  "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
  "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
];
const LABEL = "image key";
const TOKEN = "bootproof demo";
/** Of a token that lives for some seconds in a folder of this user. */
const PIN = "4711";

/** Puts the key into a token of SoftHSM and removes the file; undefined where that is not installed. */
async function moveToSoftHsm(vault: string, privateFile: string): Promise<OfflineSigner | undefined> {
  const library = LIBRARIES.find((path) => existsSync(path));
  if (library === undefined || !(await hasPkcs11js())) return undefined;
  const config = join(vault, "softhsm2.conf");
  writeFileSync(config, `directories.tokendir = ${vault}\nobjectstore.backend = file\nlog.level = ERROR\n`);
  const environment = { SOFTHSM2_CONF: config };
  const util = (...words: string[]) =>
    spawnSync("softhsm2-util", words, { env: { ...environmentWithoutSecrets(), ...environment } }).status ===
    0;
  const pin = ["--pin", PIN];
  const isReady =
    util("--init-token", "--free", "--label", TOKEN, "--so-pin", "12345678", ...pin) &&
    util("--import", privateFile, "--token", TOKEN, "--label", LABEL, "--id", "a1", ...pin);
  if (!isReady) return undefined;
  rmSync(privateFile);
  const pinFile = join(vault, "pin");
  writeFileSync(pinFile, `${PIN}\n`, { mode: 0o600 });
  return {
    kind: "softhsm",
    summary: "a key inside a SoftHSM token answered the build's request",
    words: [
      "--pkcs11-module",
      library,
      "--pkcs11-token",
      TOKEN,
      "--pkcs11-key",
      LABEL,
      "--pin-file",
      pinFile,
    ],
    environment,
  };
}
