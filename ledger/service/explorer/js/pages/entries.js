// The log itself: pages of entries, and one entry with its proof.

import { base64, hex } from '../bytes.js';
import { ApiError, getJson, namesOf, segment } from '../api.js';
import { examine, showChecks } from '../checks.js';
import { digest, facts, h, NOTHING, said, section, table } from '../dom.js';
import { decode, summary } from '../entry.js';
import { count, entryLink, many, person } from '../format.js';

const PAGE = 25;

function says(entry) {
  try {
    const found = decode(entry.data);
    return found.error ? 'malformed entry' : summary(found.payload);
  } catch {
    return 'malformed entry';
  }
}

/** A table of entries as the API tells them. */
export const entryTable = (entries, names) => table('Entries', [
  { name: 'Entry', number: true, cell: (e) => entryLink(e.index) },
  { name: 'Type', cell: (e) => h('code', { class: 'type' }, String(e.type)) },
  { name: 'What it says', cell: (e) => said(says(e)) },
  { name: 'Author', cell: (e) => person(e.signer, names.get(e.signer)) },
  { name: 'Digest', cell: (e) => digest(e.digest, { what: `digest of entry ${e.index}` }) },
], entries, { empty: 'No entries here.' });

export async function entries({ query, trust: loading }) {
  const { checkpoint } = await loading;
  const last = Math.max(0, Math.floor((checkpoint.size - 1) / PAGE) * PAGE);
  const asked = Number(query.get('start') ?? last);
  const start = Number.isSafeInteger(asked) && asked >= 0 ? Math.min(asked, last) : last;
  const found = (await getJson(`v1/entries?start=${start}&count=${PAGE}`)).entries;
  const names = await namesOf(found.map((e) => e.signer));
  const go = (to, text, rel) => (to < 0 || to > last || to === start
    ? h('span', { class: 'faint' }, text) : h('a', { href: `#/entries?start=${to}`, rel }, text));
  return {
    title: 'Entries',
    nodes: [
      h('h1', {}, 'Entries'),
      h('p', { class: 'lead' }, `${many(checkpoint.size, 'entry', 'entries')}; here ${count(start)} to ${count(start + Math.max(0, found.length - 1))}, newest first.`),
      entryTable(found.slice().reverse(), names),
      h('nav', { class: 'pager', 'aria-label': 'Pages of entries' },
        go(last, 'Newest'), go(start + PAGE > last && start !== last ? last : start + PAGE, 'Newer', 'prev'),
        go(start === 0 ? -1 : Math.max(0, start - PAGE), 'Older', 'next'), go(0, 'Oldest')),
    ],
  };
}

// Fields of bodies that name something with a page of its own.
const PAGES = {
  task: ['Task', 'tasks'], subject: ['Bonded to task', 'tasks'], testset: ['Test set', 'data'], root: ['Root', 'data'],
  identity: ['Identity', 'identities'], offender: ['Offender', 'identities'], to: ['To', 'identities'],
  model: ['Model', 'trace'], release: ['Release', 'trace'],
};

function related(body) {
  return Object.entries(body).flatMap(([name, value]) => {
    if (name === 'proof' && Number.isInteger(value)) return [['Proof', entryLink(value)]];
    if (!Object.hasOwn(PAGES, name) || !/^[0-9a-f]{64}$/.test(value) || value === NOTHING) return [];
    const [title, page] = PAGES[name];
    return [[title, digest(value, { what: name, to: `#/${page}/${value}` })]];
  });
}

const step = (index, size, text) => (index >= 0 && index < size
  ? h('a', { href: `#/entries/${index}` }, text) : h('span', { class: 'faint' }, text));

export async function entry({ id, trust: loading }) {
  const trust = await loading;
  const index = Number(id);
  if (!/^\d{1,15}$/.test(id)) throw new ApiError(`There is no entry \u201c${id}\u201d.`, { status: 404 });
  const told = await getJson(`v1/entries/${segment(id)}`);
  const { entry: found, path, checks } = await examine(told, index, trust);
  const readable = found.payload !== undefined;
  const names = await namesOf([readable ? found.payload.signer : '']);
  const receipt = `v1/entries/${index}/receipt`;
  return {
    title: `Entry ${index}`,
    selected: '#/entries',
    nodes: [
      h('p', { class: 'eyebrow' }, readable ? h('code', {}, found.payload.type) : 'Entry'),
      h('h1', {}, `Entry #${count(index)}`),
      h('p', { class: 'lead' }, said(readable ? summary(found.payload) : 'This entry cannot be read.')),
      section('Checked in this browser', showChecks(checks)),
      readable ? section('Facts', facts([
        ['Author', person(found.payload.signer, names.get(found.payload.signer))],
        ['Nonce', found.payload.signer ? count(found.payload.nonce) : null],
        ['Digest', digest(found.digest, { whole: true, what: 'digest' })],
        ['Signed by', found.value.key ? [digest(found.value.key, { what: 'key' }), ` ${found.value.scheme}`] : null],
        ['Earned', Number.isInteger(told.credited) ? many(told.credited, 'unit') : null],
        ...related(found.payload.body),
      ])) : null,
      readable ? section('Content', h('pre', { tabindex: 0, role: 'region', 'aria-label': 'Content of the entry' }, JSON.stringify(found.payload.body, null, 2))) : null,
      section('Proof',
        facts([
          ['Leaf hash', found.leaf ? digest(hex(found.leaf), { whole: true, what: 'leaf hash' }) : null],
          ['Root', digest(trust.rootHex, { whole: true, what: 'root' })],
        ]),
        h('details', {}, h('summary', {}, 'Path from leaf to root'), h('pre', { tabindex: 0 }, (path ?? []).map(base64).join('\n') || 'No hashes: the log has this entry only.')),
        h('p', {}, h('a', { href: receipt, download: `entry-${index}.receipt` }, 'Download receipt'),
          ' \u2014 verifies offline, without this server.')),
      h('nav', { class: 'pager', 'aria-label': 'Neighbours' }, step(index - 1, trust.checkpoint.size, 'Entry before'), step(index + 1, trust.checkpoint.size, 'Entry after')),
    ],
  };
}
