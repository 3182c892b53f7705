#!/bin/sh
# Guess:   `imgtool sign --encrypt KEY` refuses a public key that cannot take part in encryption, such as Ed25519.
# Seen:    It exits 0 and says nothing. The image carries the ENCRYPTED flag and an encrypted body, but no TLV with a
#          wrapped content key: no board and nobody else can ever decrypt it. X25519 keys work as expected.
# Version: imgtool 2.5.0 (PyPI), Python 3.
# Source:  MCUboot documentation, "Encrypted images": ENC_RSA, ENC_KW, ENC_EC256 and ENC_X25519 are the four kinds.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv >/dev/null
venv/bin/pip install --quiet imgtool==2.5.0
imgtool=venv/bin/imgtool
for type in ed25519 x25519; do
  $imgtool keygen -k $type.pem -t $type
  $imgtool getpub -k $type.pem -e pem -o $type.pub.pem
done
$imgtool keygen -k sign.pem -t ed25519
head -c 4096 /dev/urandom > body.bin

# How many TLVs of the four kinds 0x30 to 0x33 an image has.
wrapped() {
  $imgtool dumpinfo "$1" | grep -c 'type: ENC' || true
}
for type in ed25519 x25519; do
  status=0
  $imgtool sign -k sign.pem -E $type.pub.pem -v 1.0.0 -H 32 --pad-header -S 0x20000 body.bin $type.bin || status=$?
  flags=$($imgtool dumpinfo $type.bin | grep -i -m1 -A1 'flags' | tr '\n' ' ')
  echo "$type: exit status $status, content keys in the image: $(wrapped $type.bin), $flags"
done
[ "$(wrapped ed25519.bin)" = 0 ] && [ "$(wrapped x25519.bin)" = 1 ]
