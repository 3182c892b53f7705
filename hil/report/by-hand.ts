import { UPGRADE_MODES } from "bootproof/mcuboot";
import { CONTENT_KEY } from "../evidence.js";
import type { BoardResult, CaseResult } from "../result.js";

/** A good one. */
const UPDATE = ["trial/never-confirmed", "trial/waits-for-confirmation", "trial/confirmed-stays"];

const SIGN_WITH = "imgtool sign";
const SIGN = `${SIGN_WITH} --header-size HEADER --pad-header --slot-size SLOT --align ALIGN --version VERSION --security-counter COUNTER`;

/** How the bad image of a case is made with imgtool and a shell. What is not here is damage, best taken from --save-images. */
const MAKE: Readonly<Record<string, readonly string[]>> = {
  "authenticity/unsigned": [`${SIGN} body.bin bad.bin      (no --key)`],
  "authenticity/foreign-key": [
    "imgtool keygen -k foreign.pem -t ALGORITHM      (that of dev.pem: ed25519, ecdsa-p256, rsa-2048, rsa-3072)",
    `${SIGN} --key foreign.pem body.bin bad.bin`,
  ],
  "freshness/lower-counter": [
    `${SIGN.replace("COUNTER", "$((COUNTER - 1))")} --key dev.pem body.bin bad.bin`,
  ],
  "freshness/missing-counter": [
    `${SIGN.replace(" --security-counter COUNTER", "")} --key dev.pem body.bin bad.bin`,
  ],
  "freshness/lower-version": [`${SIGN.replace("VERSION", "LOWER-VERSION")} --key dev.pem body.bin bad.bin`],
  "compatibility/encrypted-for-another": [
    "imgtool keygen -k other-board.pem -t ENCRYPTION-ALGORITHM      (the board's: x25519, ecdsa-p256, rsa-2048)",
    "imgtool getpub -k other-board.pem -e pem > other-board.pub.pem",
    `${SIGN} --key dev.pem --encrypt other-board.pub.pem body.bin bad.bin`,
  ],
  "compatibility/not-bootable": [`${SIGN} --key dev.pem --non-bootable body.bin bad.bin`],
  "compatibility/load-address": [`${SIGN} --key dev.pem --rom-fixed 0xf0000000 body.bin bad.bin`],
  "compatibility/other-slot": [
    `${SIGN} --key dev.pem --rom-fixed ADDRESS-OF-THE-OTHER-SLOT body.bin bad.bin`,
  ],
  "compatibility/plain": [`${SIGN} --key dev.pem body.bin bad.bin      (no --encrypt)`],
  "freshness/application-raises": [
    "Build a firmware that writes a higher security counter at its start, in whatever way the platform has.",
    `${SIGN} --key dev.pem body.bin update.bin`,
  ],
  "integrity/unknown-protected-tlv": [
    `${SIGN} --key dev.pem --custom-tlv 0x00a0 0x01020304 body.bin good.bin`,
  ],
};

/** The steps of a case with Apache's mcumgr, imgtool and a terminal. Words in capitals are the reader's. */
export function byHand({ mode }: BoardResult, { id, evidence, expected }: CaseResult): string[] {
  const offered = evidence?.offered[0];
  const file = offered?.path ?? "FILE";
  if (id.startsWith("power-cut/"))
    return [
      "Power fails at one flash operation of many: by hand that is a switch and luck, so take a relay and a power entry in the board file.",
    ];
  if (!offered)
    return [
      "Nothing is sent but the messages above: smpmgr, mcumgr or any SMP client can send them as they are.",
    ];
  const plain = MAKE[id] ?? (UPDATE.includes(id) ? [`${SIGN} --key dev.pem body.bin update.bin`] : undefined);
  const made = offered.random?.includes(CONTENT_KEY) ? plain?.map(encrypted) : plain;
  return [
    ...(made ?? [
      `Make it: ${offered.what}.${offered.path === undefined ? " --save-images DIR writes the very file." : ""}`,
    ]),
    ...sendLines(file, offered.imageHash, id, mode),
    `Look: ${expected}`,
  ];
}

/** The same for a board whose updates are encrypted, unless the case is about another key. */
function encrypted(line: string): string {
  if (!line.startsWith(SIGN_WITH) || line.includes("--encrypt")) return line;
  const where = "      (the public part of the board's encryption key; --encrypt-keylen 256 for AES-256)";
  return `${line.replace(" body.bin", " --encrypt board.pub.pem body.bin")}${where}`;
}

function sendLines(file: string, hash: string | undefined, id: string, mode: string | undefined): string[] {
  const mcumgr = 'mcumgr --conntype serial --connstring "dev=PORT,baud=115200"';
  if (id.startsWith("recovery/") || id === "freshness/recovery-downgrade")
    return [
      "Put the board into serial recovery: its button, or an OS reset request with boot_mode 1.",
      `${mcumgr} image upload ${file}`,
      `${mcumgr} reset`,
    ];
  const isMarked = UPGRADE_MODES.find(({ name }) => name === mode)?.marked ?? true;
  return [
    `${mcumgr} image upload ${file}`,
    ...(isMarked ? [`${mcumgr} image test ${hash ?? "HASH-FROM-IMAGE-LIST"}`] : []),
    `${mcumgr} reset`,
    `${mcumgr} image list`,
  ];
}
