import { useOpenssl } from "../../crypto-node/openssl.js";
import { AuditLog } from "../../trust-store/audit-log.js";
import { logFolder, stateFolder } from "../state-folders.js";

export { logFolder, stateFolder };

export function openAuditLog(signal?: AbortSignal, folder = logFolder()): AuditLog {
  // A run that was refused before its verb began is logged as well.
  useOpenssl();
  return new AuditLog({ folder, signal });
}
