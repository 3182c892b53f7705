"""Makes test/vectors/image/imgtool-hex-forms.json: one image in Intel HEX files that bend the format, and whether imgtool
verify reads each (see the README).

Usage: python3 image-make-hex-forms.py VECTOR_FOLDER
Needs imgtool 2.5.0 and Python's intelhex, which comes with it.
"""
import io
import json
import os
import subprocess
import sys
import tempfile

from imgtool.main import imgtool_version
from intelhex import IntelHex

OUT = sys.argv[1]
IMGTOOL = os.path.join(os.path.dirname(sys.executable), "imgtool")


def main():
    with open(os.path.join(OUT, "..", "inputs", "sec8.bin"), "rb") as file:
        image = file.read()
    plain = IntelHex()
    plain.frombytes(image, offset=0xC000)
    stream = io.StringIO()
    plain.write_hex_file(stream)
    text = stream.getvalue()
    end = ":00000001FF\n"
    body = text.replace(end, "")
    start = ":0400000500000000F7\n"
    forms = {
        "as written": text,
        "no end record": body,
        "text behind the end": text + "hello\n",
        "records behind the end": text + ":0400000001020304F2\n",
        "two ends": text + end,
        "empty lines": text.replace("\n", "\n\n"),
        "lower case": text.lower(),
        "an end of file of DOS": text + "\x1a",
        "zeros behind the end": text + "\0\0",
        "carriage returns alone": text.replace("\n", "\r"),
        "DOS line ends": text.replace("\n", "\r\n"),
        "a start record": start + text,
        "settings in another memory": body + ":020000041000EA\n:0410140000000100D7\n" + end,
        "a comment": "# firmware\n" + text,
        "a damaged line": text.replace(":10C010", ":10C011", 1),
        "cut in a line": text[: len(text) // 2],
        "an unknown record type": ":00000006FA\n" + text,
        "bytes written twice": body + text.split("\n")[0] + "\n" + end,
    }
    rows = []
    for name, content in forms.items():
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "image.hex")
            with open(path, "w", newline="") as file:
                file.write(content)
            done = subprocess.run([IMGTOOL, "verify", path], capture_output=True)
        rows.append({"name": name, "hex": content, "exit": done.returncode})
    with open(os.path.join(OUT, "imgtool-hex-forms.json"), "w") as file:
        json.dump({"made_by": f"imgtool {imgtool_version}", "rows": rows}, file, indent=1)
        file.write("\n")


main()
