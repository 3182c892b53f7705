import type { Command } from "commander";
import { wordsOf } from "./finish-commands.js";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** A command as completion sees it. */
interface Page {
  /** `image list`; empty for the program. */
  readonly words: string;
  readonly verbs: readonly { readonly name: string; readonly summary: string }[];
  readonly options: readonly {
    readonly short: string | undefined;
    readonly long: string | undefined;
    readonly summary: string;
    readonly takesValue: boolean;
  }[];
}

/** A completion script for the whole program: its commands, their commands, and the options of each. */
export function drawCompletion(shell: Shell, program: Command): string {
  const pages = pagesOf(program);
  return { bash, zsh, fish }[shell](pages);
}

function pagesOf(command: Command): Page[] {
  const verbs = command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => one.name() !== "help" || one.parent === command);
  const options = command.createHelp().visibleOptions(command);
  const page = {
    words: wordsOf(command),
    verbs: verbs.map((one) => ({ name: one.name(), summary: one.description() })),
    options: options.map((one) => ({
      short: one.short,
      long: one.long,
      summary: one.description,
      takesValue: one.required || one.optional,
    })),
  };
  return [page, ...command.commands.flatMap(pagesOf)];
}

const flagsOf = ({ options }: Page) =>
  options.flatMap(({ short, long }) => [short, long].flatMap((one) => one ?? []));

/** Shell code that follows the words typed so far down to a command, for shells with `case` of the Bourne family. */
function known(pages: readonly Page[]): string {
  return pages
    .filter(({ words }) => words !== "")
    .map(({ words }) => `" ${words}"`)
    .join("|");
}

function bash(pages: readonly Page[]): string {
  const rows = pages.map(
    (page) =>
      `    "${page.words && ` ${page.words}`}") verbs="${page.verbs.map(({ name }) => name).join(" ")}"; flags="${flagsOf(page).join(" ")}" ;;`,
  );
  return `# bash completion for bootproof
_bootproof() {
  local current="\${COMP_WORDS[COMP_CWORD]}" at="" verbs="" flags="" index
  for ((index = 1; index < COMP_CWORD; index++)); do
    case "$at \${COMP_WORDS[index]}" in
      ${known(pages)}) at="$at \${COMP_WORDS[index]}" ;;
    esac
  done
  case "$at" in
${rows.join("\n")}
  esac
  if [[ "$current" == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
  else
    COMPREPLY=($(compgen -W "$verbs" -- "$current"))
  fi
}
complete -o default -F _bootproof bootproof
`;
}

function zsh(pages: readonly Page[]): string {
  const rows = pages.map((page) => {
    const verbs = page.verbs.map(({ name, summary }) => quoted(`${name}:${summary}`)).join(" ");
    const flags = page.options
      .flatMap(({ short, long, summary }) =>
        [short, long].flatMap((flag) => (flag ? [quoted(`${flag}:${summary}`)] : [])),
      )
      .join(" ");
    return `    "${page.words && ` ${page.words}`}") verbs=(${verbs}); flags=(${flags}) ;;`;
  });
  return `#compdef bootproof
_bootproof() {
  local at="" word
  local -a verbs flags
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$at $word" in
      ${known(pages)}) at="$at $word" ;;
    esac
  done
  case "$at" in
${rows.join("\n")}
  esac
  if [[ "\${words[CURRENT]}" == -* ]]; then
    _describe option flags
  elif (( \${#verbs} )); then
    _describe command verbs
  else
    _files
  fi
}
if [ "$funcstack[1]" = "_bootproof" ]; then _bootproof "$@"; else compdef _bootproof bootproof; fi
`;
}

function fish(pages: readonly Page[]): string {
  const rows = pages.flatMap((page) => {
    const here = `complete -c bootproof -n '__bootproof_at "${page.words}"'`;
    return [
      ...page.verbs.map(({ name, summary }) => `${here} -f -a ${name} -d ${fishQuoted(summary)}`),
      ...page.options.map(({ short, long, summary, takesValue }) => {
        const flags = [short && `-s ${short.slice(1)}`, long && `-l ${long.slice(2)}`]
          .filter(Boolean)
          .join(" ");
        return `${here} ${flags}${takesValue ? " -r" : ""} -d ${fishQuoted(summary)}`;
      }),
    ];
  });
  const names = pages.flatMap(({ words }) => (words === "" ? [] : [`"${words}"`])).join(" ");
  return `# fish completion for bootproof
function __bootproof_at
    set -l at ""
    for word in (commandline -opc)[2..-1]
        set -l next (string trim -- "$at $word")
        if contains -- "$next" ${names}
            set at "$next"
        end
    end
    test "$at" = "$argv[1]"
end
${rows.join("\n")}
`;
}

const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
const fishQuoted = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
