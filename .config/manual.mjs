// Writes what a shell and `man` look for, out of the built program's own help: share/man/man1 and the completion files.
// Run by itself: into dist, for the npm package.
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { at, manifest } from "./bundle-options.mjs";

const COMPLETIONS = {
  bash: "share/bash-completion/completions/bootproof",
  zsh: "share/zsh/site-functions/_bootproof",
  fish: "share/fish/vendor_completions.d/bootproof.fish",
};

/** What the program prints, which runs here: a process for each of its sixty verbs takes a minute on a busy machine. */
async function say(...words) {
  Object.assign(process.env, { HOME: at("dist"), NO_COLOR: "1", BOOTPROOF_NO_LOG: "1" });
  // It listens on stdout anew each time.
  process.stdout.setMaxListeners(0);
  const { run_exports } = createRequire(import.meta.url)(at("dist/cli/chunks/run.js"));
  const { write } = process.stdout;
  let said = "";
  process.stdout.write = (text) => {
    said += text;
    return true;
  };
  try {
    const status = await run_exports.main(words);
    if (status !== 0) throw new Error(`bootproof ${words.join(" ")} ended with ${status}`);
    return said;
  } finally {
    process.stdout.write = write;
  }
}

let pages;

/** Under `folder`. Made once, however many folders there are. */
export async function writeManual(folder) {
  pages ??= await makePages();
  write(join(folder, "share/man/man1/bootproof.1"), pages.man);
  for (const [shell, path] of Object.entries(COMPLETIONS)) write(join(folder, path), pages[shell]);
}

async function makePages() {
  const made = { man: await manPage() };
  for (const shell of Object.keys(COMPLETIONS)) made[shell] = await say("completion", shell);
  return made;
}

function write(path, content) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}

async function manPage() {
  const overview = await say("--help");
  const commands = [...overview.matchAll(/^ {2}([a-z][a-z-]+) {2,}\S/gm)].map(([, name]) => name);
  const sections = [];
  for (const name of commands) sections.push(`.SS ${name}\n${verbatim(await say("help", name))}`);
  return [
    `.TH BOOTPROOF 1 "" "bootproof ${manifest.version}" "User Commands"`,
    ".SH NAME",
    `bootproof \\- ${plain(manifest.description)}`,
    ".SH SYNOPSIS",
    ".B bootproof",
    "[\\fIoptions\\fR] \\fIcommand\\fR [\\fIarguments\\fR]",
    ".SH DESCRIPTION",
    verbatim(overview),
    ".SH COMMANDS",
    ...sections,
    ".SH SEE ALSO",
    "\\fBbootproof help\\fR \\fITOPIC\\fR explains exit statuses, JSON, links, and more.",
    "",
  ].join("\n");
}

const verbatim = (text) => `.nf\n${text.trimEnd().split("\n").map(plain).join("\n")}\n.fi`;

/** A line that roff prints as it is. */
function plain(line) {
  return line
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^(?=[.'])/, "\\&");
}

if (process.argv[1] === at(".config/manual.mjs")) await writeManual(at("dist"));
