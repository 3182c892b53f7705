import { UsageError } from "./usage-error.js";

/** The two halves of an option's value such as `SERIAL=COUNTER`; `form` is how the value is written. */
export function pair(text: string, option: string, form: string): [string, string] {
  const at = text.indexOf("=");
  if (at > 0 && at < text.length - 1) return [text.slice(0, at), text.slice(at + 1)];
  throw new UsageError(`"${text}" is not a value for ${option}.`, `Write ${option} ${form}.`);
}
