/** The language that boards speak, for the entries of Node and of a page. */

export { CborError } from "../smp/cbor.js";
export {
  type AnyCommand,
  type Command,
  command,
  commandByNumber,
  type RequestOf,
  type ResponseOf,
} from "../smp/command.js";
export { consoleFraming } from "../smp/framing/console.js";
export type { Decoder, Framing, Received as Heard } from "../smp/framing/framing.js";
export { rawFraming } from "../smp/framing/raw.js";
export { allCommands } from "../smp/groups/all.js";
export * from "../smp/groups/crash.js";
export * from "../smp/groups/enum.js";
export * from "../smp/groups/fs.js";
export * from "../smp/groups/image.js";
export * from "../smp/groups/log.js";
export * from "../smp/groups/os.js";
export * from "../smp/groups/settings.js";
export * from "../smp/groups/shell.js";
export * from "../smp/groups/stat.js";
export * from "../smp/groups/trust.js";
export * from "../smp/groups/zephyr.js";
export { type Header, MessageError, type SmpVersion } from "../smp/header.js";
export { fromJson, type Json, toJson } from "../smp/json.js";
export { DeviceError, decodeResponse, encodeRequest } from "../smp/message.js";
export type { ErrorRow } from "../smp/rc.js";
export {
  anything,
  bool,
  bytes,
  int,
  type Kind,
  list,
  object,
  optional,
  record,
  ShapeError,
  text,
  uint,
  uint64,
} from "../smp/schema.js";
export { decodeSetting, encodeSetting, type SettingType, ValueError } from "../smp/setting-value.js";
