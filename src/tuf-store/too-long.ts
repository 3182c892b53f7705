import { TufError } from "../tuf/error.js";

/** What is said of a file that does not end where it must. */
export function tooLong(subject: string, maxLength: number): TufError {
  return new TufError(
    "endless-data",
    subject,
    `${subject} has more than the ${maxLength} bytes that it may have.`,
    {
      step: "1.5.2",
      hint: "The server or the file is not the repository's. Try another copy of it.",
    },
  );
}
