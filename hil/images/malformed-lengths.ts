import { parseImage } from "bootproof";
import { IMAGE_F, TLV } from "bootproof/mcuboot";
import { appendUnprotected } from "./image-edits.js";
import type { ImageFactory, Recipe } from "./image-factory.js";

// --- lengths that lie, under a signature that is right -----------------------------------------------------------

/** Bytes of an area's head, and of a TLV's. */
const HEAD = 4;
const IMAGE_HEADER = 32;
/** ECDSA signatures differ in length. */
const SPARE_BYTES = 4;
/** Whatever else the image has, its last protected TLV is this one. */
const WITH_PROTECTED_TLV: Recipe = {
  options: { customTlvs: [{ type: 0x00a0, value: Uint8Array.of(1, 2, 3, 4) }] },
};

/** The header names an address in flash that the image is linked for (ROM_FIXED); 0 is one. */
export function fixedTo(factory: ImageFactory, address: number): Promise<Uint8Array> {
  return factory.make(
    {},
    {
      change(file) {
        const view = new DataView(file.buffer);
        view.setUint32(4, address, true);
        view.setUint32(16, view.getUint32(16, true) | IMAGE_F.ROM_FIXED, true);
      },
    },
  );
}

/** The header states a shorter protected area than there is, so that the signature misses the end of its last TLV. */
export function shortProtectedSize(factory: ImageFactory): Promise<Uint8Array> {
  let end = 0;
  return factory.make(WITH_PROTECTED_TLV, {
    change(file) {
      const area = parseImage(file).protectedArea!;
      const size = area.length - HEAD;
      new DataView(file.buffer).setUint16(10, size, true);
      end = area.offset + size;
    },
    covers: () => end,
  });
}

/** The last protected TLV claims more bytes than its area has left. */
export function protectedTlvPastArea(factory: ImageFactory): Promise<Uint8Array> {
  return factory.make(WITH_PROTECTED_TLV, {
    change(file) {
      const last = parseImage(file).tlvs.findLast((tlv) => tlv.protected)!;
      new DataView(file.buffer).setUint16(last.offset + 2, last.value.length + HEAD, true);
    },
  });
}

/** The last unprotected TLV, of a kind that may stand there, claims more bytes than the file has left. */
export function tlvPastArea(good: Uint8Array): Uint8Array {
  const bad = appendUnprotected(good, TLV.ENC_KW, new Uint8Array(HEAD));
  new DataView(bad.buffer).setUint16(bad.length - HEAD - 2, 0x400, true);
  return bad;
}

/**
 * A body so large that the sizes in the header sum up to more than 32 bits hold: read in 32 bits, the image ends within
 * its own header, where its TLVs are; the program behind is covered by nothing. Undefined where the header has no room.
 */
export async function wrappedSizes(factory: ImageFactory): Promise<Uint8Array | undefined> {
  const { header, protectedArea, unprotectedArea } = parseImage(await factory.make(WITH_PROTECTED_TLV));
  const covered = IMAGE_HEADER + protectedArea!.length;
  if (covered + unprotectedArea.length + SPARE_BYTES > header.headerSize) return undefined;
  return factory.make(WITH_PROTECTED_TLV, {
    change(file) {
      file.copyWithin(IMAGE_HEADER, protectedArea!.offset, unprotectedArea.offset);
      new DataView(file.buffer).setUint32(12, (IMAGE_HEADER - header.headerSize) >>> 0, true);
    },
    covers: () => covered,
    finish: (file) => void file.copyWithin(covered, unprotectedArea.offset),
  });
}

/** The first TLV of an area claims more bytes than the area has. */
export function overflowTlv(file: Uint8Array): Uint8Array {
  const bad = file.slice();
  const { unprotectedArea } = parseImage(file);
  new DataView(bad.buffer).setUint16(unprotectedArea.offset + 4 + 2, 0xffff, true);
  return bad;
}
