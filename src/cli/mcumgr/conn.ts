import type { McumgrCommand, Run } from "./command.js";
import { usageFailure } from "./failure.js";
import { type ConnectionType, isConnectionType } from "./profiles.js";

async function add({ args: [name, ...settings], io, profiles }: Run): Promise<void> {
  if (name === undefined) throw usageFailure("Need connection profile name");
  let type: ConnectionType | undefined;
  let connstring = "";
  for (const setting of settings) {
    const cut = setting.indexOf("=");
    const [key, value] = cut < 0 ? [setting, ""] : [setting.slice(0, cut), setting.slice(cut + 1)];
    if (key === "type") type = typeOf(value);
    else if (key === "connstring") connstring = value;
    else throw usageFailure(`Unknown variable ${key}`);
  }
  if (type === undefined) throw usageFailure("Must specify a connection type");
  profiles.set({ name, type, connstring });
  io.out(`Connection profile ${name} successfully added\n`);
}

/** `???` is what the file has for no type. */
function typeOf(text: string): ConnectionType | undefined {
  if (text === "???") return undefined;
  if (!isConnectionType(text)) throw usageFailure(`Invalid connection type: ${text}`);
  return text;
}

async function remove({ args: [name], io, profiles }: Run): Promise<void> {
  if (name === undefined) throw usageFailure("Need connection profile name");
  profiles.delete(name);
  io.out(`Connection profile ${name} successfully deleted.\n`);
}

async function show({ args: [name], io, profiles }: Run): Promise<void> {
  const found = profiles.all().filter((profile) => name === undefined || profile.name === name);
  if (found.length === 0) {
    const none =
      name === undefined ? "No connection profiles found!" : `No connection profiles found matching ${name}`;
    io.out(`${none}\n`);
    return;
  }
  const lines = found.map(
    (profile) => `  ${profile.name}: type=${profile.type ?? "???"}, connstring='${profile.connstring}'\n`,
  );
  io.out(`Connection profiles: \n${lines.join("")}`);
}

export const conn: McumgrCommand = {
  name: "conn",
  about: "Manage mcumgr connection profiles",
  commands: [
    {
      name: "add",
      about: "Add a mcumgr connection profile",
      operands: "<conn_profile> type=<type> connstring=<text>",
      run: add,
    },
    { name: "delete", about: "Delete a mcumgr connection profile", operands: "<conn_profile>", run: remove },
    { name: "show", about: "Show mcumgr connection profiles", operands: "[conn_profile]", run: show },
  ],
};
