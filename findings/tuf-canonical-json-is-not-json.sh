#!/bin/sh
# Guess:   The canonical JSON that TUF signs is JSON: what a library has canonicalized, any JSON parser reads back.
# Seen:    Only the quotation mark and the backslash are escaped. A line feed inside a string, which a target's description
#          may have, stays a raw byte, and JSON parsers refuse the result. Both libraries agree, and agree with the
#          definition: so the signed bytes cannot be kept and read later, they have to be made anew from the file.
# Version: securesystemslib 1.6.0 (PyPI), @tufjs/canonical-json 2.0.0 (npm), Node 20, Python 3.
# Source:  TUF specification 1.0.34, section 4.2.1, which refers to the OLPC's "Canonical JSON".
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv >/dev/null
venv/bin/pip install --quiet securesystemslib==1.6.0
npm init -y > /dev/null
npm install --silent --no-audit --no-fund @tufjs/canonical-json@2.0.0 > /dev/null
cat > show.cjs <<'JS'
const { canonicalize } = require("@tufjs/canonical-json");
process.stdout.write(canonicalize({ custom: { notes: "first line\nsecond line" } }));
JS
node show.cjs > node.bin
venv/bin/python > python.bin <<'PY'
import sys
from securesystemslib.formats import encode_canonical
sys.stdout.write(encode_canonical({"custom": {"notes": "first line\nsecond line"}}))
PY
od -An -c node.bin
cmp node.bin python.bin || { echo "changed: the two libraries differ"; exit 1; }
# A file with one raw line feed in it.
[ "$(tr -cd '\n' < node.bin | wc -c)" = 1 ] || { echo "changed: the line feed is escaped"; exit 1; }
for reader in 'node -e JSON.parse(require("fs").readFileSync(0,"utf8"))' 'venv/bin/python -m json.tool'; do
  if $reader < node.bin > said.txt 2>&1; then echo "changed: $reader reads it"; exit 1; fi
  echo "${reader%% *}: $(grep -iE 'control character' said.txt | head -1)"
done
