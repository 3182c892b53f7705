import { isPure } from "../mcuboot/checks.js";
import type { CheckName, Verdict } from "../mcuboot/verify.js";
import type { Judgement, PreflightCheck, PreflightCheckName } from "./preflight-check.js";

/** What the file alone must be; its size and counter are held against the board instead. */
const FILE_CHECKS: readonly (CheckName & PreflightCheckName)[] = [
  "structure",
  "flags",
  "bootable",
  "tlv-types",
  "decryption",
  "hash",
  "signature",
  "compressed-body",
];

/** The checks of the file. A signature that nobody could check stops the flash like a wrong one. */
export function checkFile(verdict: Verdict): PreflightCheck[] {
  const { image } = verdict;
  const isPureAndEncrypted = image?.encrypted === true && isPure(image);
  return verdict.checks
    .filter(({ name }) => FILE_CHECKS.some((check) => check === name))
    .map(({ name, result, sentence }) => ({
      name: name as PreflightCheckName,
      ...fileJudgement(name, result, sentence, {
        isPureAndEncrypted,
        isSigned: image?.signatures.length !== 0,
      }),
    }));
}

function fileJudgement(
  name: CheckName,
  result: Verdict["checks"][number]["result"],
  message: string,
  { isPureAndEncrypted, isSigned }: { isPureAndEncrypted: boolean; isSigned: boolean },
): Judgement {
  if (name === "signature" && result === "not-checked") {
    return {
      result: "fail",
      message,
      hint: isPureAndEncrypted
        ? "Give the key that decrypts it with --decrypt-key FILE, or send it unchecked with --skip signature."
        : "Give the public key with --key FILE, or send it unchecked with --skip signature.",
    };
  }
  if (result === "fail" && name === "decryption")
    return {
      result,
      message,
      hint: "Encrypt it for this board's key with bootproof sign --encrypt FILE, or give the private half of the key it is encrypted for.",
    };
  if (result === "fail" && name === "signature")
    return {
      result,
      message,
      hint: isSigned
        ? "Give the signer's public key with --key FILE, or sign the firmware with your own key."
        : "Sign it with bootproof sign --key FILE; for a board that requires no signature: --skip signature.",
    };
  if (result === "fail")
    return {
      result,
      message,
      hint: "Nothing was sent. Build and sign the image again, or check that it is the right file.",
    };
  return { result: result === "pass" ? "pass" : "unknown", message };
}
