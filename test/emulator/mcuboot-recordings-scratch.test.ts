import { replayRecordings } from "../support/mcuboot-suite.js";

replayRecordings(/^scratch-/, {
  scenarios: 900,
  deviations: {
    "short-keyhash": 4,
    "too-large-to-move": 2,
    wear: 41,
    "unknown-swap-type": 2,
    "torn-flag": 6,
    "scratch-knows": 8,
  },
});
