// Blobs: fetched, checked against their digest, and shown as text if they are JSON.

import { getBytes, segment } from './api.js';
import { digest, fromUtf8 } from './bytes.js';
import { facts, h, mark, said, section } from './dom.js';
import { count } from './format.js';

const CHECKED = 32 << 20;
const SHOWN = 200_000;

function text(bytes) {
  try {
    const value = JSON.parse(fromUtf8(bytes));
    return { value, shown: JSON.stringify(value, null, 2) };
  } catch {
    return {};
  }
}

// The terms of cards (Croissant) that are sentences for people.
const TERMS = [['Name', 'name'], ['Description', 'description'], ['Licence', 'license'], ['Version', 'version'], ['Published', 'datePublished']];

function about(value) {
  const told = TERMS.map(([name, key]) => [name, value?.[key]]);
  if (Array.isArray(value?.creator)) told.splice(2, 0, ['Creators', value.creator.map((c) => c?.name).filter((n) => typeof n === 'string').join(', ')]);
  const texts = told.filter(([, v]) => typeof v === 'string' && v !== '');
  return texts.length ? facts(texts.map(([name, v]) => [name, said(v)])) : null;
}

/** A section that shows a blob, and says whether its bytes are those that the ledger names. */
export async function blobSection(title, name) {
  const path = `v1/blobs/${segment(name)}`;
  let bytes;
  try {
    bytes = await getBytes(path, CHECKED);
  } catch (error) {
    return section(title, h('p', { class: 'error' }, error.message), h('p', {}, h('a', { href: path, download: `blob-${name.slice(0, 8)}` }, 'Download')));
  }
  const good = digest('blob', bytes) === name;
  const { value, shown } = text(bytes);
  return section(title,
    h('p', { 'data-blob': good ? 'good' : 'bad' }, good ? mark('good', 'Good') : mark('bad', 'Bad'), ' ',
      good ? `These ${count(bytes.length)} bytes have the digest that the ledger names.` : 'BAD: these bytes do not have the digest that the ledger names.',
      ' ', h('a', { href: path, download: `blob-${name.slice(0, 8)}` }, 'Download')),
    good ? about(value) : null,
    shown === undefined ? h('p', { class: 'faint' }, 'Not JSON; download it to look at it.')
      : h('details', {}, h('summary', {}, 'As registered'), h('pre', { tabindex: 0, role: 'region', 'aria-label': title }, shown.slice(0, SHOWN)),
        shown.length > SHOWN ? h('p', { class: 'faint' }, 'The rest is in the download.') : null));
}
