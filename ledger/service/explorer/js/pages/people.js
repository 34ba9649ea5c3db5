// Identities, their keys, and what they own.

import { getJson, segment } from '../api.js';
import { digest, facts, h, mark, NOTHING, said, section, table } from '../dom.js';
import { count, many } from '../format.js';
import { pager } from '../pager.js';

const bonded = (identity) => Object.values(identity.bonds).reduce((sum, amount) => sum + amount, 0);
const standing = (identity) => (identity.revoked ? mark('bad', 'Revoked') : mark('open', 'Active'));

export async function identities({ query }) {
  const { list, links } = await pager('v1/identities', 'identities', query);
  return {
    title: 'Identities',
    nodes: [
      h('h1', {}, 'Identities and balances'),
      h('p', { class: 'lead' }, 'Names are chosen by their owners, and two may be the same: the identity is what counts.'),
      table('Identities', [
        { name: 'Name', cell: (i) => h('a', { href: `#/identities/${i.id}` }, said(i.name)) },
        { name: 'Identity', cell: (i) => digest(i.id, { what: 'identity' }) },
        { name: 'Standing', cell: standing },
        { name: 'Key', cell: (i) => (i.scheme === 'ed25519' ? 'Ed25519' : i.scheme === 'evm' ? 'Ethereum account' : said(i.scheme)) },
        { name: 'Balance', number: true, cell: (i) => count(i.balance) },
        { name: 'Bonded', number: true, cell: (i) => count(bonded(i)) },
        { name: 'Entries', number: true, cell: (i) => count(i.nonce) },
      ], list, { empty: 'Nobody is registered.' }),
      links,
    ],
  };
}

export async function identity({ id }) {
  const found = await getJson(`v1/identities/${segment(id)}`);
  const bonds = Object.entries(found.bonds);
  return {
    title: found.name,
    selected: '#/identities',
    nodes: [
      h('p', { class: 'eyebrow' }, 'Identity'),
      h('h1', {}, said(found.name)),
      h('p', { class: 'lead' }, standing(found), found.revoked ? ' It signs nothing any more; what it owns stays where it is.' : ''),
      section('Facts', facts([
        ['Identity', digest(found.id, { what: 'identity', whole: true })],
        ['Present key', digest(found.key, { what: 'key', whole: true }), found.key === found.id ? ' its first' : ' not its first'],
        ['Kind of key', said(found.scheme)],
        ['Ethereum address', found.evm ? digest(`0x${found.evm}`, { what: 'address', whole: true }) : null],
        ['Balance', many(found.balance, 'unit')],
        ['Bonded', many(bonded(found), 'unit')],
        ['Entries signed', count(found.nonce)],
      ])),
      section('Bonds', table('Bonds', [
        { name: 'To', cell: ([subject]) => (subject === NOTHING ? 'the ledger itself' : digest(subject, { what: 'task', to: `#/tasks/${subject}` })) },
        { name: 'Units', number: true, cell: ([, amount]) => count(amount) },
      ], bonds, { empty: 'None.' })),
    ],
  };
}
