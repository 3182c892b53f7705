import { cpSync } from "node:fs";
import { toHex } from "../../bytes.js";
import { type Output, printable, table, tone } from "../output.js";
import type { Context } from "../verb-context.js";
import { type Attack, attacks } from "./attacks.js";
import { observe } from "./observe.js";
import { type Product, prepareProduct, signOffline, stateProvenance } from "./product.js";
import { DemoWorkspace } from "./workspace.js";

/** One link that held, with what was read back of it. */
interface Link {
  readonly link: string;
  readonly what: string;
  readonly readBack: string;
}

/**
 * The whole chain of one update, from the machine with the key to the proof in the log, and then one attack on each link.
 * Every step is a command line of this program, run in a folder with its own boards, memory and log.
 */
export async function demoChain({ out, signal }: Context): Promise<void> {
  const workspace = new DemoWorkspace(signal);
  try {
    const product = await prepareProduct(workspace);
    out.note(tone("strong", "\nThe chain"));
    const links: Link[] = [];
    const held = (link: Link) => {
      links.push(link);
      out.note(
        `${tone("good", "held")}  ${link.link.padEnd(9)} ${link.what}\n      ${" ".repeat(9)} ${link.readBack}`,
      );
    };
    await theChain(workspace, product, held);

    out.note(tone("strong", "\nOne attack on each link"));
    const found: Attack[] = [];
    for await (const attack of attacks(workspace, product)) {
      found.push(attack);
      drawAttack(attack, out);
    }
    const refused = found.filter((attack) => attack.asExpected).length;
    const rows = found.map(({ attack, refusedBy, exitStatus, asExpected }) => [
      asExpected ? tone("good", "refused") : tone("bad", "NOT AS EXPECTED"),
      attack,
      refusedBy[0] ?? "-",
      `${exitStatus ?? "-"}`,
    ]);
    out.result(
      { signer: product.signer.kind, links, attacks: found },
      [
        "",
        table(["", "ATTACK", "REFUSED BY", "STATUS"], rows),
        "",
        `${links.length} links held; ${refused} of ${found.length} attacks were refused by the link that should.`,
      ].join("\n"),
    );
    if (refused < found.length) process.exitCode = 1;
  } finally {
    workspace.remove();
  }
}

function drawAttack({ attack, message, board, asExpected }: Attack, out: Output): void {
  const mark = asExpected ? tone("good", "refused") : tone("bad", "NOT AS EXPECTED");
  out.note(`${mark}  ${attack}\n         ${printable(message)}\n         ${board}`);
}

async function theChain(
  workspace: DemoWorkspace,
  product: Product,
  held: (link: Link) => void,
): Promise<void> {
  const { update, older, policy, publicKey, board } = product;
  await signOffline(workspace, product, { output: older, version: "1.5.0", counter: 3 });
  const signed = await signOffline(workspace, product, { output: update, version: "2.0.0", counter: 7 });
  held({
    link: "signer",
    what: product.signer.summary,
    readBack: `signed security counter ${signed.counter}; key ${toHex(product.key.keyHash).slice(0, 16)} never left it`,
  });

  const verified = await workspace.must(["verify", update, "--key", publicKey]);
  held({
    link: "image",
    what: "the signed image came back over the air gap and verifies",
    readBack: `image hash ${String(verified.value.hash ?? signed.hash).slice(0, 16)}, version 2.0.0`,
  });

  await stateProvenance(update, product.provenance, product);
  const built = ["--provenance", product.provenance, "--provenance-key", product.buildPublicKey];
  const judged = await workspace.must([
    "policy",
    "check",
    policy,
    "--image",
    update,
    "--key",
    publicKey,
    ...built,
  ]);
  const findings = judged.value.findings as readonly unknown[];
  held({
    link: "policy",
    what: `level ${judged.value.level}: key, algorithm, hardware, counter`,
    readBack: `${judged.value.decision}: ${findings.length} rules`,
  });

  // What somebody would put back who wants this update forgotten.
  cpSync(workspace.path("state/bootproof/audit"), workspace.path("early-log"), { recursive: true });
  const before = await observe(board, workspace.signal);
  const flashed = await workspace.must([
    ...["flash", update, "--key", publicKey, "--policy", policy, "-d", board, ...built],
    ...["--soak", "300", "--health-shell", "health", "--settle", "--log-proof", product.proof],
    ...["--attest", product.attestation, "--attest-key", product.attestKey],
  ]);
  const after = await observe(board, workspace.signal);
  const checks = flashed.value.preflight as readonly { name: string; result: string; message: string }[];
  const origin = checks.find(({ name, result }) => name === "policy/provenance" && result === "pass");
  held({
    link: "build",
    what: "the build server's signed SLSA statement is about this very file",
    readBack: origin?.message ?? "-",
  });
  held({
    link: "board",
    what: "trial boot, health check, soak, then confirmed",
    readBack: `ran ${before.version}, runs ${after.version} (${after.confirmed ? "confirmed" : "not confirmed"}), outcome ${flashed.value.outcome}`,
  });
  held({
    link: "counter",
    what: "one more restart, so that the board stores the security counter",
    readBack: `stored counter ${before.storedCounter}, now ${after.storedCounter}`,
  });

  const key = String((await workspace.must(["log", "key"])).value.key);
  const checked = await workspace.must(["log", "check", product.proof, "--key", key]);
  await workspace.must(["log", "export", "--format", "checkpoint", "-o", product.witness]);
  held({
    link: "log",
    what: "the update is in the audit log, provable to anyone who has the log's key",
    readBack: `entry ${checked.value.index} of ${checked.value.size ?? "-"}; a checkpoint went to another machine`,
  });

  const attested = await workspace.must([
    ...["attest", "verify", product.attestation],
    ...["--key", product.attestPublicKey, "--subject", update],
  ]);
  const by = (attested.value.signedBy as { hash: string }[])[0]!.hash;
  held({
    link: "statement",
    what: "a signed statement of what the board reported before and after",
    readBack: `signed by key ${by.slice(0, 16)}, about this very file`,
  });
}
