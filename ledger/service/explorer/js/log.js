// Transparency-log formats and proofs: C2SP signed-note, tlog-checkpoint, tlog-cosignature and
// tlog-proof, over trees of RFC 6962. Checked here as the ledger's own tools check them.

import { concat, equal, fromBase64, hex, utf8 } from './bytes.js';
import { sha256 } from './sha256.js';

const ED25519 = 1;
const COSIGNATURE = 4;

const FIELD = 2n ** 255n - 19n;
const ORDER_8_Y = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n;
const SMALL_ORDER_Y = [0n, 1n, FIELD - 1n, ORDER_8_Y, FIELD - ORDER_8_Y];

/** Tell whether signatures under a key mean anything: canonical, and not of small order. */
export function isStrongKey(key) {
  const y = BigInt(`0x${hex(Uint8Array.from(key).reverse())}`) & (2n ** 255n - 1n);
  return key.length === 32 && y < FIELD && !SMALL_ORDER_Y.includes(y);
}

/** Return whether an Ed25519 signature verifies; undefined where this browser cannot tell. */
export async function verifyEd25519(key, signature, message) {
  if (!isStrongKey(key) || signature.length !== 64) return false;
  if (!globalThis.crypto?.subtle) return undefined;
  try {
    const imported = await crypto.subtle.importKey('raw', key, 'Ed25519', false, ['verify']);
    return await crypto.subtle.verify('Ed25519', imported, signature, message);
  } catch (error) {
    // A browser without Ed25519 says so with this name. Any other failure is the signature's.
    return error.name === 'NotSupportedError' ? undefined : false;
  }
}

/** Why signatures cannot be checked here; empty where they can, as far as known. */
export function whyNoSignatures() {
  if (globalThis.crypto?.subtle) return 'this browser has no Ed25519';
  return globalThis.isSecureContext
    ? 'this browser has no cryptography for pages'
    : 'this page came over plain HTTP, where browsers offer no signatures to pages';
}

/** Read a `name+hash+key` line. */
export function parseKey(text) {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text.trim());
  if (!match) throw new Error('a verifier key has the form name+hash+key');
  const [, name, id, encoded] = match;
  const key = fromBase64(encoded);
  if (key.length !== 33 || ![ED25519, COSIGNATURE].includes(key[0])) throw new Error('not an Ed25519 verifier key');
  if (hex(sha256(concat(utf8(`${name}\n`), key)).slice(0, 4)) !== id) throw new Error('the hash in the verifier key is not that of its key');
  return { name, id, kind: key[0], public: key.slice(1), text: text.trim() };
}

/** Read a signed note. */
export function parseNote(note) {
  const at = note.lastIndexOf('\n\n');
  if (at < 0 || !note.endsWith('\n')) throw new Error('not a signed note');
  const signatures = note.slice(at + 2, -1).split('\n').map((line) => {
    const match = /^\u2014 (\S+) (\S+)$/.exec(line);
    const bytes = match && fromBase64(match[2]);
    if (!match || bytes.length < 5) throw new Error('malformed signature line');
    return { name: match[1], id: hex(bytes.slice(0, 4)), signature: bytes.slice(4) };
  });
  return { text: note.slice(0, at + 1), signatures };
}

/** Read the text of a checkpoint: origin, size and root. */
export function parseCheckpoint(text) {
  const lines = text.split('\n');
  if (lines.length < 4 || !/^(0|[1-9][0-9]{0,14})$/.test(lines[1])) throw new Error('not a checkpoint');
  const root = fromBase64(lines[2]);
  if (root.length !== 32) throw new Error('the root of the checkpoint does not have 32 bytes');
  return { origin: lines[0], size: Number(lines[1]), root };
}

/**
 * Look for the signature of a key on a parsed note.
 * Resolves to {state, time}: state is 'good', 'bad', 'absent' or 'unknown' (this browser cannot
 * tell); time is that of a cosignature, in seconds. One that fails spoils the note.
 */
export async function verifyNote(note, key) {
  let found = { state: 'absent' };
  for (const { name, id, signature } of note.signatures) {
    if (name !== key.name || id !== key.id) continue;
    let message = utf8(note.text);
    let time;
    let made = signature;
    if (key.kind === COSIGNATURE) {
      if (signature.length !== 72) return { state: 'bad' };
      const seconds = new DataView(signature.buffer, signature.byteOffset, 8).getBigUint64(0);
      time = Number(seconds);
      message = utf8(`cosignature/v1\ntime ${seconds}\n${note.text}`);
      made = signature.slice(8);
    }
    const verified = await verifyEd25519(key.public, made, message);
    if (verified === false) return { state: 'bad' };
    found = { state: verified ? 'good' : 'unknown', time };
  }
  return found;
}

export const leafHash = (data) => sha256(concat(Uint8Array.of(0), data));
const nodeHash = (left, right) => sha256(concat(Uint8Array.of(1), left, right));

const bitLength = (n) => (n === 0n ? 0 : n.toString(2).length);
const bitCount = (n) => n.toString(2).replaceAll('0', '').length;

const chain = (node, path, mask) => path.reduce(
  (at, sibling, level) => ((mask >> BigInt(level)) & 1n ? nodeHash(sibling, at) : nodeHash(at, sibling)), node);
const chainRight = (node, path) => path.reduce((at, sibling) => nodeHash(sibling, at), node);
const isProof = (path, length) => path.length === length && path.every((hash) => hash.length === 32);

/** Tell whether a leaf hash is number `index` of the `size` leaves under a root (RFC 9162, 2.1.3.2). */
export function verifyInclusion(leaf, index, size, path, root) {
  if (!(Number.isSafeInteger(index) && Number.isSafeInteger(size) && 0 <= index && index < size)) return false;
  const at = BigInt(index);
  const inner = bitLength(at ^ BigInt(size - 1));
  // The length that the path must have follows from index and size, so nothing can be appended.
  if (!isProof(path, inner + bitCount(at >> BigInt(inner)))) return false;
  return equal(chainRight(chain(leaf, path.slice(0, inner), at), path.slice(inner)), root);
}

/** Tell whether a tree grew only by appending (RFC 9162, 2.1.4.2); `oldSize` is not 0. */
export function verifyConsistency(oldSize, oldRoot, newSize, newRoot, path) {
  if (!(oldSize > 0 && oldSize <= newSize)) return false;
  if (oldSize === newSize) return path.length === 0 && equal(oldRoot, newRoot);
  const size = BigInt(oldSize);
  const shift = bitLength(size & -size) - 1;
  const seeded = size !== 1n << BigInt(shift);
  const last = size - 1n;
  const total = bitLength(last ^ BigInt(newSize - 1));
  const inner = total - shift;
  if (!isProof(path, Number(seeded) + inner + bitCount(last >> BigInt(total)))) return false;
  const seed = seeded ? path[0] : oldRoot;
  const rest = seeded ? path.slice(1) : path;
  const mask = last >> BigInt(shift);
  const below = rest.slice(0, inner);
  const leftOnly = below.filter((_, level) => (mask >> BigInt(level)) & 1n);
  return equal(chainRight(chainRight(seed, leftOnly), rest.slice(inner)), oldRoot)
    && equal(chainRight(chain(seed, below, mask), rest.slice(inner)), newRoot);
}

/** Read a receipt (tlog-proof with the entry as extra data). */
export function parseReceipt(text) {
  const at = text.indexOf('\n\n');
  const [header, extra = '', index = '', ...path] = text.slice(0, Math.max(at, 0)).split('\n');
  const number = /^index (0|[1-9][0-9]{0,14})$/.exec(index);
  if (header !== 'c2sp.org/tlog-proof@v1' || !extra.startsWith('extra ') || !number) {
    throw new Error('this is not a receipt: a c2sp.org/tlog-proof@v1 with an entry');
  }
  return { index: Number(number[1]), data: fromBase64(extra.slice(6)), path: path.map(fromBase64), note: text.slice(at + 2) };
}
