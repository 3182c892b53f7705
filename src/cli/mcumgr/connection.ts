import { isIP } from "node:net";
import { BootproofError } from "../../errors.js";
import type { PipeAddress } from "../../transport/address.js";
import { printable } from "../output.js";
import { McumgrFailure } from "./failure.js";
import { goInteger } from "./go-text.js";
import type { McumgrIo } from "./io.js";
import { type ConnectionType, isConnectionType, type Profiles } from "./profiles.js";
import type { Watch } from "./request.js";
import { Session } from "./session.js";

/** What the command line says of the link. */
export interface ConnectionOptions {
  readonly conn: string;
  readonly conntype: string;
  readonly connstring: string | undefined;
  readonly connextra: string;
  readonly timeout: number;
  readonly tries: number;
}

/** mcumgr's, for console lines that every server takes. */
const DEFAULT_MTU = 128;
const DEFAULT_BAUD = 115_200;
/** The longest request by UDP, header included, bytes. */
const UDP_MTU = 2027;
const STANDARD_BAUDS = new Set([
  50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200,
  230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000, 1_152_000, 1_500_000, 2_000_000, 2_500_000,
  3_000_000, 3_500_000, 4_000_000,
]);

/** Where the link goes; undefined for kinds of links that there are none of. Throws {@link McumgrFailure}. */
export function addressOf(options: ConnectionOptions, profiles: Profiles): PipeAddress | undefined {
  const { type, connstring } = chosen(options, profiles);
  if (type === "serial") {
    const { path, baud: baudRate } = serialSettings(connstring);
    return { kind: "serial", path, baudRate };
  }
  return type === "udp" ? { kind: "udp", ...hostAndPort(connstring) } : undefined;
}

/** Opens the link that profile and options name. Throws {@link McumgrFailure}. */
export async function connect(
  options: ConnectionOptions,
  profiles: Profiles,
  io: McumgrIo,
  watch?: Watch,
): Promise<Session> {
  const { type, connstring } = chosen(options, profiles);
  const { timeout: seconds, tries } = options;
  if (type === "serial") {
    const { path, baud, mtu } = serialSettings(connstring);
    const pipe = await opened(() => openPort(path, baud, io));
    // Length, CRC and base64 take the rest of the line.
    const limits = { mtu: Math.floor((mtu * 3) / 4) - 13, lineLength: Math.max(4, mtu - 4) };
    return new Session(pipe, io, { ...limits, seconds, tries, watch });
  }
  if (type === "udp") {
    const { host, port } = hostAndPort(connstring);
    const pipe = await opened(() => io.openUdp(host, port));
    return new Session(pipe, io, { mtu: UDP_MTU, seconds, tries, watch });
  }
  throw new McumgrFailure(`the connection type ${type} is not supported by bootproof`, {
    hint: "use serial or udp; Bluetooth and CoAP are not supported",
  });
}

function chosen(
  { conn, conntype, connstring, connextra }: ConnectionOptions,
  profiles: Profiles,
): { type: ConnectionType; connstring: string } {
  const profile = conn === "" ? undefined : profiles.get(conn);
  if (conntype !== "" && !isConnectionType(conntype))
    throw new McumgrFailure(`invalid conntype: ${JSON.stringify(conntype)}`);
  const type = conntype !== "" && isConnectionType(conntype) ? conntype : profile?.type;
  if (type === undefined) throw new McumgrFailure("No connection type specified");
  const base = connstring ? connstring : (profile?.connstring ?? "");
  return { type, connstring: connextra === "" ? base : base === "" ? connextra : `${base},${connextra}` };
}

interface SerialSettings {
  path: string;
  baud: number;
  mtu: number;
}

/** `dev=`, `baud=` and `mtu=`, in any order; a part without a key is the device. */
function serialSettings(connstring: string): SerialSettings {
  const settings: SerialSettings = { path: "", baud: DEFAULT_BAUD, mtu: DEFAULT_MTU };
  for (const part of connstring.split(",")) {
    const cut = part.indexOf("=");
    const [key, value] = cut < 0 ? ["dev", part] : [part.slice(0, cut), part.slice(cut + 1)];
    if (key === "dev") settings.path = value;
    else if (key === "baud" || key === "mtu") settings[key] = number(key, value);
    else throw new McumgrFailure(`Invalid serial connstring; Unrecognized key: [${key}]`);
  }
  return settings;
}

function number(key: string, text: string): number {
  const value = goInteger(text, "ParseInt", [-(2n ** 31n), 2n ** 31n - 1n]);
  if (typeof value === "string")
    throw new McumgrFailure(`Invalid serial connstring; Invalid ${key}: [${text}]`);
  return Number(value);
}

async function openPort(path: string, baud: number, io: McumgrIo) {
  const problem = io.deviceProblem(path);
  if (problem !== undefined) throw new McumgrFailure(problem);
  if (!STANDARD_BAUDS.has(baud)) throw new McumgrFailure("Unrecognized baud rate");
  return io.openSerial(path, baud);
}

/** What a link of ours says when it cannot be opened, as mcumgr's kind of failure. */
async function opened<T>(open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (cause) {
    if (!(cause instanceof BootproofError) || cause instanceof McumgrFailure) throw cause;
    throw new McumgrFailure(printable(cause.message), { hint: cause.hint ?? "", cause });
  }
}

/** `HOST:PORT`, `[IPV6]:PORT`; the port is a number. */
function hostAndPort(connstring: string): { host: string; port: number } {
  const refuse = (reason: string) => new McumgrFailure(`Failure resolving name for UDP session: ${reason}`);
  if (connstring === "") throw new McumgrFailure("write udp: no address to send to: invalid argument");
  const bracketed = /^\[([^\]]*)\]:(.*)$/.exec(connstring);
  const colon = connstring.lastIndexOf(":");
  if (colon < 0) throw refuse(`address ${connstring}: missing port in address`);
  const host = bracketed ? bracketed[1]! : connstring.slice(0, colon);
  const port = bracketed ? bracketed[2]! : connstring.slice(colon + 1);
  if (!bracketed && host.includes(":")) throw refuse(`address ${connstring}: too many colons in address`);
  if (!/^\d+$/.test(port)) throw refuse(`lookup udp/${port}: unknown port`);
  if (Number(port) > 65_535) throw refuse(`address ${port}: invalid port`);
  if (host !== "" && isIP(host) === 0 && !/^[\w.-]+$/.test(host))
    throw refuse(`lookup ${host}: no such host`);
  return { host: host === "" ? "127.0.0.1" : host, port: Number(port) };
}
