//! The open page: order and filters of the table, stacks that are in the data only, the flame graph.
//!
//! Rows, sentences and charts are written by the agent and only moved here. Invariant: names become
//! text (`textContent`), never markup.

'use strict';
(() => {
  const by = (id) => document.getElementById(id);
  const data = JSON.parse(by('data').textContent);
  const frames = data.frames.map(([name, source, jdk]) => ({ name, source, jdk }));
  const sites = data.sites.map(([finding, leaf, blame, cut, leaked, live, held, lateness, created]) =>
    ({ finding, leaf, blame, cut, leaked, live, held, lateness, created }));
  document.documentElement.classList.add('on');
  if (!by('table')) return;

  // ---- Stacks: a tree in which parents stand before their children, the root first.

  const nodes = data.nodes.length / 2;
  const parent = Int32Array.from({ length: nodes }, (_, node) => data.nodes[2 * node]);
  const frameOf = (node) => frames[data.nodes[2 * node + 1]];
  const children = Array.from({ length: nodes }, () => []);
  for (let node = 1; node < nodes; node++) children[parent[node]].push(node);

  /** The frames of a stack as nodes, innermost first. */
  function stack(leaf) {
    const found = [];
    for (let node = leaf; node > 0; node = parent[node]) found.push(node);
    return found;
  }

  const whole = ({ name, source }) => `${name}(${source})`;
  const blameFrameOf = (site) => stack(site.leaf)[site.blame];
  const open = (site) => ['leak', 'suspect'].includes(data.groups[site.finding]);
  const blameFrames = new Set(sites.filter(open).map(blameFrameOf));

  /** The nodes whose frame contains these words, and those with such a node between them and the root. */
  function search(words) {
    const wanted = words.trim().toLowerCase();
    if (!wanted) return null;
    const hits = frames.map((frame) => whole(frame).toLowerCase().includes(wanted));
    const own = new Uint8Array(nodes), above = new Uint8Array(nodes);
    for (let node = 1; node < nodes; node++) {
      own[node] = hits[data.nodes[2 * node + 1]];
      above[node] = own[node] | above[parent[node]];
    }
    return { own, above };
  }

  // ---- Numbers, as the agent writes them.

  const grouped = (number) => number.toLocaleString('en-US');
  function scaled(number, units) {
    let unit = 0;
    while (number >= 1024 && unit + 1 < units.length) { number /= 1024; unit++; }
    return `${number >= 100 || Number.isInteger(number) ? number.toFixed(0) : number.toFixed(1)} ${units[unit]}`;
  }
  const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const approx = data.estimated ? '≈' : '';
  const worded = {
    leaked: (number) => `${grouped(number)} leaked`,
    held: (number) => `${approx}${scaled(number, BYTES)} held`,
    lateness: (number) => `${approx}${scaled(number, BYTES.map((unit) => `${unit}·s`))} of lateness`,
    created: (number) => `${grouped(number)} created`,
  };
  const share = (part, all) => `${(all ? 100 * part / all : 0).toFixed(1)} %`;

  // ---- The table. A finding is a tbody of two rows; rows that are not shown are not in the document.

  const PAGE = { first: 20, more: 100 };
  const table = by('table');
  const rows = [...table.tBodies];
  if (by('rest')) rows.push(...by('rest').content.querySelectorAll('tbody'));
  const sums = rows.map((_, rank) => ({ rank, leaked: 0, live: 0, held: 0, lateness: 0, created: 0 }));
  for (const site of sites) {
    const sum = sums[site.finding];
    for (const key of ['leaked', 'live', 'held', 'lateness', 'created']) sum[key] += site[key];
    sum.name ??= site.leaf ? frameOf(blameFrameOf(site)).name : '';
  }
  let order = { key: 'rank', up: true };
  let limit = PAGE.first;

  function arrange() {
    const groups = new Set([...by('groups').querySelectorAll(':checked')].map((box) => box.value));
    const hits = search(by('find').value);
    const matches = hits && new Set(sites.filter((site) => hits.above[site.leaf]).map((site) => site.finding));
    const shown = sums.filter(({ rank }) => groups.has(data.groups[rank]) && (!matches || matches.has(rank)));
    const sign = order.up ? 1 : -1;
    shown.sort((a, b) => {
      const [x, y] = [a[order.key], b[order.key]];
      return sign * (x < y ? -1 : x > y ? 1 : 0) || a.rank - b.rank;
    });
    for (const body of [...table.tBodies]) body.remove();
    table.append(...shown.slice(0, limit).map(({ rank }) => rows[rank]));
    const number = Math.min(limit, shown.length);
    by('shown').textContent = number === rows.length ? '' : `${grouped(number)} of ${grouped(shown.length)} shown` +
      (shown.length < rows.length ? `, ${grouped(rows.length - shown.length)} filtered out` : '');
    by('more').hidden = number === shown.length;
    by('more').textContent = `Show ${grouped(Math.min(PAGE.more, shown.length - number))} more`;
  }

  for (const head of table.querySelectorAll('thead th')) {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...head.childNodes);
    head.append(button);
    const key = head.dataset.key;
    button.addEventListener('click', () => {
      // Numbers start with the largest, names and ranks with the first; a second click reverses it.
      const up = order.key === key ? !order.up : key === 'rank' || key === 'name';
      order = { key, up };
      for (const other of table.querySelectorAll('[aria-sort]')) other.removeAttribute('aria-sort');
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      arrange();
    });
  }
  for (const control of [by('find'), by('groups')]) {
    control.addEventListener('input', () => { limit = PAGE.first; arrange(); });
  }
  by('more').addEventListener('click', () => {
    const before = table.tBodies.length;
    limit += PAGE.more;
    arrange();
    table.tBodies[before]?.querySelector('summary').focus();
  });
  table.addEventListener('click', (event) => {
    const row = event.target.closest('.row');
    if (!row || String(getSelection())) return;
    const details = row.parentNode.querySelector('.more details');
    details.open = !details.open;
  });

  // ---- An opened finding: stacks are filled in when they are first shown.

  function make(tag, className, text) {
    const element = document.createElement(tag);
    element.className = className;
    element.textContent = text;
    return element;
  }

  function fill(pre) {
    if (pre.childNodes.length) return;
    const site = sites[pre.dataset.site];
    stack(site.leaf).forEach((node, at) => {
      const frame = frameOf(node);
      const line = make(at === site.blame ? 'mark' : frame.jdk ? 'i' : 'span', '', `at ${whole(frame)}`);
      pre.append(line, '\n');
    });
    if (site.cut) pre.append('… truncated at the depth limit, a larger depth= keeps more\n');
  }

  function unfold(details) {
    const rest = details.querySelector(':scope > .rest');
    if (rest && !rest.firstElementChild) {
      const button = make('button', '', `Show ${grouped(rest.dataset.to - rest.dataset.from)} more stacks`);
      button.addEventListener('click', () => {
        for (let number = +rest.dataset.from; number < +rest.dataset.to; number++) rest.before(further(number));
        rest.remove();
      });
      rest.replaceChildren(button);
    }
    for (const pre of details.querySelectorAll(':scope > .stack, :scope > .site > .stack')) {
      if (pre.parentNode.tagName === 'DETAILS' && !pre.parentNode.open) continue;
      fill(pre);
      if (pre.previousElementSibling?.className === 'copy') continue;
      const button = make('button', 'copy', 'Copy stack');
      button.addEventListener('click', () => copy(button, pre));
      pre.before(button);
    }
  }

  function further(number) {
    const site = sites[number];
    const details = make('details', 'site', '');
    const numbers = ['leaked', 'live'].filter((key) => site[key]).map((key) => `${grouped(site[key])} ${key}`);
    const words = `${numbers.join(', ') || '0 live'} of ${grouped(site.created)} `;
    const caller = stack(site.leaf)[site.blame + 1];
    const summary = make('summary', '', words);
    summary.append(make('span', 'from', `from ${caller ? whole(frameOf(caller)) : 'the start of the thread'}`));
    const pre = make('pre', 'stack', '');
    pre.dataset.site = number;
    details.append(summary, pre);
    return details;
  }

  async function copy(button, pre) {
    const text = pre.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = 'Copied';
    } catch {
      // No clipboard for this page: the text is selected, so that the usual key copies it.
      getSelection().selectAllChildren(pre);
      button.textContent = document.execCommand('copy') ? 'Copied' : 'Selected: press Ctrl+C';
    }
    setTimeout(() => { button.textContent = 'Copy stack'; }, 2000);
  }

  // A toggle event stays with its element, but can be caught on the way down.
  table.addEventListener('toggle', (event) => { if (event.target.open) unfold(event.target); }, true);
  // On paper everything is open.
  let opened = [];
  addEventListener('beforeprint', () => {
    opened = [...table.querySelectorAll('details:not([open])')];
    for (const details of opened) details.open = true;
    table.querySelectorAll('.stack').forEach(fill);
  });
  addEventListener('afterprint', () => { for (const details of opened) details.open = false; });

  /** A link to a finding (`#p12`) or a site (`#s` and its id) opens it, wherever it is. */
  function follow() {
    const id = location.hash.slice(1);
    const at = id ? rows.findIndex((row) => row.id === id || row.querySelector(`#${CSS.escape(id)}`)) : -1;
    if (at < 0) return;
    if (!rows[at].isConnected) {
      by('find').value = '';
      for (const box of by('groups').querySelectorAll('input')) box.checked = true;
      order = { key: 'rank', up: true };
      limit = Math.max(limit, at + 1);
      arrange();
    }
    for (let element = by(id); element && element !== table; element = element.parentNode) {
      if (element.tagName === 'DETAILS') element.open = true;
    }
    if (by(id) === rows[at]) rows[at].querySelector('details').open = true;
    by(id).scrollIntoView();
  }
  addEventListener('hashchange', follow);

  // ---- The flame graph: drawn from the zoomed node on, as far as frames are wide enough.

  const ROW = 22, NARROWEST = 2, LABELLED = 30;
  const graph = by('graph');
  const values = new Float64Array(nodes);
  let weight = 'created', zoomed = 0, found = null, here = 0, drawn = new Map();

  function weigh() {
    weight = document.querySelector('[name=weight]:checked').value;
    const certain = by('certain').checked;
    values.fill(0);
    for (const site of sites) if (!certain || site.leaked) values[site.leaf] += site[weight];
    for (let node = nodes - 1; node > 0; node--) values[parent[node]] += values[node];
    for (const list of children) list.sort((a, b) => values[b] - values[a]);
    if (!values[zoomed]) zoomed = 0;
    here = zoomed;
  }

  /** `Codec.decode:21`. */
  function label(node) {
    if (!node) return 'all';
    const { name, source } = frameOf(node);
    return name.split('.').slice(-2).join('.') + (/:\d+$/.exec(source) ?? '');
  }
  const describe = (node) => `${node ? whole(frameOf(node)) : 'All'}: ${worded[weight](values[node])}, ` +
    `${share(values[node], values[0])} of all${blameFrames.has(node) ? '; blame frame' : ''}`;

  /** One of three shades, the same for the same class. */
  function shade(name) {
    let sum = 0;
    for (const letter of name.slice(0, name.lastIndexOf('.'))) sum += letter.codePointAt(0);
    return 1 + sum % 3;
  }

  function draw() {
    const width = graph.clientWidth || 1;
    const elements = document.createDocumentFragment();
    drawn = new Map();
    let depth = 0;
    const lay = (element, left, part, level) => {
      element.style.left = `${100 * left}%`;
      element.style.width = `${100 * part}%`;
      element.style.top = `${level * ROW}px`;
      elements.append(element);
      depth = Math.max(depth, level);
    };
    const put = (node, left, part, level, above) => {
      const element = make('div', node ? `frame ${frameOf(node).jdk ? 'jdk' : 'own'}-${shade(frameOf(node).name)}` : 'frame all', '');
      element.classList.toggle('blamed', blameFrames.has(node));
      element.classList.toggle('found', Boolean(found?.own[node]));
      element.classList.toggle('above', above);
      if (part * width >= LABELLED) element.textContent = `${blameFrames.has(node) ? '▸ ' : ''}${label(node)}`;
      else element.classList.add('narrow');
      lay(element, left, part, level);
      element.tabIndex = node === here ? 0 : -1;
      element.dataset.node = node;
      element.title = describe(node);
      element.setAttribute('role', 'treeitem');
      element.setAttribute('aria-level', level + 1);
      drawn.set(node, element);
    };
    // Those that are too narrow, together.
    const fillUp = (left, part, level) => {
      const element = make('div', 'frame thin', '');
      element.title = 'Too narrow to draw: zoom in';
      element.ariaHidden = 'true';
      lay(element, left, part, level);
    };
    const above = zoomed ? [...stack(parent[zoomed]).reverse()] : [];
    if (zoomed) above.unshift(0);
    above.forEach((node, level) => put(node, 0, 1, level, true));
    const todo = values[zoomed] ? [[zoomed, 0, 1, above.length]] : [];
    while (todo.length) {
      const [node, left, part, level] = todo.pop();
      put(node, left, part, level, false);
      const wide = [];
      let next = left;
      for (const child of children[node]) {
        const size = values[child] / values[zoomed];
        if (size * width < NARROWEST) break;
        wide.push([child, next, size, level + 1]);
        next += size;
      }
      todo.push(...wide.reverse());
      const thin = left + part - next;
      if (wide.length < children[node].length && thin * width >= NARROWEST) fillUp(next, thin, level + 1);
    }
    graph.replaceChildren(elements);
    graph.style.height = `${(depth + 1) * ROW}px`;
    if (!values[0]) graph.textContent = by('certain').checked ? 'No certain leaks to show.' : 'Nothing to show.';
    const way = [0, ...stack(zoomed).reverse()];
    const crumbs = way.length > 5 ? [0, null, ...way.slice(-3)] : way;
    by('crumbs').replaceChildren(...(zoomed ? crumbs : []).flatMap((node, at) => {
      if (node === null) return [' › …'];
      const button = make('button', '', label(node));
      button.type = 'button';
      button.addEventListener('click', () => zoom(node));
      if (node === zoomed) button.setAttribute('aria-current', 'true');
      return at ? [' › ', button] : [button];
    }));
    let part = 0;
    if (found) for (const site of sites) if (found.above[site.leaf] && (!by('certain').checked || site.leaked)) part += site[weight];
    by('share').textContent = found ? `found in ${share(part, values[0])}: ${worded[weight](part)}` : '';
    by('described').textContent = describe(here);
  }

  function zoom(node) {
    zoomed = here = node;
    draw();
    drawn.get(node)?.focus();
  }

  function go(node) {
    const element = drawn.get(node);
    if (!element) return;
    drawn.get(here)?.setAttribute('tabindex', -1);
    here = node;
    element.tabIndex = 0;
    element.focus();
  }

  const nodeOf = (event) => event.target.closest('.frame')?.dataset.node;
  graph.addEventListener('click', (event) => { if (nodeOf(event)) zoom(+nodeOf(event)); });
  for (const type of ['mouseover', 'focusin']) {
    graph.addEventListener(type, (event) => { if (nodeOf(event)) by('described').textContent = describe(+nodeOf(event)); });
  }
  graph.addEventListener('keydown', (event) => {
    const beside = children[parent[here]], at = beside.indexOf(here);
    const move = {
      ArrowDown: () => go(children[here].find((child) => drawn.has(child))),
      ArrowUp: () => go(parent[here]),
      ArrowLeft: () => go(beside[at - 1]),
      ArrowRight: () => go(beside[at + 1]),
      Home: () => go(0),
      Enter: () => zoom(here),
      ' ': () => zoom(here),
    }[event.key];
    if (!move) return;
    event.preventDefault();
    move();
  });
  by('flame').addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !zoomed) return;
    event.preventDefault();
    zoom(0);
  });
  by('weights').addEventListener('input', () => { weigh(); draw(); });
  by('certain').addEventListener('input', () => { weigh(); draw(); });
  by('find-frame').addEventListener('input', () => { found = search(by('find-frame').value); draw(); });
  new ResizeObserver(() => { if (graph.clientWidth !== drawnWidth) { drawnWidth = graph.clientWidth; draw(); } }).observe(graph);
  let drawnWidth = graph.clientWidth;

  const most = ['leaked', 'held', 'created'].find((key) => sites.some((site) => site[key]));
  document.querySelector(`[name=weight][value=${most ?? 'created'}]`).checked = true;
  weigh();
  draw();
  arrange();
  follow();
})();
