import type { PowerSwitch } from "../../power/power.js";
import { type EventSink, recorder } from "./recorder.js";

/** A switch each of whose acts is in the audit log. `proved`: a switch that acted is no board that lost its power. */
export function recordedSwitch(power: PowerSwitch, audit: EventSink | undefined = recorder()): PowerSwitch {
  const act = async (what: "on" | "off", signal: AbortSignal | undefined) => {
    const detail = { what, switch: power.name };
    try {
      await power[what](signal);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      audit?.record({ type: "power", result: "failed", detail: { ...detail, message } });
      throw error;
    }
    audit?.record({ type: "power", result: "ok", detail });
  };
  return {
    ...(power.kind && { kind: power.kind }),
    name: power.name,
    describe: (action) => power.describe(action),
    off: (signal) => act("off", signal),
    on: (signal) => act("on", signal),
  };
}
