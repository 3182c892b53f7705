#!/bin/sh
# Guess:   `Envelope.from_dict(data)` of securesystemslib reads a DSSE envelope and leaves `data` as it is, so that a program can
#          check the envelope and then store or forward what it received.
# Seen:    The signatures in the caller's dict are emptied. Read again, or written out after the check, the envelope has no
#          signature any more. Its docstring says nothing of it; pass a copy (copy.deepcopy).
# Version: securesystemslib 1.6.0 with cryptography (PyPI), Python 3.
# Source:  docstring of securesystemslib.dsse.Envelope.from_dict; DSSE specification 1.0.2.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv >/dev/null
venv/bin/pip install --quiet securesystemslib==1.6.0 cryptography==46.0.3
venv/bin/python <<'PY'
import copy, sys
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

signer = CryptoSigner.generate_ed25519()
envelope = Envelope(b"{}", "application/vnd.in-toto+json", {})
envelope.sign(signer)
received = envelope.to_dict()
before = copy.deepcopy(received)
checked = Envelope.from_dict(received)
print("verified:", len(checked.verify([signer.public_key], 1)), "key")
print("signatures before:", [sorted(one) for one in before["signatures"]])
print("signatures after: ", [sorted(one) for one in received["signatures"]])
if received["signatures"] != [{}] or sorted(before["signatures"][0]) != ["keyid", "sig"]:
    sys.exit("changed: the dict is left as it was")
try:
    Envelope.from_dict(received)
    sys.exit("changed: it can be read again")
except KeyError as error:
    print("read again: KeyError", error)
PY
