import { BootproofError } from "bootproof";

/** Where a board can be. `silent`: it has power and nobody answers. */
export type State = "off" | "app" | "recovery" | "silent";
export type Target = Exclude<State, "silent">;

export type Move = "power-on" | "power-off" | "ask-recovery" | "ask-restart";

/** From, to, the first move and where it leads. A case asks for a state, never for moves. */
export const TRANSITIONS: readonly (readonly [from: State, to: Target, move: Move, via: Target])[] = [
  ["off", "app", "power-on", "app"],
  ["off", "recovery", "power-on", "app"],
  ["app", "off", "power-off", "off"],
  ["app", "recovery", "ask-recovery", "recovery"],
  ["recovery", "app", "ask-restart", "app"],
  ["recovery", "off", "power-off", "off"],
  ["silent", "off", "power-off", "off"],
  ["silent", "app", "power-off", "off"],
  ["silent", "recovery", "power-off", "off"],
];

/** A state was not reached. `cause` is what went wrong first; whoever asks later hears of that, not of its aftermath. */
export class StateMachineError extends BootproofError {
  declare readonly code: "state-not-reached";
}

/** Knows where a board is and how to get it elsewhere. Once a move has failed it is not tried again until mended. */
export class Strategy {
  #state: State = "off";
  #broken: StateMachineError | undefined;
  readonly #moves: Readonly<Record<Move, () => Promise<void>>>;

  constructor(moves: Readonly<Record<Move, () => Promise<void>>>) {
    this.#moves = moves;
  }

  get state(): State {
    return this.#state;
  }

  /** Throws {@link StateMachineError}. */
  async to(target: Target): Promise<void> {
    while (this.#state !== target) {
      if (this.#broken) throw this.#broken;
      const row = TRANSITIONS.find(([from, to]) => from === this.#state && to === target)!;
      const [, , move, via] = row;
      try {
        await this.#moves[move]();
        this.#state = via;
      } catch (cause) {
        if (!(cause instanceof BootproofError)) throw cause;
        this.#broken = new StateMachineError(
          "state-not-reached",
          `"${target}" was not reached: ${cause.message}`,
          {
            cause,
          },
        );
        throw this.#broken;
      }
    }
  }

  /** What was seen beats what was believed. */
  arrived(state: State): void {
    this.#state = state;
  }

  /** Someone put the board right by other means. */
  mended(state: State): void {
    this.#state = state;
    this.#broken = undefined;
  }
}
