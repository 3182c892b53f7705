import type { SigningRequestFile } from "../../mcuboot/signing-request.js";
import { printable, tone } from "../output.js";

/** A request as a page for the person who decides. `proven`: are the facts those of the payload, or only stated? */
export function drawRequest(
  { name, image, key, scheme, toSign, createdAt }: SigningRequestFile,
  proven = true,
): string {
  const optional = (label: string, value: string | undefined): [string, string][] =>
    value === undefined || value === "" ? [] : [[label, value]];
  const rows: [string, string][] = [
    ["image", name],
    ["version", image.version],
    [
      "counter",
      image.securityCounter === undefined
        ? "no security counter"
        : `security counter ${image.securityCounter}`,
    ],
    ["body", `${image.bodySize} bytes, SHA-256 ${image.bodySha256}`],
    ["header", `${image.headerSize} bytes, flags ${image.flags.join(" ") || "none"}`],
    ...optional("address", image.loadAddress === 0 ? undefined : `0x${image.loadAddress.toString(16)}`),
    ...optional("needs", image.dependencies.join(", ")),
    ...optional("vendor", image.vendorId),
    ...optional("class", image.classId),
    ...optional("also", image.otherTlvs.join(", ")),
    ["key", `${key.type} ${key.keyHash}`],
    ["scheme", `${scheme} over ${toSign.pure ? "the image" : `the ${toSign.hash} digest`}`],
    ["digest", groups(toSign.digest)],
    ["asked", createdAt],
  ];
  const lines = rows.map(([label, value]) => `${tone("dim", label.padEnd(9))}${printable(value)}`);
  if (!proven)
    lines.push(
      tone(
        "warn",
        "The request carries no payload: what it says of the image is only stated, the digest is what counts.",
      ),
    );
  return lines.join("\n");
}

/** In groups of four, for comparing by eye or over the telephone. */
function groups(hex: string): string {
  return hex.match(/.{1,4}/g)?.join(" ") ?? "";
}
