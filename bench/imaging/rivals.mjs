// Node's part of bench/imaging: sharp and pixelmatch, asked over standard input, answering over standard output.
//
// A request is four bytes of length, a JSON object, and as many more bytes as its "bytes" say; an answer is the same.
// "cpu_ms" in an answer is the processor time, of user and system and all threads, that the work took.

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const folder = process.argv[2];
const need = createRequire(join(folder, 'package.json'));
const sharp = need('sharp');
const pixelmatch = (await import(pathToFileURL(need.resolve('pixelmatch')))).default;
const { PNG } = need('pngjs');

sharp.cache(false);
sharp.concurrency(1);

const works = {
  // RGB rows to a JPEG.
  async encode({ width, height, options }, body) {
    return { body: await sharp(body, { raw: { width, height, channels: 3 } }).jpeg(options).toBuffer() };
  },
  // An image file to a JPEG in a box, upright, in sRGB: what sharp's documentation tells for thumbnails.
  async thumbnail({ side }, body) {
    const fit = { fit: 'inside', withoutEnlargement: true };
    return { body: await sharp(body).rotate().resize(side, side, fit).jpeg({ quality: 80 }).toBuffer() };
  },
  // Two images of RGBA rows to a byte a pixel: 255 where they differ.
  async pixelmatch({ width, height }, body) {
    const half = width * height * 4;
    const mask = new Uint8Array(half);
    pixelmatch(body.subarray(0, half), body.subarray(half), mask, width, height, { diffMask: true });
    const out = Buffer.alloc(width * height);
    for (let at = 0; at < out.length; at++) {
      // Yellow is what it takes for antialiasing.
      out[at] = mask[4 * at + 3] && mask[4 * at + 1] === 0 ? 255 : 0;
    }
    return { body: out };
  },
  // Two PNG files to the number of pixels that differ, as pixelmatch's own command does it.
  async pngs({ before, after, mask }) {
    const [one, other] = [before, after].map((path) => PNG.sync.read(readFileSync(path)));
    const drawn = new PNG({ width: one.width, height: one.height });
    const differ = pixelmatch(one.data, other.data, drawn.data, one.width, one.height);
    if (mask) writeFileSync(mask, PNG.sync.write(drawn));
    return { differ };
  },
};

const input = process.stdin[Symbol.asyncIterator]();
let held = [];
let holding = 0;

// The next `wanted` bytes, or null at the end.
async function take(wanted) {
  while (holding < wanted) {
    const { value, done } = await input.next();
    if (done) return null;
    held.push(value);
    holding += value.length;
  }
  const all = Buffer.concat(held);
  held = [all.subarray(wanted)];
  holding -= wanted;
  return all.subarray(0, wanted);
}

for (let size = await take(4); size; size = await take(4)) {
  const asked = JSON.parse(await take(size.readUInt32BE(0)));
  // Copied, so that words in it begin where words may.
  const body = Buffer.from(new Uint8Array(await take(asked.bytes ?? 0)).buffer);
  const before = process.cpuUsage();
  let told;
  try {
    told = await works[asked.work](asked, body);
  } catch (error) {
    told = { error: String(error.message) };
  }
  const used = process.cpuUsage(before);
  const { body: answer = Buffer.alloc(0), ...rest } = told;
  const head = Buffer.from(JSON.stringify({ ...rest, cpu_ms: (used.user + used.system) / 1000, bytes: answer.length }));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length);
  process.stdout.write(Buffer.concat([length, head, answer]));
}
