import type { Recording } from "./mcumgr-recordings.js";

/** A class of recordings that ours does not repeat. */
export interface LeftOut {
  readonly why: string;
  readonly of: (recording: Recording) => boolean;
  /** What ours says instead, with status 1; undefined where it cannot be played at all. */
  readonly message?: RegExp;
}

const typeOf = ({ argv, profile_before }: Recording) => {
  const at = argv.indexOf("--conntype");
  if (at >= 0) return argv[at + 1] ?? "";
  const used = argv.includes("-c") ? argv[argv.indexOf("-c") + 1] : undefined;
  const profiles = JSON.parse(profile_before?.startsWith("[") ? profile_before : "[]") as {
    MyName: string;
    MyType: string;
  }[];
  return profiles.find(({ MyName }) => MyName === used)?.MyType ?? "";
};

export const LEFT_OUT: readonly LeftOut[] = [
  {
    why: "Bluetooth and CoAP links are not there",
    of: (recording) => /^(ble|bhd|oic_\w+)$/.test(typeOf(recording)) && recording.command !== "conn add",
    message: /connection type \w+ is not supported by bootproof/,
  },
  {
    why: "CoAP's interactive mode is not there",
    of: ({ command, stderr }) => command === "interactive" && stderr === "",
    message: /CoAP is not supported by bootproof/,
  },
  {
    why: "the wire was not recorded",
    of: ({ wire, server, stdout, stderr }) =>
      wire === undefined && server === "native_sim_udp6" && stdout + stderr !== "",
  },
  {
    why: "the bytes on the line were not recorded, only what they meant",
    of: ({ command }) => command === "line noise",
  },
  {
    why: "a signal has to arrive while a process runs",
    of: ({ command }) => command === "interrupted",
  },
  {
    why: "debug text of the original's own libraries",
    of: ({ stderr }) => stderr.includes("level=debug"),
  },
];
