import { commandSwitch } from "./command.js";
import { httpSwitch } from "./http.js";
import { type HubOptions, hubSwitch } from "./hub.js";
import { type PowerConfig, PowerError, type PowerSwitch } from "./power.js";

/**
 * The switch that the config file describes. `usbPort`: where the board is plugged in, for a hub port that is not named.
 * Throws {@link PowerError} `no-switch`.
 */
export function powerSwitch(
  config: PowerConfig,
  usbPort: string | undefined,
  options: HubOptions = {},
): PowerSwitch {
  switch (config.kind) {
    case "command":
      return commandSwitch(config);
    case "http":
      return httpSwitch(config);
    case "hub": {
      const port = config.usbPort ?? usbPort;
      if (port === undefined) {
        throw new PowerError("no-switch", "It is not known which USB port the board hangs on.", {
          hint: 'Name it in the config file: "power": {"hub": "1-1.4"}.',
        });
      }
      return hubSwitch(port, options);
    }
  }
}
