import { spawn } from "node:child_process";
import { AwsError } from "../../agents/aws-error.js";
import { environmentWithoutSecrets } from "../../child-environment.js";

/** Answers are names and signatures; nothing sensible is longer. */
const LONGEST_ANSWER = 1 << 20;

/**
 * Calls the user's own `aws` command line once.
 *
 * @returns what it printed, without the space around it
 * @throws AwsError `aws-command-missing`, `aws-command-failed`
 */
export function callAws(words: readonly string[], signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  const name = words.slice(0, 2).join(" ");
  return new Promise((resolve, reject) => {
    const child = spawn("aws", [...words], {
      stdio: ["ignore", "pipe", "inherit"],
      // A pager would wait for somebody to read it.
      env: { ...environmentWithoutSecrets(), AWS_PAGER: "" },
      signal,
    });
    const chunks: Buffer[] = [];
    let size = 0;
    child.stdout.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= LONGEST_ANSWER) chunks.push(chunk);
    });
    child.on("error", (cause: NodeJS.ErrnoException) => {
      if (signal.aborted) reject(signal.reason);
      else
        reject(
          new AwsError("aws-command-missing", `The aws command line cannot be started: ${cause.message}.`, {
            cause,
            hint: "Install AWS's command line and log in with it, or omit --run and run the printed calls elsewhere.",
          }),
        );
    });
    child.on("close", (status, killedBy) => {
      if (status !== 0)
        reject(
          new AwsError("aws-command-failed", `aws ${name} ended with ${killedBy ?? `status ${status}`}.`, {
            hint: "What it printed is above. Calls that were made before it stay; leave them out when you go on.",
          }),
        );
      else if (size > LONGEST_ANSWER)
        reject(new AwsError("aws-command-failed", `aws ${name} answers with ${size} bytes.`));
      else resolve(Buffer.concat(chunks).toString("utf8").trim());
    });
  });
}
