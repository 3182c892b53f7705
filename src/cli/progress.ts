import type { UploadEvent } from "../update/upload.js";
import type { Output } from "./output.js";

/** Draws an upload as it happens. */
export function drawUpload(out: Output): (event: UploadEvent) => void {
  return (event) => {
    switch (event.step) {
      case "sent":
        return out.progress("sending", event.sent, event.total);
      case "resumed":
        return out.note(`The board already has the first ${event.at} bytes; continuing from there.`);
      case "link-lost":
        return out.note(`The link was lost at byte ${event.at}: ${event.why} Waiting for the board...`);
      case "away":
        return;
      case "back":
        return out.note("The board is back.");
    }
  };
}
