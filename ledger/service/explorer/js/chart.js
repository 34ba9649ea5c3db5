// Proven accuracy over the log: a point for each proof, and the best so far as a line of steps.

import { h, s } from './dom.js';
import { count, percent } from './format.js';

const HEIGHT = 280;
const LEFT = 52;
const RIGHT = 14;
const TOP = 14;
const BOTTOM = 32;

const value = ([n, d]) => n / d;

// Steps of 1, 2, 5 times a power of ten, about `wanted` of them.
function ticks(from, to, wanted) {
  const rough = (to - from) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((x) => x >= rough);
  const found = [];
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to + 1e-9; i++) found.push(i * step);
  return found;
}

/** Draw proofs, each {index, accuracy, name}, in the order of the log; `minimum` is that of the policy. */
export function accuracyChart(proofs, minimum) {
  // Drawn as wide as it will be shown, so that its letters are as large as the page's.
  const width = Math.round(Math.min(1010, Math.max(300, window.innerWidth - 56)));
  const all = [...proofs.map((p) => value(p.accuracy)), value(minimum)];
  const low = Math.max(0, Math.floor((Math.min(...all) - 0.02) * 20) / 20);
  const high = Math.min(1, Math.ceil((Math.max(...all) + 0.02) * 20) / 20);
  const first = proofs[0].index;
  const last = proofs.at(-1).index;
  const margin = Math.max(1, (last - first) * 0.06);
  const x = (index) => LEFT + ((index - first + margin) / (last - first + 2 * margin)) * (width - LEFT - RIGHT);
  const y = (accuracy) => TOP + ((high - accuracy) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const at = (n) => n.toFixed(1);

  const grid = ticks(low, high, 6).map((t) => s('g', {},
    s('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: at(y(t)), y2: at(y(t)) }),
    s('text', { class: 'tick', x: LEFT - 8, y: at(y(t) + 4), 'text-anchor': 'end' }, `${+(t * 100).toFixed(2)} %`)));
  const marks = ticks(first, last + (first === last ? 1 : 0), width / 110).filter((t) => Number.isInteger(t) && t <= last).map((t) => s('text', {
    class: 'tick', x: at(x(t)), y: HEIGHT - BOTTOM + 18, 'text-anchor': 'middle',
  }, `#${count(t)}`));

  let best = -1;
  let path = '';
  for (const proof of proofs) {
    const now = value(proof.accuracy);
    if (now <= best) continue;
    path += best < 0 ? `M${at(x(proof.index))} ${at(y(now))}` : `H${at(x(proof.index))}V${at(y(now))}`;
    best = now;
  }
  path += `H${width - RIGHT}`;

  const top = proofs.reduce((a, b) => (value(b.accuracy) > value(a.accuracy) ? b : a));
  const told = `Best proven accuracy ${percent(top.accuracy)}, entry ${top.index}; ${proofs.length === 1 ? 'one proof' : `${proofs.length} proofs`} from entry ${first} to entry ${last}. The table below has them all.`;
  return h('figure', { class: 'chart' },
    s('svg', { viewBox: `0 0 ${width} ${HEIGHT}`, role: 'img', 'aria-label': `Chart. ${told}` },
      grid, marks,
      s('line', { class: 'axis', x1: LEFT, x2: width - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }),
      s('line', { class: 'minimum', x1: LEFT, x2: width - RIGHT, y1: at(y(value(minimum))), y2: at(y(value(minimum))) }),
      s('path', { class: 'best', d: path }),
      proofs.map((p) => s('circle', { class: p.credited > 0 ? 'point paid' : 'point', cx: at(x(p.index)), cy: at(y(value(p.accuracy))), r: 4.5 },
        s('title', {}, `${p.name}: ${percent(p.accuracy)}, entry ${p.index}`)))),
    h('figcaption', {},
      h('span', { class: 'key paid' }, 'credited proof'), h('span', { class: 'key plain' }, 'proof without credit'),
      h('span', { class: 'key line' }, 'best so far'), h('span', { class: 'key dashes' }, 'minimum of the policy'),
      h('span', {}, 'by entry of the log')));
}
