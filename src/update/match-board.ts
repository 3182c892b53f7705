import { toHex } from "../bytes.js";
import { upgradeModesOfNumber } from "../mcuboot/upgrade-modes.js";
import { slotsOf } from "../session/board-facts.js";
import type { BoardFacts } from "../session/facts.js";
import type { Session } from "../session/session.js";
import { osInfo } from "../smp/groups/os.js";
import { DeviceError } from "../smp/message.js";
import { ShapeError } from "../smp/schema.js";
import type { BuildFacts } from "../sources/source.js";
import type { PreflightCheck } from "./preflight-check.js";

/** Zephyr writes a board's qualifiers with slashes; older builds and file names use underscores. */
const normalised = (name: string) => name.toLowerCase().replace(/[/@]/g, "_");

/**
 * Compares the boards an update was made for with what the board calls itself (OS info, hardware platform). A board that
 * does not say is not judged.
 */
export async function matchBoard(
  session: Session,
  boards: readonly string[],
  signal: AbortSignal | undefined,
): Promise<PreflightCheck> {
  const name = "board";
  const list = boards.join(", ");
  const platform = await hardwarePlatform(session, signal);
  if (platform === undefined || platform === "")
    return {
      name,
      result: "unknown",
      message: `The update is for ${list}; the board does not report its type.`,
    };
  if (boards.some((board) => normalised(board) === normalised(platform)))
    return {
      name,
      result: "pass",
      message: `The update is for ${platform}, which is what the board reports.`,
    };
  return {
    name,
    result: "fail",
    message: `The update is for ${list}; the board reports ${platform}.`,
    hint: "Check whether this is the right board. If both names mean the same board: --skip board.",
  };
}

/** Compares how a build's MCUboot was configured with what the board reports of its own. */
export function matchBuild(
  { mode, signatureType, keyHash, slotSize }: BuildFacts,
  facts: BoardFacts,
): PreflightCheck[] {
  const name = "board";
  const hint =
    "Build for the bootloader that is on the board, or check whether this is the right board; --skip board continues.";
  const checks: PreflightCheck[] = [];
  const reported = upgradeModesOfNumber(facts.bootloader?.mode ?? -1).map((row) => row.name as string);
  if (mode !== undefined && reported.length > 0)
    checks.push(
      reported.includes(mode)
        ? { name, result: "pass", message: `The build's MCUboot has mode ${mode}, as the board's.` }
        : {
            name,
            result: "fail",
            message: `The build's MCUboot has mode ${mode}; the board's has ${reported[0]}.`,
            hint,
          },
    );
  const types = facts.trustedKeys?.map(({ type }) => type) ?? [];
  if (signatureType !== undefined && types.length > 0)
    checks.push(
      types.some((type) => sameType(type, signatureType))
        ? {
            name,
            result: "pass",
            message: `The build is signed with ${signatureType}, which the board uses.`,
          }
        : {
            name,
            result: "fail",
            message: `The build is signed with ${signatureType}; the board uses keys of type ${types.join(", ")}.`,
            hint,
          },
    );
  const trusted = facts.trustedKeys?.map(({ hash }) => toHex(hash)) ?? [];
  if (keyHash !== undefined && trusted.length > 0)
    checks.push(
      trusted.includes(keyHash)
        ? {
            name,
            result: "pass",
            message: `The board trusts the key ${short(keyHash)} that the build's MCUboot has.`,
          }
        : {
            name,
            result: "fail",
            message: `The build's MCUboot has the key ${short(keyHash)}; the board trusts ${trusted.map(short).join(", ")}.`,
            hint,
          },
    );
  const reportedSize = slotsOf(facts, 0).find(({ slot }) => slot === 0)?.size;
  if (slotSize !== undefined && reportedSize !== undefined)
    checks.push(
      slotSize === reportedSize
        ? { name, result: "pass", message: `The build's slot of ${slotSize} bytes is the board's.` }
        : {
            name,
            result: "fail",
            message: `The build is for a slot of ${slotSize} bytes; the board's has ${reportedSize}.`,
            hint,
          },
    );
  return checks;
}

const short = (hash: string): string => hash.slice(0, 12);

/** Boards and builds differ in hyphens and case: `rsa-2048`, `rsa2048`. */
function sameType(a: string, b: string): boolean {
  const plain = (type: string) =>
    type
      .toLowerCase()
      .replace(/[^a-z0-9]/g, "")
      .replace(/^ecdsa/, "");
  return plain(a) === plain(b);
}

async function hardwarePlatform(
  { client }: Session,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  try {
    const { output } = await client.send(osInfo, { format: "i" }, { signal });
    return output.trim();
  } catch (error) {
    // Serial recovery and small servers have no such command, or another shape of it.
    if (error instanceof DeviceError || error instanceof ShapeError) return undefined;
    throw error;
  }
}
