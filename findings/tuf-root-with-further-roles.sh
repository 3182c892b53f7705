#!/bin/sh
# Guess:   TUF libraries agree on a root that lists a role besides the four of the specification, as Uptane's roles for offline
#          updates do (PURE-2): all keep it, since unknown fields are to be kept, or all refuse it.
# Seen:    python-tuf refuses the whole root ("Role names must be the top-level metadata roles"); tuf-js's models read it and
#          write it back. A repository that carries such a root is readable for half of its clients.
# Version: tuf 7.0.1 (PyPI), @tufjs/models 4.0.0 (npm), Node 20, Python 3.11.
# Source:  TUF specification 1.0.34, section 4.3; Uptane PURE-2, section on offline updates.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python > /dev/null
python/bin/pip install --quiet tuf==7.0.1 > /dev/null 2>&1
npm init -y > /dev/null
npm install --silent --no-audit --no-fund @tufjs/models@4.0.0 > /dev/null
cat > root.json <<'JSON'
{"signatures": [], "signed": {"_type": "root", "spec_version": "1.0.34", "version": 1, "expires": "2040-01-01T00:00:00Z",
  "consistent_snapshot": true,
  "keys": {"k": {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"}}},
  "roles": {"root": {"keyids": ["k"], "threshold": 1}, "timestamp": {"keyids": ["k"], "threshold": 1},
    "snapshot": {"keyids": ["k"], "threshold": 1}, "targets": {"keyids": ["k"], "threshold": 1},
    "Offline-update-targets": {"keyids": ["k"], "threshold": 1}}}}
JSON
cat > read.py <<'PY'
from tuf.api.metadata import Metadata, Root
try:
    Metadata[Root].from_file("root.json")
    print("read")
except Exception as error:
    text, cause = str(error), error.__cause__
    print("refused:", cause or text)
PY
cat > read.cjs <<'JS'
const { Metadata } = require("@tufjs/models");
const { MetadataKind } = require("@tufjs/models");
const root = Metadata.fromJSON(MetadataKind.Root, JSON.parse(require("node:fs").readFileSync("root.json", "utf8")));
console.log(Object.keys(root.toJSON().signed.roles).join(" "));
JS
python=$(python/bin/python read.py)
models=$(node read.cjs)
echo "python-tuf: $python"
echo "tuf-js:     $models"
case $python in refused:*top-level*) ;; *) exit 1 ;; esac
case $models in *Offline-update-targets*) ;; *) exit 1 ;; esac
