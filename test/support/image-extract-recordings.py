"""Makes test/vectors/image/mcuboot-*.json from the recordings of real MCUboot (see the README there).

Usage: python3 image-extract-recordings.py RECORDINGS_FOLDER VECTOR_FOLDER
"""
import json
import os
import sys

RECORDINGS, OUT = sys.argv[1:]
CONFIGURATIONS = ["move-ed25519-hw-w4", "move-p256-hw-w8"]
MATRICES = ["move-ed25519-hw-w4", "offset-ed25519-hw-w4", "overwrite-ed25519-hw-w4"]
LIMITS = ["move-ed25519-hw-w4", "offset-ed25519-hw-w4", "scratch-ed25519-hw-w4", "overwrite-ed25519-hw-w4"]


def load(name):
    with open(os.path.join(RECORDINGS, name + ".json")) as f:
        return json.load(f)


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


def outcomes(configuration):
    """Image name -> [booted as an update, booted in the primary]; null where that was not tried."""
    found = {}
    for scenario in load(configuration)["scenarios"]:
        writes = [step for step in scenario["steps"] if step["do"] == "write"]
        first_boot = next((step for step in scenario["steps"] if step["do"] == "boot"), None)
        if scenario["group"] == "image":
            name = next(step["image"] for step in writes if step["slot"] == "secondary")
            found.setdefault(name, [None, None])[0] = first_boot.get("image") == name
        elif scenario["group"] == "primary image":
            name = writes[0]["image"]
            found.setdefault(name, [None, None])[1] = first_boot["result"] == "boots"
    return found


recorded = load("images")
images = []
for configuration in CONFIGURATIONS:
    for name, booted in outcomes(configuration).items():
        image = recorded["images"][name]
        images.append([name, image["sha256"][:16], *booted, image["parts"]])
keys = [{"name": name, "private": key["private"], "public_der": key["public_der"], "keyhash": key["keyhash"]}
        for name, key in recorded["keys"].items()]
commit = load(CONFIGURATIONS[0])["config"]["commit"]
dump("mcuboot-odd-images.json", {"mcuboot": commit, "stored_counter": 1, "slot_size": 131072, "keys": keys, "images": images})

matrices = []
for configuration in MATRICES:
    matrix = next(s for s in load(configuration)["scenarios"] if s["group"] == "matrix")
    matrices.append({"mode": load(configuration)["config"]["mode"], "swap_type": matrix["steps"][0]["swap_type"]})
dump("mcuboot-trailer-matrix.json", {"mcuboot": commit, "matrices": matrices})

limits = []
for configuration in LIMITS:
    config = load(configuration)["config"]
    limits.append({"mode": config["mode"], "write_size": config["write_size"], "sector_size": config["sector_size"],
                   "slot_size": config["slots"]["primary"]["size"], "largest": config["largest_accepted"]})
dump("mcuboot-largest-image.json", {"mcuboot": commit, "max_sectors": 32, "limits": limits})
