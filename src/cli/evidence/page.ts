import { printable } from "../output.js";

/** What each part of a pack shows, in the words of the checklist and of the regulation that asks for such records. */

export interface PackPart {
  /** Path in the pack. */
  readonly path: string;
  readonly kind: PartKind;
}

export type PartKind =
  | "image"
  | "flash-attestation"
  | "prove-statement"
  | "provenance"
  | "report"
  | "sbom"
  | "policy"
  | "log-proof"
  | "log-key"
  | "key"
  | "board";

interface Meaning {
  readonly shows: string;
  /** Points of the checklist for secure updates. */
  readonly checklist: string;
  /** Points of Regulation (EU) 2024/2847, the Cyber Resilience Act, that ask for such evidence. */
  readonly regulation: string;
}

const MEANINGS: Readonly<Record<PartKind, Meaning>> = {
  image: {
    shows: "the very file that was released or flashed",
    checklist: "verify on the device; bind the image to its hardware and version",
    regulation: "Annex I Part I (2)(c), Part II (7); Art. 13(9): each update stays available for ten years",
  },
  "flash-attestation": {
    shows: "what one board reported before and after the update, and what decided",
    checklist: "A/B or fallback; define confirmed; log install, verify, boot, revert, counter advance",
    regulation: "Annex I Part I (2)(c) and (2)(l); Annex VII (6)",
  },
  "prove-statement": {
    shows:
      "what the board enforced when bad images were tried on it: signatures, integrity, rollback, anti-rollback",
    checklist:
      "verify on device, not just on the server; separate rollback from anti-rollback; trusted storage for counters",
    regulation: "Annex I Part I (2)(f), Part II (3); Annex VII (6): reports of tests",
  },
  provenance: {
    shows: "how and from what the image was built",
    checklist: "keys off the build server; build and sign as separate stages",
    regulation: "Annex I Part II (1); Annex VII (2)",
  },
  report: {
    shows: "every case that prove tried, with what was seen",
    checklist: "verify on device, not just on the server",
    regulation: "Annex I Part II (3); Annex VII (6): reports of tests",
  },
  sbom: {
    shows: "the components of the image",
    checklist: "build: components by digest",
    regulation: "Annex I Part II (1): software bill of materials; Annex VII (8)",
  },
  policy: {
    shows: "what was allowed to be signed and flashed when this was done",
    checklist: "define confirmed; key rotation; bind to device class; anti-rollback floor",
    regulation: "Annex I Part I (1); Annex VII (3)",
  },
  "log-proof": {
    shows: "that the event is an entry of the audit log, which nobody can take out quietly",
    checklist: "log install, verify, boot, revert, counter advance",
    regulation: "Annex I Part I (2)(l); Art. 13(13): records kept for ten years",
  },
  "log-key": {
    shows: "the key that the log's checkpoints are signed with",
    checklist: "keys for one purpose each",
    regulation: "-",
  },
  key: {
    shows: "a public key that signed one of the files here",
    checklist: "provision the public key; key rotation",
    regulation: "Annex I Part I (2)(f)",
  },
  board: {
    shows: "what the unit itself reported when the pack was made: slots, hashes, counters, accepted keys",
    checklist: "provision the root of trust; trusted storage for counters",
    regulation: "Annex I Part I (2)(f); Annex VII (6)",
  },
};

/** The page of a pack: what is in it, how to check it, what it is for. */
export function packPage(about: string, parts: readonly PackPart[]): string {
  const rows = parts.map(({ path, kind }) => {
    const { shows, checklist, regulation } = MEANINGS[kind];
    return `| \`${path}\` | ${shows} | ${checklist} | ${regulation} |`;
  });
  return `# Evidence: ${printable(about)}

Made by bootproof. Nothing here needs bootproof, or a network, to be checked.

## How to check it

Keep the name of the file \`evidence-SHA256.intoto.json\` where nobody can change it: on paper, in another system. It is the SHA-256 of that
file, which is signed and names every other file here by its SHA-256. With Python and its package securesystemslib:

\`\`\`python
import glob, hashlib, json, os, sys
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

folder, key_file = sys.argv[1:3]
digest = lambda path: hashlib.sha256(open(path, "rb").read()).hexdigest()
(top,) = glob.glob(os.path.join(folder, "evidence-*.intoto.json"))
assert os.path.basename(top) == "evidence-" + digest(top) + ".intoto.json", "the signed file was changed"
envelope = Envelope.from_dict(json.load(open(top)))
(signature,) = envelope.signatures
key = SSlibKey.from_crypto(load_pem_public_key(open(key_file, "rb").read()), keyid=signature)
envelope.verify([key], 1)
listed = {one["name"]: one["digest"]["sha256"] for one in json.loads(envelope.payload)["subject"]}
found = {
    os.path.relpath(os.path.join(at, name), folder).replace(os.sep, "/")
    for at, _, names in os.walk(folder)
    for name in names
} - {os.path.basename(top)}
assert found == set(listed), "files were added or taken away"
for name, wanted in listed.items():
    assert digest(os.path.join(folder, name)) == wanted, name + " was changed"
print("good:", len(listed), "files")
\`\`\`

Save it as check.py, then: \`python3 check.py FOLDER KEY.pem\`. Take the public key from whoever made the pack, not from the pack. The other
\`.intoto\` files are DSSE envelopes too. A \`.tlog-proof\` is checked with Go's golang.org/x/mod/sumdb/note and tlog, and the key in
\`log/log.vkey\`.

## What is in it

The last column names points of the EU Cyber Resilience Act (Regulation (EU) 2024/2847) that ask for evidence of this kind. It is a help
for finding things and claims no conformity.

| file | shows | checklist | regulation |
|---|---|---|---|
${rows.join("\n")}

What the board reports it says of itself; what it enforces is in the statement of prove, if there is one. Keep packs for ten years after the
product was placed on the market, or for its support period when that is longer (Art. 13(13)).
`;
}
