"""Makes test/vectors/image/imgtool-odd-images.json: images with TLVs of odd lengths, without hash or in an odd order, and
what imgtool's verify and dumpinfo make of each (see the README).

Usage: python3 image-make-odd-images.py VECTOR_FOLDER
Needs imgtool 2.5.0. The keys are the throw-away ones of the vectors.
"""
import base64
import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile

from imgtool import keys as imgtool_keys
from imgtool.main import imgtool_version

OUT = sys.argv[1]
IMGTOOL = os.path.join(os.path.dirname(sys.executable), "imgtool")
SIGNATURE = {"ed25519": 0x24, "ecdsa-p256": 0x22, "rsa-2048": 0x20}


def key_file(name):
    return os.path.join(OUT, "keys", f"throw-away-{name}.pem")


def tlv(kind, value):
    return struct.pack("<HH", kind, len(value)) + value


def area(magic, entries):
    content = b"".join(entries)
    return struct.pack("<HH", magic, len(content) + 4) + content


def image(key, protected=(), order=("hash", "keyhash", "signature"), hashes=("sha256",)):
    body = bytes(range(256))
    guarded = area(0x6908, [tlv(kind, value) for kind, value in protected]) if protected else b""
    header = struct.pack("<IIHHIIBBHII", 0x96F3B83D, 0, 32, len(guarded), len(body), 0, 1, 2, 3, 4, 0)
    signed = header + body + guarded
    private = imgtool_keys.load(key_file(key))
    digest = hashlib.new(hashes[-1] if hashes else "sha256", signed).digest()
    pure = "pure" in order
    if pure:
        signature = private.sign_digest(signed)
    else:
        signature = private.sign(signed) if hasattr(private, "sign") else private.sign_digest(digest)
    parts = {
        "hash": [tlv({"sha256": 0x10, "sha512": 0x12}[name], hashlib.new(name, signed).digest()) for name in hashes],
        "keyhash": [tlv(0x01, hashlib.sha256(private.get_public_bytes()).digest())],
        "signature": [tlv(SIGNATURE[key], signature)],
        "pure": [tlv(0x25, b"\x01")],
    }
    return signed + area(0x6907, [entry for name in order for entry in parts[name]])


def cases():
    for length in (0, 1, 3, 5, 8):
        yield f"security counter of {length} bytes", "ed25519", image("ed25519", [(0x50, bytes([1] * length))])
    for length in (0, 8, 11, 13, 16):
        yield f"dependency of {length} bytes", "ed25519", image("ed25519", [(0x40, bytes([1] * length))])
    yield "a right and an odd counter", "ed25519", image("ed25519", [(0x50, b"\1\0\0\0"), (0x50, b"\1")])
    yield "a right and an odd dependency", "ed25519", image("ed25519", [(0x40, bytes(12)), (0x40, b"\1")])
    for kind in (0x60, 0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76):
        yield f"TLV 0x{kind:02x} of 3 bytes", "ed25519", image("ed25519", [(kind, b"\1\2\3")])
    for key in SIGNATURE:
        yield f"{key}: no hash", key, image(key, order=("keyhash", "signature"))
        yield f"{key}: signature before hash", key, image(key, order=("signature", "hash"))
        yield f"{key}: no signature", key, image(key, order=("hash", "keyhash"))
        yield f"{key}: neither", key, image(key, order=("keyhash",))
    yield "pure: no hash", "ed25519", image("ed25519", order=("pure", "signature"))
    yield "two hashes", "ed25519", image("ed25519", hashes=("sha256", "sha512"))


def run(folder, *arguments):
    done = subprocess.run([IMGTOOL, *arguments], capture_output=True, cwd=folder)
    crashed = b"Traceback" in done.stderr
    return {"exit": done.returncode, "out": None if crashed else done.stdout.decode()}


def main():
    rows = []
    for name, key, content in cases():
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "odd.bin"), "wb") as file:
                file.write(content)
            rows.append({
                "name": name, "key": key, "image": base64.b64encode(content).decode(),
                "verify": run(folder, "verify", "odd.bin"),
                "verifyKey": run(folder, "verify", "-k", os.path.abspath(key_file(key)), "odd.bin"),
                "dumpinfo": run(folder, "dumpinfo", "odd.bin"),
            })
    with open(os.path.join(OUT, "imgtool-odd-images.json"), "w") as file:
        json.dump({"made_by": f"imgtool {imgtool_version}", "rows": rows}, file, indent=1)
        file.write("\n")


main()
