import { Component, render, type VNode } from "preact";
import type { Tile } from "../station/tile.js";
import { ApiError, api, follow, type Role, type View } from "./api.js";
import { BenchView } from "./bench-view.js";
import { BoardView } from "./board-view.js";
import { HistoryView } from "./history-view.js";
import { html } from "./html.js";
import { RecordView } from "./record-view.js";
import { KIND_WORDS, VERDICT_WORDS } from "./words.js";

interface State {
  readonly view?: View;
  readonly role?: Role;
  readonly isLive: boolean;
  readonly needsToken: boolean;
  readonly route: string;
  /** The last thing that was said; `spoken` is read aloud. */
  readonly said?: { readonly text: string; readonly isBad: boolean };
  readonly spoken: string;
}

class Page extends Component<unknown, State> {
  override state: State = { isLive: true, needsToken: false, route: location.hash, spoken: "" };

  override componentDidMount(): void {
    addEventListener("hashchange", () => {
      this.setState({ route: location.hash, said: undefined as never });
      document.querySelector("main")?.focus();
    });
    void this.#begin();
  }

  render(): VNode {
    const { view, needsToken, role, isLive, said, spoken } = this.state;
    if (needsToken) return this.#signIn();
    if (!view) return html`<p class="empty">${said?.text ?? "Loading the bench."}</p>`;
    return html`<div>
      <a class="skip" href="#main" onClick=${(event: Event) => this.#skip(event)}>To the boards</a>
      <header class="top">
        <strong>${view.title}</strong>
        <nav aria-label="Views"><a href="#/" aria-current=${this.#isAt("")}>Bench</a> <a href="#/history" aria-current=${this.#isAt("history")}>History</a></nav>
        <span class="live" role="status">${isLive ? "live" : "The station does not answer. Trying again."}</span>
        ${role === "viewer" && html`<span>read-only</span>`}
      </header>
      ${view.journalProblem && html`<p class="banner fail" role="alert">The history cannot be written: ${view.journalProblem}. No job begins until it can.</p>`}
      ${said && html`<p class=${`said ${said.isBad ? "bad" : ""}`} role=${said.isBad ? "alert" : "status"}>${said.text} <button type="button" aria-label="Close this message" onClick=${() => this.setState({ said: undefined as never })}>×</button></p>`}
      <p class="hidden" aria-live="polite">${spoken}</p>
      <main id="main" tabindex="-1">${this.#body(view)}</main>
      <footer class="bottom">bootproof ${view.version}</footer>
    </div>`;
  }

  #body(view: View): VNode {
    const mayChange = this.state.role === "operator";
    const say = (text: string, isBad = false) => this.setState({ said: { text, isBad } });
    const [, name = "", argument = ""] = this.state.route.split("/");
    const what = decoded(argument);
    switch (name) {
      case "history":
        return html`<${HistoryView} boards=${view.tiles.map((tile) => tile.name)} say=${say} />`;
      case "record":
        return html`<${RecordView} id=${what} say=${say} />`;
      case "board":
        return html`<${BoardView} board=${what} view=${view} mayChange=${mayChange} say=${say} />`;
      default:
        return html`<${BenchView} view=${view} mayChange=${mayChange} say=${say} />`;
    }
  }

  #signIn(): VNode {
    const submit = async (event: Event) => {
      event.preventDefault();
      const token = new FormData(event.target as HTMLFormElement).get("token");
      try {
        await api.signIn(String(token).trim());
        this.setState({ needsToken: false });
        await this.#begin();
      } catch (error) {
        this.setState({ said: { text: (error as Error).message, isBad: true } });
      }
    };
    const { said } = this.state;
    return html`<main class="sign-in"><form onSubmit=${submit}>
      <h1>Sign in to this station</h1>
      <label>Token <input type="password" name="token" autocomplete="current-password" required autofocus /></label>
      <button type="submit" class="go">Sign in</button>
      ${said && html`<p class="said bad" role="alert">${said.text}</p>`}
    </form></main>`;
  }

  async #begin(): Promise<void> {
    try {
      const { role, ...view } = await api.state();
      this.setState({ view, role, said: undefined as never });
      document.title = `${view.title} · bootproof station`;
      follow({
        view: (news) => this.setState({ view: news }),
        tiles: (tiles) => this.#take(tiles),
        isLive: (isLive) => this.#live(isLive),
      });
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) this.setState({ needsToken: true });
      else this.setState({ said: { text: (error as Error).message, isBad: true } });
    }
  }

  /** A station that was started anew knows no sessions of before. */
  #live(isLive: boolean): void {
    this.setState({ isLive });
    if (!isLive)
      void api.state().catch((error: unknown) => {
        if (error instanceof ApiError && error.status === 401) this.setState({ needsToken: true });
      });
  }

  #take(tiles: readonly Tile[]): void {
    const { view } = this.state;
    if (!view) return;
    const changed = new Map(tiles.map((tile) => [tile.name, tile]));
    const known = new Set(view.tiles.map(({ name }) => name));
    const ended = view.tiles.flatMap((before) => {
      const last = changed.get(before.name)?.last;
      return last && last.id !== before.last?.id
        ? [`${before.name}: ${KIND_WORDS[last.kind]} ${VERDICT_WORDS[last.verdict]}`]
        : [];
    });
    const kept = view.tiles.map((tile) => changed.get(tile.name) ?? tile);
    this.setState({
      view: { ...view, tiles: [...kept, ...tiles.filter(({ name }) => !known.has(name))] },
      ...(ended.length > 0 && { spoken: ended.join(". ") }),
    });
  }

  #isAt(name: string): "page" | undefined {
    return (this.state.route.split("/")[1] ?? "") === name ? "page" : undefined;
  }

  #skip(event: Event): void {
    event.preventDefault();
    document.querySelector("main")?.focus();
  }
}

/** What an address names; one that is damaged names itself, and no such board or record is found. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const place = document.getElementById("page")!;
place.textContent = "";
render(html`<${Page} />`, place);
