import { AwsError } from "./aws-error.js";

/** The MQTT session of one thing, whatever library carries it. */
export interface IotLink {
  subscribe(topics: readonly string[]): Promise<void>;
  publish(topic: string, payload: Uint8Array): Promise<void>;
  /** Called with every message; once. */
  onMessage(handler: (topic: string, payload: Uint8Array) => void): void;
}

/** A job as the service describes it. */
export interface JobExecution {
  readonly jobId: string;
  readonly status: string;
  readonly versionNumber: number;
  readonly executionNumber?: number;
  readonly statusDetails: Readonly<Record<string, string>>;
  readonly jobDocument?: unknown;
}

export type ReportedStatus = "IN_PROGRESS" | "SUCCEEDED" | "FAILED" | "REJECTED";

export interface ThingOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long an answer may take, milliseconds; default 10000, as Amazon's own agent. */
  readonly answerMs?: number | undefined;
  /** How often a question is asked. Default 4. */
  readonly tries?: number | undefined;
}

interface Waiting {
  readonly accepts: (topic: string, body: Record<string, unknown>) => boolean;
  readonly resolve: (answer: Answer) => void;
}

interface Answer {
  readonly accepted: boolean;
  readonly body: Record<string, unknown>;
}

/** Statuses behind which a job does not go on. */
const ENDED: readonly string[] = ["SUCCEEDED", "FAILED", "TIMED_OUT", "REJECTED", "REMOVED", "CANCELED"];

/**
 * Jobs of one thing: asks, and waits for the answer that carries its token. A broker may grant a subscription and deliver
 * nothing, so only answers count.
 */
export class AwsThing {
  readonly name: string;
  readonly #link: IotLink;
  readonly #options: ThingOptions;
  readonly #waiting = new Set<Waiting>();
  readonly #listeners = new Map<string, (payload: Uint8Array, topic: string) => void>();
  #tokens = 0;
  /** Called when the service says that another job is next. */
  onNext: (() => void) | undefined;

  constructor(name: string, link: IotLink, options: ThingOptions = {}) {
    this.name = name;
    this.#link = link;
    this.#options = options;
    link.onMessage((topic, payload) => this.#receive(topic, payload));
  }

  /** Subscribes to what is answered to this thing. */
  async open(): Promise<void> {
    const jobs = `$aws/things/${this.name}/jobs`;
    await this.#link.subscribe([
      `${jobs}/notify-next`,
      `${jobs}/start-next/+`,
      `${jobs}/+/get/+`,
      `${jobs}/+/update/+`,
    ]);
  }

  /** The job that is next, or under way; undefined when there is none. Starts nothing. */
  async next(): Promise<JobExecution | undefined> {
    const { accepted, body } = await this.#ask("$next/get", { includeJobDocument: true });
    if (!accepted) throw refused("$next/get", body);
    return body.execution === undefined ? undefined : this.#execution(body.execution);
  }

  /** Takes the next job. @param stepMinutes - the service gives it up when nothing is told for so long */
  async start(stepMinutes?: number): Promise<JobExecution | undefined> {
    const { accepted, body } = await this.#ask("start-next", stepTimer(stepMinutes));
    if (!accepted) throw refused("start-next", body);
    return body.execution === undefined ? undefined : this.#execution(body.execution);
  }

  /**
   * Tells how a job stands.
   *
   * @param stepMinutes - starts the service's timer anew; when it runs out the job has timed out
   * @returns the version to expect with the next update
   * @throws AwsError `job-ended`, `job-taken-over`
   */
  async update(
    job: Pick<JobExecution, "jobId" | "versionNumber" | "executionNumber">,
    status: ReportedStatus,
    statusDetails: Readonly<Record<string, string>>,
    stepMinutes?: number,
  ): Promise<number> {
    const { jobId, versionNumber, executionNumber } = job;
    const { accepted, body } = await this.#ask(`${jobId}/update`, {
      status,
      statusDetails,
      expectedVersion: versionNumber,
      includeJobExecutionState: true,
      ...stepTimer(stepMinutes),
      ...(executionNumber !== undefined && { executionNumber }),
    });
    const state = record(body.executionState);
    const version = typeof state.versionNumber === "number" ? state.versionNumber : versionNumber + 1;
    if (accepted) return version;
    const isOurs =
      version === versionNumber + 1 &&
      state.status === status &&
      JSON.stringify(sorted(record(state.statusDetails))) === JSON.stringify(sorted(statusDetails));
    // The update was taken and its answer got lost; asked again, its version is no longer the one to expect.
    if (body.code === "VersionMismatch" && isOurs) return version;
    if (
      ["TerminalStateReached", "ResourceNotFound", "InvalidStateTransition"].includes(`${body.code}`) ||
      ENDED.includes(`${state.status}`)
    )
      throw new AwsError("job-ended", `Job ${jobId} has ended: ${state.status ?? body.code}.`, {
        hint:
          state.status === "TIMED_OUT"
            ? "It took longer than its timers allow: raise --step-timeout, or the job's own timeout."
            : "It was cancelled, or it took too long.",
      });
    if (body.code === "VersionMismatch")
      throw new AwsError(
        "job-taken-over",
        `Job ${jobId} was changed by another client (version ${version}).`,
        {
          hint: "Let one host alone act for a thing.",
        },
      );
    throw refused(`${jobId}/update`, body);
  }

  /** Publishes on a topic of a stream. */
  publish(topic: string, payload: Uint8Array): Promise<void> {
    return this.#link.publish(topic, payload);
  }

  /** Subscribes, and hands on what arrives, until the returned function is called. */
  async listen(
    topics: readonly string[],
    handler: (payload: Uint8Array, topic: string) => void,
  ): Promise<() => void> {
    for (const topic of topics) this.#listeners.set(topic, handler);
    await this.#link.subscribe(topics);
    return () => {
      for (const topic of topics) this.#listeners.delete(topic);
    };
  }

  #receive(topic: string, payload: Uint8Array): void {
    const listener = this.#listeners.get(topic);
    if (listener) {
      listener(payload, topic);
      return;
    }
    const prefix = `$aws/things/${this.name}/jobs/`;
    // What is meant for another thing is none of ours, whoever delivered it.
    if (!topic.startsWith(prefix)) return;
    const rest = topic.slice(prefix.length);
    if (rest === "notify-next") {
      this.onNext?.();
      return;
    }
    let body: Record<string, unknown>;
    try {
      body = record(JSON.parse(new TextDecoder().decode(payload)));
    } catch {
      return;
    }
    for (const waiting of this.#waiting)
      if (waiting.accepts(rest, body)) {
        this.#waiting.delete(waiting);
        waiting.resolve({ accepted: rest.endsWith("/accepted"), body });
      }
  }

  async #ask(path: string, question: Record<string, unknown>): Promise<Answer> {
    const { answerMs = 10_000, tries = 4, signal } = this.#options;
    for (let count = 0; count < tries; count++) {
      signal?.throwIfAborted();
      const clientToken = `bootproof-${process.pid}-${++this.#tokens}`;
      const answer = await this.#once(path, { ...question, clientToken }, answerMs);
      if (answer === undefined) continue;
      if (answer.accepted || answer.body.code !== "RequestThrottled") return answer;
      await pause(answerMs / 10, signal);
    }
    throw new AwsError("aws-no-answer", `${this.name}: nothing answers ${path}, asked ${tries} times.`, {
      hint: "Does the certificate's policy allow this thing's jobs topics, to publish, subscribe and receive?",
    });
  }

  async #once(path: string, body: Record<string, unknown>, answerMs: number): Promise<Answer | undefined> {
    let timer: NodeJS.Timeout | undefined;
    let stop: (() => void) | undefined;
    const { signal } = this.#options;
    return new Promise<Answer | undefined>((resolve, reject) => {
      const waiting: Waiting = {
        accepts: (topic, answer) =>
          (topic === `${path}/accepted` || topic === `${path}/rejected`) &&
          answer.clientToken === body.clientToken,
        resolve,
      };
      stop = () => reject(signal?.reason);
      signal?.addEventListener("abort", stop, { once: true });
      this.#waiting.add(waiting);
      timer = setTimeout(() => {
        this.#waiting.delete(waiting);
        resolve(undefined);
      }, answerMs);
      const topic = `$aws/things/${this.name}/jobs/${path}`;
      this.#link.publish(topic, new TextEncoder().encode(JSON.stringify(body))).catch(reject);
    }).finally(() => {
      clearTimeout(timer);
      if (stop) signal?.removeEventListener("abort", stop);
    });
  }

  #execution(value: unknown): JobExecution {
    const { jobId, thingName, status, versionNumber, executionNumber, statusDetails, jobDocument } =
      record(value);
    if (typeof jobId !== "string" || !/^[\w-]{1,64}$/.test(jobId) || typeof status !== "string")
      throw bad("A job without id or status.");
    if (typeof versionNumber !== "number") throw bad("A job without a version.");
    if (thingName !== undefined && thingName !== this.name)
      throw new AwsError("job-rejected", `The job is for ${thingName}, not for ${this.name}.`);
    return {
      jobId,
      status,
      versionNumber,
      statusDetails: texts(record(statusDetails)),
      ...(typeof executionNumber === "number" && { executionNumber }),
      ...(jobDocument !== undefined && { jobDocument }),
    };
  }
}

/** The field that sets the timer of a job's step. */
function stepTimer(minutes: number | undefined): { stepTimeoutInMinutes?: number } {
  return minutes === undefined ? {} : { stepTimeoutInMinutes: minutes };
}

function refused(path: string, { code, message }: Record<string, unknown>): AwsError {
  return new AwsError(
    "aws-bad-answer",
    `The service refuses ${path}: ${code ?? "no code"} ${message ?? ""}`.trim(),
  );
}

function bad(message: string): AwsError {
  return new AwsError("aws-bad-answer", message);
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {};
}

function texts(value: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(value).filter((pair): pair is [string, string] => typeof pair[1] === "string"),
  );
}

function sorted(value: Readonly<Record<string, unknown>>): [string, unknown][] {
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Waits; ends early with the signal's reason. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stopped = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stopped);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stopped, { once: true });
  });
}
