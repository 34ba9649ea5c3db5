// Committed data: test sets that are proven on, training data that models come from.

import { getJson, segment } from '../api.js';
import { blobSection } from '../blob.js';
import { digest, facts, h, mark, said, section, table } from '../dom.js';
import { count, many, person } from '../format.js';
import { pager } from '../pager.js';

const KIND = { testset: 'Test set', training: 'Training data' };
const used = (d) => (d.terms.kind === 'testset' ? `${count(d.spent)} of ${count(d.terms.openings)}` : '');
const opened = (d) => (d.opened ? mark('noted', 'Handed out') : mark('open', 'Hidden'));

export async function data({ query }) {
  const { list, links } = await pager('v1/data', 'data', query);
  const of = (kind) => list.filter((d) => d.terms.kind === kind);
  const name = { name: 'Root', cell: (d) => digest(d.root, { what: 'root', to: `#/data/${d.root}` }) };
  const owner = (what) => ({ name: what, cell: (d) => person(d.owner, d.name) });
  return {
    title: 'Data',
    nodes: [
      h('h1', {}, 'Data'),
      h('p', { class: 'lead' }, 'Only commitments are on the ledger. They fix data and show nothing of them.'),
      section('Test sets', table('Test sets', [
        name, owner('Evaluator'),
        { name: 'Samples', number: true, cell: (d) => count(d.terms.samples) },
        { name: 'Proofs made', number: true, cell: used },
        { name: 'Contents', cell: opened },
      ], of('testset'))),
      section('Training data', table('Training data', [
        name, owner('Owner'),
        { name: 'Size', number: true, cell: (d) => many(d.terms.samples, d.terms.unit.slice(0, -1), d.terms.unit) },
        { name: 'Licence', cell: (d) => said(d.terms.licence) },
        { name: 'Made from', number: true, cell: (d) => count(d.terms.parents.length) },
      ], of('training'))),
      links,
    ],
  };
}

export async function dataset({ id }) {
  const found = await getJson(`v1/data/${segment(id)}`);
  const { terms } = found;
  const testset = terms.kind === 'testset';
  const title = KIND[terms.kind] ?? String(terms.kind);
  return {
    title: `${title} ${found.root.slice(0, 8)}`,
    selected: '#/data',
    nodes: [
      h('p', { class: 'eyebrow' }, 'Data'),
      h('h1', {}, title),
      h('p', { class: 'lead' }, testset
        ? [many(terms.samples, 'sample'), ' by ', person(found.owner, found.name), '. ', opened(found)]
        : [many(terms.samples, terms.unit.slice(0, -1), terms.unit), ' by ', person(found.owner, found.name), ', licence ', said(terms.licence), '.']),
      section('Facts', facts([
        ['Root', digest(found.root, { what: 'root', whole: true })],
        ['Proofs made', testset ? `${used(found)} that it was registered for, over all tasks` : null],
        ['Contents', testset ? (found.opened ? 'Given to contributors: no later commitment on this set is blind.' : 'Not handed out on this ledger.') : null],
        ['Proof of form', testset ? digest(terms.well_formed, { what: 'proof that the set is well-formed' }) : null],
        [testset ? 'Manifest' : 'Card', digest(terms.manifest, { what: 'blob' })],
      ])),
      section('Made from', terms.parents.length === 0 ? h('p', { class: 'faint' }, 'Nothing that is named.')
        : h('ul', { class: 'words' }, terms.parents.map((root) => h('li', {}, digest(root, { what: 'root', to: `#/data/${root}` }))))),
      await blobSection(testset ? 'Manifest' : 'Card', terms.manifest),
    ],
  };
}
