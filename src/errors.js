/**
 * The base of every error this project throws on purpose.
 *
 * `code` is stable and part of the interface; `hint` says what a person should try next. Subclasses stand in the file
 * whose contract they belong to, narrow `code` to a union and add the numbers that explain the failure.
 */
export class BootproofError extends Error {
  code;
  hint;
  constructor(code, message, options = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    if (options.hint !== undefined) this.hint = options.hint;
  }
}
