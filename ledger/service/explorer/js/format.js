// Numbers, times and people as text. No float decides what is shown of an accuracy.

import { digest, h, said } from './dom.js';

const grouped = new Intl.NumberFormat('en');
export const count = (n) => (Number.isFinite(n) ? grouped.format(n) : 'not told');
export const many = (n, one, more = `${one}s`) => `${count(n)} ${n === 1 ? one : more}`;

/** Return a ratio in per cent, rounded down: what was not proven is not shown. */
export function percent([n, d], places = 2) {
  const scaled = (BigInt(n) * 100n * 10n ** BigInt(places)) / BigInt(d);
  const digits = scaled.toString().padStart(places + 1, '0');
  return places ? `${digits.slice(0, -places)}.${digits.slice(-places)} %` : `${digits} %`;
}

/** As `percent`, without decimals that say nothing. */
export function ratio([n, d]) {
  const exact = (BigInt(n) * 10000n) % BigInt(d) === 0n;
  const text = percent([n, d]).replace(/\.?0+ %$/, ' %');
  return exact ? text : `${n}/${d}`;
}

/** Show seconds since 1970. */
export function time(seconds) {
  if (!Number.isFinite(seconds) || seconds <= 0 || seconds > 8.64e12) return 'not told';
  const iso = new Date(seconds * 1000).toISOString();
  return h('time', { datetime: iso }, `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`);
}

export const span = (seconds) => {
  for (const [unit, size] of [['day', 86400], ['hour', 3600], ['minute', 60]]) {
    if (seconds >= size && seconds % size === 0) return many(seconds / size, unit);
  }
  return many(seconds, 'second');
};

/** Show an identity by its name, with a link, and its key where the name is not known. */
export function person(identity, name) {
  if (!identity) return h('span', { class: 'faint' }, 'the rules');
  const to = `#/identities/${identity}`;
  if (typeof name !== 'string' || name === '') return digest(identity, { what: 'identity', to });
  return h('a', { href: to, title: identity }, said(name));
}

export const entryLink = (index) => (Number.isInteger(index) ? h('a', { href: `#/entries/${index}` }, `#${count(index)}`) : h('span', { class: 'faint' }, 'none'));
