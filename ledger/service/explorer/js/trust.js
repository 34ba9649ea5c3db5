// What the ledger's server signed, who vouches for it, and whether the log only ever grew.

import { find, getJson, getText } from './api.js';
import { fromBase64, hex } from './bytes.js';
import { parseCheckpoint, parseKey, parseNote, verifyConsistency, verifyNote } from './log.js';

// What this browser remembers; a private window or a strict setting may refuse it.
const memory = {
  get(name) {
    try {
      return localStorage.getItem(`zkpot:${name}`);
    } catch {
      return null;
    }
  },
  set(name, value) {
    try {
      if (value === null) localStorage.removeItem(`zkpot:${name}`);
      else localStorage.setItem(`zkpot:${name}`, value);
    } catch {
      // Nothing is remembered then, and the page says "first visit" every time.
    }
  },
};

/** The log's key that the reader trusts, from elsewhere than this server; null if none was given. */
export const pinned = () => memory.get('key');

export function pin(text) {
  memory.set('key', text === null ? null : parseKey(text).text);
}

async function growth(checkpoint) {
  const { origin, size, root } = checkpoint;
  let was;
  try {
    const { note, time } = JSON.parse(memory.get(`seen:${origin}`));
    was = { note, time, ...parseCheckpoint(parseNote(note).text) };
  } catch {
    return { state: 'first' };
  }
  if (size < was.size) return { state: 'shrunk', was };
  let path = [];
  if (size > was.size) {
    const answer = await find(`v1/proof/consistency?old=${was.size}&new=${size}`);
    path = (answer?.hashes ?? []).map(fromBase64);
  }
  return { state: verifyConsistency(was.size, was.root, size, root, path) ? 'grown' : 'forked', was };
}

/**
 * Load facts and checkpoint and check them.
 * `signature` is the outcome for the log's key, `validators` those for each validator, `growth`
 * compares with what this browser saw before.
 */
export async function loadTrust() {
  const [info, text] = await Promise.all([getJson('v1/info'), getText('checkpoint')]);
  const note = parseNote(text);
  const checkpoint = parseCheckpoint(note.text);
  const given = pinned();
  const key = parseKey(given ?? info.vkey);
  const told = given === null || parseKey(info.vkey).text === key.text;
  let signature = (await verifyNote(note, key)).state;
  if (key.name !== checkpoint.origin || !told) signature = 'bad';
  const validators = await Promise.all((info.validators ?? []).map(async (validator) => {
    try {
      const found = parseKey(validator.vkey);
      return { ...validator, name: found.name, ...(await verifyNote(note, found)) };
    } catch (error) {
      return { ...validator, name: '?', state: 'bad', error: error.message };
    }
  }));
  const grown = await growth(checkpoint);
  // Only what the log signed is worth remembering, and never anything instead of what it denies.
  if (['good', 'unknown'].includes(signature) && ['first', 'grown'].includes(grown.state)) {
    const time = Math.floor(Date.now() / 1000);
    memory.set(`seen:${checkpoint.origin}`, JSON.stringify({ note: text, time }));
  }
  return { info, text, note, checkpoint, rootHex: hex(checkpoint.root), key, pinned: given !== null, told, signature, validators, growth: grown };
}
