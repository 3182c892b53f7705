import { fileURLToPath } from "node:url";
import { packageFile } from "../package-files.js";
import { SignerError } from "./signer-error.js";

/** An object or session in a security module. */
export type Handle = Buffer;

interface Attribute {
  readonly type: number;
  readonly value?: unknown;
}

interface Mechanism {
  readonly mechanism: number;
  readonly parameter?: unknown;
}

/** As much of pkcs11js as is used here; the package itself is optional and may be absent. */
export interface Cryptoki {
  load(path: string): void;
  close(): void;
  C_Initialize(): void;
  C_Finalize(): void;
  C_GetSlotList(tokenPresent: boolean): Handle[];
  C_GetTokenInfo(slot: Handle): { readonly label: string; readonly serialNumber: string };
  C_OpenSession(slot: Handle, flags: number): Handle;
  C_CloseSession(session: Handle): void;
  C_Login(session: Handle, user: number, pin: string): void;
  C_Logout(session: Handle): void;
  C_FindObjectsInit(session: Handle, template: readonly Attribute[]): void;
  C_FindObjects(session: Handle, most: number): Handle[];
  C_FindObjectsFinal(session: Handle): void;
  C_GetAttributeValue(
    session: Handle,
    object: Handle,
    template: readonly Attribute[],
  ): readonly { readonly value: Buffer }[];
  C_SignInit(session: Handle, mechanism: Mechanism, key: Handle): void;
  C_Sign(session: Handle, data: Buffer, room: Buffer): Buffer;
}

/** Numbers of PKCS#11 2.40 and 3.0 (pkcs11t.h). */
export const CK = {
  SESSION_SERIAL: 0x4,
  USER: 1,
  OBJECT_PUBLIC: 2,
  OBJECT_PRIVATE: 3,
  CLASS: 0x0,
  LABEL: 0x3,
  KEY_TYPE: 0x100,
  ID: 0x102,
  SENSITIVE: 0x103,
  MODULUS: 0x120,
  PUBLIC_EXPONENT: 0x122,
  EXTRACTABLE: 0x162,
  EC_PARAMS: 0x180,
  EC_POINT: 0x181,
  KEY_RSA: 0x0,
  KEY_EC: 0x3,
  KEY_EC_EDWARDS: 0x40,
  SHA256: 0x250,
  MGF1_SHA256: 2,
  RSA_PKCS: 0x1,
  RSA_PKCS_PSS: 0xd,
  ECDSA: 0x1041,
  EDDSA: 0x1057,
} as const;

/** pkcs11js' name for a structure of PSS parameters. */
export const PARAMS_RSA_PSS = 5;

/**
 * Whether the optional package pkcs11js, through which security modules are reached, is installed here.
 *
 * @returns true when it can be loaded
 */
export async function hasPkcs11js(): Promise<boolean> {
  return importPkcs11js().then(
    () => true,
    () => false,
  );
}

/**
 * Loads a security module's library through pkcs11js, which has to be compiled and so is no dependency of everybody.
 * Throws {@link SignerError} `signer-missing`.
 */
export async function loadCryptoki(library: string): Promise<Cryptoki> {
  const { PKCS11 } = await importPkcs11js();
  const module = new PKCS11();
  try {
    module.load(library);
    module.C_Initialize();
  } catch (cause) {
    throw new SignerError(
      "signer-missing",
      `The PKCS#11 library ${library} cannot be used: ${messageOf(cause)}`,
      {
        cause,
        hint: "Name the library of your security module, e.g. /usr/lib/softhsm/libsofthsm2.so.",
      },
    );
  }
  return module;
}

/** What a module's error says, without the stack that pkcs11js puts behind it. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.split("\n")[0]! : String(error);
}

/**
 * Where npm has to be run so that the package is found. A plain `npm install` in a checkout leaves an optional peer out:
 * it counts as declared already.
 */
export function howToInstall(folder: string): string {
  const home = folder.replace(/[/\\]$/, "");
  const above = /^(.*?)[/\\](lib[/\\])?node_modules[/\\]/.exec(`${home}/`);
  if (above === null) return `Run npm install --no-save --save-dev pkcs11js in ${home}`;
  return above[2] === undefined
    ? `Run npm install pkcs11js in ${above[1]}`
    : "Run npm install --global pkcs11js";
}

async function importPkcs11js(): Promise<{ PKCS11: new () => Cryptoki }> {
  // Not spelled out in the import: it need not be there when this is compiled or bundled.
  const name = "pkcs11js";
  try {
    const loaded = (await import(name)) as {
      default?: { PKCS11: new () => Cryptoki };
      PKCS11: new () => Cryptoki;
    };
    return loaded.default ?? loaded;
  } catch (cause) {
    throw new SignerError("signer-missing", "PKCS#11 needs the package pkcs11js, which is not installed.", {
      cause,
      hint: `${howToInstall(fileURLToPath(packageFile("./")))} (it is compiled then), or use --signer-command.`,
    });
  }
}
