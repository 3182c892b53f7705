import { TufError } from "../tuf/error.js";

/** What is said of a file that does not end where it must. */
export function tooLong(subject: string, maxLength: number): TufError {
  return new TufError(
    "endless-data",
    subject,
    `${subject} has more than the ${maxLength} bytes that are allowed.`,
    {
      step: "1.5.2",
      hint: "This may not be the repository's own server or file. Try another copy.",
    },
  );
}
