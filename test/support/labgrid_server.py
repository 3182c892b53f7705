"""labgrid's programs, whose imports take most of a second of processor time for each start, imported once for all of a test.

    labgrid_server.py FOLDER

Writes FOLDER/labgrid-client and the like, which hand their words, their environment, their folder and their three streams to
this server, and end as labgrid's own program ends in a fork of it. Killed, they take that fork along. Prints a line when they
can be called; ends with its stdin.
"""

import array
import json
import os
import signal
import socket
import sys
import threading

import labgrid.remote.client
import labgrid.remote.coordinator
import labgrid.remote.exporter

PROGRAMS = {
    "labgrid-client": labgrid.remote.client.main,
    "labgrid-coordinator": labgrid.remote.coordinator.main,
    "labgrid-exporter": labgrid.remote.exporter.main,
}

# As little as there can be of Python, and no site-packages.
CALLER = """#!{python} -IS
import array, json, os, socket, sys
call = json.dumps([sys.argv, dict(os.environ), os.getcwd()]).encode()
server = socket.socket(socket.AF_UNIX)
server.connect({path!r})
streams = array.array("i", [0, 1, 2])
server.sendmsg([len(call).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
server.sendall(call)
os._exit((server.recv(1) or b"\\x01")[0])
"""


def read(connection, count):
    parts = b""
    while len(parts) < count:
        part = connection.recv(count - len(parts))
        if not part:
            raise EOFError
        parts += part
    return parts


def program(call, streams):
    argv, environment, folder = json.loads(call)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = argv
    sys.stdin = open(0)
    sys.stdout = open(1, "w", buffering=1)
    sys.stderr = open(2, "w", buffering=1)
    status = 0
    try:
        PROGRAMS[os.path.basename(argv[0])]()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return status


def serve(connection):
    """In a fork of the server; the program runs in a fork of this one."""
    streams = array.array("i")
    size, ancillary, _, _ = connection.recvmsg(4, socket.CMSG_LEN(3 * streams.itemsize))
    streams.frombytes(ancillary[0][2])
    call = read(connection, int.from_bytes(size, "big"))
    child = os.fork()
    if child == 0:
        connection.close()
        os._exit(program(call, streams))
    for stream in streams:
        os.close(stream)

    def wait():
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        connection.sendall(bytes([code if code >= 0 else 128 - code]))
        os._exit(0)

    threading.Thread(target=wait).start()
    # The caller says no more: it has been killed when this returns before its program has ended.
    connection.recv(1)
    os.kill(child, signal.SIGKILL)


def main(folder):
    path = os.path.join(folder, "programs.sock")
    for name in PROGRAMS:
        caller = os.path.join(folder, name)
        with open(caller, "w") as file:
            file.write(CALLER.format(python=sys.executable, path=path))
        os.chmod(caller, 0o755)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(64)
    # Forks are nobody's zombies; whoever waits for one sets it back.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    def end():
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()
    print("ready", flush=True)
    while True:
        connection, _ = listening.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listening.close()
            try:
                serve(connection)
            finally:
                os._exit(1)
        connection.close()


main(sys.argv[1])
