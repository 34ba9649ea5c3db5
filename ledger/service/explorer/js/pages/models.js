// Released models, and where each comes from.

import { getJson, segment } from '../api.js';
import { blobSection } from '../blob.js';
import { digest, facts, h, mark, NOTHING, said, section, table } from '../dom.js';
import { count, entryLink, many, person } from '../format.js';
import { drawGraph } from '../graph.js';
import { pager } from '../pager.js';

export async function models({ query }) {
  const { list, links } = await pager('v1/releases', 'releases', query, '#/models');
  return {
    title: 'Models',
    nodes: [
      h('h1', {}, 'Models'),
      h('p', { class: 'lead' }, 'Models that their owners have released, each with the trail that the ledger has of it.'),
      table('Released models', [
        { name: 'Model', cell: (r) => h('a', { href: `#/trace/${r.id}` }, said(`${r.name} ${r.release}`)) },
        { name: 'Owner', cell: (r) => person(r.owner, r.owner_name) },
        { name: 'Commitment', cell: (r) => digest(r.model, { what: 'model commitment' }) },
        { name: 'Proof', number: true, cell: (r) => (Number.isInteger(r.proof) ? entryLink(r.proof) : mark('noted', 'None')) },
        { name: 'Entry', number: true, cell: (r) => entryLink(r.index) },
      ], list, { empty: 'No model has been released yet.' }),
      links,
    ],
  };
}

const KINDS = {
  release: ['Release', 'model'], model: ['Model commitment', 'model'], data: ['Training data', 'data'], testset: ['Test set', 'data'],
  commit: ['Commitment', 'proof'], proof: ['Accepted proof', 'proof'], audit: ['Audit', 'proof'], prediction: ['Prediction', 'proof'],
  round: ['Round', 'task'], task: ['Task', 'task'], policy: ['Policy', 'other'], charter: ['Charter', 'other'],
  credit: ['Credit', 'other'], slash: ['Fault', 'other'], identity: ['Identity', 'other'],
};

const RELATIONS = {
  'of-model': 'of model', 'made-from': 'made from', 'trained-on': 'trained on', 'proven-by': 'proven by', predicted: 'predicted',
  'audited-by': 'audited by', 'released-as': 'released as', 'committed-by': 'fixed by', 'has-proof': 'has proof', 'derived-from': 'derived from',
  'in-round': 'in round', answers: 'answers', earned: 'earned', 'rests-on': 'rests on', 'of-task': 'of task', 'on-testset': 'on test set',
  'under-policy': 'under policy', 'under-charter': 'under charter', fault: 'fault', 'approved-by': 'approved by', 'signed-by': 'signed by',
};

const known = (map, name, otherwise) => (Object.hasOwn(map, name) ? map[name] : otherwise);

// Who signed what, and who governed, would cross every line of the picture; the list has them.
const DRAWN = ['release', 'model', 'data', 'testset', 'commit', 'proof', 'audit', 'round', 'task', 'slash'];
const MOST = 60;

function link(node) {
  const key = node.id.slice(node.id.indexOf(':') + 1);
  const to = { release: `#/trace/${key}`, model: `#/trace/${key}`, data: `#/data/${key}`, testset: `#/data/${key}`, task: `#/tasks/${key}`, identity: `#/identities/${key}` };
  if (Object.hasOwn(to, node.kind)) return to[node.kind];
  return Number.isInteger(node.fields.entry) ? `#/entries/${node.fields.entry}` : null;
}

const long = /[0-9a-f]{32,}/g;
const shortened = (text) => String(text).replace(long, (found) => `${found.slice(0, 8)}\u2026`);

// What a box of the picture can hold of a node's label.
function caption({ kind, label, fields }) {
  switch (kind) {
    case 'release': return `${fields.name} ${fields.release}`;
    case 'model': return `${fields.model.slice(0, 16)}\u2026`;
    case 'data': return String(fields.card?.name ?? `${fields.root.slice(0, 16)}\u2026`);
    case 'testset': return many(fields.samples, 'sample');
    case 'proof': return `${count(fields.statement.correct)} of ${count(fields.statement.samples)} right`;
    case 'round': return `Round ${fields.round}`;
    case 'task': return fields.title;
    default: return Number.isInteger(fields.entry) ? `Entry #${count(fields.entry)}` : shortened(label);
  }
}

function picture(trace) {
  const drawable = trace.nodes.filter((n) => DRAWN.includes(n.kind));
  const drawn = drawable.slice(0, MOST);
  const ids = new Set(drawn.map((n) => n.id));
  const proven = new Set(trace.edges.filter((e) => e.kind === 'proven-by' && ids.has(e.from)).map((e) => e.to));
  // "released as" says backwards what "of model" says, and would make a circle; and that a model
  // has a proof goes without saying where a release of it names that proof.
  const edges = trace.edges.filter((e) => ids.has(e.from) && ids.has(e.to)
    && e.kind !== 'released-as' && !(e.kind === 'has-proof' && proven.has(e.to)));
  const nodes = drawn.map((n) => {
    const [kind, group] = known(KINDS, n.kind, [n.kind, 'other']);
    return { id: n.id, kind, group, label: caption(n), href: link(n) };
  });
  return [
    drawGraph(nodes, edges.map((e) => ({ from: e.from, to: e.to, label: known(RELATIONS, e.kind, e.kind) })),
      `Graph of ${drawn.length} things and ${edges.length} relations. The list below says the same.`),
    drawable.length > drawn.length ? h('p', { class: 'faint' }, `The picture has the first ${MOST} of ${count(drawable.length)}; the list has all.`) : null,
  ];
}

function list(trace) {
  const nodes = new Map(trace.nodes.map((n) => [n.id, n]));
  const named = (node) => {
    const href = link(node);
    const text = shortened(node.label);
    return href ? h('a', { href }, said(text)) : said(text);
  };
  return h('ul', { class: 'trail' }, trace.nodes.map((node) => {
    const out = trace.edges.filter((e) => e.from === node.id && nodes.has(e.to));
    return h('li', { 'data-node': node.id },
      h('span', {}, known(KINDS, node.kind, [node.kind])[0]), ' ',
      h('div', {}, named(node),
        out.length ? h('ul', {}, out.map((e) => h('li', {}, `${known(RELATIONS, e.kind, e.kind)} `, named(nodes.get(e.to))))) : null));
  }));
}

export async function trace({ id }) {
  const { trace: found } = await getJson(`v1/trace/${segment(id)}`);
  const start = found.nodes.find((n) => n.id === found.start) ?? found.nodes[0];
  const { fields } = start;
  const release = start.kind === 'release';
  return {
    title: release ? `${fields.name} ${fields.release}` : 'Model',
    selected: '#/models',
    nodes: [
      h('p', { class: 'eyebrow' }, 'Trail of a model'),
      h('h1', {}, release ? [said(fields.name), ' ', said(fields.release)] : ['Model ', h('code', {}, id.slice(0, 8))]),
      h('p', { class: 'lead' }, `Read from ${many(found.ledger.size, 'entry', 'entries')} of the log. That a model was trained on the data it names is its owner\u2019s word; proofs were verified before the log took them.`),
      found.remarks.length === 0 ? null : section('Remarks', h('ul', { class: 'remarks' }, found.remarks.map((r) => h('li', { 'data-code': r.code },
        mark('unknown', 'Note'), ' ', said(shortened(found.nodes.find((n) => n.id === r.node)?.label ?? r.node)), ': ', said(r.message))))),
      release ? section('Release', facts([
        ['Owner', person(fields.signer, found.nodes.find((n) => n.id === `identity:${fields.signer}`)?.fields.name)],
        ['Model commitment', digest(fields.model, { what: 'model commitment', whole: true })],
        ['Shipped file', digest(fields.artefact, { what: 'SHA-256 of the file', whole: true })],
        ['Release', digest(fields.digest, { what: 'release', whole: true })],
        ['Entry', entryLink(fields.entry)],
        ['Predictions', count(fields.predictions)],
        ['Audits', count(fields.audits)],
      ])) : null,
      section('Where it comes from', picture(found)),
      section('The same as a list', list(found)),
      release && fields.card !== NOTHING ? await blobSection('Model card', fields.card) : null,
    ],
  };
}
