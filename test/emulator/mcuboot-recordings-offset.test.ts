import { replayRecordings } from "../support/mcuboot-suite.js";

replayRecordings(/^offset-/, {
  scenarios: 2059,
  deviations: {
    "short-keyhash": 8,
    wear: 109,
    "one-unit-more": 2,
    "too-large-to-move": 4,
    "unknown-swap-type": 8,
    "torn-flag": 7,
    "resumed-right": 23,
    "revert-cut-twice": 8,
  },
});
