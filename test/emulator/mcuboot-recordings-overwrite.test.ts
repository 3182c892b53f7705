import { replayRecordings } from "../support/mcuboot-suite.js";

replayRecordings(/^overwrite/, {
  scenarios: 1272,
  deviations: {
    "short-keyhash": 4,
    "one-unit-more": 38,
    "unknown-swap-type": 3,
  },
});
