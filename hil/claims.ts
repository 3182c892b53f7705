/**
 * What a board can promise. A case belongs to exactly one claim; the verdict on a claim is made of its cases'.
 * The first six are the words of firmware-fixtures/manifest.json.
 */
export const CLAIMS = {
  signature: {
    title: "Only your firmware starts",
    message: "An image starts only when it carries a valid signature by a key the board is meant to trust.",
  },
  integrity: {
    title: "Damaged firmware does not start",
    message: "An image that was changed, truncated or corrupted in transit is detected and not started.",
  },
  "tlv-allow-list": {
    title: "Nothing can be added outside the signature",
    message: "Entries appended to the part of an image that the signature does not cover make it invalid.",
  },
  lengths: {
    title: "False lengths are detected",
    message:
      "An image whose own lengths contradict each other or reach past their area is refused, though its signature is valid.",
  },
  compatibility: {
    title: "Firmware for something else does not start",
    message: "An image that is encrypted for another key, compressed, not bootable or too large is refused.",
  },
  "image-number": {
    title: "Firmware for another slot pair is not accepted",
    message: "An upload for an image number that the board does not have is refused.",
  },
  "load-address": {
    title: "Firmware linked for another address does not start",
    message: "An image whose header states an address that this board does not have is refused.",
  },
  "encrypted-only": {
    title: "Unencrypted firmware is not accepted",
    message: "An update that is not encrypted is refused.",
  },
  decompression: {
    title: "A compressed image is installed only if its decompressed content is right",
    message:
      "A compressed image that decompresses to more than is allowed, or to another hash or signature than it states, leaves the old image untouched.",
  },
  dependencies: {
    title: "Firmware that needs another part waits for it",
    message: "An image that depends on a missing version of another image is not installed.",
  },
  "vendor-id": {
    title: "Another product's firmware does not start",
    message: "An image with another vendor id or class id than the board's own is refused.",
  },
  "anti-rollback-counter": {
    title: "Old firmware cannot come back (security counter)",
    message: "An image whose security counter is lower than the stored one is refused, however it arrives.",
  },
  "anti-rollback-version": {
    title: "Old firmware cannot come back (version)",
    message: "An image with a lower version than the running one is refused.",
  },
  "upgrade-flag": {
    title: "An upload can insist on being newer",
    message: "The board's SMP server refuses an upload with the upgrade flag unless its version is higher.",
  },
  "counter-after-confirm": {
    title: "Trying an update does not raise the counter",
    message: "The stored security counter rises only after an image was confirmed, never for a trial boot.",
  },
  "counter-locked": {
    title: "Only the bootloader moves the counter",
    message: "An application cannot raise the stored security counter itself.",
  },
  rollback: {
    title: "A bad update is reverted",
    message:
      "An image that is not confirmed is replaced by the old one at the next reset; a confirmed one stays.",
  },
  "host-confirms": {
    title: "Nothing confirms itself",
    message: "A new image stays on trial until it is confirmed from outside.",
  },
  "slots-untouched": {
    title: "The firmware leaves the slots alone",
    message:
      "Starting the firmware changes no slot: the image in the other one is still there, and not marked.",
  },
  "broken-slot": {
    title: "A broken second slot does not stop the board",
    message: "While the other slot cannot be read, the running image still starts.",
  },
  "recovery-entry": {
    title: "The board can be recovered",
    message: "Serial recovery can be entered, used again after an interruption, and left.",
  },
  "recovery-checked": {
    title: "Recovery is not a back door",
    message: "What serial recovery has written is checked like any other image before it starts.",
  },
  "power-loss": {
    title: "Power can fail at any moment",
    message:
      "After a power cut at any moment the board ends up with the image that it would have had without the cut, and the stored security counter never decreases.",
  },
  link: {
    title: "A bad cable does no harm",
    message:
      "Lost, corrupted and foreign bytes on the line, or a pulled cable, never leave a wrong image behind.",
  },
} as const;

export type ClaimId = keyof typeof CLAIMS;

export const CLAIM_IDS = Object.keys(CLAIMS) as readonly ClaimId[];

/** What every emulated board of this project promises besides the claims of its manifest row. */
export const IMPLIED_BY_EMULATED: readonly ClaimId[] = [
  "integrity",
  "tlv-allow-list",
  "compatibility",
  "image-number",
  "upgrade-flag",
  "lengths",
  "slots-untouched",
  "broken-slot",
  "recovery-entry",
  "power-loss",
  "link",
];

export function isClaim(text: string): text is ClaimId {
  return Object.hasOwn(CLAIMS, text);
}
