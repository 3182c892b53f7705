import { toHex } from "../bytes.js";
import { parseKey } from "../crypto/keys.js";
import { BootproofError } from "../errors.js";
import type { SourceFiles } from "./files.js";
import { type BuildFacts, type Payload, type Source, SourceError, UNBOUND } from "./source.js";

/** Settings of a Kconfig build. Texts without their quotes, `y` as it stands. */
export type Dotconfig = ReadonlyMap<string, string>;

/** No build has more; a wrong file should not take long. */
const MAX_LENGTH = 4 * 1024 * 1024;

/** Reads a `.config`: lines `CONFIG_X=value` or `SB_CONFIG_X=value`; what is not set is absent. Throws {@link SourceError}. */
export function parseDotconfig(bytes: Uint8Array): Dotconfig {
  if (bytes.length > MAX_LENGTH)
    throw new SourceError("bad-source", `A .config of ${bytes.length} bytes; ${MAX_LENGTH} are read.`);
  const settings = new Map<string, string>();
  for (const line of new TextDecoder().decode(bytes).split(/\r?\n/)) {
    const [, name, value] = /^((?:SB_)?CONFIG_\w+)=(.*)$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) settings.set(name, unquoted(value));
  }
  return settings;
}

function unquoted(value: string): string {
  const inside = /^"(.*)"$/.exec(value)?.[1];
  return inside === undefined ? value : inside.replace(/\\(["\\])/g, "$1");
}

/** MCUboot's own settings -> the mode's name. Upgrade-only stands first: it is set beside others. */
const MODES: readonly (readonly [setting: string, mode: string])[] = [
  ["CONFIG_SINGLE_APPLICATION_SLOT", "single-slot"],
  ["CONFIG_BOOT_UPGRADE_ONLY", "overwrite-only"],
  ["CONFIG_BOOT_DIRECT_XIP_REVERT", "direct-xip-revert"],
  ["CONFIG_BOOT_DIRECT_XIP", "direct-xip"],
  ["CONFIG_BOOT_RAM_LOAD_REVERT", "ram-load-revert"],
  ["CONFIG_BOOT_RAM_LOAD", "ram-load"],
  ["CONFIG_BOOT_FIRMWARE_LOADER", "firmware-loader"],
  ["CONFIG_BOOT_SWAP_USING_OFFSET", "swap-offset"],
  ["CONFIG_BOOT_SWAP_USING_MOVE", "swap-move"],
  ["CONFIG_BOOT_SWAP_USING_SCRATCH", "swap-scratch"],
];

const SIGNATURES: readonly (readonly [setting: string, type: string])[] = [
  ["CONFIG_BOOT_SIGNATURE_TYPE_RSA", "rsa"],
  ["CONFIG_BOOT_SIGNATURE_TYPE_ECDSA_P256", "ecdsa-p256"],
  ["CONFIG_BOOT_SIGNATURE_TYPE_ED25519", "ed25519"],
  ["CONFIG_BOOT_SIGNATURE_TYPE_NONE", "none"],
];

/** How MCUboot was built, from its own `.config`. */
export function buildFacts(mcuboot: Dotconfig): BuildFacts {
  const isSet = ([setting]: readonly [string, string]) => mcuboot.get(setting) === "y";
  const mode = MODES.find(isSet)?.[1];
  const signature = SIGNATURES.find(isSet)?.[1];
  const length = mcuboot.get("CONFIG_BOOT_SIGNATURE_TYPE_RSA_LEN");
  const keyFile = mcuboot.get("CONFIG_BOOT_SIGNATURE_KEY_FILE");
  return {
    ...(mode !== undefined && { mode }),
    ...(signature !== undefined && {
      signatureType: signature === "rsa" && length !== undefined ? `rsa-${length}` : signature,
    }),
    ...(keyFile !== undefined && keyFile !== "" && { keyFile }),
  };
}

/** Hash of the key that MCUboot was built with, where its file is here. What is in it is not told, but for that hash. */
async function keyFact(mcuboot: Dotconfig, files: SourceFiles): Promise<Pick<BuildFacts, "keyHash">> {
  const file = mcuboot.get("CONFIG_BOOT_SIGNATURE_KEY_FILE");
  if (file === undefined || file === "" || !files.exists(file) || files.isFolder(file)) return {};
  try {
    return { keyHash: toHex((await parseKey(files.read(file))).keyHash) };
  } catch (error) {
    // Another file by that name, or one with a passphrase: its key is not known.
    if (error instanceof BootproofError) return {};
    throw error;
  }
}

/** The size of the application's slot: the one image that is built for MCUboot and is not its second variant. */
function slotFact(domains: readonly Domain[]): Pick<BuildFacts, "slotSize"> {
  const application = domains.find(
    ({ name, config }) => name !== SECONDARY_VARIANT && config.get("CONFIG_BOOTLOADER_MCUBOOT") === "y",
  );
  // With a partition manager the setting does not span the slot.
  const spansSlot =
    application?.config.get("CONFIG_USE_DT_CODE_PARTITION") === "y" &&
    application.config.get("CONFIG_PARTITION_MANAGER_ENABLED") !== "y";
  const text = (spansSlot && application?.config.get("CONFIG_FLASH_LOAD_SIZE")) || "";
  const size = /^(?:0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text) ? Number(text) : 0;
  return size > 0 ? { slotSize: size } : {};
}

const BUNDLE = "dfu_application.zip";
const SECONDARY_VARIANT = "mcuboot_secondary_app";

/** Is this a folder of a Zephyr build, with sysbuild or without? */
export function isBuildFolder(folder: string, files: SourceFiles): boolean {
  return domainsOf(folder, files).length > 0;
}

/**
 * Reads a folder of a Zephyr build: its bundle when there is one, else its signed images; and how it was configured.
 * `readBundle` is handed in so that this file needs no archive. Throws {@link SourceError}.
 */
export async function readBuildFolder(
  folder: string,
  files: SourceFiles,
  readBundle: (name: string, bytes: Uint8Array) => Promise<Source>,
): Promise<Source> {
  const domains = domainsOf(folder, files);
  if (domains.length === 0)
    throw new SourceError(
      "bad-source",
      `${folder} is a folder, but not of a Zephyr build: no zephyr/.config in it.`,
      {
        hint: "Name the folder that `west build` made (usually build), or a file in it.",
      },
    );
  const mcuboot = domains.find(({ name }) => name === "mcuboot");
  const build = mcuboot && {
    ...buildFacts(mcuboot.config),
    ...(await keyFact(mcuboot.config, files)),
    ...slotFact(domains),
  };
  const bundle = files.join(folder, BUNDLE);
  const common = { kind: "build-folder" as const, name: folder, ...(build && { build }) };
  if (files.exists(bundle)) return { ...(await readBundle(bundle, files.read(bundle))), ...common };
  const signed = domains.flatMap((domain) => signedImage(domain, files));
  const main = signed.filter(({ payload }) => payload.slot !== 1);
  if (main.length === 0)
    throw new SourceError("bad-source", `${folder} contains no signed image.`, {
      hint: "Build with MCUboot and a signing key (sysbuild: SB_CONFIG_BOOTLOADER_MCUBOOT=y), or sign it with bootproof sign.",
    });
  if (main.length > 1)
    throw new SourceError(
      "bad-source",
      `${folder} holds ${main.length} signed images (${main.map(({ payload }) => payload.name).join(", ")}) and no ${BUNDLE} that distinguishes them.`,
      { hint: "Name one of the files, or build the bundle (nRF Connect SDK: SB_CONFIG_DFU_ZIP=y)." },
    );
  return {
    ...common,
    payloads: signed.map(({ payload }) => payload),
    binding: main[0]!.binding,
    checks: [],
  };
}

interface Domain {
  readonly name: string;
  readonly folder: string;
  readonly config: Dotconfig;
}

/** The images of a build: one folder each with sysbuild, else the folder itself. */
function domainsOf(folder: string, files: Omit<SourceFiles, "readImage">): Domain[] {
  const configIn = (where: string) => files.join(where, "zephyr", ".config");
  const inside = files
    .list(folder)
    .map((name) => ({ name, folder: files.join(folder, name) }))
    // With sysbuild, the folder zephyr beside the images holds sysbuild's own settings.
    .filter(({ name, folder: where }) => name !== "zephyr" && files.exists(configIn(where)));
  const found = inside.length === 0 && files.exists(configIn(folder)) ? [{ name: "", folder }] : inside;
  return found.map((one) => ({ ...one, config: parseDotconfig(files.read(configIn(one.folder))) }));
}

function signedImage({ name, folder, config }: Domain, files: SourceFiles) {
  const kernel = config.get("CONFIG_KERNEL_BIN_NAME") ?? "zephyr";
  // A name with folders in it would lead out of the build.
  if (!/^[\w.-]+$/.test(kernel)) return [];
  const path = files.join(folder, "zephyr", `${kernel}.signed.bin`);
  if (!files.exists(path)) return [];
  const number = config.get("CONFIG_MCUBOOT_APPLICATION_IMAGE_NUMBER");
  const image = number !== undefined && /^\d{1,2}$/.test(number) ? Number(number) : undefined;
  const payload: Payload = {
    name: path,
    bytes: files.read(path),
    ...(image !== undefined && image >= 0 && { image }),
    ...(name === SECONDARY_VARIANT && { slot: 1 }),
  };
  const board = config.get("CONFIG_BOARD_TARGET") ?? config.get("CONFIG_BOARD");
  const soc = config.get("CONFIG_SOC");
  const binding = { ...UNBOUND, boards: board ? [board] : [], socs: soc ? [soc] : [] };
  return [{ payload, binding }];
}

/** What a build made for the bootloader to start, before it is signed. */
export interface UnsignedBuild {
  readonly path: string;
  /** Room that the body leaves for the image's header, bytes; absent when the build does not say. */
  readonly headerSize?: number;
  readonly slotSize?: number;
}

/**
 * Finds the application of a build that is to be signed: raw, else Intel HEX.
 *
 * @throws SourceError `bad-source` when there is none, or several
 */
export function unsignedBuild(folder: string, files: Omit<SourceFiles, "readImage">): UnsignedBuild {
  const domains = domainsOf(folder, files).filter(
    ({ name }) => name !== "mcuboot" && name !== SECONDARY_VARIANT,
  );
  const found = domains.flatMap(({ folder: where, config }) => {
    const kernel = config.get("CONFIG_KERNEL_BIN_NAME") ?? "zephyr";
    if (!/^[\w.-]+$/.test(kernel)) return [];
    const path = [".bin", ".hex"]
      .map((end) => files.join(where, "zephyr", `${kernel}${end}`))
      .find((one) => files.exists(one));
    return path === undefined ? [] : [{ path, config }];
  });
  const [only] = found;
  if (only === undefined || found.length > 1)
    throw new SourceError(
      "bad-source",
      only === undefined
        ? `${folder} contains no application of a Zephyr build.`
        : `${folder} holds ${found.length} applications (${found.map(({ path }) => path).join(", ")}).`,
      { hint: "Name the file that is to be signed, such as build/app/zephyr/zephyr.bin." },
    );
  const offset = only.config.get("CONFIG_ROM_START_OFFSET") ?? "";
  const headerSize = /^(?:0x[0-9a-f]{1,8}|\d{1,10})$/i.test(offset) ? Number(offset) : 0;
  return { path: only.path, ...(headerSize > 0 && { headerSize }), ...slotFact(domains) };
}
