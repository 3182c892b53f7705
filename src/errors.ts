const OURS = Symbol.for("bootproof.error");

/**
 * The base of every error this project throws on purpose.
 *
 * `code` is stable and part of the interface; `hint` says what a person should try next. Subclasses stand in the file
 * whose contract they belong to, narrow `code` to a union and add the numbers that explain the failure.
 */
export class BootproofError extends Error {
  readonly code: string;
  readonly hint?: string;

  constructor(code: string, message: string, options: { hint?: string | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    if (options.hint !== undefined) this.hint = options.hint;
  }
}

Object.defineProperty(BootproofError.prototype, OURS, { value: true });
// The program and the library are built apart, and a plug-in throws the library's errors: all are this class's. Classes
// below inherit this, and judge as every class does.
Object.defineProperty(BootproofError, Symbol.hasInstance, {
  value(this: unknown, value: unknown): boolean {
    if (this !== BootproofError) return Function.prototype[Symbol.hasInstance].call(this as never, value);
    return typeof value === "object" && value !== null && OURS in value;
  },
});
