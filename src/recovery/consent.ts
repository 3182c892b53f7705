import type { BoardFacts } from "../session/facts.js";
import type { AliveBoard } from "./alive.js";
import type { Ending, RecoverEvent, RecoverOptions } from "./recover-events.js";
import type { RecoveryTarget } from "./target.js";

/** Whether somebody agreed to write over what works, and what is known of the board. */
export interface Consent {
  agreed: boolean;
  facts?: BoardFacts | undefined;
}

export async function* agree(
  life: AliveBoard,
  consent: Consent,
  options: RecoverOptions,
): AsyncGenerator<RecoverEvent, boolean, void> {
  yield { step: "alive", message: life.message };
  consent.agreed ||= (await options.althoughAlive?.(life)) ?? false;
  return consent.agreed;
}

export function leftAlone({ message }: AliveBoard, { name }: RecoveryTarget): Ending {
  return {
    outcome: "alive",
    message: `${name} needs no recovery. ${message} Nothing was written.`,
    hint: "Update it with bootproof flash. To overwrite its primary slot anyway, add --yes --although-alive.",
  };
}
