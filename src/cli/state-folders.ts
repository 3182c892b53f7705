import { homedir } from "node:os";
import { join } from "node:path";

/** What this user's bootproof remembers: `bootproof` in the user's state folder. */
export function stateFolder(): string {
  return join(process.env.XDG_STATE_HOME ?? join(homedir(), ".local", "state"), "bootproof");
}

/** Where this user's audit logs are: BOOTPROOF_LOG_FOLDER, else `bootproof/audit` in the user's state folder. */
export function logFolder(): string {
  const named = process.env.BOOTPROOF_LOG_FOLDER;
  if (named !== undefined && named !== "") return named;
  return join(stateFolder(), "audit");
}

/** Where this user's ratchet is: BOOTPROOF_RATCHET_FOLDER, else `bootproof/ratchet` in the user's state folder. */
export function ratchetFolder(): string {
  const named = process.env.BOOTPROOF_RATCHET_FOLDER;
  return named || join(stateFolder(), "ratchet");
}

/** Where a signer's ledger and its own log are: BOOTPROOF_SIGNER_FOLDER, else `bootproof/signer` in the user's state folder. */
export function signerFolder(): string {
  return process.env.BOOTPROOF_SIGNER_FOLDER || join(stateFolder(), "signer");
}

/** Where what is trusted of TUF repositories is kept: a folder each. Not a cache: it is the memory against rollback. */
export function tufStores(): string {
  return join(stateFolder(), "tuf");
}

/** The same for pairs of Uptane repositories. */
export function uptaneStores(): string {
  return join(stateFolder(), "uptane");
}
