#!/bin/sh
# Guess:   `imgtool sign --endian big` writes every number of the image big-endian, and imgtool reads its own images.
# Seen:    Header, lengths and the magic of the TLV areas are big-endian, but the types of MCUboot's own TLVs stay as in a
#          little-endian image: SHA-256 is `10 00`, where a big-endian reader expects `00 10`. `imgtool verify` and
#          `imgtool dumpinfo` have no such option and cannot read the image at all: "Invalid image magic" from the one, an
#          error of Python's struct from the other. A reader of both kinds has to know this.
# Version: imgtool 2.5.0 (PyPI), Python 3.
# Source:  `imgtool sign --help`, "--endian"; MCUboot's documentation of the design, "Image format" (it_type is 16 bits).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv >/dev/null
venv/bin/pip install --quiet imgtool==2.5.0
imgtool=venv/bin/imgtool
yes firmware | head -c 4096 > body.bin || true
for endian in little big; do
  $imgtool sign --header-size 32 --pad-header --slot-size 0x10000 --align 4 --version 1.2.3 --endian $endian body.bin $endian.bin
  # Behind header and body: magic and length of the area, then type and length of the first TLV.
  tail -c +4129 $endian.bin | head -c 8 | od -An -tx1 | tr -d ' \n' > $endian.hex
  status=0
  $imgtool verify $endian.bin > $endian.said 2>&1 || status=$?
  echo "$endian: TLV area begins $(cat $endian.hex); imgtool verify ends with $status: $(head -1 $endian.said)"
  echo $status > $endian.status
done
[ "$(cat little.hex)" = 0769280010002000 ] || { echo "changed: the little-endian image"; exit 1; }
[ "$(cat big.hex)" = 6907002810000020 ] || { echo "changed: the big-endian image"; exit 1; }
[ "$(cat little.status)" = 0 ] || { echo "changed: the little-endian image is refused"; exit 1; }
[ "$(cat big.status)" != 0 ] || { echo "changed: imgtool reads the big-endian image"; exit 1; }
