#!/bin/sh
# Guess:   `imgtool sign --compression lzma2` writes a compressed image, or fails.
# Seen:    When compressing does not make the image smaller (random or already packed content), an ordinary image is written,
#          exit status 0, without a word. Whoever counts on the flag, or on a bootloader that takes compressed images only,
#          has to look with dumpinfo.
# Version: imgtool 2.5.0 (PyPI), Python 3.
# Source:  `imgtool sign --help`: "--compression" names it "Enable image compression using specified type".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv >/dev/null
venv/bin/pip install --quiet imgtool==2.5.0
imgtool=venv/bin/imgtool
head -c 8192 /dev/urandom > random.bin
yes firmware | head -c 8192 > text.bin || true
for body in random text; do
  status=0
  $imgtool sign -v 1.0.0 -H 32 --pad-header -S 0x20000 --compression lzma2 $body.bin $body.img > said-$body.txt 2>&1 || status=$?
  echo "$body: exit status $status, said: $(tr '\n' ' ' < said-$body.txt), flags: $($imgtool dumpinfo $body.img | grep -i -A1 '^flags' | tr -s ' \n' ' ')"
done
compressed() { $imgtool dumpinfo "$1" | grep -qi 'compressed_lzma2\|COMPRESSED'; }
compressed text.img && ! compressed random.img
