/** One number a device may answer, in words. */
export interface ErrorRow {
  rc: number;
  /** As in Zephyr's headers. */
  name: string;
  /** One sentence for a technician. */
  says: string;
  /** What to try. */
  hint?: string;
}
/** Rows by number. */
export function explainReturnCode(rc: number): ErrorRow {
  return { rc, name: String(rc), says: `The device answered with code ${rc}.` };
}
export function explainGroupError(group: number, rc: number): ErrorRow {
  return { rc, name: String(rc), says: `Group ${group} answered with error ${rc}.` };
}
