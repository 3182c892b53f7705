import { statSync } from "node:fs";
import { useOpenssl } from "../../crypto-node/openssl.js";
import { LogError } from "../../trust/log-error.js";
import { AuditLog } from "../../trust-store/audit-log.js";
import { logFolder, stateFolder } from "../state-folders.js";

export { logFolder, stateFolder };

/** @throws LogError `no-log` when the place is a file */
export function openAuditLog(signal?: AbortSignal, folder = logFolder()): AuditLog {
  if (statSync(folder, { throwIfNoEntry: false })?.isFile())
    throw new LogError("no-log", `${folder} is a file; audit logs are kept in a folder.`, {
      hint: "Name the folder in which log-000001 and the log's key are, not a file in it.",
    });
  // A run that was refused before its verb began is logged as well.
  useOpenssl();
  return new AuditLog({ folder, signal });
}
