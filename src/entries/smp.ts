/** `bootproof/smp`: the language that boards speak: commands, messages, framing. Pure. For plug-ins: `command` and the kinds of fields. */

export * from "../pure/smp.js";
export { encodeCbor } from "../smp/cbor.js";
export { ConsoleText } from "../smp/framing/console-text.js";
export { commandOf, GROUP_NAMES } from "../smp/groups/all.js";
export { osEcho, osParams } from "../smp/groups/os-first.js";
export { joinMessage, readMessage } from "../smp/header.js";
export { decodePayload } from "../smp/message.js";
export * from "../smp/schema.js";
export { asText, SETTING_TYPES } from "../smp/setting-value.js";
