import { equal } from "../bytes.js";
import type { MetadataStore } from "./client.js";
import { TufError } from "./error.js";
import { parseMetadata } from "./metadata.js";
import type { Metadata, MetadataParser } from "./metadata-types.js";
import type { VerifySignature } from "./signatures.js";
import { TrustedMetadata } from "./trusted-metadata.js";

/**
 * Begins to trust a repository by a root that came by a way of its own: with the software, or from a person. Section
 * 5.2. Whoever names the file decides; nothing here can.
 *
 * @param bytes - the root file
 * @param store - where trusted metadata is kept
 * @param options - `verify` checks a signature; `replace` begins anew beside a root that is trusted already; `parse`
 *   for other spellings
 * @returns the root, stored
 * @throws TufError `arbitrary-software` when the root's own keys have not signed it, `bad-metadata`
 */
export async function trustRoot(
  bytes: Uint8Array,
  store: MetadataStore,
  { verify, replace = false, parse }: { verify: VerifySignature; replace?: boolean; parse?: MetadataParser },
): Promise<Metadata<"root">> {
  // The time plays no part: the first update goes on from any root, however old.
  const { root } = await TrustedMetadata.from(bytes, { now: new Date(0), verify, parse });
  const before = await store.read("root");
  if (before && !replace) {
    // A root that is part of the trusted chain already changes nothing, and least of all goes back to it.
    const known = await store.readRoot(root.signed.version);
    if (equal(before, bytes) || (known && equal(known, bytes))) return root;
    mustNotReplace((parse ?? parseMetadata)("root", before), root);
  }
  await store.writeRoot(root.signed.version, bytes);
  await store.write("root", bytes);
  return root;
}

function mustNotReplace(before: Metadata<"root">, after: Metadata<"root">): void {
  throw new TufError(
    "rollback",
    "root",
    `Root ${before.signed.version} is trusted for this repository already; root ${after.signed.version} was not taken.`,
    {
      hint: "A refresh moves on to newer roots by itself. To start with another root, add --replace.",
    },
  );
}
