"""Makes test/vectors/image/real-images.json: python3 image-make-real-vectors.py SMPCLIENT MCUBOOT TARGET

SMPCLIENT: a clone of https://github.com/intercreate/smpclient; MCUBOOT: one of mcu-tools/mcuboot, of which only the
public halves of two published development keys are taken.
"""
import base64
import gzip
import hashlib
import json
import pathlib
import struct
import subprocess
import sys

smpclient, mcuboot, target = map(pathlib.Path, sys.argv[1:])
fixtures = smpclient / "tests/fixtures"
commit = subprocess.check_output(["git", "-C", smpclient, "rev-parse", "HEAD"], text=True).strip()
WHOLE = ["zephyr-v3.5.0-2795-g28ff83515d/hello_world.signed.bin", "tf-m-9a4cb1a28/tfm_s_signed.bin"]
ZEPHYR = "smp-server/zephyr_4.4.0_smp_server_0eae053d_"
LATER = "smp-server/zephyr_f33aa2bc4a43_smp_server_27c54835_"
EDGES = [ZEPHYR + f"mps2_an385_serial_recovery_buf{size}.signed.bin" for size in (1024, 2048, 400, 512)] + [
    LATER + "mps2_an385_serial_recovery.signed.bin",
    LATER + "mps2_an385_serial_recovery_raw.signed.bin",
    ZEPHYR + "qemu_cortex_m0_serial.signed.bin",
]


def public(name):
    return subprocess.check_output(["openssl", "pkey", "-in", mcuboot / name, "-pubout"], text=True)


def row(name):
    image = (fixtures / name).read_bytes()
    _, _, header, _, body = struct.unpack_from("<IIHHI", image)
    facts = {"name": name.split("/")[-1], "size": len(image), "sha256": hashlib.sha256(image).hexdigest()}
    if name in WHOLE:
        return facts | {"gzip": base64.b64encode(gzip.compress(image, 9, mtime=0)).decode()}
    return facts | {"header": image[:32].hex(), "tlvs": image[header + body :].hex()}


source = (
    f"tests/fixtures of https://github.com/intercreate/smpclient at {commit}; hello_world is a build of Zephyr "
    "(Apache-2.0), tfm_s of Trusted Firmware-M (BSD-3-Clause), the others are builds of Zephyr with its SMP server "
    "sample (Apache-2.0)"
)
keys = {name: public(name) for name in ("root-rsa-2048.pem", "root-ec-p256.pem")}
vectors = {"source": source, "keys": keys, "images": [row(name) for name in WHOLE + EDGES]}
target.write_text(json.dumps(vectors, indent=1) + "\n")
