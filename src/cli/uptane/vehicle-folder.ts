import { createHash } from "node:crypto";
import { join } from "node:path";
import { uptaneStores } from "../state-folders.js";

/** Where this computer keeps what it knows of a vehicle. @param id - any text */
export function vehicleFolder(id: string): string {
  return join(uptaneStores(), "vehicles", createHash("sha256").update(id).digest("hex").slice(0, 32));
}
