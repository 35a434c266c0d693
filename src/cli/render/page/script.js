"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  root.classList.add("scripted");
  const [DIR, FILE, LINK] = [0, 1, 2];
  // Entry 0 is the bundle; parents stand before what is in them.
  const nodes = data.entries.map(([parent, name, kind, size], index) =>
    ({ index, parent, name, kind, size, total: size, children: [], wasted: false, found: [] }));
  for (const node of nodes.slice(1)) nodes[node.parent].children.push(node);
  for (const node of nodes.slice(1).reverse()) nodes[node.parent].total += node.total;
  for (const node of nodes) node.children.sort((a, b) => b.total - a.total || (a.name < b.name ? -1 : 1));

  const pathOf = (node) => {
    const names = [];
    for (; node.index; node = nodes[node.parent]) names.unshift(node.name);
    return names.join("/") || ".";
  };
  const targets = new Map(data.links);
  /** What `text` leads to from a folder, links on the way followed; null if nothing in the bundle. */
  const lead = (from, text, hops = 0) => {
    if (text.startsWith("/") || hops > 40) return null;
    let at = from;
    for (const name of text.split("/")) {
      if (name === "" || name === ".") continue;
      if (name === "..") {
        if (!at.index) return null;
        at = nodes[at.parent];
        continue;
      }
      const child = at.children.find((child) => child.name === name);
      if (!child) return null;
      at = child.kind === LINK ? lead(nodes[child.parent], targets.get(child.index) ?? "", hops + 1) : child;
      if (!at) return null;
    }
    return at;
  };
  const lost = [];
  data.findings.forEach(([entry, wasted, target], index) => {
    if (entry < 0) return;
    const node = nodes[entry];
    node.found.push(index);
    if (wasted) node.wasted = true;
    if (target !== null && node.kind !== LINK) lost.push([node, lead(nodes[node.parent], target)]);
  });
  const links = nodes.filter((node) => node.kind === LINK)
    .map((node) => [node, lead(nodes[node.parent], targets.get(node.index) ?? "")]);

  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const bytes = (count) => {
    let unit = 0;
    for (; count >= 1024 && unit < 4; unit += 1) count /= 1024;
    return `${unit ? count.toFixed(2) : count} ${units[unit]}`;
  };

  // ---- the map

  const LIGHT = { library: "#9fb8d6", code: "#a9cbb0", pack: "#c7b3d9", other: "#cfcac0", wasted: "#f0a58d", hatch: "#a23b1c", dir: "#e9e5dd", ink: "#1d1c1a", line: "#fbfaf8", link: "#2b5f9e", lost: "#b3261e", chosen: "#1d1c1a" };
  const DARK = { library: "#38567a", code: "#3b6145", pack: "#5d4775", other: "#4c4943", wasted: "#7d3a28", hatch: "#ffb59f", dir: "#2a2825", ink: "#ece8e1", line: "#171614", link: "#8fbcf2", lost: "#ff8a80", chosen: "#ffffff" };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const group = (name) => {
    if (/\.(so|dylib|dll|pyd|node)(\.|$)/i.test(name)) return "library";
    if (/\.(py|pyc|js|mjs|cjs|ts|json)$/i.test(name)) return "code";
    if (/\.(zip|asar|whl|pkg|pyz|car|jar|gz|xz|zst)$/i.test(name)) return "pack";
    return "other";
  };
  const canvas = document.getElementById("map");
  const pen = canvas.getContext("2d");
  const told = document.getElementById("told");
  let top = nodes[0];
  let chosen = null;
  let showLinks = true;
  let boxes = [];
  let placed = new Map();
  let laid = "";

  /** Squarified: rows of rectangles that are as near to squares as they can be (Bruls, Huizing, van Wijk). */
  const squarify = (items, sum, x, y, width, height, place) => {
    let rest = items;
    while (rest.length && width > 0.5 && height > 0.5) {
      const side = Math.min(width, height);
      const scale = (width * height) / sum;
      let count = 0, row = 0, worst = Infinity;
      for (; count < rest.length; count += 1) {
        const next = row + rest[count].total * scale;
        const [most, least] = [rest[0].total * scale, rest[count].total * scale];
        const ratio = Math.max((side * side * most) / (next * next), (next * next) / (side * side * least));
        if (ratio > worst) break;
        [row, worst] = [next, ratio];
      }
      const depth = row / side;
      let along = 0;
      for (const item of rest.slice(0, count)) {
        const length = (item.total * scale) / depth;
        if (width >= height) place(item, x, y + along, depth, length);
        else place(item, x + along, y, length, depth);
        along += length;
        sum -= item.total;
      }
      if (width >= height) { x += depth; width -= depth; } else { y += depth; height -= depth; }
      rest = rest.slice(count);
    }
  };

  const lay = (node, x, y, width, height) => {
    boxes.push({ node, x, y, width, height });
    placed.set(node, { x, y, width, height });
    const full = node.children.filter((child) => child.total > 0);
    if (!full.length) return;
    const head = width > 46 && height > 34 ? 17 : 2;
    const [inner, below] = [width - 4, height - head - 2];
    if (inner < 4 || below < 4) return;
    squarify(full, full.reduce((sum, child) => sum + child.total, 0), x + 2, y + head, inner, below,
      (child, ...place) => place[2] * place[3] > 6 && lay(child, ...place));
  };

  const hatch = (pen, x, y, width, height, color) => {
    pen.save();
    pen.beginPath();
    pen.rect(x, y, width, height);
    pen.clip();
    pen.strokeStyle = color;
    pen.lineWidth = 1.2;
    pen.beginPath();
    for (let at = x - height; at < x + width; at += 7) { pen.moveTo(at, y + height); pen.lineTo(at + height, y); }
    pen.stroke();
    pen.restore();
  };
  const isWasted = (node) => {
    for (; ; node = nodes[node.parent]) {
      if (node.wasted) return true;
      if (!node.index) return false;
    }
  };
  const label = (text, x, y, width, color) => {
    pen.fillStyle = color;
    let shown = text;
    while (shown.length > 2 && pen.measureText(shown).width > width) shown = `${shown.slice(0, -2)}…`;
    if (shown.length > 2 || text.length < 3) pen.fillText(shown, x, y);
  };
  /** Where a node is in the map, or the folder around it that is. */
  const spot = (node) => {
    for (; ; node = nodes[node.parent]) {
      const box = placed.get(node);
      if (box) return [box.x + box.width / 2, box.y + box.height / 2];
      if (!node.index) return null;
    }
  };
  const within = (node) => {
    for (; ; node = nodes[node.parent]) {
      if (node === top) return true;
      if (!node.index) return false;
    }
  };
  const arrow = ([x, y], [toX, toY], color, dash) => {
    const [dx, dy] = [toX - x, toY - y];
    if (Math.hypot(dx, dy) < 6) return false;
    const [midX, midY] = [(x + toX) / 2 - dy * 0.18, (y + toY) / 2 + dx * 0.18];
    pen.strokeStyle = pen.fillStyle = color;
    pen.lineWidth = 1.4;
    pen.setLineDash(dash);
    pen.beginPath();
    pen.moveTo(x, y);
    pen.quadraticCurveTo(midX, midY, toX, toY);
    pen.stroke();
    pen.setLineDash([]);
    const angle = Math.atan2(toY - midY, toX - midX);
    pen.beginPath();
    pen.moveTo(toX, toY);
    for (const turn of [0.42, -0.42]) pen.lineTo(toX - 8 * Math.cos(angle + turn), toY - 8 * Math.sin(angle + turn));
    pen.fill();
    pen.beginPath();
    pen.arc(x, y, 2.4, 0, 7);
    pen.fill();
    return true;
  };

  const draw = () => {
    const colors = isDark() ? DARK : LIGHT;
    const ratio = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = canvas;
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.font = "12px system-ui, sans-serif";
    pen.clearRect(0, 0, width, height);
    const laidOut = `${top.index} ${width} ${height}`;
    if (laid !== laidOut) {
      [laid, boxes, placed] = [laidOut, [], new Map()];
      if (top.total > 0) lay(top, 0, 0, width, height);
    }
    for (const { node, x, y, width, height } of boxes) {
      const wasted = isWasted(node);
      const isLeaf = !node.children.length;
      pen.fillStyle = isLeaf ? (wasted ? colors.wasted : colors[group(node.name)]) : colors.dir;
      pen.fillRect(x + 0.5, y + 0.5, Math.max(width - 1, 0.5), Math.max(height - 1, 0.5));
      if (isLeaf && wasted) hatch(pen, x + 0.5, y + 0.5, width - 1, height - 1, colors.hatch);
      pen.strokeStyle = colors.line;
      pen.lineWidth = 1;
      pen.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
      if (width > 46 && height > (isLeaf ? 16 : 34)) {
        if (isLeaf && wasted) { pen.fillStyle = colors.wasted; pen.fillRect(x + 2, y + 2, Math.min(width - 4, pen.measureText(node.name).width + 6), 15); }
        label(node.index ? node.name : data.name, x + 5, y + 13, width - 10, colors.ink);
      }
    }
    let curves = 0;
    if (showLinks) {
      const all = [...links.map((pair) => [pair, colors.link, []]), ...lost.map((pair) => [pair, colors.lost, [5, 4]])];
      for (const [[from, to], color, dash] of all.slice(0, 600)) {
        if (!to || !within(from) || !within(to)) continue;
        const [start, end] = [spot(from), spot(to)];
        if (start && end && arrow(start, end, color, dash)) curves += 1;
      }
    }
    const box = chosen && placed.get(chosen);
    if (box) {
      pen.strokeStyle = colors.chosen;
      pen.lineWidth = 2.5;
      pen.strokeRect(box.x + 1.5, box.y + 1.5, box.width - 3, box.height - 3);
    }
    if (!boxes.length) { label("nothing here has a size", 12, 24, width, colors.ink); }
    canvas.dataset.boxes = boxes.length;
    canvas.dataset.curves = curves;
    legend(colors);
  };

  const legend = (colors) => {
    for (const swatch of document.querySelectorAll(".legend canvas")) {
      const pen = swatch.getContext("2d");
      const { kind } = swatch.dataset;
      swatch.width = swatch.height = 18;
      pen.fillStyle = colors[kind];
      pen.fillRect(0, 0, 18, 18);
      if (kind === "wasted") hatch(pen, 0, 0, 18, 18, colors.hatch);
    }
  };

  const tell = (node) => {
    told.replaceChildren();
    const name = document.createElement("b");
    name.className = "path";
    name.textContent = node.index ? pathOf(node) : data.name;
    const share = nodes[0].total ? ` (${((100 * node.total) / nodes[0].total).toFixed(1)} %)` : "";
    told.append(name, ` ${bytes(node.total)}${share}`);
    for (const found of node.found) {
      const line = document.createElement("div");
      line.textContent = data.messages[data.findings[found][3]];
      told.append(line);
    }
  };
  const choose = (node) => { chosen = node; tell(node); draw(); };
  const zoom = (node) => {
    top = node;
    chosen = null;
    crumbs();
    tell(node);
    draw();
  };
  const crumbs = () => {
    const bar = document.getElementById("crumbs");
    bar.replaceChildren();
    const way = [];
    for (let node = top; ; node = nodes[node.parent]) { way.unshift(node); if (!node.index) break; }
    way.forEach((node, index) => {
      if (index) bar.append(" / ");
      const button = document.createElement("button");
      button.textContent = node.index ? node.name : data.name;
      button.addEventListener("click", () => zoom(node));
      bar.append(button);
    });
  };
  const hit = (event) => {
    const { left, top: above } = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - left, event.clientY - above];
    return boxes.findLast((box) => x >= box.x && y >= box.y && x < box.x + box.width && y < box.y + box.height);
  };
  /** The folder just below the one on top that a node is in. */
  const next = (node) => {
    while (node !== top && node.index && nodes[node.parent] !== top) node = nodes[node.parent];
    return node;
  };
  canvas.addEventListener("mousemove", (event) => { const box = hit(event); if (box && box.node !== chosen) choose(box.node); });
  canvas.addEventListener("mouseleave", () => { chosen = null; tell(top); draw(); });
  canvas.addEventListener("click", (event) => {
    const box = hit(event);
    if (!box) return;
    const folder = next(box.node);
    if (folder !== top && folder.children.length) zoom(folder);
    else if (folder === top && top.index) zoom(nodes[top.parent]);
  });
  canvas.addEventListener("keydown", (event) => {
    const full = (chosen && chosen !== top ? nodes[chosen.parent] : top).children.filter((child) => child.total > 0);
    const at = full.indexOf(chosen);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step && full.length) choose(full[(at < 0 ? 0 : at + step + full.length) % full.length]);
    else if (event.key === "Enter" && chosen && chosen.children.length) zoom(chosen);
    else if ((event.key === "Escape" || event.key === "Backspace") && top.index) zoom(nodes[top.parent]);
    else return;
    event.preventDefault();
  });
  document.getElementById("links").addEventListener("change", (event) => { showLinks = event.target.checked; draw(); });
  document.getElementById("theme").addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; draw(); });
  dark.addEventListener("change", draw);
  new ResizeObserver(draw).observe(canvas);
  crumbs();
  tell(top);
  draw();

  // ---- the list

  const words = document.getElementById("words");
  const kinds = [...document.querySelectorAll(".filter input[type=checkbox]")];
  const filter = () => {
    const wanted = words.value.toLowerCase();
    const shown = new Set(kinds.filter((kind) => kind.checked).map((kind) => kind.value));
    for (const section of document.querySelectorAll("section.group")) {
      let count = 0;
      for (const line of section.querySelectorAll("li")) {
        line.hidden = !shown.has(section.dataset.severity) || !line.textContent.toLowerCase().includes(wanted);
        count += line.hidden ? 0 : 1;
      }
      section.hidden = !count;
    }
  };
  if (words) for (const input of [words, ...kinds]) input.addEventListener("input", filter);
})();
