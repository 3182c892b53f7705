import { type HttpCall, PowerError, type PowerSwitch } from "./power.js";

const RELAY_TIMEOUT_MS = 10_000;
const QUOTE_LENGTH = 200;

/**
 * A relay with a web interface: one call for on, one for off.
 *
 * @param calls - address and method of each
 * @returns a switch that asks
 */
export function httpSwitch(calls: { on: HttpCall; off: HttpCall }): PowerSwitch {
  const words = ({ url, method = "GET" }: HttpCall) => `${method} ${url}`;
  return {
    kind: "http",
    name: "a relay",
    describe: (action) => `Ask the relay: ${words(calls[action])}`,
    on: (signal) => call(calls.on, signal),
    off: (signal) => call(calls.off, signal),
  };
}

async function call({ url, method = "GET", body }: HttpCall, signal: AbortSignal | undefined): Promise<void> {
  const limit = AbortSignal.timeout(RELAY_TIMEOUT_MS);
  let response: Response;
  try {
    response = await fetch(url, {
      method,
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      ...(body === undefined ? {} : { body }),
    });
  } catch (cause) {
    signal?.throwIfAborted();
    const why =
      cause instanceof Error ? (cause.cause instanceof Error ? cause.cause.message : cause.message) : "";
    throw new PowerError("switch-failed", `The relay at ${url} cannot be reached: ${why}.`, {
      cause,
      hint: "Is it on, and is this its address?",
    });
  }
  if (response.ok) return void (await response.body?.cancel());
  const said = (await response.text().catch(() => "")).slice(0, QUOTE_LENGTH).trim();
  throw new PowerError(
    "switch-failed",
    `The relay at ${url} answered ${response.status} ${response.statusText}.${said === "" ? "" : ` It said: ${said}`}`,
  );
}
