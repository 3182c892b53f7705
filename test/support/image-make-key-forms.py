"""Makes test/vectors/image/key-forms.json: one key in many written forms, and what imgtool makes of each (see the README).

Usage: python3 image-make-key-forms.py VECTOR_FOLDER
Needs imgtool 2.5.0 (its cryptography is the judge) and OpenSSL 3 with its legacy provider.
"""
import base64
import json
import os
import subprocess
import sys
import tempfile

import cryptography
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key
from imgtool import keys as imgtool_keys
from imgtool.main import imgtool_version

OUT = sys.argv[1]
PASSPHRASE = "secret"
LEGACY = ["-provider", "legacy", "-provider", "default"]


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], capture_output=True, input=data, check=True).stdout


def key_file(name):
    return os.path.join(OUT, "keys", f"throw-away-{name}.pem")


def hash_by_imgtool(content):
    """SHA-256 of the public key as imgtool embeds it; None when imgtool does not read the file."""
    import hashlib
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "key")
        with open(path, "wb") as file:
            file.write(content)
        for passphrase in (None, PASSPHRASE.encode()):
            try:
                key = imgtool_keys.load(path, passphrase)
                if key is not None:
                    return hashlib.sha256(key.get_public_bytes()).hexdigest()
            except Exception:
                pass
    return None


def hash_of_der(content):
    import hashlib
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    for load in (lambda: load_der_private_key(content, None).public_key(), lambda: load_der_public_key(content)):
        try:
            return hashlib.sha256(load().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
        except Exception:
            pass
    return None


def texts(pem, public):
    one = pem.replace(b"\n", b"")
    return {
        "with a byte order mark": b"\xef\xbb\xbf" + pem,
        "in UTF-16 with a byte order mark": pem.decode().encode("utf-16"),
        "on one line": one,
        "with blanks for line ends": pem.strip().replace(b"\n", b" "),
        "with written-out line ends": pem.strip().replace(b"\n", b"\\n"),
        "with carriage returns alone": pem.replace(b"\n", b"\r"),
        "with DOS line ends": pem.replace(b"\n", b"\r\n"),
        "indented": b"\n".join(b"  \t" + line for line in pem.split(b"\n")),
        "in quotes": b'"' + pem.strip() + b'"',
        "behind a line of text": b"0 a note\n" + pem,
        "without padding": pem.replace(b"=", b""),
        "without an end": pem.split(b"-----END")[0],
        "with another end": pem.replace(b"END ", b"END EC "),
        "behind a public key": public + pem,
        "behind a block without end": b"-----BEGIN X509 CRL-----\n" + pem,
        "with a header": pem.replace(b"-----\n", b"-----\nComment: none\n\n", 1),
    }


def curve_forms(path):
    forms = {}
    for form in ("uncompressed", "compressed", "hybrid"):
        for parameters in ("named_curve", "explicit"):
            how = ["-in", path, "-conv_form", form, "-param_enc", parameters]
            sec1 = openssl("ec", *how)
            forms[f"SEC1, {form} point, {parameters}"] = sec1
            forms[f"PKCS#8, {form} point, {parameters}"] = openssl("pkcs8", "-topk8", "-nocrypt", data=sec1)
            forms[f"public, {form} point, {parameters}"] = openssl("ec", *how, "-pubout")
    forms["SEC1 without its point"] = openssl("ec", "-in", path, "-no_public")
    # Another base point, with which a signature could be forged.
    explicit = base64.b64decode(b"".join(openssl("ec", "-in", path, "-param_enc", "explicit", "-pubout").split(b"\n")[1:-2]))
    at = explicit.find(bytes.fromhex("046b17d1f2")) if b"p256" in path.encode() else explicit.find(bytes.fromhex("04aa87ca22"))
    changed = explicit[:at + 5] + bytes([explicit[at + 5] ^ 1]) + explicit[at + 6:]
    forms["public, explicit, another base point"] = pem_of("PUBLIC KEY", changed)
    return forms


def pem_of(label, der):
    body = base64.encodebytes(der).decode().replace("\n", "")
    lines = [body[i:i + 64] for i in range(0, len(body), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def encrypted_forms(path):
    out = ["-in", path, "-passout", f"pass:{PASSPHRASE}"]
    schemes = {
        "scrypt": ["-scrypt"], "scrypt with more work": ["-scrypt", "-scrypt_N", "16384", "-scrypt_r", "8", "-scrypt_p", "2"],
        "PBES2, 3DES": ["-v2", "des3"], "PBES2, SHA-1": ["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1"],
        "PBES2, AES-192": ["-v2", "aes-192-cbc"],
        "PBES2, SHA-224": ["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA224"],
        "PBES2, SHA-384": ["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA384"],
        "PBES2, SHA-512/256": ["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512-256"],
        "PBES2, Camellia": ["-v2", "camellia-256-cbc"],
        "PBES1, SHA-1 and 3DES": ["-v1", "PBE-SHA1-3DES"],
        "PBES1, MD5 and DES": ["-v1", "PBE-MD5-DES", *LEGACY],
        "PBES1, SHA-1 and RC2": ["-v1", "PBE-SHA1-RC2-40", *LEGACY],
        "PBES2, RC2": ["-v2", "rc2", *LEGACY],
    }
    forms = {name: openssl("pkcs8", "-topk8", *out, *options) for name, options in schemes.items()}
    traditional = openssl("pkey", "-in", path, "-traditional")
    for cipher in ("aes128", "aes192", "aes256", "des3", "camellia128"):
        kind = "rsa" if b"RSA" in traditional else "ec"
        more = ["-traditional"] if kind == "rsa" else []
        forms[f"old PEM encryption, {cipher}"] = openssl(
            kind, f"-{cipher}", "-passout", f"pass:{PASSPHRASE}", *more, data=traditional)
    forms["old PEM encryption, aes128, with blanks for line ends"] = forms["old PEM encryption, aes128"].replace(b"\n", b" ")
    return forms


def pss_forms(path):
    """The RSA key under the identifier of RSASSA-PSS, with and without parameters."""
    forms = {}
    rsa = bytes.fromhex("300d06092a864886f70d0101010500")
    plain = bytes.fromhex("300b06092a864886f70d01010a")
    with_parameters = bytes.fromhex(
        "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120")
    for name, algorithm in {"without parameters": plain, "with parameters": with_parameters}.items():
        for label, how in {"PRIVATE KEY": [], "PUBLIC KEY": ["-pubout"]}.items():
            command = ["pkey", *how] if how else ["pkcs8", "-topk8", "-nocrypt"]
            der = openssl(*command, "-in", path, "-outform", "DER")
            inside = der[4:].replace(rsa, algorithm, 1)
            forms[f"RSASSA-PSS {name}, {label}"] = pem_of(label, b"\x30\x82" + len(inside).to_bytes(2, "big") + inside)
    return forms


def main():
    rows = []

    def add(key, name, content):
        rows.append({"key": key, "form": name, "file": base64.b64encode(content).decode(), "imgtool": hash_by_imgtool(content)})

    for key in ("ecdsa-p256", "ed25519", "rsa-2048"):
        with open(key_file(key), "rb") as file:
            pem = file.read()
        for name, content in texts(pem, openssl("pkey", "-in", key_file(key), "-pubout")).items():
            add(key, name, content)
    for key in ("ecdsa-p256", "ecdsa-p384"):
        for name, content in curve_forms(key_file(key)).items():
            add(key, name, content)
            if "EC PARAMETERS" not in content.decode():
                der = base64.b64decode("".join(content.decode().split("\n")[1:-2]))
                rows.append({"key": key, "form": f"{name}, DER", "file": base64.b64encode(der).decode(), "imgtool": hash_of_der(der)})
    for key in ("ecdsa-p256", "rsa-2048"):
        for name, content in encrypted_forms(key_file(key)).items():
            add(key, name, content)
    for name, content in pss_forms(key_file("rsa-2048")).items():
        add("rsa-2048", name, content)
    made_by = f"imgtool {imgtool_version}, cryptography {cryptography.__version__}, {openssl('version').decode().split(' (')[0]}"
    with open(os.path.join(OUT, "key-forms.json"), "w") as file:
        json.dump({"made_by": made_by, "passphrase": PASSPHRASE, "rows": rows}, file, indent=1)
        file.write("\n")


main()
