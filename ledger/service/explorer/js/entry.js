// Entries as they are on the log: decoded, digested, and what each says in words.

import { canonicalJson, concat, digest, fromBase64, fromHex, fromUtf8, utf8 } from './bytes.js';
import { NOTHING } from './dom.js';
import { count, many, percent } from './format.js';
import { leafHash, verifyEd25519 } from './log.js';

const DOMAIN = utf8('zkpot/ledger-entry\0');

/** Read an entry from the data of its leaf; `error` says why it is malformed. */
export function decode(data) {
  const bytes = typeof data === 'string' ? fromBase64(data) : data;
  const leaf = leafHash(bytes);
  try {
    const text = fromUtf8(bytes);
    const value = JSON.parse(text);
    const payload = value.payload;
    if (typeof payload.type !== 'string' || typeof payload.signer !== 'string' || typeof payload.body !== 'object') throw new Error('fields are missing');
    if (canonicalJson(value) !== text) throw new Error('it is not in canonical form');
    return { bytes, leaf, value, payload, digest: digest('entry', utf8(canonicalJson(payload))) };
  } catch (error) {
    return { bytes, leaf, error: error.message };
  }
}

/** Check the author's signature: 'good', 'bad', 'unknown', or 'none' for an entry by the rules. */
export async function authorSigned({ value, payload }) {
  if (value.scheme === '' || value.scheme === 'chain') return value.signature === '' ? 'none' : 'bad';
  if (value.scheme !== 'ed25519') return 'unknown';
  try {
    const message = concat(DOMAIN, utf8(canonicalJson(payload)));
    const good = await verifyEd25519(fromHex(value.key), fromHex(value.signature), message);
    return good === undefined ? 'unknown' : good ? 'good' : 'bad';
  } catch {
    return 'bad';
  }
}

const short = (text) => `${String(text).slice(0, 8)}\u2026`;
const subject = (body) => (body.subject === NOTHING ? 'the ledger itself' : `task ${short(body.subject)}`);

const SAYS = {
  genesis: () => 'The ledger begins',
  'identity.register': (b) => `Registers as \u201c${b.name}\u201d`,
  'identity.rotate': (b) => `Takes a new ${b.scheme} key`,
  'identity.revoke': (b) => `Ends identity ${short(b.identity)}`,
  'data.register': (b) => (b.kind === 'testset'
    ? `Commits a test set of ${many(b.samples, 'sample')}`
    : `Commits training data of ${many(b.samples, b.unit.slice(0, -1), b.unit)}`),
  'task.open': (b) => `Opens the task \u201c${b.title}\u201d`,
  'model.commit': (b) => `Commits model ${short(b.model)} to task ${short(b.task)}`,
  'testset.release': (b) => `Closes commitments of task ${short(b.task)} and opens round ${b.round} to proofs`,
  'proof.submit': (b) => `Proves ${percent([b.statement.correct, b.statement.samples])} (${count(b.statement.correct)} of ${count(b.statement.samples)}) in task ${short(b.task)}`,
  'task.close': (b) => `Closes task ${short(b.task)}`,
  credit: (b) => `Credits ${many(b.amount, 'unit')} for proof #${b.proof}`,
  transfer: (b) => `Gives ${many(b.amount, 'unit')} to ${short(b.to)}`,
  bond: (b) => `Bonds ${many(b.amount, 'unit')} to ${subject(b)}`,
  'bond.return': (b) => `Takes back its bond to ${subject(b)}`,
  slash: (b) => `Shows the fault ${b.fault} of ${short(b.offender)}`,
  'policy.change': (b) => `Charter ${b.charter.number} takes effect`,
  clock: (b) => `The operator's clock: ${new Date(b.time * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC`,
  'model.release': (b) => `Releases the model \u201c${b.name}\u201d ${b.release}`,
  'prediction.attest': (b) => `Stands for a prediction of release ${short(b.release)}`,
  'audit.attest': (b) => `Reports on release ${short(b.release)}`,
};

/** Say in a line what an entry does. */
export function summary(payload) {
  try {
    return Object.hasOwn(SAYS, payload.type) ? SAYS[payload.type](payload.body) : payload.type;
  } catch {
    return payload.type;
  }
}
