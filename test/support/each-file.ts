import { afterAll } from "vitest";
import { useOpenssl } from "../../src/crypto-node/openssl.js";
import { removePerFile } from "./per-file.js";

// Vitest runs this file anew for each test file, also in a process that has run others.

// Tests reach into inner files, which know no provider; the program's own is used.
useOpenssl();
afterAll(removePerFile);
