"""Makes test/vectors/image/imgtool-*.json with imgtool itself (see the README there).

Usage: python3 image-make-vectors.py VECTOR_FOLDER
Needs imgtool, cryptography and click from PyPI. Keys that exist are kept, so only random signatures change.
"""
import contextlib
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile

from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from imgtool import imgtool_version
from imgtool.main import imgtool

OUT = sys.argv[1]
KEYS = os.path.join(OUT, "keys")
PASSPHRASE = "throw-away"
os.makedirs(KEYS, exist_ok=True)
work = tempfile.mkdtemp()
runner = CliRunner()


def payload(name):
    """`p64` counts up; `z512+p64` is the same behind 512 zeros."""
    if "+" in name:
        zeros, rest = name.split("+")
        return bytes(int(zeros[1:])) + payload(rest)
    return bytes((i * 7 + (i >> 8)) & 0xFF if int(name[1:]) > 256 else i for i in range(int(name[1:])))


def run(args):
    with contextlib.redirect_stdout(io.StringIO()):
        return runner.invoke(imgtool, args).exit_code


def make_keys():
    kinds = {
        "rsa-2048": lambda: rsa.generate_private_key(65537, 2048),
        "rsa-3072": lambda: rsa.generate_private_key(65537, 3072),
        "ecdsa-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "ecdsa-p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "x25519": x25519.X25519PrivateKey.generate,
    }
    rows = []
    for kind, generate in kinds.items():
        path = os.path.join(KEYS, f"throw-away-{kind}.pem")
        if not os.path.exists(path):
            with open(path, "wb") as f:
                f.write(generate().private_bytes(
                    ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption()))
        with open(path, "rb") as f:
            key = ser.load_pem_private_key(f.read(), None)
        pem = lambda private, fmt, enc=ser.NoEncryption(): private.private_bytes(
            ser.Encoding.PEM, fmt, enc).decode()
        forms = {
            "pkcs8": pem(key, ser.PrivateFormat.PKCS8),
            "encrypted": pem(key, ser.PrivateFormat.PKCS8,
                             ser.BestAvailableEncryption(PASSPHRASE.encode())),
            "spki": key.public_key().public_bytes(
                ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo).decode(),
        }
        with tempfile.NamedTemporaryFile("wb", suffix=".pem", delete=False) as f:
            f.write(forms["pkcs8"].encode())
        forms["imgtool-encrypted"] = keygen_encrypted(f.name, kind)
        if kind.startswith(("rsa", "ecdsa")):
            forms["traditional"] = pem(key, ser.PrivateFormat.TraditionalOpenSSL)
        if kind.startswith("rsa"):
            forms["pkcs1-public"] = key.public_key().public_bytes(
                ser.Encoding.PEM, ser.PublicFormat.PKCS1).decode()
        if kind.startswith("ecdsa"):
            curve = {"ecdsa-p256": "06082a8648ce3d030107", "ecdsa-p384": "06052b81040022"}[kind]
            forms["traditional with EC PARAMETERS"] = ec_parameters(curve) + forms["traditional"]
        raw = os.path.join(work, "raw")
        assert run(["getpub", "-k", path, "-e", "raw", "-o", raw]) == 0
        with open(raw, "rb") as f:
            public = f.read()
        assert run(["getpubhash", "-k", path, "-e", "raw", "-o", raw]) == 0
        with open(raw, "rb") as f:
            hashed = f.read().hex()
        rows.append({"type": kind, "forms": forms, "public_der": public.hex(), "key_hash": hashed})
    dump("keys.json", {"made_by": made_by(), "passphrase": PASSPHRASE, "keys": rows})


def keygen_encrypted(path, kind):
    """What `imgtool keygen -p` writes: PBKDF2 with few rounds."""
    done = subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-in", path, "-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256",
         "-iter", "2048", "-passout", "pass:" + PASSPHRASE],
        capture_output=True, text=True, check=True)
    return done.stdout


def ec_parameters(oid):
    import base64
    return ("-----BEGIN EC PARAMETERS-----\n" + base64.b64encode(bytes.fromhex(oid)).decode()
            + "\n-----END EC PARAMETERS-----\n")


def made_by():
    return f"imgtool {imgtool_version}"


def dump(name, value):
    lines = []
    for key, item in value.items():
        if isinstance(item, list):
            inner = ",\n".join(json.dumps(row, separators=(",", ":")) for row in item)
            lines.append(f"{json.dumps(key)}: [\n{inner}\n]")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(item)}")
    with open(os.path.join(OUT, name), "w") as f:
        f.write("{\n" + ",\n".join(lines) + "\n}\n")


def key_file(name):
    return os.path.join(KEYS, f"throw-away-{name}.pem")


def sign(name, args):
    """The image, or None when imgtool refuses."""
    source, target = os.path.join(work, "in.bin"), os.path.join(work, "out.bin")
    with open(source, "wb") as f:
        f.write(payload(name))
    if os.path.exists(target):
        os.unlink(target)
    spelled = [key_file(args[i]) if i and args[i - 1] in ("-k", "-E") else args[i] for i in range(len(args))]
    if run(["sign", *spelled, source, target]) != 0 or not os.path.exists(target):
        return None
    with open(target, "rb") as f:
        return f.read()


HEADERS = [
    (["-H", "32", "--pad-header"], "p64"), (["-H", "0x200", "--pad-header"], "p64"),
    (["-H", "0x80", "--pad-header"], "p4099"), (["-H", "512"], "z512+p64"),
    (["-H", "0x400"], "z1024+p1000"), (["-H", "36", "--pad-header"], "p0"),
    (["-H", "512"], "p64"), (["-H", "0x1f", "--pad-header"], "p64"), (["-H", "0x100"], "z64+p1000"),
]
SIGNATURES = [[], ["--sha", "256"], ["--sha", "384"], ["--sha", "512"], ["-k", "ed25519"],
              ["-k", "ed25519", "--sha", "256"], ["-k", "ed25519", "--sha", "512"],
              ["-k", "ed25519", "--sha", "384"], ["-k", "ed25519", "--pure"],
              ["-k", "ed25519", "--public-key-format", "full"],
              ["-k", "ed25519", "--public-key-format", "hash"],
              ["-k", "ed25519", "--pure", "--public-key-format", "full"]]
VERSIONS = ["1.2.3+4", "0.0.0", "1", "255.255.65535+4294967295", "2.7", "10.20.30"]
COUNTERS = [[], ["-s", "0"], ["-s", "5"], ["-s", "auto"], ["-s", "AUTO"], ["-s", "0xffffffff"]]
DEPENDENCIES = [[], ["-d", "(1, 1.2.3+0)"], ["-d", "(0,1.0.0)(1, 2.0.0+7)"], ["-d", "(255, 1)(2,3.4)(7, 0.0.1+9)"]]
RECORDS = [[], ["--boot-record", "APP"], ["--boot-record", "twelve-chars"], ["--boot-record", "thirteen-chrs"]]
IDS = [[], ["--vid", "example.com"], ["--vid", "example.com", "--cid", "widget"],
       ["--vid", "cfbff0d1-9375-5685-968c-48ce8b15ae17", "--cid", "f5e4466a40725256b5b1d52d97266c9e"],
       ["--cid", "F5E4466A40725256B5B1D52D97266C9E"]]
CUSTOM = [[], ["--custom-tlv", "0xa0", "0xdeadbeef"],
          ["--custom-tlv", "0xb1", "hello", "--custom-tlv", "0x00a0", "0x01"],
          ["--custom-tlv", "0x1a5", "wide type"], ["--custom-tlv", "0xfffe", "0x00112233445566778899"],
          ["--custom-tlv", "0x9f", "0x00"], ["--custom-tlv", "0xffff", "0x00"],
          ["--custom-tlv", "0xa0", "a", "--custom-tlv", "0xa0", "b"]]
ADDRESSES = [[], ["-L", "0x20001000"], ["-F", "0x8000"], ["-L", "0xffffffff"], ["-L", "0x10", "-F", "0x20"]]
TRAILERS = [[], ["--pad"], ["--test"], ["--confirm"], ["--pad", "--confirm"], ["--test", "--confirm"]]
ALIGNS = [[], ["--align", "1"], ["--align", "2"], ["--align", "4"], ["--align", "8"], ["--align", "16"],
          ["--align", "32"], ["--align", "4", "--max-align", "16"], ["--align", "8", "--max-align", "32"],
          ["--align", "2", "--max-align", "8"]]
SECTORS = [[], ["-M", "8"], ["-M", "64"], ["-M", "1000"]]
SIZES = ["0x1000", "0x4000", "0x2000", "0x10000"]
OTHERS = [[], ["--non-bootable"], ["-R", "0"], ["-R", "0xff"], ["--overwrite-only"], ["-e", "big"],
          ["-e", "little"], ["--overwrite-only", "-R", "0"]]


def matrix():
    rows, seen = [], set()

    def add(header, version, size, *groups):
        flags, source = header
        args = [*flags, "-v", version, "-S", size, *[arg for group in groups for arg in group]]
        spelled = json.dumps([source, args])
        if spelled in seen:
            return
        seen.add(spelled)
        image = sign(source, args)
        rows.append([source, args] + ([len(image), hashlib.sha256(image).hexdigest()[:32]] if image else [None, None]))

    base = (HEADERS[0], VERSIONS[0], SIZES[1])
    # Each value of each option alone, then mixtures.
    for header in HEADERS:
        add(header, VERSIONS[0], SIZES[1])
        add(header, VERSIONS[0], SIZES[1], ["-k", "ed25519"])
    for version in [*VERSIONS, "1.2.3.4", "01.2.3", "v1.2.3", "1.2+3", "256.0.0", "1.2.65536", ""]:
        add(HEADERS[0], version, SIZES[1], ["-k", "ed25519"], ["-s", "auto"])
    for group in (SIGNATURES, COUNTERS, DEPENDENCIES, RECORDS, IDS, CUSTOM, ADDRESSES, TRAILERS, OTHERS):
        for value in group:
            add(*base, ["-k", "ed25519"] if group is not SIGNATURES else [], value)
    for align in ALIGNS:
        for trailer in TRAILERS[1:4]:
            for size in SIZES:
                add(HEADERS[0], VERSIONS[0], size, align, trailer)
    dice = random.Random("imgtool vectors")
    while len(rows) < 640:
        pick = lambda group, often=0.5: dice.choice(group[1:]) if dice.random() < often else group[0]
        header = dice.choice(HEADERS[:6])
        add(header, dice.choice(VERSIONS), dice.choice(SIZES), dice.choice(SIGNATURES), pick(COUNTERS),
            pick(DEPENDENCIES), pick(RECORDS, 0.3), pick(IDS, 0.3), pick(CUSTOM[:5], 0.4),
            pick(ADDRESSES[:4], 0.3), pick(TRAILERS), pick(ALIGNS), pick(SECTORS, 0.3), pick(OTHERS, 0.4))
    dump("imgtool-sign.json", {"made_by": made_by(), "key": "ed25519", "rows": rows})


def signatures():
    """Images with random signatures, whole: made by imgtool, to be verified here."""
    rows = []
    head = ["-H", "32", "--pad-header", "-S", "0x1000", "-v", "1.2.3+4"]
    for kind in ("rsa-2048", "rsa-3072", "ecdsa-p256", "ecdsa-p384"):
        variants = [[], ["-s", "7"], ["--public-key-format", "full"], ["--pad-sig"]]
        # Short and long r and s have their own encodings: many of the cheap ones.
        for extra in variants + ([["-s", str(n)] for n in range(100, 112)] if kind.startswith("ecdsa") else []):
            image = sign("p64", [*head, "-k", kind, *extra])
            rows.append([kind, extra, image.hex()])
    dump("imgtool-signatures.json", {"made_by": made_by(), "images": rows})


def encrypted():
    """Encrypted images, whole: [options, key to decrypt with, the content key's TLV type, hex]."""
    rows = []
    head = ["-H", "32", "--pad-header", "-S", "0x2000", "-v", "1.2.3+4"]
    for kind, more in (("rsa-2048", []), ("ecdsa-p256", []), ("x25519", []), ("x25519", ["--hmac-sha", "512"])):
        for extra in ([], ["--encrypt-keylen", "256"], ["-k", "ed25519", "-s", "5"], ["--clear"]):
            for source in ("p64", "p1000"):
                options = [*more, *extra]
                image = sign(source, [*head, "-E", kind, *options])
                rows.append([source, kind, options, image.hex()])
    dump("imgtool-encrypted.json", {"made_by": made_by(), "images": rows})


make_keys()
matrix()
encrypted()
signatures()
