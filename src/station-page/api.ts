import type { Job, JobKind, JobRecord, UpdateName } from "../station/job.js";
import type { RigStatistics } from "../station/job-history.js";
import type { StationView } from "../station/station.js";
import type { Tile } from "../station/tile.js";

export interface View extends StationView {
  readonly title: string;
  readonly version: string;
  readonly updates: readonly UpdateName[];
}

export type Role = "operator" | "viewer";

export interface HistoryPage {
  readonly total: number;
  readonly records: readonly JobRecord[];
  readonly statistics: RigStatistics;
}

export interface RecordPage {
  readonly record: JobRecord;
  readonly lines: readonly { readonly at: string; readonly text: string }[];
  readonly hasProof: boolean;
}

/** The station refused, or could not be reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

async function ask<T>(path: string, options: RequestInit = {}): Promise<T> {
  const headers = { "x-bootproof-station": "1", ...options.headers };
  const answer = await fetch(path, { ...options, headers }).catch(() => {
    throw new ApiError(0, "The station does not answer.");
  });
  const body = (await answer.json().catch(() => ({}))) as { error?: string; hint?: string };
  if (answer.ok) return body as T;
  const words = [body.error ?? `The station answered ${answer.status}.`, body.hint ?? ""];
  throw new ApiError(answer.status, words.join(" ").trim());
}

const json = (method: string, body: unknown): RequestInit => ({
  method,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

export const api = {
  state: () => ask<View & { role: Role }>("api/state"),
  signIn: (token: string) => ask<{ role: Role }>("api/session", json("POST", { token })),
  submit: (request: {
    kind: JobKind;
    boards: readonly string[];
    update?: string;
    agreed?: boolean;
    label?: string;
  }) => ask<{ jobs: Job[] }>("api/jobs", json("POST", request)),
  stop: (id: string) => ask<unknown>(`api/jobs/${encodeURIComponent(id)}`, { method: "DELETE" }),
  upload: (file: File) =>
    ask<{ update: UpdateName }>(`api/updates?name=${encodeURIComponent(file.name)}`, {
      method: "POST",
      headers: { "content-type": "application/octet-stream" },
      body: file,
    }),
  history: (query: URLSearchParams) => ask<HistoryPage>(`api/history?${query}`),
  record: (id: string) => ask<RecordPage>(`api/records/${encodeURIComponent(id)}`),
  console: (board: string) => ask<{ lines: string[] }>(`api/boards/${encodeURIComponent(board)}/console`),
};

/** What happens on the bench, from now on. The browser connects again by itself. */
export function follow(on: {
  view(view: View): void;
  tiles(tiles: readonly Tile[]): void;
  isLive(live: boolean): void;
}): void {
  const events = new EventSource("api/events");
  events.addEventListener("open", () => on.isLive(true));
  events.addEventListener("error", () => on.isLive(false));
  events.addEventListener("view", ({ data }) => on.view(JSON.parse(data)));
  events.addEventListener("tiles", ({ data }) => on.tiles(JSON.parse(data)));
}
