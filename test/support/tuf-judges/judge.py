"""python-tuf as a judge: judge.py URL ROOT FOLDER TARGET writes the target to stdout."""

import os
import sys

from tuf.ngclient import Updater

url, root, folder, target = sys.argv[1:]
for name in ("metadata", "targets"):
    os.makedirs(os.path.join(folder, name), exist_ok=True)
with open(root, "rb") as file:
    trusted = file.read()
updater = Updater(
    metadata_dir=os.path.join(folder, "metadata"),
    metadata_base_url=f"{url}/metadata/",
    target_dir=os.path.join(folder, "targets"),
    target_base_url=f"{url}/targets/",
    bootstrap=trusted,
)
updater.refresh()
if target:
    info = updater.get_targetinfo(target)
    if info is None:
        sys.exit(f"no target {target}")
    with open(updater.download_target(info), "rb") as file:
        sys.stdout.buffer.write(file.read())
