import { useOpenssl } from "../../src/crypto-node/openssl.js";

// Tests reach into inner files, which know no provider; the program's own is used.
useOpenssl();
