import type { AddVerb } from "../add-verb.js";
import { type CommonOptions, inContext } from "../verb-context.js";
import type { FetchOptions } from "./client-actions.js";

/** Loaded when a verb is used, not when its help is shown. */
const actions = () => import("./client-actions.js");

const FROM = "read another copy: an address, a folder, a USB stick; what is trusted stays the same";

/** Verbs of a user of repositories. */
export function defineClientVerbs(verb: AddVerb): void {
  verb("trust <repository> <root>", "trust a repository, by the root file that you got from its owner")
    .option("--replace", "trust this root although another one is trusted already")
    .action((repository: string, root: string, options: CommonOptions & { replace?: boolean }) =>
      inContext(options, async (context) => (await actions()).trust(repository, root, options, context)),
    );
  verb("refresh [repository...]", "bring the metadata up to date; without a name all of the config file")
    .option("--from <place>", FROM)
    .action((repositories: string[], options: FetchOptions) =>
      inContext(options, async (context) => (await actions()).refresh(repositories, options, context)),
    );
  verb("get <repository> <target> [file]", "download a target and check it against the metadata")
    .option("--from <place>", FROM)
    .option("--force", "replace the file if it exists")
    .action((repository: string, target: string, file: string | undefined, options: FetchOptions) =>
      inContext(options, async (context) =>
        (await actions()).get(repository, target, file, options, context),
      ),
    );
  verb("status <repository>", "show what is trusted of a repository, without asking it").action(
    (repository: string, options: CommonOptions) =>
      inContext(options, async (context) => (await actions()).status(repository, context)),
  );
}
