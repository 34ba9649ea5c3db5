// Which page an address shows, and what all pages have in common.

import { find } from './api.js';
import { isDigest } from './bytes.js';
import { checkpointChecks, verdict } from './checks.js';
import { announce, h, mark, said } from './dom.js';
import { many } from './format.js';
import { check } from './pages/check.js';
import { data, dataset } from './pages/data.js';
import { entries, entry } from './pages/entries.js';
import { models, trace } from './pages/models.js';
import { overview } from './pages/overview.js';
import { identities, identity } from './pages/people.js';
import { charter, refusals } from './pages/rules.js';
import { task, tasks } from './pages/tasks.js';
import { loadTrust } from './trust.js';

// Path, the page without and the page with something behind it.
const ROUTES = {
  '': [overview],
  tasks: [tasks, task],
  models: [models],
  trace: [undefined, trace],
  data: [data, dataset],
  identities: [identities, identity],
  entries: [entries, entry],
  charter: [charter],
  refusals: [refusals],
  check: [check],
};

const main = document.getElementById('main');
const strip = document.querySelector('#strip .wrap');
let turn = 0;

function route() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?', 2);
  const [name, id, ...more] = path.split('/').map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  const pages = Object.hasOwn(ROUTES, name) && more.length === 0 ? ROUTES[name] : [];
  return { page: id ? pages[1] : pages[0], id, query: new URLSearchParams(query), selected: `#/${name}` };
}

function showStrip(trust) {
  const checks = checkpointChecks(trust);
  const state = verdict(checks);
  const words = { good: 'Checkpoint good', unknown: 'Checkpoint not fully checked', bad: 'CHECKPOINT BAD' }[state];
  const reasons = checks.filter((c) => c.state === state && state !== 'good').map((c) => [' ', c.text]);
  strip.parentElement.className = `strip ${state}`;
  strip.replaceChildren(
    h('strong', {}, said(trust.checkpoint.origin)),
    h('span', {}, many(trust.checkpoint.size, 'entry', 'entries')),
    h('span', { role: state === 'bad' ? 'alert' : null }, mark(state, words), state === 'bad' ? reasons : null));
}

function stripError(error) {
  strip.parentElement.className = 'strip bad';
  strip.replaceChildren(h('span', {}, mark('bad', 'No checkpoint'), ' ', error.message));
}

function problem(error) {
  const missing = error.status === 404 || [400, 422].includes(error.status);
  return {
    title: missing ? 'Not found' : 'Problem',
    nodes: [h('h1', {}, missing ? 'Not found' : 'This cannot be shown'), h('p', { class: 'error', role: 'alert' }, said(error.message)), h('p', {}, h('a', { href: '#/' }, 'To the overview'))],
  };
}

const NOWHERE = { title: 'Not found', nodes: [h('h1', {}, 'Not found'), h('p', {}, 'There is no such page. ', h('a', { href: '#/' }, 'To the overview'))] };

async function show({ focus = true } = {}) {
  const mine = ++turn;
  const { page, id, query, selected } = route();
  main.setAttribute('aria-busy', 'true');
  const trust = loadTrust();
  trust.then((t) => mine === turn && showStrip(t), (error) => mine === turn && stripError(error));
  let shown;
  try {
    shown = page ? await page({ id, query, trust }) : NOWHERE;
  } catch (error) {
    shown = problem(error);
  }
  await trust.catch(() => undefined);
  // Who went on to another page meanwhile is not thrown back to this one.
  if (mine !== turn) return;
  main.replaceChildren(h('article', {}, shown.nodes.flat(Infinity).filter(Boolean)));
  main.removeAttribute('aria-busy');
  document.title = `${shown.title} \u2013 zkpot ledger`;
  for (const link of document.querySelectorAll('#nav a')) {
    const here = link.getAttribute('href') === (shown.selected ?? selected);
    if (here) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
    // On narrow screens the list of pages is wider than the screen.
    if (here) link.closest('ul').scrollLeft = link.offsetLeft - 40;
  }
  if (!focus) return;
  const heading = main.querySelector('h1');
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

/** Find out what a number or digest names, and go there. */
async function search(text) {
  const wanted = text.trim().replace(/^#/, '');
  if (/^\d{1,15}$/.test(wanted)) return `#/entries/${wanted}`;
  const name = wanted.toLowerCase();
  if (!isDigest(name)) return wanted ? `#/trace/${encodeURIComponent(wanted)}` : undefined;
  for (const [path, page] of [['tasks', 'tasks'], ['identities', 'identities'], ['data', 'data'], ['trace', 'trace']]) {
    if (await find(`v1/${path}/${name}`)) return `#/${page}/${name}`;
  }
  return undefined;
}

document.getElementById('find').addEventListener('submit', async (event) => {
  event.preventDefault();
  const input = document.getElementById('find-text');
  try {
    const to = await search(input.value);
    input.setAttribute('aria-invalid', String(!to));
    if (to) {
      input.value = '';
      location.hash = to;
    } else {
      announce('Nothing of that name was found');
    }
  } catch (error) {
    announce(error.message);
  }
});

document.getElementById('skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});

window.addEventListener('hashchange', () => show());
window.addEventListener('reload', () => show({ focus: false }));
document.getElementById('broken').remove();
show({ focus: false });
