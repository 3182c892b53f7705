import { toHex } from "../bytes.js";
import type {
  BoardFacts,
  BootEvent,
  FactSource,
  ImageFacts,
  SlotContent,
  Sourced,
} from "../session/facts.js";
import { printable, table, tone } from "./output.js";

const NOT_REPORTED = "not reported";
const SOURCES: Readonly<Record<FactSource, string>> = {
  device: "device",
  "bootloader-info": "device, bootloader info",
  "image-list": "device, image list",
  "slot-info": "device, slot info",
  "known-file": "known file",
};

/** A board as a page for people. Every figure says where it comes from, or that nobody reports it. */
export function drawFacts(facts: BoardFacts): string {
  const { bootloader, boot } = facts;
  const buffers = `${facts.bufSize} bytes${facts.bufCount === undefined ? "" : ` x ${facts.bufCount}`}${facts.bufSizeFrom === "assumed" ? " (assumed)" : ""}`;
  const mode =
    bootloader?.modeName === undefined
      ? `mode ${NOT_REPORTED}`
      : `${bootloader.modeName} (${bootloader.modeFrom === "bootloader" ? "reported by the bootloader" : "reported by the application"})`;
  const built = bootloader?.applicationModeName;
  const contradiction =
    built === undefined ? undefined : tone("bad", `the application was built for ${built}`);
  const lines = [
    pair("board", printable(facts.name)),
    pair(
      "answers",
      facts.server === "recovery" ? tone("warn", "serial recovery (the bootloader)") : facts.server,
    ),
    pair("buffers", buffers),
    pair("system", printable(facts.info ?? NOT_REPORTED)),
    pair(
      "bootloader",
      [bootloaderName(facts), mode, contradiction, downgrade(facts), ...builtIn(facts), compression(facts)]
        .filter(Boolean)
        .join(", "),
    ),
    pair(
      "last reset",
      boot === undefined
        ? NOT_REPORTED
        : `${printable(boot.cause)}; ${boot.boots} ${boot.boots === 1 ? "boot" : "boots"} since power on`,
    ),
    pair(
      "trusted keys",
      facts.trustedKeys?.map((key) => `${printable(key.type)} ${toHex(key.hash)}`).join("\n") ?? NOT_REPORTED,
    ),
    "",
    drawSlots(facts),
    "",
    ...facts.images.map((image) => pair("counter", storedCounter(image))),
    ...facts.images.flatMap(drawSigners),
  ];
  const events = facts.events ?? [];
  if (events.length > 0)
    lines.push(
      "",
      tone("dim", "what the bootloader did since power on, oldest first"),
      ...events.map((event) => `  ${drawEvent(event)}`),
    );
  return lines.join("\n");
}

function compression({ bootloader }: BoardFacts): string | undefined {
  const kinds = bootloader?.compression;
  return kinds && `takes compressed images (${printable(kinds.join(", "))})`;
}

/** A slot for which nothing is listed need not be empty. */
const NO_IMAGE = {
  application: "no image listed",
  recovery: "nothing that the bootloader accepts",
  unknown: "no image listed",
} as const;

/** One row per slot. */
export function drawSlots({
  images,
  noImageGroup,
  server,
}: Pick<BoardFacts, "images" | "noImageGroup" | "server">): string {
  const slots = images.flatMap((image) => image.slots);
  if (noImageGroup) return "the board has no image group: what is in its slots is not known";
  if (slots.length === 0) return "no image in any slot";
  return table(
    ["IMAGE", "SLOT", "VERSION", "FLAGS", "SECURITY COUNTER", "SIZE", "HASH"],
    slots.map(({ image, slot, size, content }) => [
      `${image}`,
      `${slot}`,
      content ? printable(content.version) : tone("dim", NO_IMAGE[server]),
      content ? drawFlags(content) : "",
      content ? sourced(content.securityCounter) : "",
      size === undefined ? "" : `${size}`,
      content?.hash ? toHex(content.hash).slice(0, 16) : "",
    ]),
  );
}

export function drawFlags(content: SlotContent): string {
  const flags = (["active", "confirmed", "pending", "permanent", "bootable"] as const).filter(
    (flag) => content[flag],
  );
  if (content.bootable === undefined) return tone("dim", "-");
  const words = flags.filter((flag) => flag !== "bootable").join(" ");
  if (content.active && content.confirmed === false) return tone("warn", `${words} on-trial`);
  return words;
}

export function drawEvent({ type, image, slot, reason, value }: BootEvent): string {
  const details = [
    `image ${image}`,
    `slot ${slot}`,
    reason && printable(reason),
    value !== undefined && `value ${value}`,
  ];
  return `${printable(type)}: ${details.filter(Boolean).join(", ")}`;
}

/** Which key signed what lies in a slot: no board tells, but a known file may. */
function drawSigners({ slots }: ImageFacts): string[] {
  return slots.flatMap(({ image, slot, content }) =>
    content?.signedBy === undefined
      ? []
      : [pair("signed by", `${content.signedBy.value}: image ${image} slot ${slot} (known file)`)],
  );
}

function storedCounter({ image, storedCounter: stored }: ImageFacts): string {
  return `stored security counter of image ${image}: ${sourced(stored)}`;
}

function sourced(figure: Sourced<number> | undefined): string {
  return figure === undefined ? NOT_REPORTED : `${figure.value} (${SOURCES[figure.source]})`;
}

function downgrade(facts: BoardFacts): string | undefined {
  const flag = facts.bootloader?.noDowngrade;
  if (flag === undefined) return `downgrade prevention ${NOT_REPORTED}`;
  return flag ? "refuses older images" : "takes older images";
}

function bootloaderName({ bootloader: { name, version } = {} }: BoardFacts): string {
  return printable([name ?? (version === undefined ? "" : "MCUboot"), version].filter(Boolean).join(" "));
}

/** What the bootloader told of its own build. */
function builtIn({ bootloader: { signature, recovery } = {} }: BoardFacts): (string | undefined)[] {
  return [
    signature &&
      (signature === "none" ? "checks no signatures" : `asks for ${printable(signature)} signatures`),
    recovery && (recovery === "none" ? "has no recovery of its own" : `has ${printable(recovery)} recovery`),
  ];
}

function pair(name: string, value: string): string {
  return value
    .split("\n")
    .map((line, index) => `${tone("dim", (index === 0 ? name : "").padEnd(13))}${line}`)
    .join("\n");
}
