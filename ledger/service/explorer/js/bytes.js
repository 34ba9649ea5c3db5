// Bytes, their spellings, and the canonical encodings that the ledger hashes and signs.

import { sha256 } from './sha256.js';

export const utf8 = (text) => new TextEncoder().encode(text);
// With ignoreBOM a byte order mark stays part of the text, so that no two byte strings read alike.
export const fromUtf8 = (bytes) => new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);

export const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
export const isDigest = (text) => typeof text === 'string' && /^[0-9a-f]{64}$/.test(text);

export function fromHex(text) {
  if (!/^([0-9a-f]{2})*$/.test(text)) throw new Error('not lowercase hex');
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export const base64 = (bytes) => btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(''));

/** Decode base64 in its one canonical spelling. */
export function fromBase64(text) {
  let bytes;
  try {
    bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  } catch {
    throw new Error('not base64');
  }
  if (base64(bytes) !== text) throw new Error('not canonical base64');
  return bytes;
}

export function concat(...parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export const equal = (a, b) => a.length === b.length && a.every((x, i) => x === b[i]);

/** Encode JSON as RFC 8785 has it; its order of keys is that of Array.sort. */
export function canonicalJson(value) {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (value !== null && typeof value === 'object') {
    const items = Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key])}`);
    return `{${items.join(',')}}`;
  }
  return JSON.stringify(value);
}

/** Return the ledger's digest of bytes under a label, as in `circuits.encoding.digest`. */
export function digest(label, bytes) {
  const tag = utf8(`zkpot/${label}`);
  return hex(sha256(concat(Uint8Array.of(tag.length >> 8, tag.length & 255), tag, bytes)));
}
