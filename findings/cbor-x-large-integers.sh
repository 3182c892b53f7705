#!/bin/sh
# Guess:   cbor-x writes the integer 4294967296 (2^32) as a CBOR integer, like all smaller ones, and a Uint8Array as a plain
#          byte string.
# Seen:    From 2^32 up a number becomes a 64-bit float (head fb), which servers in C that expect an unsigned integer refuse;
#          a BigInt is needed. A Uint8Array gets tag 64 (d840) in front, a Buffer does not.
# Version: cbor-x 1.6.9 (npm), Node 20.
# Source:  RFC 8949, section 3.1 (major type 0 holds up to 2^64 - 1); RFC 8746 defines tag 64.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > /dev/null
npm install --silent --no-audit --no-fund cbor-x@1.6.9 > /dev/null
cat > show.cjs <<'JS'
const { encode } = require("cbor-x");
const hex = (value) => encode(value).toString("hex");
const seen = {
  "2^32 - 1": hex(2 ** 32 - 1),
  "2^32": hex(2 ** 32),
  "BigInt 2^32": hex(2n ** 32n),
  "Uint8Array of 1": hex(Uint8Array.of(1)),
  "Buffer of 1": hex(Buffer.from([1])),
};
console.log(seen);
const asExpected =
  seen["2^32 - 1"].startsWith("1a") &&
  seen["2^32"].startsWith("fb") &&
  seen["BigInt 2^32"] === "1b0000000100000000" &&
  seen["Uint8Array of 1"] === "d8404101" &&
  seen["Buffer of 1"] === "4101";
process.exit(asExpected ? 0 : 1);
JS
node show.cjs
