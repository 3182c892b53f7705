#!/bin/sh
# Guess:   `imgtool keygen -k FILE` refuses to write over a private key that is there already, as ssh-keygen does.
# Seen:    The old key is gone, without a question or a word, exit status 0. A build script that runs twice has lost the key
#          that boards in the field trust.
# Version: imgtool 2.5.0 (PyPI), Python 3.
# Source:  MCUboot documentation, "Image tool", section on generating keys, does not say either way.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv >/dev/null
venv/bin/pip install --quiet imgtool==2.5.0
venv/bin/imgtool keygen -k release.pem -t ed25519
before=$(sha256sum < release.pem)
status=0
venv/bin/imgtool keygen -k release.pem -t ed25519 > said.txt 2>&1 || status=$?
after=$(sha256sum < release.pem)
echo "second keygen: exit status $status, said $(wc -c < said.txt) bytes"
echo "before $before"
echo "after  $after"
[ "$status" = 0 ] && [ ! -s said.txt ] && [ "$before" != "$after" ]
