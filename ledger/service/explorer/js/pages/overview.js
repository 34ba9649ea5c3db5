// The ledger at a glance, and what this browser checked of it.

import { getJson, namesOf } from '../api.js';
import { checkpointChecks, showChecks } from '../checks.js';
import { announce, copyButton, digest, facts, h, mark, said, section, table } from '../dom.js';
import { count, many, time } from '../format.js';
import { pin } from '../trust.js';
import { entryTable } from './entries.js';

const NEWEST = 10;

const keyLine = (vkey, what) => h('span', { class: 'digest whole' }, h('code', {}, String(vkey)), copyButton(String(vkey), what));

const COSIGNED = {
  good: (v) => [mark('good', 'Cosigned'), ' ', time(v.time)],
  unknown: (v) => [mark('unknown', 'Not checked'), ' says ', time(v.time)],
  bad: () => mark('bad', 'Does not verify'),
  absent: (v) => [mark('noted', 'Not yet'), v.size ? ` last at size ${count(v.size)}` : ''],
};

function keyForm(trust) {
  const input = h('input', { id: 'key', type: 'text', autocomplete: 'off', spellcheck: 'false', value: trust.pinned ? trust.key.text : null, placeholder: 'name+hash+key', 'aria-describedby': 'key-error' });
  const error = h('p', { id: 'key-error', class: 'error', role: 'alert', hidden: true });
  const use = (event) => {
    event.preventDefault();
    try {
      pin(input.value);
    } catch (problem) {
      error.textContent = `This is no key: ${problem.message}.`;
      error.hidden = false;
      return;
    }
    announce('The key is used from now on');
    window.dispatchEvent(new Event('reload'));
  };
  const forget = () => {
    pin(null);
    window.dispatchEvent(new Event('reload'));
  };
  return h('form', { class: 'line', submit: use },
    h('label', { for: 'key' }, trust.pinned
      ? 'Checkpoints are checked by this key, which you gave.'
      : 'Have the log\u2019s key from elsewhere, such as its operator\u2019s papers? Check by that one:'),
    h('div', { class: 'row' }, input, h('button', { type: 'submit' }, 'Use'), trust.pinned ? h('button', { type: 'button', class: 'quiet', click: forget }, 'Forget') : null),
    error);
}

function twoHistories({ growth, text }) {
  if (!['shrunk', 'forked'].includes(growth.state)) return null;
  return section('Two signed checkpoints that do not fit together',
    h('p', {}, 'Keep both texts. If one key signed both, they show everyone that the log\u2019s history was changed.'),
    [growth.was.note, text].map((note) => h('pre', { tabindex: 0, role: 'region', 'aria-label': 'Signed checkpoint' }, note)));
}

export async function overview({ trust: loading }) {
  const trust = await loading;
  const { info, checkpoint } = trust;
  const start = Math.max(0, checkpoint.size - NEWEST);
  const { entries } = await getJson(`v1/entries?start=${start}&count=${NEWEST}`);
  const names = await namesOf(entries.map((e) => e.signer));
  const cosigned = trust.validators.filter((v) => v.state === 'good').length;
  return {
    title: 'Overview',
    nodes: [
      h('p', { class: 'eyebrow' }, 'Ledger'),
      h('h1', {}, said(checkpoint.origin)),
      h('div', { class: 'tiles' },
        h('div', {}, h('span', { class: 'figure' }, count(checkpoint.size)), h('span', {}, 'entries')),
        h('div', {}, h('span', { class: 'figure' }, `${count(cosigned)} of ${count(trust.validators.length)}`), h('span', {}, 'validators cosigned this size')),
        h('div', {}, h('span', { class: 'figure' }, said(info.engine ?? 'not told')), h('span', {}, 'engine'))),
      section('Checked in this browser', showChecks(checkpointChecks(trust), 'ledger')),
      twoHistories(trust),
      section('Identity of the log',
        facts([
          ['Root', digest(trust.rootHex, { what: 'root', whole: true })],
          ['Key by this server', keyLine(info.vkey, 'key')],
        ]),
        keyForm(trust),
        h('details', {}, h('summary', {}, 'Signed checkpoint'), h('pre', { tabindex: 0 }, trust.text),
          h('p', {}, h('a', { href: 'checkpoint', download: 'checkpoint.txt' }, 'Download')))),
      section('Validators',
        h('p', {}, 'Validators verify every entry and proof themselves before they cosign. ',
          info.quorum ? `This ledger advises to ask for ${many(info.quorum, 'cosignature')}.` : 'This ledger names no number of cosignatures to ask for.'),
        table('Validators', [
          { name: 'Validator', cell: (v) => said(v.name) },
          { name: 'This checkpoint', cell: (v) => COSIGNED[v.state](v) },
          { name: 'Key', cell: (v) => digest(String(v.vkey), { what: 'validator key' }) },
        ], trust.validators, { empty: 'No validators are named: this ledger is vouched for by its operator alone.' })),
      section('Newest entries', entryTable(entries.slice().reverse(), names),
        h('p', {}, h('a', { href: '#/entries' }, 'All entries'))),
    ],
  };
}
