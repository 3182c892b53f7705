#!/bin/sh
# Guess:   An Intel HEX file that ends in its midst, as after an interrupted copy or a full disk, is refused: the format has an
#          end record for just that.
# Seen:    `imgtool sign` reads what there is and signs it, exit status 0, without a word; so does the library intelhex beneath
#          it. The image is shorter and its hash and signature are right: nothing behind this step can notice. Look for the end
#          record (`:00000001FF`) before signing.
# Version: imgtool 2.5.0 with intelhex 2.3.0 (PyPI), Python 3.
# Source:  Intel, "Hexadecimal Object File Format Specification", revision A of 1988: record type 01, end of file.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv >/dev/null
venv/bin/pip install --quiet imgtool==2.5.0 intelhex==2.3.0
venv/bin/python - <<'PY'
from intelhex import IntelHex
whole = IntelHex()
for at in range(4096):
    whole[at] = at % 251
whole.write_hex_file("whole.hex")
PY
lines=$(wc -l < whole.hex)
head -n $((lines / 2)) whole.hex > cut.hex
echo "whole.hex ends with $(tail -1 whole.hex | tr -d '\r'), cut.hex with $(tail -1 cut.hex | tr -d '\r')"
for name in whole cut; do
  status=0
  venv/bin/imgtool sign --header-size 32 --pad-header --slot-size 0x10000 --align 4 --version 1.2.3 \
    $name.hex $name.bin > said.txt 2>&1 || status=$?
  [ $status = 0 ] || { echo "changed: imgtool ends with $status for $name.hex"; cat said.txt; exit 1; }
  [ ! -s said.txt ] || { echo "changed: imgtool has something to say of $name.hex"; cat said.txt; exit 1; }
  venv/bin/imgtool verify $name.bin > /dev/null || { echo "changed: the image of $name.hex is invalid"; exit 1; }
  echo "$name.hex: exit status 0, a valid image of $(wc -c < $name.bin) bytes"
done
[ "$(wc -c < cut.bin)" -lt "$(wc -c < whole.bin)" ] || { echo "changed: both images have one length"; exit 1; }
