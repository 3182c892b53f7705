// What a packaged program is made of and how it came to be, for programs that ask: CycloneDX 1.6 and SLSA provenance 1.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const hex = (integrity) => Buffer.from(integrity.replace("sha512-", ""), "base64").toString("hex");

function npmComponent(name, { version, integrity, license }) {
  return {
    type: "library",
    "bom-ref": `pkg:npm/${encodeURI(name).replace("@", "%40")}@${version}`,
    name,
    version,
    purl: `pkg:npm/${encodeURI(name).replace("@", "%40")}@${version}`,
    ...(integrity && { hashes: [{ alg: "SHA-512", content: hex(integrity) }] }),
    ...(license && {
      licenses: [/ (?:OR|AND) /.test(license) ? { expression: license } : { license: { id: license } }],
    }),
  };
}

/** The bill of materials of one platform's program, as JSON. */
export function billOfMaterials({ title, platform, lock, manifest, joined }) {
  const usb = `@node-usb/${platform.usb}`;
  const names = [...joined, usb].filter((name) => !name.startsWith("@types/")).sort();
  const node = { version: platform.version, integrity: platform.integrity, license: "MIT" };
  return `${JSON.stringify(
    {
      bomFormat: "CycloneDX",
      specVersion: "1.6",
      version: 1,
      metadata: {
        component: {
          type: "application",
          "bom-ref": title,
          name: manifest.name,
          version: manifest.version,
          purl: `pkg:npm/${manifest.name}@${manifest.version}`,
          licenses: [{ license: { id: manifest.license } }],
        },
      },
      components: [
        npmComponent(platform.node, node),
        ...names.map((name) => npmComponent(name, lock[`node_modules/${name}`])),
      ],
      dependencies: [
        {
          ref: title,
          dependsOn: [
            npmComponent(platform.node, node),
            ...names.map((name) => npmComponent(name, lock[`node_modules/${name}`])),
          ].map((one) => one.purl),
        },
      ],
    },
    null,
    2,
  )}\n`;
}

/** An in-toto statement about everything that was packed; whoever publishes it signs it. */
export function provenance({ sums, platforms, makers, postject, root }) {
  const lock = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  const git = (...words) => {
    try {
      return execFileSync("git", ["-C", root, ...words], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      }).trim();
    } catch {
      return undefined;
    }
  };
  const commit = git("rev-parse", "HEAD");
  const isChanged = (git("status", "--porcelain", "--untracked-files=no") ?? "") !== "";
  const pinned = [
    ...Object.values(platforms).map(({ node, version, integrity }) => ({ name: node, version, integrity })),
    ...Object.entries(makers).flatMap(([kind, versions]) =>
      Object.entries(versions).map(([version, integrity]) => ({
        name: platforms[kind].node,
        version,
        integrity,
      })),
    ),
    { name: "postject", ...postject },
  ];
  return `${JSON.stringify(
    {
      _type: "https://in-toto.io/Statement/v1",
      subject: sums.map(({ name, sha256 }) => ({ name, digest: { sha256 } })),
      predicateType: "https://slsa.dev/provenance/v1",
      predicate: {
        buildDefinition: {
          buildType: "https://docs.npmjs.com/cli/commands/npm-run-script",
          externalParameters: { script: "package", subjects: sums.map(({ name }) => name) },
          internalParameters: {
            node: process.version,
            platform: `${process.platform}-${process.arch}`,
            isChanged,
          },
          resolvedDependencies: [
            ...(commit === undefined ? [] : [{ name: "source", digest: { gitCommit: commit } }]),
            { name: "package-lock.json", digest: { sha256: lock } },
            ...pinned.map(({ name, version, integrity }) => ({
              uri: `pkg:npm/${name}@${version}`,
              digest: { sha512: hex(integrity) },
            })),
          ],
        },
        runDetails: { builder: { id: "https://bootproof.invalid/local-build" } },
      },
    },
    null,
    2,
  )}\n`;
}
