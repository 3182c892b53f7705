import { replayRecordings } from "../support/mcuboot-suite.js";

replayRecordings(/^move-/, {
  scenarios: 2696,
  deviations: {
    "short-keyhash": 10,
    "backup-gone": 82,
    wear: 21,
    "one-unit-more": 2,
    "unsigned-counter": 1,
    "too-large-to-move": 14,
    "revert-marker": 20,
    "unknown-swap-type": 4,
    "torn-flag": 3,
  },
});
