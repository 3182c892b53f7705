import { BootproofError } from "bootproof";

/** A case cannot be judged: something it takes for granted is not so. The message says what. */
export class NotJudged extends BootproofError {
  declare readonly code: "not-judged";

  constructor(why: string) {
    super("not-judged", why);
  }
}
