import { expect, it } from "vitest";
import { howToInstall } from "../../src/signers/pkcs11.js";

it.each([
  [
    "a checkout",
    "/home/me/bootproof/",
    "Run npm install --no-save --save-dev pkcs11js in /home/me/bootproof",
  ],
  ["a project", "/home/me/app/node_modules/bootproof/", "Run npm install pkcs11js in /home/me/app"],
  ["a project on Windows", "C:\\app\\node_modules\\bootproof\\", "Run npm install pkcs11js in C:\\app"],
  ["the machine", "/usr/lib/node_modules/bootproof/", "Run npm install --global pkcs11js"],
])("pkcs11js for bootproof in %s", (_where, folder, words) => expect(howToInstall(folder)).toBe(words));
