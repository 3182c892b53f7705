// An SMP server on UDP that costs as little as a server can: it takes an image, forgets its bytes, and tells how quickly
// they came. Prints its port first, then a line of JSON for each whole upload. The first word: how large its buffers are.
import { createSocket } from "node:dgram";

const BUFFER = Number(process.argv[2] ?? 4096);
const PORT = Number(process.argv[3] ?? 0);
const COUNT = Number(process.argv[4] ?? 4);
const HEADER = 8;

/** What a head of CBOR says: its argument, and where the item's content begins. */
function head(bytes, at) {
  const low = bytes[at] & 31;
  if (low < 24) return [low, at + 1];
  const size = 1 << (low - 24);
  return [Number(BigInt(bytes.readUIntBE(at + 1, Math.min(size, 6)))), at + 1 + size];
}

/** The keys of a flat map with whole numbers; of strings their lengths. */
function fields(bytes) {
  const found = {};
  if (bytes.length === HEADER) return found;
  const indefinite = bytes[HEADER] === 0xbf;
  let [count, at] = indefinite ? [Number.POSITIVE_INFINITY, HEADER + 1] : head(bytes, HEADER);
  for (let index = 0; index < count && bytes[at] !== 0xff; index++) {
    const [length, from] = head(bytes, at);
    const key = bytes.toString("latin1", from, from + length);
    at = from + length;
    const major = bytes[at] >> 5;
    const [value, next] = head(bytes, at);
    found[key] = value;
    at = major === 2 || major === 3 ? next + value : next;
  }
  return found;
}

const text = (word) => Buffer.concat([Buffer.from([0x60 + word.length]), Buffer.from(word)]);
const uint = (value) => {
  const bytes = Buffer.alloc(5);
  bytes[0] = 0x1a;
  bytes.writeUInt32BE(value, 1);
  return bytes;
};
const map = (entries) =>
  Buffer.concat([
    Buffer.from([0xa0 + entries.length]),
    ...entries.flatMap(([key, value]) => [text(key), Buffer.isBuffer(value) ? value : uint(value)]),
  ]);

const socket = createSocket("udp4");
let upload;
socket.on("message", (bytes, from) => {
  const [group, id] = [bytes.readUInt16BE(4), bytes[7]];
  const answer = (payload) => {
    const reply = Buffer.concat([bytes.subarray(0, HEADER), payload]);
    reply[0] = bytes[0] | 1;
    reply.writeUInt16BE(payload.length, 2);
    socket.send(reply, from.port, from.address);
  };
  if (group === 0 && id === 6)
    answer(
      map([
        ["buf_size", BUFFER],
        ["buf_count", COUNT],
      ]),
    );
  else if (group === 0 && id === 0) {
    const said = bytes.subarray(HEADER + 3);
    answer(Buffer.concat([Buffer.from([0xa1]), text("r"), said]));
  } else if (group === 1 && id === 1) {
    const { off, len, data } = fields(bytes);
    if (off === 0) upload = { len, next: 0, start: performance.now(), messages: 0 };
    upload.messages++;
    if (off === upload.next) upload.next += data;
    answer(
      map([
        ["rc", 0],
        ["off", upload.next],
      ]),
    );
    if (upload.next === upload.len && !upload.told) {
      upload.told = true;
      const ms = performance.now() - upload.start;
      console.log(
        JSON.stringify({ bytesPerSecond: Math.round((upload.len * 1000) / ms), messages: upload.messages }),
      );
    }
  } else if (group === 1 && id === 0) answer(map([["images", Buffer.from([0x80])]]));
  else answer(map([["rc", 8]]));
});
socket.bind(PORT, "127.0.0.1", () => console.log(socket.address().port));
