/** How long this host takes to check a signed image of 256 KiB, per kind of key: `npm run --silent build && node test/bench/verify.mjs`. */
import { generateKey, signImage, verifyImage } from "bootproof";

const body = new Uint8Array(256 * 1024).fill(7);
for (const type of ["ed25519", "ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-3072"]) {
  const key = await generateKey(type);
  const { image } = await signImage(body, {
    key,
    version: "1.0.0",
    headerSize: 32,
    padHeader: true,
    slotSize: 0,
  });
  const keys = [key.publicKey];
  const times = [];
  for (let i = 0; i < 40; i++) {
    const start = performance.now();
    await verifyImage(image, { keys });
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  console.log(`${type}: least ${times[0].toFixed(1)} ms, median ${times[20].toFixed(1)} ms`);
}
