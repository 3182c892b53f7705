"""Walks boards through the states of Mender Orchestrator's interface protocol (version 1), as the protocol alone says.

Imports nothing of the project. Usage: orchestrator_walker.py JOB.json; prints what the programs answered as JSON.
The job: {"payload": FILE, "kill": STATE or null, "boards": [{"type", "program", "files"}]}. In the state of `kill` the
first board's program is killed while it works; then the walk goes backwards over all boards, as after a crash.
"""

import json
import os
import signal
import subprocess
import sys
import threading


class Failed(Exception):
    pass


def call(board, state, kill=False):
    words = [board["program"], state, board["files"], board["type"]]
    process = subprocess.Popen(words, cwd=board["files"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if kill:
        # It has begun to talk to the board once it says anything.
        process.stderr.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        raise Failed(f"{state}: killed")
    out, err = process.communicate(timeout=300)
    board.setdefault("said", {})[state] = out
    if process.returncode != 0:
        raise Failed(f"{state}: {process.returncode}: {err[-400:]}")
    return out


def download(board, payload, kill):
    files = board["files"]
    os.makedirs(os.path.join(files, "streams"), exist_ok=True)
    os.makedirs(os.path.join(files, "tmp"), exist_ok=True)
    listing = os.path.join(files, "stream-next")
    stream = os.path.join(files, "streams", "payload")
    for path in (listing, stream):
        if not os.path.exists(path):
            os.mkfifo(path)

    def feed():
        with open(listing, "w") as pipe:
            pipe.write("streams/payload\n")
        with open(stream, "wb") as pipe, open(payload, "rb") as source:
            pipe.write(source.read())
        with open(listing, "w"):
            pass

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    call(board, "Download", kill)
    feeder.join(10)


def forward(job):
    boards, kill = job["boards"], job["kill"]
    for board in boards if kill is None else []:
        call(board, "Identity")
        call(board, "Provides")
        assert call(board, "NeedsUnpackedArtifact").strip() == "No"
        assert call(board, "SupportsRollback").strip() == "Yes"
        assert call(board, "NeedsArtifactReboot").strip() == "Yes"
        assert call(board, "SomethingOfALaterProtocol") == ""
    for state in ("Download", "ArtifactInstall", "ArtifactReboot", "ArtifactVerifyReboot", "ArtifactCommit"):
        for index, board in enumerate(boards):
            doomed = kill == state and index == 0
            if state == "Download":
                download(board, job["payload"], doomed)
            else:
                call(board, state, doomed)


def backward(boards):
    for board in reversed(boards):
        for state in ("ArtifactRollback", "ArtifactRollbackReboot", "ArtifactVerifyRollbackReboot", "ArtifactFailure"):
            call(board, state)


def main():
    with open(sys.argv[1]) as file:
        job = json.load(file)
    result = {"failed": None}
    try:
        forward(job)
    except Failed as error:
        result["failed"] = str(error)
        if job["kill"] == "ArtifactCommit":
            # A commit that was cut short is asked for again: behind it there is no way back.
            for board in job["boards"]:
                call(board, "ArtifactCommit")
        else:
            backward(job["boards"])
    for board in job["boards"]:
        call(board, "Cleanup")
    result["said"] = [board.get("said", {}) for board in job["boards"]]
    print(json.dumps(result))


if __name__ == "__main__":
    main()
