// Tasks: what is asked for, what it pays, and who has proven what.

import { find, getJson, namesOf, segment } from '../api.js';
import { accuracyChart } from '../chart.js';
import { digest, facts, h, mark, said, section, table } from '../dom.js';
import { decode } from '../entry.js';
import { count, entryLink, many, percent, person, ratio } from '../format.js';
import { pager } from '../pager.js';
import { policyWords, position, PROVER } from '../words.js';

const PHASES = { commit: 'Commitments', release: 'Release', prove: 'Proofs', closed: 'Over' };

const phaseMark = (phase) => mark(phase === 'closed' ? 'noted' : 'open', PHASES[phase] ?? String(phase));

export async function tasks({ query }) {
  const { list, links } = await pager('v1/tasks', 'tasks', query);
  return {
    title: 'Tasks',
    nodes: [
      h('h1', {}, 'Tasks'),
      h('p', { class: 'lead' }, 'What is to be proven, on which committed test set, and what it pays.'),
      table('Tasks', [
        { name: 'Task', cell: (t) => h('a', { href: `#/tasks/${t.id}` }, said(t.title)) },
        { name: 'Phase', cell: (t) => phaseMark(t.phase) },
        { name: 'Round', number: true, cell: (t) => count(t.round) },
        { name: 'Proofs', number: true, cell: (t) => count(t.spent) },
        { name: 'Paid', number: true, cell: (t) => `${count(t.minted)} of ${count(t.pool)}` },
        { name: 'Test set', cell: (t) => digest(t.testset, { what: 'test set', to: `#/data/${t.testset}` }) },
      ], list, { empty: 'No task has been opened yet.' }),
      links,
    ],
  };
}

const RUN = 100;
const MOST = 200;
const HISTORY = 100;

// The entries of some indices, newest `MOST` of them, in as few requests as neighbours allow.
async function entriesAt(indices) {
  const wanted = indices.slice(-MOST);
  const found = [];
  for (let i = 0; i < wanted.length;) {
    const start = wanted[i];
    let end = i;
    while (end + 1 < wanted.length && wanted[end + 1] < start + RUN) end++;
    const { entries } = await getJson(`v1/entries?start=${start}&count=${wanted[end] - start + 1}`);
    found.push(...entries.filter((e) => wanted.includes(e.index)));
    i = end + 1;
  }
  return found;
}

function steps(task) {
  const order = ['commit', 'release', 'prove', 'closed'];
  const { deadlines } = task;
  const { windows } = task.terms.policy;
  const until = (at) => (at === null || at === undefined ? 'no deadline' : ['until ', position(deadlines.unit, at)]);
  const when = {
    commit: deadlines.commit === null && task.phase !== 'commit' ? '' : until(deadlines.commit),
    release: deadlines.release === null && !['commit', 'release'].includes(task.phase) ? '' : until(deadlines.release),
    // Without a release the end of the proofs is not known, or will never come.
    prove: deadlines.prove === null && windows.prove ? (task.phase === 'closed' ? 'never reached' : 'after the release') : until(deadlines.prove),
    closed: '',
  };
  const now = order.indexOf(task.phase);
  return [
    h('ol', { class: 'steps' }, order.map((phase, i) => h('li', { class: i < now ? 'past' : i === now ? 'now' : null, 'aria-current': i === now ? 'step' : null },
      h('strong', {}, PHASES[phase]), h('span', {}, when[phase])))),
    h('p', { class: 'faint' }, task.terms.rounds === 1 ? 'The only round. ' : `Round ${count(task.round)}; there are rounds 0 to ${count(task.terms.rounds - 1)}. `, 'The log is now at ', position(deadlines.unit, deadlines.position), '.'),
  ];
}

function proofsOf(entries) {
  return entries.flatMap((told) => {
    try {
      const { payload } = decode(told.data);
      const { correct, samples } = payload.body.statement;
      return [{ ...told, correct, samples, accuracy: [correct, samples], round: payload.body.round, insecure: payload.body.srs_insecure }];
    } catch {
      return [];
    }
  });
}

function creditsOf(entries) {
  return entries.flatMap((told) => {
    try {
      return [{ index: told.index, ...decode(told.data).payload.body }];
    } catch {
      return [];
    }
  });
}

const accuracy = (p) => `${percent([p.correct, p.samples])}`;
const right = (p) => `${count(p.correct)} of ${count(p.samples)}`;

function results(task, proofs, names) {
  if (task.leaderboard.length === 0) return section('Leaderboard', h('p', { class: 'faint' }, 'No proof has been accepted yet.'));
  return [
    section('Leaderboard',
      h('p', {}, 'The best accepted proof of each identity. Per cent are rounded down.'),
      table('Leaderboard', [
        { name: 'Place', number: true, cell: (r) => count(task.leaderboard.indexOf(r) + 1) },
        { name: 'Identity', cell: (r) => person(r.identity, r.name) },
        { name: 'Accuracy', number: true, cell: (r) => h('strong', {}, accuracy(r)) },
        { name: 'Right', number: true, cell: right },
        { name: 'Credited', number: true, cell: (r) => count(r.credited) },
        { name: 'Round', number: true, cell: (r) => count(r.round) },
        { name: 'Proof', number: true, cell: (r) => entryLink(r.index) },
      ], task.leaderboard)),
    proofs.length === 0 ? null : section('Proven accuracy over time',
      accuracyChart(proofs.map((p) => ({ ...p, name: names.get(p.signer) ?? p.signer.slice(0, 8) })), task.terms.policy.minimum_accuracy),
      table('Proofs in the order of the log', [
        { name: 'Proof', number: true, cell: (p) => entryLink(p.index) },
        { name: 'Identity', cell: (p) => person(p.signer, names.get(p.signer)) },
        { name: 'Accuracy', number: true, cell: accuracy },
        { name: 'Right', number: true, cell: right },
        { name: 'Credited', number: true, cell: (p) => count(p.credited ?? 0) },
        { name: 'SRS', cell: (p) => (p.insecure ? mark('bad', 'development only') : h('span', { class: 'faint' }, 'sound or none')) },
      ], proofs)),
  ];
}

export async function task({ id }) {
  const found = await getJson(`v1/tasks/${segment(id)}`);
  const { terms, history } = found;
  const at = (type) => history.filter((e) => e.type === type).map((e) => e.index);
  const [proofEntries, creditEntries, testset] = await Promise.all([
    entriesAt(at('proof.submit')), entriesAt(at('credit')), find(`v1/data/${segment(terms.testset)}`),
  ]);
  const proofs = proofsOf(proofEntries);
  const credits = creditsOf(creditEntries);
  const newest = history.slice(-HISTORY).reverse();
  const names = await namesOf([found.owner, ...[...newest, ...proofs].map((e) => e.signer), ...credits.map((c) => c.identity)]);
  return {
    title: terms.title,
    selected: '#/tasks',
    nodes: [
      h('p', { class: 'eyebrow' }, 'Task'),
      h('h1', {}, said(terms.title)),
      h('p', { class: 'lead' }, `${many(found.spent, 'proof')} accepted, ${count(found.minted)} of ${many(terms.policy.pool, 'unit')} paid. Opened by `, person(found.owner, names.get(found.owner)), at('task.open').length ? [' in entry ', entryLink(at('task.open')[0])] : null, '.'),
      section('Phase', steps(found)),
      results(found, proofs, names),
      section('Policy', h('ul', { class: 'words' }, policyWords(terms.policy).map((words) => h('li', {}, words))),
        h('p', { class: 'faint' }, `Rule \u201c${terms.policy.rule}\u201d, minimum ${ratio(terms.policy.minimum_accuracy)}, eta ${ratio(terms.policy.eta)}. Fixed when the task was opened; no later charter changes it.`)),
      section('Credits', table('Credits', [
        { name: 'Entry', number: true, cell: (c) => entryLink(c.index) },
        { name: 'Identity', cell: (c) => person(c.identity, names.get(c.identity)) },
        { name: 'Units', number: true, cell: (c) => count(c.amount) },
        { name: 'For proof', number: true, cell: (c) => entryLink(c.proof) },
      ], credits, { empty: 'Nothing has been credited yet.' })),
      section('Pinned facts',
        h('p', {}, 'Every proof is checked against these, and nothing else.'),
        facts([
          ['Proof system', said(terms.backend)],
          ['Test set', digest(terms.testset, { what: 'test set', to: `#/data/${terms.testset}` }), testset ? ` ${many(testset.terms.samples, 'sample')}, by ` : '', testset ? person(testset.owner, testset.name) : ''],
          ['Who proves', PROVER[terms.prover] ?? said(terms.prover)],
          ['Circuit', digest(terms.circuit, { what: 'circuit' })],
          ['Verifying key', digest(terms.vk, { what: 'verifying key' })],
          ['SRS', digest(terms.srs, { what: 'SRS' })],
          ['Architecture', digest(terms.architecture, { what: 'architecture' }), ' ', h('a', { href: `v1/blobs/${segment(terms.architecture)}`, download: `architecture-${terms.architecture.slice(0, 8)}` }, 'Download')],
          ['Task', digest(found.id, { what: 'task', whole: true })],
        ])),
      section('History', table('Entries that concern this task', [
        { name: 'Entry', number: true, cell: (e) => entryLink(e.index) },
        { name: 'Type', cell: (e) => h('code', { class: 'type' }, String(e.type)) },
        { name: 'Author', cell: (e) => person(e.signer, names.get(e.signer)) },
      ], newest),
        history.length > HISTORY ? h('p', { class: 'faint' }, `The newest ${count(HISTORY)} of ${count(history.length)}.`) : null),
    ],
  };
}
