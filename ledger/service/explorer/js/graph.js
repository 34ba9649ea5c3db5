// A directed acyclic graph in layers: what rests on others stands above them.

import { h, s } from './dom.js';

const BOX = { width: 184, height: 54 };
const THROUGH = { width: 14 };
const ACROSS = 26;
const DOWN = 62;
const PAD = 14;
// Wider ones shrink to fit, but not below this; see the style sheet.
const LARGE = 768;

/** Return the layer of each node: 0 for those that nothing points to, else below all that do. */
export function layers(ids, edges) {
  const layer = new Map(ids.map((id) => [id, 0]));
  // As many rounds as there are nodes are enough without circles, and end also with one.
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

/**
 * Put things in rows. An edge over several layers gets a thing of its own, a place to pass
 * through, in each between: boxes then make room for it. Returns rows, and the way of each edge.
 */
function rowsOf(ids, edges) {
  const layer = layers(ids, edges);
  const rows = [];
  const put = (thing, depth) => (rows[depth] ??= []).push(thing);
  const box = new Map(ids.map((id) => [id, { width: BOX.width, above: [], below: [] }]));
  for (const id of ids) put(box.get(id), layer.get(id));
  const ways = edges.filter((e) => layer.get(e.from) < layer.get(e.to)).map((edge) => {
    const way = [box.get(edge.from)];
    for (let depth = layer.get(edge.from) + 1; depth < layer.get(edge.to); depth++) {
      const place = { width: THROUGH.width, above: [], below: [] };
      put(place, depth);
      way.push(place);
    }
    way.push(box.get(edge.to));
    way.slice(1).forEach((thing, i) => {
      thing.above.push(way[i]);
      way[i].below.push(thing);
    });
    return { edge, way };
  });
  return { rows: rows.filter(Boolean), ways, box };
}

const mean = (numbers) => numbers.reduce((a, b) => a + b, 0) / numbers.length;

// Sort each row by the middle of the neighbours in the row before or behind: few lines cross then.
function order(rows) {
  for (let sweep = 0; sweep < 6; sweep++) {
    for (const row of rows) row.forEach((thing, i) => { thing.rank = (i + 0.5) / row.length; });
    for (const row of sweep % 2 ? [...rows].reverse() : rows) {
      const wish = new Map(row.map((thing) => {
        const near = sweep % 2 ? thing.below : thing.above;
        return [thing, near.length ? mean(near.map((other) => other.rank)) : thing.rank];
      }));
      row.sort((a, b) => wish.get(a) - wish.get(b));
      row.forEach((thing, i) => { thing.rank = (i + 0.5) / row.length; });
    }
  }
}

// Move things towards their neighbours, as far as those beside them leave room.
function place(rows) {
  for (const row of rows) {
    let x = 0;
    for (const thing of row) {
      thing.x = x + thing.width / 2;
      x += thing.width + ACROSS;
    }
  }
  const apart = (a, b) => (a.width + b.width) / 2 + ACROSS;
  for (let round = 0; round < 12; round++) {
    for (const row of round % 2 ? [...rows].reverse() : rows) {
      const wish = row.map((thing) => {
        const near = [...thing.above, ...thing.below].map((other) => other.x);
        return near.length ? mean(near) : thing.x;
      });
      const right = [...wish];
      for (let i = 1; i < row.length; i++) right[i] = Math.max(right[i], right[i - 1] + apart(row[i - 1], row[i]));
      const left = [...wish];
      for (let i = row.length - 2; i >= 0; i--) left[i] = Math.min(left[i], left[i + 1] - apart(row[i], row[i + 1]));
      row.forEach((thing, i) => { thing.x = (left[i] + right[i]) / 2; });
    }
  }
  const all = rows.flat();
  const least = Math.min(...all.map((thing) => thing.x - thing.width / 2));
  rows.forEach((row, depth) => row.forEach((thing) => {
    thing.x += PAD - least;
    thing.y = PAD + depth * (BOX.height + DOWN);
  }));
  return {
    width: PAD + Math.max(...all.map((thing) => thing.x + thing.width / 2)),
    height: 2 * PAD + rows.length * BOX.height + (rows.length - 1) * DOWN,
  };
}

function line({ edge, way }) {
  const at = (n) => n.toFixed(1);
  const bend = DOWN * 0.55;
  let path = `M${at(way[0].x)} ${way[0].y + BOX.height}`;
  way.slice(1).forEach((thing, i) => {
    const from = way[i];
    const last = i === way.length - 2;
    const end = thing.y - (last ? 7 : 0);
    path += `C${at(from.x)} ${from.y + BOX.height + bend} ${at(thing.x)} ${end - bend} ${at(thing.x)} ${end}`;
    if (!last) path += `V${thing.y + BOX.height}`;
  });
  const tip = way.at(-1);
  return [
    s('path', { class: 'edge', d: path }),
    s('path', { class: 'head', d: `M${at(tip.x - 4.5)} ${tip.y - 8}L${at(tip.x)} ${tip.y}L${at(tip.x + 4.5)} ${tip.y - 8}Z` }),
    s('text', { class: 'edge-label', x: at((way[0].x + way[1].x) / 2), y: way[0].y + BOX.height + DOWN / 2 + 3, 'text-anchor': 'middle' }, edge.label),
  ];
}

const cut = (text, most) => (Array.from(text).length > most ? `${Array.from(text).slice(0, most - 1).join('')}\u2026` : text);

function boxed(node, thing) {
  return s('g', {
    class: node.href ? `node ${node.group} linked` : `node ${node.group}`, transform: `translate(${(thing.x - BOX.width / 2).toFixed(1)} ${thing.y})`,
    // For the mouse; the keyboard has the links of the list.
    click: node.href ? () => { location.hash = node.href; } : undefined,
  },
    s('title', {}, `${node.kind}: ${node.label}`),
    s('rect', { width: BOX.width, height: BOX.height, rx: 6 }),
    // An inner picture cuts off what is too wide for the box.
    s('svg', { width: BOX.width - 8, height: BOX.height },
      s('text', { class: 'kind', x: 12, y: 20 }, cut(node.kind, 28)),
      s('text', { class: 'label', x: 12, y: 40 }, cut(node.label, 22))));
}

/**
 * Draw a graph. Nodes are {id, kind, label, group, href}, the first of which is to be seen first;
 * edges are {from, to, label}. The picture is one image to screen readers: the caller lists the
 * same facts beside it.
 */
export function drawGraph(nodes, edges, description) {
  const { rows, ways, box } = rowsOf(nodes.map((n) => n.id), edges);
  order(rows);
  const { width, height } = place(rows);
  const labels = ways.map(line);
  const frame = h('div', { class: 'scroll graph', role: 'region', 'aria-label': 'Picture of the graph', tabindex: 0 },
    s('svg', { class: width > LARGE ? 'large' : null, width: Math.ceil(width), height, viewBox: `0 0 ${width.toFixed(1)} ${height}`, role: 'img', 'aria-label': description },
      labels.map(([path, head]) => [path, head]), nodes.map((node) => boxed(node, box.get(node.id))), labels.map(([, , label]) => label)));
  // Reports once the frame is part of a page and has a size.
  new ResizeObserver((_, observer) => {
    observer.disconnect();
    const start = (box.get(nodes[0].id).x / width) * frame.scrollWidth;
    frame.scrollLeft = start - frame.clientWidth / 2;
  }).observe(frame);
  return frame;
}
