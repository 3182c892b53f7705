import type { Answer } from "./answer.js";

/** One request of a command: who it is for, and its fields in the order in which they go out. */
export interface Request {
  readonly op: "read" | "write";
  readonly group: number;
  readonly id: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Told of every request as it goes out, with what will come of it. Must not throw. */
export type Watch = (request: Request, answer: Promise<Answer>) => void;
