// What is checked and what is not; and a check of receipts from elsewhere.

import { checkpointChecks, entryChecks, inclusionCheck, showChecks } from '../checks.js';
import { announce, facts, h, said, section } from '../dom.js';
import { decode, summary } from '../entry.js';
import { count } from '../format.js';
import { parseCheckpoint, parseNote, parseReceipt, verifyNote, whyNoSignatures } from '../log.js';

/** Check a receipt as text, by the log's key. */
async function checkReceipt(text, trust) {
  const receipt = parseReceipt(text);
  const note = parseNote(receipt.note);
  const checkpoint = parseCheckpoint(note.text);
  const entry = decode(receipt.data);
  const signature = (await verifyNote(note, trust.key)).state;
  const validators = await Promise.all(trust.validators.filter((v) => v.public).map(async (v) => ({ ...v, ...(await verifyNote(note, v)) })));
  const fitting = trust.key.name === checkpoint.origin && signature !== 'absent';
  const checks = [
    ...await entryChecks(entry),
    inclusionCheck(entry.leaf, receipt.index, receipt.path, checkpoint),
    ...checkpointChecks({ ...trust, checkpoint, signature: fitting ? signature : 'bad', validators }).filter((c) => c.name !== 'Growth'),
  ];
  if (!entry.error && entry.payload.origin !== checkpoint.origin) checks.push({ name: 'Ledger', state: 'bad', text: 'The entry was made for another ledger.' });
  return { receipt, checkpoint, entry, checks };
}

function receiptForm(trust) {
  const area = h('textarea', { id: 'receipt', rows: 8, spellcheck: 'false', autocomplete: 'off', placeholder: 'c2sp.org/tlog-proof@v1 \u2026' });
  const file = h('input', { id: 'receipt-file', type: 'file' });
  const out = h('div', { id: 'receipt-verdict' });
  file.addEventListener('change', async () => {
    if (file.files.length) area.value = await file.files[0].text();
  });
  const submit = async (event) => {
    event.preventDefault();
    try {
      const { receipt, checkpoint, entry, checks } = await checkReceipt(area.value, trust);
      out.replaceChildren(showChecks(checks, 'receipt'), facts([
        ['Ledger', said(checkpoint.origin)],
        ['Entry', `number ${count(receipt.index)} of ${count(checkpoint.size)}`],
        ['Says', entry.payload ? said(summary(entry.payload)) : null],
      ]));
    } catch (error) {
      out.replaceChildren(h('p', { class: 'error' }, `This receipt cannot be read: ${error.message}.`));
    }
    announce(out.querySelector('.sentence, .error').textContent);
  };
  return h('form', { class: 'stack', submit },
    h('label', { for: 'receipt-file' }, 'Choose a file'), file,
    h('label', { for: 'receipt' }, 'or paste its text'), area,
    h('div', {}, h('button', { type: 'submit' }, 'Check the receipt')), out);
}

export async function check({ trust: loading }) {
  const trust = await loading;
  return {
    title: 'Check',
    nodes: [
      h('h1', {}, 'Check'),
      h('p', { class: 'lead' }, 'A receipt proves that an entry is on the log. This page checks it in your browser; nothing is sent anywhere.'),
      section('A receipt', receiptForm(trust)),
      section('What this browser checks', h('ul', { class: 'words' },
        h('li', {}, 'The checkpoint: that the log\u2019s key signed size and root, and which validators cosigned them.'),
        h('li', {}, 'Growth: that the log begins with what this browser saw the last time, by a consistency proof (RFC 6962).'),
        h('li', {}, 'An entry: that its bytes are canonical, that its digest is theirs, that its author signed it, and that it is under the checkpoint\u2019s root, by an inclusion proof (RFC 6962).'),
        h('li', {}, 'A manifest or card: that its bytes have the digest on the ledger.'))),
      section('What it does not check', h('ul', { class: 'words' },
        h('li', {}, 'Proofs of accuracy. The log verifies each before it takes it; ', h('code', {}, 'zkpot ledger audit'), ' verifies them all again.'),
        h('li', {}, 'Balances, leaderboards, phases and trails. These the server derives from the entries; each links to the entries behind it. The audit derives them again.'),
        h('li', {}, 'Signatures of Ethereum accounts, which browsers cannot check.'),
        h('li', {}, 'This page itself. It comes from the server that it checks: who does not trust that one should check receipts with ', h('code', {}, 'zkpot ledger'), ', or serve this page from elsewhere.'))),
      section('In this browser', facts([
        ['SHA-256', 'part of this page'],
        ['Ed25519', globalThis.crypto?.subtle ? 'of the browser, where it has it' : `not available: ${whyNoSignatures()}`],
      ])),
    ],
  };
}
