import { commandSwitch } from "./command.js";
import { httpSwitch } from "./http.js";
import { type HubOptions, hubSwitch } from "./hub.js";
import { type PowerConfig, PowerError, type PowerSwitch } from "./power.js";

/**
 * The switch that the config file describes.
 *
 * @param config - by {@link readPower}
 * @param usbPort - where the board is plugged in, as `1-1.4`, for a hub port that is not named
 * @param options - for hubs
 * @returns nothing is switched yet
 * @throws PowerError `no-switch`
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
        throw new PowerError("no-switch", "The USB port that powers the board is not known.", {
          hint: 'Name it in the config file: "power": {"hub": "1-1.4"}.',
        });
      }
      return hubSwitch(port, options);
    }
  }
}
