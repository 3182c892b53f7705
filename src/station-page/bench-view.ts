import { Component, type VNode } from "preact";
import { isWithUpdate, type JobKind, type UpdateName } from "../station/job.js";
import { api, type View } from "./api.js";
import { html } from "./html.js";
import { tileCard } from "./tile.js";
import { KIND_WORDS } from "./words.js";

interface Props {
  readonly view: View;
  readonly mayChange: boolean;
  /** Says something aloud and on the page. */
  say(text: string, isBad?: boolean): void;
}

interface Form {
  kind: JobKind;
  update: string;
  label: string;
  agreed: boolean;
  chosen: ReadonlySet<string>;
  isSending: boolean;
}

/** So many tiles have room for words that are seen across a room, and so many for all facts. More are to fit one screen. */
const MOST_LARGE = 12;
const MOST_WHOLE = 24;

function sizeFor(tiles: number): string {
  if (tiles <= MOST_LARGE) return "large";
  return tiles <= MOST_WHOLE ? "" : "dense";
}

/** The tiles, and the bar that starts jobs on those that are chosen. */
export class BenchView extends Component<Props, Form> {
  override state: Form = {
    kind: "flash",
    update: "",
    label: "",
    agreed: false,
    chosen: new Set(),
    isSending: false,
  };

  render(): VNode {
    const { view, mayChange } = this.props;
    const { chosen } = this.state;
    const actions = {
      mayChange,
      isChosen: (board: string) => chosen.has(board),
      choose: (board: string, is: boolean) => this.#choose([board], is),
      stop: (job: string) => void this.#try(() => api.stop(job)),
    };
    return html`<div>
      ${mayChange && this.#bar()}
      ${view.tiles.length === 0 && html`<p class="empty">This bench has no boards. Plug one in, or name boards with --boards FILE.</p>`}
      <div class=${`tiles ${sizeFor(view.tiles.length)}`}>${view.tiles.map((tile) => tileCard(tile, actions))}</div>
    </div>`;
  }

  #bar(): VNode {
    const { view } = this.props;
    const { kind, label, agreed, chosen, isSending } = this.state;
    const isSendingUpdate = isWithUpdate(kind);
    const fewest = kind === "together" ? 2 : 1;
    const tags = [...new Set(view.tiles.flatMap((tile) => tile.tags))];
    const all = view.tiles.map(({ name }) => name);
    return html`<form class="bar" aria-label="Start jobs" onSubmit=${(event: Event) => this.#submit(event)}>
      <label>Job
        <select value=${kind} onChange=${(event: Event) => this.setState({ kind: fieldText(event) as JobKind })}>
          ${(Object.keys(KIND_WORDS) as JobKind[]).map((one) => html`<option value=${one}>${KIND_WORDS[one]}</option>`)}
        </select>
      </label>
      ${isSendingUpdate && this.#updateField(view.updates)}
      ${
        kind === "recover" &&
        html`<label class="check"><input type="checkbox" checked=${agreed}
        onChange=${(event: Event) => this.setState({ agreed: (event.target as HTMLInputElement).checked })} />
        Also overwrite boards that are alive</label>`
      }
      <label>Label
        <input type="text" maxlength="120" value=${label} placeholder="serial number, ticket"
          onInput=${(event: Event) => this.setState({ label: fieldText(event) })} />
      </label>
      <span class="choice" role="group" aria-label="Choose boards">
        <button type="button" onClick=${() => this.#choose(all, true)}>Select all</button>
        <button type="button" onClick=${() => this.#choose(all, false)}>None</button>
        ${tags.map((tag) => html`<button type="button" onClick=${() => this.#chooseTag(tag)}>${tag}</button>`)}
      </span>
      <button type="submit" class="go" disabled=${chosen.size < fewest || isSending || (isSendingUpdate && this.#update === "")}>
        Start on ${chosen.size} ${chosen.size === 1 ? "board" : "boards"}
      </button>
    </form>`;
  }

  #updateField(updates: readonly UpdateName[]): VNode {
    return html`<label>Update
        <select value=${this.#update} onChange=${(event: Event) => this.setState({ update: fieldText(event) })}>
          ${updates.length === 0 && html`<option value="">none yet: add one</option>`}
          ${updates.map((one) => html`<option value=${one.sha256}>${one.name} · ${one.version ?? "-"} · ${one.sha256.slice(0, 8)}</option>`)}
        </select>
      </label>
      <label class="file">Add an update
        <input type="file" accept=".bin,.hex,.zip,.mender" onChange=${(event: Event) => this.#upload(event)} />
      </label>`;
  }

  /** The one that is chosen, else the newest. */
  get #update(): string {
    const { updates } = this.props.view;
    const chosen = updates.find(({ sha256 }) => sha256 === this.state.update);
    return (chosen ?? updates[0])?.sha256 ?? "";
  }

  #choose(boards: readonly string[], isChosen: boolean): void {
    this.setState(({ chosen }) => {
      const after = new Set(chosen);
      for (const board of boards)
        if (isChosen) after.add(board);
        else after.delete(board);
      return { chosen: after };
    });
  }

  #chooseTag(tag: string): void {
    const { tiles } = this.props.view;
    this.#choose(
      tiles.filter(({ tags }) => tags.includes(tag)).map(({ name }) => name),
      true,
    );
  }

  async #submit(event: Event): Promise<void> {
    event.preventDefault();
    const { kind, label, agreed, chosen } = this.state;
    this.setState({ isSending: true });
    await this.#try(async () => {
      const update = isWithUpdate(kind) ? { update: this.#update } : {};
      const more = { ...(agreed && kind === "recover" && { agreed }), ...(label !== "" && { label }) };
      const { jobs } = await api.submit({ kind, boards: [...chosen], ...update, ...more });
      this.props.say(
        `${KIND_WORDS[kind]} is queued on ${jobs.length} ${jobs.length === 1 ? "board" : "boards"}.`,
      );
      this.setState({ label: "" });
    });
    this.setState({ isSending: false });
  }

  async #upload(event: Event): Promise<void> {
    const input = event.target as HTMLInputElement;
    const file = input.files?.[0];
    if (!file) return;
    await this.#try(async () => {
      const { update } = await api.upload(file);
      this.setState({ update: update.sha256 });
      this.props.say(`${update.name}, version ${update.version ?? "-"}, is available.`);
    });
    input.value = "";
  }

  async #try(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.props.say(error instanceof Error ? error.message : String(error), true);
    }
  }
}

function fieldText(event: Event): string {
  return (event.target as HTMLInputElement | HTMLSelectElement).value;
}
