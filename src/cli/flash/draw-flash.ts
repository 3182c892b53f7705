import type { ImagesEvent } from "../../update/images-events.js";
import type { PreflightCheck } from "../../update/preflight-check.js";
import { type Output, printable, tone } from "../output.js";
import { drawUpload } from "../progress.js";
import { keyFileOf } from "../run-facts.js";

const MARKS: Readonly<Record<PreflightCheck["result"], string>> = {
  pass: tone("good", "pass"),
  fail: tone("bad", "FAIL"),
  warn: tone("warn", "note"),
  unknown: tone("dim", " -  "),
};

/** Which of the key files decided. */
function keyWords({ signedBy }: Extract<ImagesEvent, { step: "preflight" }>): string {
  const file = signedBy && keyFileOf(signedBy);
  return file === undefined ? "" : ` Its file: ${printable(file)}.`;
}

/** Prints each event on stderr as it happens. */
export function drawFlash(out: Output): (event: ImagesEvent) => void {
  const drawSending = drawUpload(out);
  return (event) => {
    switch (event.step) {
      case "board":
        return out.note(`Board ${event.facts.name}: ${event.facts.server} answers.`);
      case "image":
        return out.note(tone("strong", `image ${event.image}: ${printable(event.name)}`));
      case "preflight":
        for (const check of event.checks) {
          const file = check.name === "signature" ? keyWords(event) : "";
          out.note(`  ${MARKS[check.result]}  ${check.name.padEnd(17)} ${printable(check.message)}${file}`);
        }
        return;
      case "plan":
        for (const line of event.messages) out.note(printable(line));
        return;
      case "uploaded":
        return out.note(`Sent ${event.bytes} bytes in ${(event.elapsedMs / 1000).toFixed(1)} s.`);
      case "sent-again":
        return out.note(
          `The slot contained this file already, but it cannot be marked (${printable(event.why)}): erasing it and sending again.`,
        );
      case "marked":
        return out.note(
          event.as === "test"
            ? "Marked for the next boot; the board shows it as pending."
            : "This board has no test boot: nothing is marked.",
        );
      case "reset":
        return out.note("Reset. Waiting for the board...");
      case "away":
        return;
      case "back":
        return out.note(`The board is back after ${(event.afterMs / 1000).toFixed(1)} s.`);
      case "restarted":
        return out.note("The board restarted by itself.");
      case "judged":
        // When it does not run, the result says so and why.
        return event.runsNewImage ? out.note(printable(event.message)) : undefined;
      case "health":
        return out.note(
          `  ${event.ok ? MARKS.pass : MARKS.fail}  health: ${printable(event.name)}: ${printable(event.message)}`,
        );
      case "link-lost":
        return "at" in event
          ? drawSending(event)
          : out.note(`The link was lost: ${printable(event.why)} Waiting for the board...`);
      case "confirmed":
        return out.note("Confirmed and read back.");
      case "settled":
        return out.note(`Security counter ${event.stored} is stored and read back.`);
      default:
        return drawSending(event);
    }
  };
}
