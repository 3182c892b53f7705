import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Command } from "commander";
import { devicesHere } from "../../boards/choose-device.js";
import { allProfiles } from "../../devices/list.js";
import { UDEV_RULES_PATH, udevRules } from "../../devices/udev.js";
import { FileError, writeOutput } from "../files.js";
import { UsageError } from "../usage-error.js";
import { type CommonOptions, type Context, commonOptions, inContext } from "../verb-context.js";

interface SetupOptions extends CommonOptions {
  install?: boolean;
  hubPower?: boolean;
  path: string;
}

export function define(command: Command): void {
  commonOptions(command)
    .option("--install", "write the file and have udev read it; needs root")
    .option("--hub-power", "also let the group plugdev switch the power of hub ports")
    .option("--path <file>", "where to write it", UDEV_RULES_PATH)
    .addHelpText(
      "after",
      "\nThe rules let the user at this machine, and the groups dialout and plugdev, use boards and probes.",
    )
    .action((options: SetupOptions) => inContext(options, (context) => setUp(options, context)));
}

async function setUp(options: SetupOptions, { out, config, signal }: Context): Promise<void> {
  if (process.platform !== "linux")
    throw new UsageError("udev is Linux's: this system needs no such rules for serial ports.");
  const denied = (await devicesHere(config, signal)).flatMap((device) => {
    const { vendorId, productId, problem, ports } = device;
    const closed = [problem, ...ports.map((port) => port.problem)].some((one) => one?.code === "permission");
    return closed && vendorId !== undefined && productId !== undefined ? [{ vendorId, productId }] : [];
  });
  const rules = udevRules({
    profiles: allProfiles(config.profiles),
    devices: denied,
    hubPower: options.hubPower,
  });
  if (!options.install) {
    out.result({ path: options.path, rules }, rules.trimEnd());
    out.note(`Put this into ${options.path}, or run: sudo env "PATH=$PATH" bootproof setup-udev --install`);
    return;
  }
  try {
    writeOutput(options.path, rules);
  } catch (error) {
    throw isDenied(error) ? needsRoot(options.path, error) : error;
  }
  const reloaded = await reload();
  out.result(
    { path: options.path, rules, reloaded },
    reloaded
      ? `Wrote ${options.path}; udev has read it. Boards that are plugged in can be used at once.`
      : `Wrote ${options.path}. Plug the boards in again, or restart: udev could not be asked to read it.`,
  );
}

function isDenied(error: unknown): error is FileError {
  const { code } = (error instanceof FileError ? error.cause : {}) as NodeJS.ErrnoException;
  return code === "EACCES" || code === "EPERM" || code === "EROFS";
}

/** sudo has a PATH of its own, in which a program of npm's is seldom found. */
function needsRoot(path: string, cause: FileError): FileError {
  return new FileError("file-unreadable", path, `You may not write ${path}: that needs root.`, {
    cause,
    hint: 'sudo env "PATH=$PATH" bootproof setup-udev --install',
  });
}

/** Containers have the rules of their host: no udevd answers there. */
async function reload(): Promise<boolean> {
  const run = promisify(execFile);
  try {
    await run("udevadm", ["control", "--reload"]);
    await run("udevadm", ["trigger", "--subsystem-match=usb", "--subsystem-match=tty"]);
    return true;
  } catch {
    return false;
  }
}
