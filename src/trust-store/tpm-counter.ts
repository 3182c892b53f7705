import { spawnSync } from "node:child_process";
import { environmentWithoutSecrets } from "../child-environment.js";
import { BootproofError } from "../errors.js";

/** The TPM cannot be asked, or does not have what it should. */
export class TpmError extends BootproofError {
  declare readonly code: /** tpm2-tools are not installed, or no TPM answers them. */
    | "tpm-missing"
    /** The counter is not there, or was never incremented: an alarm where one was in use. */
    | "tpm-counter-gone"
    /** Another refusal of the TPM. */
    | "tpm-refused";
}

/** A number in hardware that only goes up. */
export interface TrustedCounter {
  /** @throws TpmError */
  read(): number;
  /** One up. @throws TpmError */
  increment(): void;
}

/** TPM 2.0 handles of NV indices that owners may use. */
export const TPM_INDICES = { from: 0x0150_0000, to: 0x01bf_ffff } as const;

/**
 * A counter in the NV memory of a TPM 2.0, through tpm2-tools. A new one starts above every counter that the TPM ever had, and
 * cannot be read before its first increment. Which TPM is asked is tpm2-tools' to know (TPM2TOOLS_TCTI).
 */
export class TpmCounter implements TrustedCounter {
  readonly index: number;

  /** @param index - an NV index, see {@link TPM_INDICES} */
  constructor(index: number) {
    this.index = index;
  }

  /** Makes the counter and gives it its first value. @throws TpmError, also when the index is in use */
  define(): void {
    run("tpm2_nvdefine", [this.#handle(), "-C", "o", "-s", "8", "-a", "nt=counter|ownerread|ownerwrite"]);
    this.increment();
  }

  read(): number {
    const bytes = run("tpm2_nvread", [this.#handle(), "-C", "o", "-s", "8"]);
    if (bytes.length !== 8)
      throw new TpmError("tpm-refused", `The TPM's counter has ${bytes.length} bytes, not 8.`);
    return Number(bytes.readBigUInt64BE());
  }

  increment(): void {
    run("tpm2_nvincrement", [this.#handle(), "-C", "o"]);
  }

  #handle(): string {
    return `0x${this.index.toString(16)}`;
  }
}

/**
 * What stands behind the TPM.
 *
 * @returns `software` for those that keep their state in a file, as their vendor string says; else `chip`
 * @throws TpmError
 */
export function tpmKind(): "chip" | "software" {
  const text = run("tpm2_getcap", ["properties-fixed"]).toString("latin1");
  const vendor = [...text.matchAll(/TPM2_PT_VENDOR_STRING_\d:\n(?:.*\n)?\s*value: "(.*)"/g)]
    .map((found) => found[1])
    .join("");
  return /SW\s*TPM|xCG|swtpm|simulator/i.test(vendor) ? "software" : "chip";
}

const TIMEOUT_MS = 20_000;

function run(program: string, words: readonly string[]): Buffer {
  const { status, stdout, stderr, error } = spawnSync(program, words, {
    env: environmentWithoutSecrets(),
    timeout: TIMEOUT_MS,
    maxBuffer: 1 << 20,
  });
  if (error) {
    const isAbsent = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new TpmError(
      "tpm-missing",
      isAbsent
        ? "tpm2-tools are not installed, so no TPM can be used."
        : `${program} does not end: ${error.message}.`,
      { cause: error, hint: "On Debian: apt-get install tpm2-tools; the user needs to be in the group tss." },
    );
  }
  if (status === 0) return stdout;
  const said = stderr.toString("latin1");
  if (/tcti/i.test(said) && /could not|failed|cannot/i.test(said))
    throw new TpmError("tpm-missing", "No TPM answers.", {
      hint: "Is there a TPM 2.0 (/dev/tpmrm0), and may this user use it (group tss)? TPM2TOOLS_TCTI names another way.",
    });
  // Handle out of use; never incremented.
  if (/0x0*18b|0x0*14a/i.test(said))
    throw new TpmError("tpm-counter-gone", "The TPM does not have the counter.", {
      hint: "Was the TPM cleared, or is it another TPM?",
    });
  const last = said.trim().split("\n").at(-1)?.slice(0, 200) ?? "";
  throw new TpmError("tpm-refused", `The TPM refuses ${program}: ${last}`, {
    hint: "tpm2_getcap handles-nv-index shows which indices are in use.",
  });
}
