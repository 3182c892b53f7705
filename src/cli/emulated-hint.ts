/** Whether the board at an address is gone when the command ends: an emulated one whose flash is in no file. */
export function isGoneAfterwards(address: string | undefined): boolean {
  return address !== undefined && /^(?:wasm|qemu):[^?]*$/.test(address);
}

/**
 * What to try next, for the board at an address. A hint to look at the board with `bootproof info` would show a new emulated
 * board, so it becomes one that says how to keep this one.
 */
export function hintForBoard(address: string | undefined, hint: string | undefined): string | undefined {
  if (hint === undefined || !isGoneAfterwards(address) || !/\bbootproof info\b/.test(hint)) return hint;
  return `This emulated board ended with the command. Repeat it with --log to see the board's log, or with -d "${address}?flash=FILE" to keep its flash for bootproof info.`;
}
