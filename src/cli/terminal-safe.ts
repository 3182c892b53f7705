const ESC = "\u001b";
/** What a shell needs besides letters: bell, backspace, tab, line ends. */
const PLAIN_CONTROLS = new Set(["\u0007", "\b", "\t", "\n", "\r"]);

/**
 * A device's text for a terminal that is in its hands: colours and cursor moves (`ESC [`) pass, because a shell edits its
 * line with them. Everything else that terminals obey, such as setting the title or the clipboard, does not.
 */
export class TerminalFilter {
  #escaped = false;

  push(text: string): string {
    let safe = "";
    for (const character of text) {
      if (this.#escaped) {
        this.#escaped = false;
        safe += character === "[" ? `${ESC}[` : `\\x1b${plainOrEscaped(character)}`;
      } else if (character === ESC) this.#escaped = true;
      else safe += plainOrEscaped(character);
    }
    return safe;
  }
}

function plainOrEscaped(character: string): string {
  if (PLAIN_CONTROLS.has(character) || !/\p{Cc}/u.test(character)) return character;
  return `\\x${character.codePointAt(0)!.toString(16).padStart(2, "0")}`;
}
