import { BootproofError } from "../errors.js";
import { isLost } from "../session/reconnect.js";
import type { Session } from "../session/session.js";
import { osEcho } from "../smp/groups/os-first.js";
import type { FlashEvent, FlashOptions, HealthCheck } from "./events.js";

export type { HealthCheck } from "./events.js";

/** A health check found the board unwell. */
export class HealthError extends BootproofError {
  declare readonly code: "unhealthy";

  constructor(message: string) {
    super("unhealthy", message);
  }
}

const ECHO: HealthCheck = {
  name: "echo",
  async check(session, signal) {
    const text = "bootproof";
    const { r } = await session.client.send(osEcho, { d: text }, { signal });
    if (r !== text) throw new HealthError(`The board repeats "${r}" instead of "${text}".`);
    return "The board repeats what it is sent.";
  },
};

interface Health {
  /** Why the board is not well; absent when it is. */
  unwell?: string;
  /** The link was lost meanwhile, which says nothing about the board. */
  linkLost?: true;
}

/** Asks the board for a sign of life, then whatever the user wants to know. */
export async function* checkHealth(
  session: Session,
  options: FlashOptions,
): AsyncGenerator<FlashEvent, Health, void> {
  for (const health of [ECHO, ...(options.health ?? [])]) {
    try {
      const message = await health.check(session, options.signal);
      yield { step: "health", name: health.name, ok: true, message };
    } catch (error) {
      // Ctrl-C says nothing about the board; a check that fails in whatever way has not found it well.
      options.signal?.throwIfAborted();
      const message = error instanceof Error ? error.message : String(error);
      const unwell = `Health check "${health.name}" failed: ${message}${/[.!?]$/.test(message) ? "" : "."}`;
      if (isLost(error)) {
        yield { step: "link-lost", why: message };
        return { unwell, linkLost: true };
      }
      yield { step: "health", name: health.name, ok: false, message };
      return { unwell };
    }
  }
  return {};
}
