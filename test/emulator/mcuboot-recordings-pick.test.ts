import { replayRecordings } from "../support/mcuboot-suite.js";

replayRecordings(/^(xip|ramload|single|fwl)/, {
  scenarios: 969,
  deviations: {
    "short-keyhash": 4,
    "counter-of-unconfirmed": 38,
    "left-in-ram": 5,
    "single-slot-counter": 51,
    "compressed-flag": 10,
  },
});
