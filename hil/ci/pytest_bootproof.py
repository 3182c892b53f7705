"""A pytest plug-in: the boards of a board file as a fixture, their tags as marks.

Copy this file beside conftest.py and load it there with

    pytest_plugins = ["pytest_bootproof"]

Then

    def test_boots(board):
        assert board.info()["server"] == "application"

runs once for each board of `pytest --bootproof-boards rack.yaml`; `-m nrf52840dk` takes those with the tag. It needs
nothing but pytest and the `bootproof` command (BOOTPROOF names another one).
"""

import json
import os
import shlex
import subprocess

import pytest


class BootproofError(Exception):
    """bootproof ended with an error; `status` is its exit status, `error` what it said for programs."""

    def __init__(self, status, error):
        super().__init__(f"{error.get('message', error)} (exit status {status})")
        self.status = status
        self.error = error


def bootproof(*words, check=True):
    """Runs bootproof with --json; returns its exit status and the last JSON value that it printed."""
    command = shlex.split(os.environ.get("BOOTPROOF", "bootproof"))
    done = subprocess.run([*command, *words, "--json"], capture_output=True, text=True)
    text = done.stdout.strip()
    try:
        value = json.loads(text)
    except ValueError:
        try:
            value = json.loads(text.splitlines()[-1])
        except (ValueError, IndexError):
            value = {"error": {"message": done.stderr.strip()}}
    if check and done.returncode != 0:
        raise BootproofError(done.returncode, value.get("error", value) if isinstance(value, dict) else {})
    return done.returncode, value


class Board:
    """One board of the board file."""

    def __init__(self, file, name, tags, address):
        self.file = file
        self.name = name
        self.tags = tags
        self.address = address

    def run(self, *words):
        """Runs a verb of bootproof on this board; returns what it printed as JSON."""
        if self.address is None:
            pytest.skip(f"{self.name} can only be reached by prove")
        return bootproof(*words, "-d", self.address)[1]

    def info(self):
        return self.run("info")

    def flash(self, update, *options):
        return self.run("flash", str(update), *options)

    def prove(self, *options):
        """Runs the proof suite; returns the exit status and what the report says of this board."""
        words = ("prove", "--boards", self.file, "--board", self.name, *options)
        status, report = bootproof(*words, check=False)
        return status, report["boards"][0] if "boards" in report else report


def pytest_addoption(parser):
    group = parser.getgroup("bootproof")
    group.addoption("--bootproof-boards", metavar="FILE", help="the board file")
    group.addoption("--bootproof-board", metavar="NAME", action="append", help="only this board (repeatable)")


def _boards(config):
    if not hasattr(config, "_bootproof_boards"):
        file = config.getoption("--bootproof-boards")
        named = config.getoption("--bootproof-board")
        try:
            rows = [] if file is None else bootproof("prove", "--list", "--boards", file)[1]
        except (BootproofError, OSError) as error:
            raise pytest.UsageError(f"--bootproof-boards {file}: {error}") from None
        if named is not None:
            # A name that is misspelt would skip every test, and the run would pass.
            unknown = sorted(set(named) - {row["name"] for row in rows})
            if unknown:
                there = ", ".join(row["name"] for row in rows) or "none, as --bootproof-boards names no file"
                raise pytest.UsageError(f"There is no board {', '.join(unknown)}. There are: {there}.")
            rows = [row for row in rows if row["name"] in named]
        config._bootproof_boards = [Board(file, row["name"], row["tags"], row.get("address")) for row in rows]
    return config._bootproof_boards


def pytest_configure(config):
    for tag in sorted({tag for board in _boards(config) for tag in board.tags}):
        config.addinivalue_line("markers", f"{tag}: boards with this tag of the board file")


def pytest_generate_tests(metafunc):
    if "board" not in metafunc.fixturenames:
        return
    boards = [
        pytest.param(board, id=board.name, marks=[getattr(pytest.mark, tag) for tag in board.tags])
        for board in _boards(metafunc.config)
    ]
    if not boards:
        boards = [pytest.param(None, id="no-board", marks=pytest.mark.skip(reason="no --bootproof-boards FILE"))]
    metafunc.parametrize("board", boards)
