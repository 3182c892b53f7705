import type { NextBoot } from "../../mcuboot/next-boot.js";
import { decideSetNext, type SetNextTarget } from "../../mcuboot/set-next.js";
import type { Slot } from "../../mcuboot/slot.js";
import { isConfirmed } from "../../mcuboot/swap-type.js";
import type { UpgradeMode } from "../../mcuboot/upgrade-modes.js";
import { formatVersion } from "../../mcuboot/version.js";
import { printable, tone } from "../output.js";
import { drawMap } from "./draw-map.js";
import { drawRows } from "./image-page.js";

/** A slot for `--json`. */
export function describeSlot(slot: Slot) {
  const { trailer } = slot;
  return {
    size: slot.size,
    imageOffset: slot.imageOffset,
    empty: slot.empty,
    ...(slot.image && { version: formatVersion(slot.image.version) }),
    ...(slot.problem && { problem: { code: slot.problem.code, message: slot.problem.message } }),
    trailer: {
      maxAlign: trailer.maxAlign,
      magic: trailer.magic,
      imageOk: trailer.imageOk,
      copyDone: trailer.copyDone,
      ...(trailer.swapInfo && { swapInfo: trailer.swapInfo }),
      ...(trailer.swapSize !== undefined && { swapSize: trailer.swapSize }),
    },
    map: slot.map,
  };
}

/** A slot as a page for people: what is in it, drawn to the scale of the largest slot, and what its trailer says. */
export function drawSlot(slot: Slot, largest: number): string {
  const { trailer, image, problem } = slot;
  const content = image
    ? `version ${formatVersion(image.version)}${slot.imageOffset === 0 ? "" : `, from the second sector on (0x${slot.imageOffset.toString(16)})`}`
    : slot.empty
      ? "empty"
      : tone("bad", `no image: ${printable(problem?.message ?? "")}`);
  const flags = `image_ok ${flag(trailer.imageOk)}, copy_done ${flag(trailer.copyDone)}`;
  const swap = trailer.swapInfo
    ? `swap_info ${trailer.swapInfo.type} of image ${trailer.swapInfo.image}`
    : "swap_info unset";
  const size = trailer.swapSize === undefined ? "" : `, swap_size ${trailer.swapSize}`;
  return `${drawMap(slot.map, largest)}\n${drawRows([
    ["slot", `${slot.size} bytes, ${content}`],
    [
      "trailer",
      `magic ${flag(trailer.magic)}, ${flags}, ${swap}${size} (BOOT_MAX_ALIGN ${trailer.maxAlign})`,
    ],
  ])}`;
}

function flag(state: string): string {
  return state === "good" || state === "set"
    ? tone("good", state)
    : state === "bad"
      ? tone("bad", state)
      : state;
}

/** What comes next, with the reason. */
export function drawNextBoot(mode: UpgradeMode, next: NextBoot): string {
  return drawRows([
    [
      "next boot",
      `${tone("strong", next.resumed ? `${next.swapType}, resumed` : next.swapType)} in mode ${mode}: ${next.reason}`,
    ],
    ...next.steps.map((sentence): [string, string] => ["", printable(sentence)]),
    ...next.dependsOn.map((what, index): [string, string] => [
      index === 0 ? "depends on" : "",
      tone("warn", printable(what)),
    ]),
  ]);
}

/** What a request or a confirmation would do to this slot's trailer. */
export function drawRequests(slot: Slot, target: SetNextTarget): string {
  const rows =
    target === "active"
      ? [["confirm", decideSetNext(target, slot.trailer, true)] as const]
      : [
          ["test", decideSetNext(target, slot.trailer, false)] as const,
          ["confirm", decideSetNext(target, slot.trailer, true)] as const,
        ];
  const state = target === "active" ? [confirmation(slot)] : [];
  return drawRows([
    ...state,
    ...rows.map(([asked, rule]): [string, string] => [
      `if ${asked}`,
      `${rule.reason}${rule.error === undefined ? "" : tone("bad", ` (error ${rule.error})`)}`,
    ]),
  ]);
}

function confirmation({ trailer }: Slot): [string, string] {
  return ["confirmed", isConfirmed(trailer) ? "yes" : tone("warn", "no: the running image is on trial")];
}
