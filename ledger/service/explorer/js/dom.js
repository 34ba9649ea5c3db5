// Elements of the page. Text of the ledger enters the document here only, and as text nodes only.

const SVG = 'http://www.w3.org/2000/svg';

// Links lead within the explorer or to its API, never to an address that the ledger's text names.
const SAFE_LINK = /^(#\/|v1\/|checkpoint$)/;

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'href' && !SAFE_LINK.test(value)) throw new Error(`no link to ${value}`);
    if (typeof value === 'function') element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Make an HTML element; a function among the properties is a listener, a string child is text. */
export const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);

/** Make an SVG element. */
export const s = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);

let announced;

/** Say something to those who hear the page. */
export function announce(text) {
  const status = document.getElementById('status');
  clearTimeout(announced);
  status.textContent = '';
  // Screen readers speak changes: the same words twice in a row are none.
  announced = setTimeout(() => { status.textContent = text; }, 50);
}

async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages over plain HTTP have no clipboard of the modern kind.
    const area = h('textarea', { class: 'hidden', 'aria-hidden': 'true' }, text);
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
    button.focus();
  }
  button.classList.add('done');
  setTimeout(() => button.classList.remove('done'), 1200);
  announce('Copied');
}

const copyIcon = () => s('svg', { viewBox: '0 0 16 16', width: 14, height: 14, 'aria-hidden': 'true' },
  s('path', { class: 'paper', d: 'M5.5 5.5h7v8h-7z M3.5 10.5v-8h7' }),
  s('path', { class: 'tick', d: 'M3 8.5l3.2 3.2L13 5' }));

export const copyButton = (text, what) => h('button', {
  type: 'button', class: 'copy', 'aria-label': `Copy ${what}`, title: `Copy ${what}`,
  click: (event) => copy(text, event.currentTarget),
}, copyIcon());

export const NOTHING = '0'.repeat(64);

/** Show a digest or key, shortened, with a button that copies the whole; `to` makes it a link. */
export function digest(value, { what = 'digest', to, whole = false } = {}) {
  if (typeof value !== 'string' || value === '') return h('span', { class: 'faint' }, 'not told');
  if (value === NOTHING) return h('span', { class: 'faint' }, 'none');
  const shown = whole || value.length <= 16 ? value : `${value.slice(0, 8)}\u2026${value.slice(-6)}`;
  const code = h('code', { title: value }, shown);
  return h('span', { class: whole ? 'digest whole' : 'digest' }, to ? h('a', { href: to }, code) : code, copyButton(value, what));
}

/** Show a text of the ledger; its direction of writing does not reach what stands beside it. */
export const said = (text) => h('bdi', {}, String(text));

export const mark = (state, text) => h('span', { class: `mark ${state}` }, text);

/** A list of names and values; rows without a value are left out. */
export const facts = (rows) => h('dl', { class: 'facts' }, rows
  .filter(([, value]) => value !== undefined && value !== null && value !== false)
  .map(([name, ...values]) => h('div', {}, h('dt', {}, name), h('dd', {}, values))));

/**
 * A table. A column is {name, cell(row), number}; on narrow screens rows become blocks, and cells
 * bring their column's name. The roles say again what the elements are, which that style can undo.
 */
export function table(caption, columns, rows, { empty = 'None yet.' } = {}) {
  if (rows.length === 0) return h('p', { class: 'faint' }, empty);
  const kind = (column) => (column.number ? 'number' : null);
  return h('div', { class: 'scroll', role: 'region', 'aria-label': caption, tabindex: 0 },
    h('table', { role: 'table' },
      h('caption', { class: 'hidden' }, caption),
      h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, columns.map((c) => h('th', { scope: 'col', role: 'columnheader', class: kind(c) }, c.name)))),
      h('tbody', { role: 'rowgroup' }, rows.map((row) => h('tr', { role: 'row', class: row.class },
        columns.map((c) => h('td', { role: 'cell', class: kind(c), 'data-label': c.name }, h('div', {}, c.cell(row)))))))));
}

export const section = (title, ...children) => h('section', {}, h('h2', {}, title), children);
