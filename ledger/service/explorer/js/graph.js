// A directed acyclic graph in layers: what follows from others stands above them.

import { h, s } from './dom.js';

const BOX = { width: 184, height: 54, across: 26, down: 64 };
const PAD = 12;

/** Return the layer of each node: 0 for those that nothing points to, else below all that do. */
export function layers(ids, edges) {
  const layer = new Map(ids.map((id) => [id, 0]));
  // As many rounds as there are nodes are enough without cycles, and end also with one.
  for (let round = 0; round < ids.length; round++) {
    let moved = false;
    for (const { from, to } of edges) {
      if (layer.get(to) <= layer.get(from) && layer.get(from) < ids.length) {
        layer.set(to, layer.get(from) + 1);
        moved = true;
      }
    }
    if (!moved) break;
  }
  return layer;
}

function rowsOf(ids, edges) {
  const layer = layers(ids, edges);
  const rows = [];
  for (const id of ids) (rows[layer.get(id)] ??= []).push(id);
  const filled = rows.filter(Boolean);
  // A few sweeps that put each node below the middle of what points to it: few lines cross then.
  for (let sweep = 0; sweep < 4; sweep++) {
    const place = new Map(filled.flatMap((row) => row.map((id, i) => [id, (i + 0.5) / row.length])));
    for (const row of filled) {
      const middle = (id) => {
        const near = edges.filter((e) => (sweep % 2 ? e.from === id : e.to === id)).map((e) => place.get(sweep % 2 ? e.to : e.from));
        return near.length ? near.reduce((a, b) => a + b) / near.length : place.get(id);
      };
      const by = new Map(row.map((id) => [id, middle(id)]));
      row.sort((a, b) => by.get(a) - by.get(b));
    }
  }
  return filled;
}

const cut = (text, most) => (Array.from(text).length > most ? `${Array.from(text).slice(0, most - 1).join('')}\u2026` : text);

/**
 * Draw a graph. Nodes are {id, kind, label, href}, edges {from, to, label}. The picture is one
 * image to screen readers: the caller lists the same facts beside it.
 */
export function drawGraph(nodes, edges, description) {
  const rows = rowsOf(nodes.map((n) => n.id), edges);
  const most = Math.max(...rows.map((row) => row.length));
  const width = 2 * PAD + most * BOX.width + (most - 1) * BOX.across;
  const height = 2 * PAD + rows.length * BOX.height + (rows.length - 1) * BOX.down;
  const spot = new Map();
  rows.forEach((row, depth) => {
    const start = (width - row.length * BOX.width - (row.length - 1) * BOX.across) / 2;
    row.forEach((id, i) => spot.set(id, { x: start + i * (BOX.width + BOX.across), y: PAD + depth * (BOX.height + BOX.down) }));
  });

  const lines = edges.filter((e) => spot.has(e.from) && spot.has(e.to)).map((edge) => {
    const a = spot.get(edge.from);
    const b = spot.get(edge.to);
    const [x1, y1, x2, y2] = [a.x + BOX.width / 2, a.y + BOX.height, b.x + BOX.width / 2, b.y];
    const bend = BOX.down * 0.55;
    return s('g', {},
      s('path', { class: 'edge', d: `M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2 - 7}` }),
      s('path', { class: 'head', d: `M${x2 - 4.5} ${y2 - 8}L${x2} ${y2}L${x2 + 4.5} ${y2 - 8}Z` }),
      edge.label ? s('text', { class: 'edge-label', x: (x1 + x2) / 2, y: (y1 + y2) / 2 + 4, 'text-anchor': 'middle' }, cut(edge.label, 24)) : null);
  });
  const boxes = nodes.map((node) => {
    const { x, y } = spot.get(node.id);
    return s('g', {
      class: node.href ? `node ${node.group} linked` : `node ${node.group}`, transform: `translate(${x} ${y})`,
      // For the mouse; the keyboard has the links of the list.
      click: node.href ? () => { location.hash = node.href; } : undefined,
    },
      s('title', {}, `${node.kind}: ${node.label}`),
      s('rect', { width: BOX.width, height: BOX.height, rx: 6 }),
      s('text', { class: 'kind', x: 12, y: 20 }, cut(node.kind, 26)),
      s('text', { class: 'label', x: 12, y: 40 }, cut(node.label, 23)));
  });
  return h('div', { class: 'scroll graph', role: 'region', 'aria-label': 'Picture of the graph', tabindex: 0 },
    s('svg', { width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': description }, lines, boxes));
}
