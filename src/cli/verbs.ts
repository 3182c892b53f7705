import type { Command } from "commander";

/** Every verb by its name. */

/** A file of `commands/`: adds its options and its action to the command it is given. */
export interface CommandModule {
  define(command: Command): void;
}

/** Name, what it does, where it is. Only the file of the command that was asked for is loaded. */
export const verbs: readonly (readonly [
  name: string,
  summary: string,
  load: () => Promise<CommandModule>,
])[] = [
  ["devices", "list boards and serial ports", () => import("./commands/devices.js")],
  [
    "setup-udev",
    "print or install the udev rules that let you open boards on Linux",
    () => import("./commands/setup-udev.js"),
  ],
  ["info", "show a board: slots, versions, hashes, security counters", () => import("./commands/info.js")],
  [
    "flash",
    "check an image, send it, test-boot it, judge the result, confirm it",
    () => import("./commands/flash.js"),
  ],
  ["recover", "bring a board that no longer boots back to life", () => import("./commands/recover.js")],
  ["power", "switch a board's power, and prove that it is switched", () => import("./commands/power.js")],
  ["image", "single steps: list, upload, test, confirm, erase", () => import("./commands/image.js")],
  [
    "dfu",
    "write or read a board by USB DFU, ST's ROM bootloader included",
    () => import("./commands/dfu.js"),
  ],
  [
    "allow",
    "allow this folder's config file to run programs and name keys",
    () => import("./commands/allow.js"),
  ],
  ["reset", "restart a board, into serial recovery if asked", () => import("./commands/reset.js")],
  ["sign", "sign a firmware body as an MCUboot image", () => import("./commands/sign.js")],
  ["verify", "check an image file against keys", () => import("./commands/verify.js")],
  ["inspect", "show what is in an image, a slot or a flash dump", () => import("./commands/inspect.js")],
  ["artifact", "Mender artifacts: read, verify, write, sign, diff", () => import("./commands/artifact.js")],
  [
    "agent",
    "connect boards to a fleet service and install what it orders",
    () => import("./commands/agent.js"),
  ],
  [
    "release",
    "sign, stream and order an update in a cloud, by its own command line",
    () => import("./commands/release.js"),
  ],
  [
    "mender-interface",
    "the program that Mender's client or Orchestrator calls to update a board",
    () => import("./commands/mender-interface.js"),
  ],
  ["diff", "show what differs between two images", () => import("./commands/diff.js")],
  [
    "imgtool",
    "MCUboot's imgtool: same commands, options, outputs and exit statuses",
    () => import("./commands/imgtool.js"),
  ],
  [
    "mcumgr",
    "Apache's mcumgr: same commands, options, outputs and exit statuses",
    () => import("./commands/mcumgr.js"),
  ],
  [
    "shims",
    "write launchers named imgtool and mcumgr that call bootproof",
    () => import("./commands/shims.js"),
  ],
  ["keys", "make signing keys, show their public halves and hashes", () => import("./commands/keys.js")],
  ["tuf", "update metadata of TUF repositories: trust, refresh, get", () => import("./commands/tuf.js")],
  ["bundle", "bundles for offline updates: make, verify, flash", () => import("./commands/bundle.js")],
  [
    "uptane",
    "check a vehicle's updates against its Director and Image repository",
    () => import("./commands/uptane.js"),
  ],
  ["fs", "files on a board: put, get, hash, size, list", () => import("./commands/fs.js")],
  ["shell", "run commands of a board's shell", () => import("./commands/shell.js")],
  ["settings", "read and change a board's settings", () => import("./commands/settings.js")],
  ["stats", "a board's statistics, once or as a live table", () => import("./commands/stats.js")],
  ["tasks", "a board's threads and their stacks", () => import("./commands/tasks.js")],
  ["time", "show or set a board's clock", () => import("./commands/time.js")],
  ["params", "show the size and number of a board's buffers", () => import("./commands/params.js")],
  ["groups", "list the SMP groups that a board supports", () => import("./commands/groups.js")],
  [
    "echo",
    "let a board repeat a text: the simplest check that it answers",
    () => import("./commands/echo.js"),
  ],
  ["storage", "erase a board's storage partition", () => import("./commands/storage.js")],
  ["raw", "send any command of any group by its numbers", () => import("./commands/raw.js")],
  [
    "console",
    "open a terminal on a board's serial port, with SMP beside it",
    () => import("./commands/console.js"),
  ],
  [
    "doctor",
    "find out what is wrong with a link, and what would help most",
    () => import("./commands/doctor.js"),
  ],
  ["bridge", "share a board with other SMP clients, several at a time", () => import("./commands/bridge.js")],
  ["trace", "show a recorded trace, or replay it as a board", () => import("./commands/trace.js")],
  ["prove", "find out what a board really enforces, with evidence", () => import("./commands/prove.js")],
  [
    "station",
    "a bench in the browser: boards, jobs, history, evidence",
    () => import("./commands/station.js"),
  ],
  ["log", "the audit log: show, verify, prove, export", () => import("./commands/log.js")],
  ["ratchet", "show what this host will not let a board run again", () => import("./commands/ratchet.js")],
  ["attest", "check signed statements of updates and builds", () => import("./commands/attest.js")],
  ["provision", "record what a unit was provisioned with", () => import("./commands/provision.js")],
  ["audit", "five questions about a board: proven, stated or open", () => import("./commands/audit.js")],
  ["evidence", "collect what an auditor asks for, signed", () => import("./commands/evidence.js")],
  [
    "policy",
    "show and check the rules for what may be signed and flashed",
    () => import("./commands/policy.js"),
  ],
  ["board", "start an emulated board and print its address", () => import("./commands/board.js")],
  [
    "demo",
    "show the main workflow on an emulated board, with good and bad images",
    () => import("./commands/demo.js"),
  ],
  ["completion", "print a completion script for bash, zsh or fish", () => import("./commands/completion.js")],
  ["help", "explain a command or a topic", () => import("./commands/help.js")],
];

/** Verbs for other programs, which no help lists. */
export const hidden: readonly (readonly [name: string, load: () => Promise<CommandModule>])[] = [
  ["tuf-conformance", () => import("./commands/tuf-conformance.js")],
];

/** Verbs that tell of others. */
export const TELLS_OF_ALL: readonly string[] = ["help", "completion"];

/** Verbs that read their command line in their own way: nothing of it is known here. */
export const SPEAKS_FOR_ITSELF: readonly string[] = ["imgtool", "mcumgr"];
