// What this browser found out by itself about an entry, a receipt or a checkpoint.

import { fromBase64 } from './bytes.js';
import { find } from './api.js';
import { h } from './dom.js';
import { authorSigned, decode } from './entry.js';
import { count, many, time } from './format.js';
import { verifyInclusion, whyNoSignatures } from './log.js';

const check = (name, state, text) => ({ name, state, text });

/** The checks of a checkpoint, from what `loadTrust` found. */
export function checkpointChecks(trust) {
  const { signature, checkpoint, key, validators, growth, info } = trust;
  const whose = trust.pinned ? 'the key that you gave' : 'the key that this server names, which you can compare with one from elsewhere';
  const found = [];
  if (!trust.told) {
    found.push(check('Checkpoint', 'bad', `You gave ${key.text}. This server calls itself ${info.vkey}.`));
  } else {
    found.push(check('Checkpoint', signature === 'absent' ? 'bad' : signature, {
      good: `The log signed size ${count(checkpoint.size)} and this root, by ${whose}.`,
      bad: `The signature of ${key.name} over this checkpoint does not verify.`,
      absent: `The checkpoint is not signed by ${key.name}.`,
      unknown: `Not checked: ${whyNoSignatures()}.`,
    }[signature]));
  }
  const good = validators.filter((v) => v.state === 'good').length;
  const unknown = validators.filter((v) => v.state === 'unknown').length;
  const needed = Number.isInteger(info.quorum) ? info.quorum : 0;
  if (validators.length > 0) {
    const bad = validators.filter((v) => v.state === 'bad').length;
    const state = bad ? 'bad' : unknown ? 'unknown' : good >= needed && good > 0 ? 'good' : 'unknown';
    const asked = needed ? ` The ledger asks for ${count(needed)}.` : '';
    found.push(check('Validators', state, unknown && !bad
      ? `Not checked: ${whyNoSignatures()}.`
      : `${count(good)} of ${many(validators.length, 'validator')} cosigned this checkpoint${bad ? `, and ${many(bad, 'cosignature')} does not verify` : ''}.${asked}`));
  }
  found.push(check('Growth', { grown: 'good', first: 'noted' }[growth.state] ?? 'bad', growthText(growth)));
  return found;
}

function growthText({ state, was }) {
  if (state === 'first') return 'First visit with this browser: from now on it checks that nothing it saw is changed or taken away.';
  const seen = `the ${many(was.size, 'entry', 'entries')} that this browser saw on `;
  if (state === 'grown') return ['The log begins with ', seen, time(was.time), '.'];
  if (state === 'shrunk') return ['The log is shorter than ', seen, time(was.time), '. Keep both checkpoints.'];
  return ['The log no longer begins with ', seen, time(was.time), '. Keep both checkpoints: they show that it was rewritten.'];
}

/** The checks of an entry's bytes. `told` is what the server says of it: digest, type, signer. */
export async function entryChecks(entry, told = {}) {
  if (entry.error) return [check('Encoding', 'bad', `The entry is malformed: ${entry.error}.`)];
  const { payload, value } = entry;
  const found = [check('Encoding', 'good', 'The bytes are the one canonical encoding of what they say.')];
  const differs = Object.entries({ digest: entry.digest, type: payload.type, signer: payload.signer })
    .filter(([name, is]) => told[name] !== undefined && (told[name] ?? '') !== is)
    .map(([name]) => name);
  found.push(differs.length
    ? check('Digest', 'bad', `The server names another ${differs.join(' and ')} than the entry's bytes have.`)
    : check('Digest', 'good', 'Recomputed from the bytes.'));
  const signed = await authorSigned(entry);
  const why = value.scheme === 'evm' ? 'browsers cannot check signatures of Ethereum accounts' : whyNoSignatures();
  found.push(check('Author', signed === 'none' ? 'good' : signed, {
    good: 'The author\u2019s key signed exactly this.',
    bad: 'The signature is not that of the key that the entry names.',
    unknown: `Not checked: ${why}.`,
    none: value.scheme === 'chain' ? 'A contract vouches for the author; no signature is needed.' : 'The ledger\u2019s rules made this entry, and nobody signs it.',
  }[signed]));
  return found;
}

/** The check that an entry is under a checkpoint. */
export function inclusionCheck(leaf, index, path, checkpoint) {
  return verifyInclusion(leaf, index, checkpoint.size, path, checkpoint.root)
    ? check('Inclusion', 'good', `${many(path.length, 'hash', 'hashes')} lead from this entry to the root of ${many(checkpoint.size, 'entry', 'entries')}.`)
    : check('Inclusion', 'bad', `The proof does not lead from this entry, as number ${count(index)}, to the root of the checkpoint.`);
}

/** Examine entry `index` as the server tells it, against the checkpoint. */
export async function examine(told, index, trust) {
  let entry;
  try {
    entry = decode(told.data);
  } catch (error) {
    return { entry: { error: error.message }, checks: [check('Encoding', 'bad', `The entry's data is ${error.message}.`)] };
  }
  const checks = await entryChecks(entry, told);
  const answer = await find(`v1/proof/inclusion?index=${index}&size=${trust.checkpoint.size}`);
  let path;
  try {
    path = answer.hashes.map(fromBase64);
  } catch {
    path = undefined;
  }
  checks.push(path ? inclusionCheck(entry.leaf, index, path, trust.checkpoint) : check('Inclusion', 'bad', 'The server gives no proof that the entry is on the log.'));
  if (!entry.error && entry.payload.origin !== trust.checkpoint.origin) checks.push(check('Ledger', 'bad', 'The entry was made for another ledger.'));
  return { entry, path, checks: checks.concat(checkpointChecks(trust)) };
}

const WORD = { good: 'Good', bad: 'Bad', unknown: 'Not checked', noted: 'Noted' };

/** Return the worst outcome: one bad check spoils everything. */
export const verdict = (checks) => ['bad', 'unknown', 'good'].find((state) => checks.some((c) => c.state === state)) ?? 'unknown';

/** Show checks as a list under one sentence. */
export function showChecks(checks, what = 'entry') {
  const worst = verdict(checks);
  const bad = checks.filter((c) => c.state === 'bad').length;
  const open = checks.filter((c) => c.state === 'unknown').length;
  const sentence = {
    bad: `BAD: ${many(bad, 'check')} failed. Do not rely on this ${what}.`,
    unknown: `All checks made here hold; ${many(open, 'check')} could not be made.`,
    good: `GOOD: all ${count(checks.filter((c) => c.state === 'good').length)} checks hold.`,
  }[worst];
  return h('div', { class: `verdict ${worst}`, 'data-verdict': worst },
    h('p', { class: 'sentence' }, sentence),
    h('ul', { class: 'checks' }, checks.map((c) => h('li', { 'data-check': c.name, 'data-state': c.state },
      h('span', { class: `mark ${c.state}` }, WORD[c.state]), ' ', h('strong', {}, c.name), ' ', h('span', { class: 'why' }, c.text)))));
}
