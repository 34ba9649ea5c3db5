// Lists that the API gives a page at a time, in ascending order of their identifiers.

import { getJson } from './api.js';
import { isDigest } from './bytes.js';
import { h } from './dom.js';

const PAGE = 100;

/** Get the page that the address asks for, and the links to others. */
export async function pager(path, name, query, here = `#/${name}`) {
  const after = isDigest(query.get('after')) ? query.get('after') : '';
  const list = (await getJson(`${path}?count=${PAGE}${after ? `&after=${after}` : ''}`))[name];
  const more = list.length === PAGE ? list.at(-1).id ?? list.at(-1).root : '';
  const links = after || more
    ? h('nav', { class: 'pager', 'aria-label': 'Pages' },
      after ? h('a', { href: here }, 'First page') : null,
      more ? h('a', { href: `${here}?after=${more}`, rel: 'next' }, 'Next page') : null)
    : null;
  return { list, links };
}
