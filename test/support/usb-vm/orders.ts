/** What the host asks of the agent in the machine: one JSON line each. */
export type Order =
  | {
      readonly id: number;
      readonly do: "run";
      readonly words: readonly string[];
      readonly input?: string | undefined;
      readonly env?: Readonly<Record<string, string>> | undefined;
      readonly cwd?: string | undefined;
      /** Default: root. */
      readonly uid?: number | undefined;
    }
  | { readonly id: number; readonly do: "write"; readonly path: string; readonly base64: string }
  | {
      readonly id: number;
      readonly do: "call";
      readonly module: string;
      readonly name: string;
      readonly args: readonly unknown[];
    }
  /** Stops the order with this id: a program is killed, a call sees its signal abort. */
  | { readonly id: number; readonly do: "cancel" };

/** What the agent says: one JSON line each. */
export type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: GuestFault }
  /** An exception nobody caught; null is the first line of all: the agent is there. */
  | { readonly uncaught: string | null };

export interface GuestFault {
  readonly name: string;
  readonly message: string;
  readonly code: string;
  readonly hint: string;
}

/** How a program ended. */
export interface ProgramEnd {
  readonly code: number | null;
  readonly killedBy: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly tookMs: number;
}
