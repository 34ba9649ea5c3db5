// Who governs, and what was refused.

import { getJson, namesOf } from '../api.js';
import { digest, h, said, section, table } from '../dom.js';
import { count, person } from '../format.js';
import { charterWords } from '../words.js';

const people = (identities, names, empty) => (identities.length === 0 ? h('p', { class: 'faint' }, empty)
  : h('ul', { class: 'words' }, identities.map((i) => h('li', {}, person(i, names.get(i)), ' ', digest(i, { what: 'identity' })))));

export async function charter() {
  const { charter: found } = await getJson('v1/charter');
  const names = await namesOf([...found.governors, ...found.task_owners]);
  return {
    title: 'Charter',
    nodes: [
      h('p', { class: 'eyebrow' }, `Number ${count(found.number)}, in force`),
      h('h1', {}, 'Charter'),
      h('p', { class: 'lead' }, 'What the governors of this ledger have laid down, and how it can change.'),
      section('In words', h('ul', { class: 'words' }, charterWords(found).map((words) => h('li', {}, words)))),
      section('Governors', people(found.governors, names, 'None: this charter cannot change.')),
      section('Who may open tasks', people(found.task_owners, names, 'Nobody.')),
      section('Policies', h('p', {}, 'Each task has a policy of its own, fixed when it was opened. ', h('a', { href: '#/tasks' }, 'Tasks'), ' show theirs in words.')),
    ],
  };
}

export async function refusals() {
  const { refusals: found } = await getJson('v1/refusals');
  const names = await namesOf(found.map((r) => r.signer));
  return {
    title: 'Refusals',
    nodes: [
      h('h1', {}, 'Refusals'),
      h('p', { class: 'lead' }, 'What the rules or the verifier did not take from registered signers, newest first. Refusals are kept beside the log and proven by nothing: this is the server\u2019s word.'),
      table('Refusals', [
        { name: 'Code', cell: (r) => h('code', { class: 'type' }, String(r.code)) },
        { name: 'Reason', cell: (r) => said(r.message) },
        { name: 'Type', cell: (r) => h('code', { class: 'type' }, String(r.type)) },
        { name: 'Author', cell: (r) => person(r.signer, names.get(r.signer)) },
        { name: 'Entry', cell: (r) => digest(r.entry, { what: 'digest' }) },
      ], found.slice().reverse(), { empty: 'Nothing has been refused.' }),
    ],
  };
}
