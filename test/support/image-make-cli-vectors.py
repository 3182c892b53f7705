"""Makes test/vectors/image/imgtool-cli.json: runs of imgtool's command line (see the README there).

Usage: python3 image-make-cli-vectors.py VECTOR_FOLDER [PYTHON_OF_AN_OLDER_IMGTOOL]
Needs imgtool from PyPI. Every run starts in a folder with the files of `setup`; what a run prints, how it ends and
what it writes is recorded. With a second interpreter, whose imgtool is older, rows in which it differs say so.
"""
import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

OUT = sys.argv[1]
KEYS = ["rsa-2048", "rsa-3072", "ecdsa-p256", "ecdsa-p384", "ed25519", "x25519"]
SIGNERS = KEYS[:5]


def payload(name):
    if "+" in name:
        zeros, rest = name.split("+")
        return bytes(int(zeros[1:])) + payload(rest)
    if name[0] == "t":  # BL instructions of Thumb code, to ever other places
        return b"".join(bytes([i * 13 & 255, 0xF0 | i >> 8 & 7, i * 7 & 255, 0xF8 | i >> 5 & 7])
                        for i in range(int(name[1:]) // 4))
    return bytes((i * 7 + (i >> 8)) & 0xFF if int(name[1:]) > 256 else i for i in range(int(name[1:])))


# Inputs by name; the test builds the same: payloads, or Intel HEX of [address, payload] pairs.
INPUTS = {
    "p64.bin": "p64", "z512.bin": "z512+p64", "big.bin": "p3000", "code.bin": "t6000", "noext": "p64",
    "a.hex": [[0x8000, "p300"]], "gap.hex": [[0x1000, "p64"], [0x1100, "p64"]], "zero.hex": [[0, "z512+p64"]],
    "cross.hex": [[0xFFF0, "p300"]], "high.hex": [[0x8000000, "z512+p1000"]], "low.hex": [[0x10, "p64"]],
    "UPPER.HEX": [[0x4000, "p64"]],
}
HEAD = ["-v", "1.2.3+4", "-H", "32", "--pad-header", "-S", "0x4000"]


def intel_hex(segments):
    from io import StringIO

    from intelhex import IntelHex
    h, out = IntelHex(), StringIO()
    for address, name in segments:
        h.puts(address, payload(name))
    h.write_hex_file(out)
    return out.getvalue().encode()


def setup(folder):
    """Files every run finds, except recorded ones, which `extra` adds."""
    for name, what in INPUTS.items():
        write(folder, name, payload(what) if isinstance(what, str) else intel_hex(what))
    keys = json.load(open(os.path.join(OUT, "keys.json")))
    for row in keys["keys"]:
        for suffix, form in ((".pem", "pkcs8"), (".pub", "spki"), (".enc", "encrypted")):
            write(folder, row["type"] + suffix, row["forms"][form].encode())
    write(folder, "nonsense.pem", b"not a key\n")
    for name, content in extra.items():
        write(folder, name, bytes.fromhex(content))


def write(folder, name, content):
    with open(os.path.join(folder, name), "wb") as f:
        f.write(content)


extra = {}
RUNNER = """
import json, os, sys, tempfile
from imgtool.main import imgtool
for line in sys.stdin:
    folder, args = json.loads(line)
    out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0); os.dup2(out.fileno(), 1); os.dup2(err.fileno(), 2)
        os.setsid()
        sys.argv = ["imgtool", *args]
        try:
            imgtool(prog_name="imgtool")
        except SystemExit as e:
            code = e.code if isinstance(e.code, int) else (0 if e.code is None else 1)
        except BaseException as e:
            sys.stderr.write(repr(e)); code = 1
        sys.stdout.flush(); sys.stderr.flush(); os._exit(code)
    _, status = os.waitpid(child, 0)
    out.seek(0); err.seek(0)
    print(json.dumps([os.waitstatus_to_exitcode(status), out.read().hex(), err.read().decode(errors="replace")[-300:]]), flush=True)
"""


class Imgtool:
    def __init__(self, python):
        self.process = subprocess.Popen([python, "-c", RUNNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.version = subprocess.run([python, "-c", "from imgtool import imgtool_version as v; print(v)"],
                                      capture_output=True, text=True, check=True).stdout.strip()

    def run(self, args):
        folder = tempfile.mkdtemp()
        setup(folder)
        before = {name: read(folder, name) for name in os.listdir(folder)}
        print(json.dumps([folder, args]), file=self.process.stdin, flush=True)
        code, out, err = json.loads(self.process.stdout.readline())
        files = {name: read(folder, name) for name in sorted(os.listdir(folder))}
        shutil.rmtree(folder)
        return code, bytes.fromhex(out), err, {n: b for n, b in files.items() if before.get(n) != b}


def read(folder, name):
    with open(os.path.join(folder, name), "rb") as f:
        return f.read()


new = Imgtool(sys.executable)
old = Imgtool(sys.argv[2]) if len(sys.argv) > 2 else None
rows, seen = [], set()


def digest(content):
    return [len(content), hashlib.sha256(content).hexdigest()[:32]]


def record(content):
    """Short text as it is; else length and hash; of files with random parts, what comes before those."""
    stable = stable_prefix(content)
    if stable is None:
        return digest(content)
    length = {} if stable[1] else {"length": len(content)}
    return {**length, "prefix": digest(content[:stable[0]])}


def stable_prefix(content):
    """Where an image's randomness begins: ciphertext, or a signature of RSA or ECDSA. None: nowhere.

    And whether its length is random too: ECDSA signatures vary, and with them the size of the TLV area.
    """
    if content[:4] != bytes.fromhex("3db8f396"):
        return None
    header, body, flags = (int.from_bytes(content[a:b], "little") for a, b in ((8, 10), (12, 16), (16, 20)))
    encrypted, at = flags & 0xC, header + body
    for _ in range(2):
        area, end = at, at + int.from_bytes(content[at + 2:at + 4], "little")
        at += 4
        while at < end:
            kind, length = content[at], int.from_bytes(content[at + 2:at + 4], "little")
            if kind == 0x72 and length != 64:  # the signature within a compressed image; Ed25519's is never random
                return (8, True) if length < 110 else (at, False)
            if kind == 0x22:
                return header if encrypted else area, True
            if kind in (0x20, 0x23):
                return header if encrypted else at, False
            at += 4 + length
    return (header, False) if encrypted else None


def add(args, fixed=False):
    """`fixed`: nothing in the output is random although a key of a random kind is involved."""
    spelled = json.dumps(args)
    if spelled in seen:
        return
    seen.add(spelled)
    rows.append(describe(new, args, fixed))
    if old:
        before = describe(old, args, fixed)
        if before != rows[-1]:
            rows[-1][old.version] = {key: value for key, value in before.items() if rows[-1].get(key) != value}


def describe(tool, args, fixed):
    code, out, _, files = tool.run(args)
    row = {"args": args, "exit": code}
    # Errors are told on stderr in words of our own; help is our own too.
    # What was printed before a traceback tells nobody anything.
    answers = code == 0 or (code == 1 and args[0] == "verify")
    if answers and "-h" not in args and "--help" not in args and out:
        row["out"] = out.decode() if len(out) < 120 and out.isascii() else digest(out)
    if files:
        row["files"] = {name: digest(b) if fixed else record(b) for name, b in files.items()}
    return row


def sign(*args, source="p64.bin", target="out.bin", fixed=False):
    add(["sign", *HEAD, *args, source, target], fixed)


def remember(name, args):
    """Keeps a file that a run writes as an input of later runs."""
    _, _, err, files = new.run(args)
    assert name in files, (args, err)
    extra[name] = files[name].hex()


# Usage: how options and numbers may be written.
for args in ([], ["-h"], ["--help"], ["nothing"], ["version"], ["version", "-h"], ["sign"], ["sign", "--help"],
             ["sign", "-h", "-v"], ["verify"], ["dumpinfo"], ["keygen"], ["getpub"], ["create", "-h"], ["SIGN"],
             ["--version"], ["sign", "-v", "1", "-H", "32", "-S", "0", "p64.bin"]):
    add(args)
base = ["-v", "1.2.3+4", "--pad-header"]
for size in ("0x4000", "0X4000", "16384", "0o40000", "0b100000000000000", "0x40_00", "16_384", " 16384 ", "+16384",
             "010", "00", "0", "16k", "1e4", "", "0x", "1__0", "_1", "0x4000.0"):
    add(["sign", *base, "-H", "32", "-S", size, "p64.bin", "out.bin"])
for header in ("0x20", "0o40", "0b100000", "31", "0x1f", "0", "-1", "abc", "0x10000", "65535"):
    add(["sign", *base, "-H", header, "-S", "0x40000", "p64.bin", "out.bin"])
for args in (["-H0x20", "-S0x4000"], ["--header-size=32", "--slot-size=0x4000"], ["--header-size", "32", "-S=0x4000"],
             ["-H", "32", "--slot-siz", "0x4000"], ["-H", "32", "-S", "1", "-S", "0x4000"], ["-cH32", "-S", "0x4000"],
             ["-H", "32", "-S", "0x4000", "-c", "--clear"], ["-H", "32", "-S", "0x4000", "--pad=1"],
             ["-H", "32", "-S", "0x4000", "-z"], ["-H", "32", "-S", "0x4000", "-"], ["-H", "32", "-S"]):
    add(["sign", *base, *args, "p64.bin", "out.bin"])
add(["sign", "p64.bin", *base, "-H", "32", "out.bin", "-S", "0x4000"])
add(["sign", *base, "-H", "32", "-S", "0x4000", "--", "p64.bin", "out.bin"])
add(["sign", *base, "-H", "32", "-S", "0x4000", "p64.bin", "out.bin", "more"])
add(["create", *HEAD, "p64.bin", "out.bin"])
for option in (["--align", "3"], ["--align", "0x8"], ["--max-align", "64"], ["-R", "0xFF"], ["-R", "255"], ["-e", "Big"],
               ["--sha", "SHA256"], ["--encrypt-keylen", "192"], ["--compression", "zip"], ["--public-key-format", "raw"],
               ["--vector-to-sign", "hash"], ["-M", "0x10"], ["-M", "12"], ["-M", "1_0"], ["-M", " 9 "], ["-M", "many"],
               ["-M", "-1"], ["-s", "7"], ["-s", "0b11"], ["-s", "Auto"], ["-s", "automatic"], ["-s", "-1"],
               ["-s", "0x100000000"], ["-L", "zero"], ["-L", "0"], ["-F", "0"], ["-F", "0", "-L", "0x100"],
               ["-L", "0x100000000"], ["-x", "nowhere"], ["-d", ""], ["-d", "1, 1.0"], ["-d", "(1, 1.0)"],
               ["-d", "(1,1.0)(2)"], ["-d", "(1, v2)"], ["-d", "(256, 1.0)"], ["-d", "(1, 1.0.0.0)"],
               ["-d", "(1, 300.0)"], ["-d", "x(1,  1.0) and (2, 2.0)"], ["--custom-tlv", "0xa0"],
               ["--custom-tlv", "160", "0x0102"], ["--custom-tlv", "0xa0", "0x012"], ["--custom-tlv", "0xa0", "0xzz"],
               ["--custom-tlv", "a0", "x"], ["--custom-tlv", "0x10", "x"], ["--custom-tlv", "0xa0", ""],
               ["--custom-tlv", "0xa0", "0x"], ["--custom-tlv", "0xa0", "0X01"], ["--custom-tlv", "0xa0", "äöü"],
               ["--custom-tlv", "0xa0", "1", "--custom-tlv", "160", "2"], ["--custom-tlv", "0x9f", "x"],
               ["--custom-tlv-file", "0xa1", "p64.bin"], ["--custom-tlv-file", "0xa1", "nowhere"],
               ["--custom-tlv-file", "0xa1", "p64.bin", "--custom-tlv", "0xa2", "first"],
               ["--custom-tlv-file", "0xa1", "p64.bin", "--custom-tlv", "0xa1", "again"],
               ["--vid", "example.com", "--cid", "widget"], ["--cid", "widget"], ["--vid", "a-b"], ["--vid", ""],
               ["--cid", "f5e4466a40725256b5b1d52d97266c9e"], ["--boot-record", ""], ["--boot-record", "twelve-chars"],
               ["--boot-record", "thirteen-chrs"], ["--boot-record", "äöü"], ["-L", "0x100", "-F", "0x200"]):
    sign(*option)
for version in ("", "1", "1.2", "1.2.3", "1.2.3+4", "01", "1.2.3-4", "v1", "1.2.3.4", "256.0.0", "0.0.65536",
                "0.0.0+4294967296", "1.2+3", " 1"):
    add(["sign", "-v", version, "-H", "32", "--pad-header", "-S", "0x4000", "p64.bin", "out.bin"])
for args in (["nowhere.bin", "out.bin"], ["p64.bin", "nowhere/out.bin"], ["nonsense.pem", "out.hex"], ["noext", "out"]):
    add(["sign", *HEAD, *args])
add(["sign", "-v", "1", "-H", "32", "-S", "0x4000", "p64.bin", "out.bin"])
add(["sign", "-v", "1", "-H", "512", "-S", "0x4000", "z512.bin", "out.bin"])
add(["sign", "-v", "1", "-H", "512", "-S", "600", "z512.bin", "out.bin"])
add(["sign", "-v", "1", "-H", "32", "--pad-header", "-S", "0", "--pad", "p64.bin", "out.bin"])

# Intel HEX in and out, with trailers as segments of their own.
TRAILERS = ([], ["--pad"], ["--test"], ["--confirm"], ["--confirm", "--overwrite-only"], ["--test", "-R", "0"],
            ["--confirm", "--align", "16"], ["--confirm", "--align", "32", "-M", "8"], ["--test", "--max-align", "32"],
            ["--confirm", "--max-align", "16", "-e", "big"])
for source in ("a.hex", "gap.hex", "cross.hex", "high.hex", "low.hex", "UPPER.HEX", "p64.bin"):
    for target in ("out.hex", "out.bin"):
        sign("-k", "ed25519.pem", source=source, target=target)
        sign("-x", "0x20000", "--confirm", source=source, target=target)
for trailer in TRAILERS:
    sign("-k", "ed25519.pem", *trailer, source="a.hex", target="out.hex")
    sign("-x", "0xfff8", *trailer, source="p64.bin", target="out.HEX")
    sign(*trailer, source="cross.hex", target="out.bin")
for more in ([], ["-x", "0"], ["-x", "0x8000000"], ["-x", "0xfffffff0"], ["-x", "-1"], ["--confirm"]):
    add(["sign", "-v", "1", "-H", "512", "-S", "0x4000", *more, "zero.hex", "out.hex"])
    add(["sign", "-v", "1", "-H", "0x200", "-S", "0x4000", *more, "high.hex", "out.hex"])

# External signing.
for what in ("payload", "digest"):
    for more in ([], ["-s", "5"], ["--sha", "384"], ["--sha", "512"], ["-k", "ed25519.pem"], ["-k", "ecdsa-p384.pem"],
                 ["-k", "rsa-2048.pem", "-s", "auto"], ["-e", "big"], ["--boot-record", "APP", "-k", "ecdsa-p256.pem"],
                 ["--boot-record", "APP"], ["--pure"], ["--pad"], ["--pure", "-k", "ed25519.pem"],
                 ["-d", "(1, 1.0)", "--custom-tlv", "0xa0", "x"], ["--fix-sig-pubkey", "ecdsa-p384.pub"],
                 ["-E", "x25519.pub"]):
        sign("--vector-to-sign", what, *more, fixed=True)
    sign("--vector-to-sign", what, source="a.hex", target="out.hex", fixed=True)
    sign("--vector-to-sign", what, "-x", "0x400", target="out.hex", fixed=True)
for kind in SIGNERS:
    remember(f"{kind}.sig", ["sign", *HEAD, "-s", "9", "-k", f"{kind}.pem", "--sig-out", f"{kind}.sig", "p64.bin", "o.bin"])
for kind in SIGNERS:
    made = ["-s", "9", "--fix-sig", f"{kind}.sig"]
    sign(*made, "--fix-sig-pubkey", f"{kind}.pub", fixed=True)
    sign(*made, "--fix-sig-pubkey", f"{kind}.pem", "--sig-out", "again.sig", fixed=True)
    sign(*made, "--fix-sig-pubkey", f"{kind}.pub", "--public-key-format", "full", "--confirm", fixed=True)
    sign("-s", "8", "--fix-sig", f"{kind}.sig", "--fix-sig-pubkey", f"{kind}.pub", fixed=True)
    sign(*made, fixed=True)
    sign(*made, "--fix-sig-pubkey", f"{kind}.pub", "-k", f"{kind}.pem", fixed=True)
extra["broken.sig"] = b"!!!!".hex()
extra["folded.sig"] = b"\n".join(
    (lambda t: [t[i:i + 30] for i in range(0, len(t), 30)])(bytes.fromhex(extra["ed25519.sig"]))).hex()
for file in ("broken.sig", "folded.sig", "nowhere.sig", "p64.bin"):
    sign("-s", "9", "--fix-sig", file, "--fix-sig-pubkey", "ed25519.pub")
sign("-s", "9", "--fix-sig", "ed25519.sig", "--fix-sig-pubkey", "ecdsa-p256.pub")
for kind in KEYS:
    for more in ([], ["--public-key-format", "full"], ["--pad-sig"], ["--sig-out", "out.sig"] if kind == "ed25519" else ["-s", "1"]):
        sign("-k", f"{kind}.pem", *more)
    sign("-k", f"{kind}.pub")
    sign("-k", f"{kind}.enc")
    for sha in ("256", "384", "512"):
        sign("-k", f"{kind}.pem", "--sha", sha)
    sign("-k", f"{kind}.pem", "--pure")
sign("--sig-out", "out.sig")
sign("--pure")
sign("--pure", "--sha", "512", "-k", "ed25519.pem")
sign("-k", "nowhere.pem")
sign("-k", "nonsense.pem")
sign("-k", "p64.bin")

# Encryption: random, so only how it ends and what comes before the body.
for receiver in KEYS:
    for more in ([], ["--encrypt-keylen", "256"], ["--clear"], ["--hmac-sha", "512"], ["--save-enctlv", "--confirm"]):
        sign("-E", f"{receiver}.pub", *more)
    for signer in SIGNERS:
        sign("-E", f"{receiver}.pub", "-k", f"{signer}.pem")
sign("-E", "ecdsa-p256.pem", "--pad", "--align", "8", "--max-align", "16")
sign("--save-enctlv", "--clear", "--encrypt-keylen", "256")

# Compression. Encrypted or signed by chance, the body still says whether the stream is the same.
COMPRESSIBLE = ["-v", "1.2.3+4", "-H", "32", "--pad-header", "-S", "0x10000"]
for kind in ("lzma2", "lzma2armthumb"):
    for source in ("big.bin", "code.bin", "high.hex"):
        for more in ([], ["-k", "ed25519.pem"], ["-k", "ed25519.pem", "--pure"], ["--sha", "512", "--confirm"]):
            add(["sign", *COMPRESSIBLE, "--compression", kind, *more, source, "out.bin"])
    for more in (["-e", "big", "-s", "3"], ["-k", "rsa-2048.pem"], ["-k", "ecdsa-p384.pem"], ["-E", "x25519.pub"], ["--pad", "-R", "0"],
                 ["-k", "ed25519.pem", "-s", "5", "-d", "(1, 1.2)", "--boot-record", "APP", "--custom-tlv", "0xa0", "x",
                  "--vid", "example.com", "--cid", "widget", "-L", "0x20000000"],
                 ["-k", "ed25519.pem", "--non-bootable"], ["--vector-to-sign", "payload"], ["-x", "0x1000", "--test"]):
        add(["sign", *COMPRESSIBLE, "--compression", kind, *more, "code.bin", "out.hex" if "-x" in more else "out.bin"])
    sign("--compression", kind, "-k", "ed25519.pem")
    add(["sign", "-v", "1", "-H", "512", "-S", "0x10000", "--compression", kind, "-k", "ed25519.pem", "high.hex", "out.hex"])
    remember(f"{kind}.img", ["sign", *COMPRESSIBLE, "--compression", kind, "-k", "ed25519.pem", "-s", "5", "code.bin", f"{kind}.img"])
add(["sign", *COMPRESSIBLE, "--compression", "disabled", "big.bin", "out.bin"])

# Keys.
for kind in KEYS:
    for form in (".pem", ".pub"):
        key = kind + form
        for more in ([], ["-e", "lang-c"], ["-e", "lang-rust"], ["-e", "pem"], ["-e", "raw"], ["-l", "rust"]):
            add(["getpub", "-k", key, *more])
        for more in ([], ["-e", "raw"]):
            add(["getpubhash", "-k", key, *more])
        for more in ([], ["-f", "openssl"], ["-f", "pkcs8"], ["--minimal"], ["-f", "openssl", "--minimal"]):
            add(["getpriv", "-k", key, *more])
        for more in ([], ["--require", "private"], ["--require", "public"]):
            add(["keyinfo", "-k", key, *more])
for more in (["-l", "c"], ["-l", "c", "-e", "pem"], ["--name-suffix", "_2"], ["--name-suffix", "a b"],
             ["--name-suffix", "_x", "-e", "lang-rust"], ["--name-suffix", "_x", "-e", "raw"], ["-o", "out.c"],
             ["-e", "raw", "-o", "out.raw"], ["-e", "pem", "-o", "out.pem"], ["-e", "lang-rust", "-o", "out.rs"],
             ["-e", "der"]):
    add(["getpub", "-k", "ed25519.pem", *more])
for more in (["--name-suffix", "_2"], ["--name-suffix", "_2", "-e", "raw"], ["-o", "out.c"], ["-e", "raw", "-o", "out.raw"]):
    add(["getpubhash", "-k", "rsa-2048.pem", *more])
for command in ("getpub", "getpubhash", "getpriv", "keyinfo"):
    for key in ("ed25519.enc", "nonsense.pem", "nowhere.pem"):
        add([command, "-k", key])
add(["keygen", "-k", "new.pem", "-t", "dsa"])
add(["keygen", "-t", "ed25519"])

# Verify and dumpinfo: every kind of image with every kind of key.
head64 = ["sign", *HEAD]
IMAGES = {
    "plain.img": [], "s384.img": ["--sha", "384"], "ed.img": ["-k", "ed25519.pem"],
    "ed512.img": ["-k", "ed25519.pem", "--sha", "512"], "pure.img": ["-k", "ed25519.pem", "--pure"],
    "full.img": ["-k", "ed25519.pem", "--public-key-format", "full"],
    "guarded.img": ["-k", "ed25519.pem", "-s", "5", "-d", "(1, 1.2)", "--boot-record", "APP", "--custom-tlv", "0x1a5", "x",
                    "--vid", "example.com", "--cid", "widget"],
    "pad.img": ["-k", "ed25519.pem", "--pad"], "confirm.img": ["--confirm"],
    "confirm16.img": ["--confirm", "--align", "16"], "confirm32.img": ["--confirm", "--align", "32", "-M", "8"],
    "zeros.img": ["--pad", "-R", "0"], "flags.img": ["-L", "0x20000000", "--non-bootable"],
    "rom.img": ["-F", "0x8000"], "big.img": ["-e", "big", "-s", "5"], "odd-name 1.img": ["-s", "1"], "123": [],
    "yes": [], "it's.img": ["--custom-tlv", "0xa0", ""],
}
for name, more in IMAGES.items():
    remember(name, [*head64, *more, "p64.bin", name])
for kind in ("rsa-2048", "rsa-3072", "ecdsa-p256", "ecdsa-p384"):
    remember(f"{kind}.img", [*head64, "-k", f"{kind}.pem", "p64.bin", f"{kind}.img"])
remember("enc.img", [*head64, "-E", "x25519.pub", "-k", "ed25519.pem", "p64.bin", "enc.img"])
remember("clear.img", [*head64, "-E", "ecdsa-p256.pub", "--clear", "--confirm", "p64.bin", "clear.img"])
remember("signed.hex", [*head64, "-k", "ed25519.pem", "--confirm", "a.hex", "signed.hex"])
good = bytearray(bytes.fromhex(extra["ed.img"]))
for name, at in (("bad-magic.img", 0), ("bad-body.img", 40), ("bad-hash.img", 110), ("bad-key.img", 150),
                 ("bad-signature.img", 200), ("bad-tlv-magic.img", 96), ("bad-version.img", 20)):
    changed = bytearray(good)
    changed[at] ^= 0x10
    extra[name] = changed.hex()
extra["tail.img"] = (good + b"more" * 20).hex()
extra["cut.img"] = good[:100].hex()
extra["short.img"] = good[:20].hex()
extra["empty.img"] = ""
twice = bytearray(bytes.fromhex(extra["plain.img"]))
twice[98] += 4 + 4
extra["unknown-tlv.img"] = (twice + bytes.fromhex("a1000400deadbeef")).hex()
every = [name for name in extra if name.endswith((".img", ".hex"))] + ["p64.bin", "nowhere.img"]
for name in every:
    add(["verify", name])
    for key in ("ed25519.pub", "ecdsa-p256.pem"):
        add(["verify", "-k", key, name])
for kind in SIGNERS:
    image = {"ed25519": "ed.img"}.get(kind, f"{kind}.img")
    for key in KEYS:
        for form in (".pem", ".pub"):
            add(["verify", image, "-k", key + form])
for name in [*every, "123", "yes"]:
    for more in ([], ["-f", "json"], ["-f", "yaml"], ["-o", "out.yaml"], ["-s", "-o", "out.json", "-f", "json"]):
        if more == [] or name in (*IMAGES, "enc.img", "clear.img", "signed.hex", "tail.img", "bad-magic.img"):
            add(["dumpinfo", name, *more])
add(["dumpinfo", "ed.img", "-f", "xml"])
add(["dumpinfo", "ed.img", "-f", "human", "-o", "out.txt"])

with open(os.path.join(OUT, "imgtool-cli.json"), "w") as f:
    lines = [f'"made_by": {json.dumps("imgtool " + new.version)}',
             f'"compared_with": {json.dumps("imgtool " + old.version if old else None)}',
             f'"inputs": {json.dumps(INPUTS)}',
             '"extra": {\n' + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in extra.items()) + "\n}",
             '"rows": [\n' + ",\n".join(json.dumps(r, separators=(",", ":")) for r in rows) + "\n]"]
    f.write("{\n" + ",\n".join(lines) + "\n}\n")
print(len(rows), "rows,", sum(old is not None and old.version in r for r in rows), "differ in the older one")
