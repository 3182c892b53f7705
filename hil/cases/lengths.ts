import { type Case, type Finding, refusal, unjudged } from "../case.js";
import type { Harness } from "../harness/harness.js";
import {
  protectedTlvPastArea,
  shortProtectedSize,
  tlvPastArea,
  wrappedSizes,
} from "../images/malformed-lengths.js";

const claim = "lengths";
const needs = ["key"] as const;

const sizesOverflow = refusal({
  id: "lengths/sizes-overflow",
  claim,
  summary: "Sizes in the header whose sum does not fit 32 bits are detected.",
  what: "an image size that makes the sum of all sizes wrap, signed over what is left",
  needs,
  make: async (factory) => (await wrappedSizes(factory))!,
});

async function sizesOverflowSteps(harness: Harness): Promise<Finding> {
  if ((await wrappedSizes(harness.factory)) !== undefined) return sizesOverflow.steps(harness);
  return unjudged(
    "Such an image hides its TLVs in the header, and the header of this board's images has no room for them.",
  );
}

/** Does it measure before it believes? Signed like good images, so that nothing but the lengths is wrong. */
export const lengths: readonly Case[] = [
  refusal({
    id: "lengths/protected-size-short",
    claim,
    summary: "A header that states too short a protected area leaves no TLV outside the signature.",
    what: "the header's size of the protected TLVs four bytes short, signed over what it states",
    needs,
    quick: true,
    make: shortProtectedSize,
  }),
  refusal({
    id: "lengths/protected-tlv-past-area",
    claim,
    summary: "A protected TLV that reaches past its area is detected, although it is signed.",
    what: "the last protected TLV four bytes longer than its area, signed",
    needs,
    make: protectedTlvPastArea,
  }),
  refusal({
    id: "lengths/tlv-past-area",
    claim,
    summary: "An unprotected TLV that reaches past the end of the image is detected.",
    what: "a last TLV, of a kind that may stand there, that claims 1024 bytes more than there are",
    needs: ["update"],
    make: async (factory) => tlvPastArea(await factory.update()),
  }),
  { ...sizesOverflow, steps: sizesOverflowSteps },
];
