"use strict";
/* The explorer: draws what page.py wrote into the page (see `page_data` there). No request, no library. */
(() => {
  const root = document.getElementById("explorer");
  const source = document.getElementById("explorer-data");
  if (!root || !source) return;
  const data = JSON.parse(source.textContent);
  source.remove(); // megabytes of text that nothing needs any more

  const SIDE = 28; // pixels of a digit
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const selects = Object.fromEntries(
    [...root.querySelectorAll("select")].map((select) => [select.dataset.choice, select]),
  );
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const matrices = bytes(data.matrices);
  const pictures = bytes(data.pictures);
  const digits = bytes(data.digits);
  const matrixColours = bytes(data.matrixColours);
  const weightColours = bytes(data.weightColours);

  // Where the upper triangle of each matrix starts: networks, layers, measures, one after the other.
  let start = 0;
  for (const network of data.networks) {
    for (const layer of network.layers) {
      for (const measure of layer.measures) {
        measure.start = start;
        start += (layer.units * (layer.units - 1)) / 2;
      }
    }
  }

  let shown = null; // what is drawn: see `show`
  const cursor = { row: 0, column: 1, active: false };

  function element(name, text, attributes = {}) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  function fill(select, labels, index) {
    select.replaceChildren(...labels.map((label, value) => element("option", label, { value })));
    select.selectedIndex = Math.max(0, Math.min(index, labels.length - 1));
  }

  function fillStrengths(index) {
    fill(selects.strength, data.sweeps[selects.regulariser.value].strengths.map((one) => one.label), index);
  }

  /* Stored value of the similarity of two units, 0 to data.levels; null for a unit and itself. */
  function level(i, j) {
    if (i === j) return null;
    const [a, b] = i < j ? [i, j] : [j, i];
    return matrices[shown.measure.start + a * shown.layer.units - (a * (a + 1)) / 2 + (b - a - 1)];
  }

  /* Units in the order of their modules; dead ones last. */
  function sortedUnits(labels) {
    const rank = (unit) => (labels[unit] < 0 ? Infinity : labels[unit]);
    return labels.map((_, unit) => unit).sort((a, b) => (rank(a) === rank(b) ? a - b : rank(a) < rank(b) ? -1 : 1));
  }

  /* Runs of units of the same module: {label, from, to}. */
  function blocksOf(order, labels) {
    const blocks = [];
    order.forEach((unit, place) => {
      const last = blocks[blocks.length - 1];
      if (last && last.label === labels[unit]) last.to = place + 1;
      else blocks.push({ label: labels[unit], from: place, to: place + 1 });
    });
    return blocks;
  }

  function show() {
    const sweep = data.sweeps[selects.regulariser.value];
    const network = data.networks[sweep.strengths[selects.strength.value].network];
    const layer = network.layers[selects.layer.value];
    const own = Number(selects.measure.value);
    const other = Number(selects.sorted_by.value);
    const labels = layer.measures[other].labels;
    const order = sortedUnits(labels);
    shown = { network, layer, own, other, measure: layer.measures[own], labels, order, blocks: blocksOf(order, labels) };
    cursor.row = Math.min(cursor.row, layer.units - 1);
    cursor.column = Math.min(cursor.column, layer.units - 1);
    showNetwork();
    showFacts();
    showModules();
    part("largest").textContent = `${shown.measure.largest} (largest)`;
    part("matrix").setAttribute("aria-label", matrixText());
    if (cursor.active) tellPair(cursor.row, cursor.column);
    else part("pair").textContent = "";
    draw();
  }

  const nameOf = (measure) => data.measures[measure].label;

  function matrixText() {
    const by = shown.own === shown.other ? "its own modules" : `the modules of ${nameOf(shown.other)}`;
    return `Similarity matrix: ${nameOf(shown.own)} of ${shown.layer.units} units, sorted by ${by}`;
  }

  function showNetwork() {
    const { setting, accuracy, analysed } = shown.network;
    const left = analysed ? "" : "; left out of all figures";
    part("network").textContent =
      `Network: L2 ${setting.l2}, L1 ${setting.l1}, dropout ${setting.dropout}; ` +
      `test accuracy ${(100 * accuracy).toFixed(1)} %${left}.`;
  }

  const scoreText = (score) => (score === null ? "none" : score.toFixed(3).replace("-", "−"));

  function showFacts() {
    const columns = shown.own === shown.other ? [shown.own] : [shown.own, shown.other];
    const sizes = (measure) => {
      const counts = [];
      for (const label of measure.labels) if (label >= 0) counts[label] = (counts[label] || 0) + 1;
      return counts;
    };
    const views = columns.map((index) => ({ index, view: shown.layer.measures[index] }));
    const rows = [
      [
        "Q of the matrix",
        ({ index, view }) => scoreText(index === shown.own ? view.score : shown.measure.scores[index]),
        "score",
      ],
      ["modules", ({ view }) => String(sizes(view).length), "count"],
      ["sizes", ({ view }) => sizes(view).join(", ") || "none", "sizes"],
      ["soft number", ({ view }) => view.soft.toFixed(2), "soft"],
      ["dead units", ({ view }) => String(view.labels.filter((label) => label < 0).length), "dead"],
    ];
    const head = element("tr");
    head.append(element("td"));
    for (const { index } of views) {
      const title = index === shown.own ? "its own modules" : `modules of ${nameOf(index)}`;
      head.append(element("th", title, { scope: "col" }));
    }
    const thead = element("thead");
    thead.append(head);
    const body = element("tbody");
    for (const [title, text, key] of rows) {
      const row = element("tr");
      row.append(element("th", title, { scope: "row" }));
      for (const one of views) {
        row.append(element("td", text(one), { "data-fact": `${key}-${one.index === shown.own ? "own" : "other"}` }));
      }
      body.append(row);
    }
    part("facts").replaceChildren(element("caption", `The matrix of ${nameOf(shown.own)}, under`), thead, body);
  }

  /* A square picture of bytes, each of which names a colour. */
  function picture(values, colours, label) {
    const canvas = element("canvas", undefined, { width: SIDE, height: SIDE, role: "img", "aria-label": label });
    const context = canvas.getContext("2d");
    const image = context.createImageData(SIDE, SIDE);
    for (let pixel = 0; pixel < SIDE * SIDE; pixel += 1) {
      const value = values[pixel];
      for (let channel = 0; channel < 3; channel += 1) {
        image.data[4 * pixel + channel] = colours ? colours[3 * value + channel] : value;
      }
      image.data[4 * pixel + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    return canvas;
  }

  const pixelsOf = (all, index) => all.subarray(index * SIDE * SIDE, (index + 1) * SIDE * SIDE);

  /* Ten bars, one per digit. */
  function bars(heights, label) {
    const scale = 2;
    const canvas = element("canvas", undefined, { width: 112 * scale, height: 112 * scale, role: "img", "aria-label": label });
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    const style = getComputedStyle(root);
    const largest = Math.max(...heights, 1e-9);
    heights.forEach((height, digit) => {
      const tall = (94 * height) / largest;
      context.fillStyle = style.getPropertyValue("--pst-color-primary") || "#459db9";
      context.fillRect(digit * 11 + 2, 96 - tall, 8, tall);
      context.fillStyle = style.color;
      context.font = "10px sans-serif";
      context.textAlign = "center";
      context.fillText(String(digit), digit * 11 + 6, 108);
    });
    return canvas;
  }

  function captioned(canvas, caption) {
    const figure = element("figure");
    figure.append(canvas, element("figcaption", caption));
    return figure;
  }

  function moduleItem(index, number) {
    const module = shown.layer.modules[index];
    const count = shown.labels.filter((label) => label === number).length;
    const item = element("li");
    item.append(element("h4", `Module ${number}: ${count} ${count === 1 ? "unit" : "units"}`));
    const digitsRow = element("div", undefined, { class: "explorer-digits" });
    module.digits.forEach((digit, place) => {
      const label = `A handwritten ${data.digitLabels[digit]}, number ${place + 1} of those that excite module ${number}.`;
      digitsRow.append(picture(pixelsOf(digits, digit), null, label));
    });
    const silent = element("p", "None of its units is active on any of the digits.", { class: "explorer-note" });
    item.append(module.digits.length ? digitsRow : silent);
    const more = element("div", undefined, { class: "explorer-more" });
    const isFirst = Number(selects.layer.value) === 0;
    const what = isFirst ? "Mean input weights" : "Mean input gradient";
    more.append(
      captioned(
        picture(pixelsOf(pictures, module.picture), weightColours, `${what} of module ${number} on 28 by 28 pixels.`),
        `${what}, blue −${module.largest} to red ${module.largest}`,
      ),
    );
    const values = module.activity.map((mean, digit) => `${digit}: ${mean.toFixed(2)}`).join(", ");
    const top = Math.max(...module.activity).toFixed(2);
    more.append(
      captioned(bars(module.activity, `Mean activity of module ${number} by digit, ${values}.`), `Mean activity by digit, up to ${top}`),
    );
    item.append(more);
    return item;
  }

  function showModules() {
    const { modules } = shown.layer.measures[shown.other];
    part("modules-title").textContent = `Modules of ${nameOf(shown.other)}`;
    part("modules-note").textContent = modules.length
      ? "The digits that excite each module most, its mean input weights or gradient, and its mean activity on each digit."
      : "All units of this layer are dead: there are no modules.";
    part("modules").replaceChildren(...modules.map(moduleItem));
  }

  const margin = 26; // room for the numbers of the modules, in CSS pixels

  /* Geometry of the matrix on its canvas, in CSS pixels. */
  function geometry() {
    const width = part("matrix").clientWidth;
    return { width, cell: (width - margin) / shown.layer.units };
  }

  function draw() {
    const canvas = part("matrix");
    const { width, cell } = geometry();
    if (width <= margin) return;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = canvas.width;
    const context = canvas.getContext("2d");
    context.scale(canvas.width / width, canvas.width / width);
    const n = shown.layer.units;
    const small = element("canvas", undefined, { width: n, height: n });
    const image = small.getContext("2d").createImageData(n, n);
    shown.order.forEach((i, row) => {
      shown.order.forEach((j, column) => {
        const colour = 3 * Math.round(((level(i, j) || 0) * 255) / data.levels);
        const pixel = 4 * (row * n + column);
        for (let channel = 0; channel < 3; channel += 1) image.data[pixel + channel] = matrixColours[colour + channel];
        image.data[pixel + 3] = 255;
      });
    });
    small.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, margin, margin, n * cell, n * cell);

    context.strokeStyle = "white";
    context.lineWidth = 1.5;
    context.fillStyle = getComputedStyle(root).color;
    context.font = "12px sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (const block of shown.blocks) {
      const from = margin + block.from * cell;
      const middle = margin + ((block.from + block.to) / 2) * cell;
      if (block.from > 0) {
        context.beginPath();
        context.moveTo(from, margin);
        context.lineTo(from, width);
        context.moveTo(margin, from);
        context.lineTo(width, from);
        context.stroke();
      }
      const text = block.label < 0 ? "dead" : String(block.label);
      if ((block.to - block.from) * cell >= (block.label < 0 ? 28 : 10)) {
        context.fillText(text, middle, margin / 2);
        context.save();
        context.translate(margin / 2, middle);
        if (block.label < 0) context.rotate(-Math.PI / 2);
        context.fillText(text, 0, 0);
        context.restore();
      }
    }
    if (cursor.active) {
      const [x, y] = [margin + cursor.column * cell, margin + cursor.row * cell];
      for (const [colour, wide] of [["black", 4], ["white", 2]]) {
        context.strokeStyle = colour;
        context.lineWidth = wide;
        context.strokeRect(x - 1, y - 1, cell + 2, cell + 2);
      }
    }
  }

  function drawScale() {
    const context = part("scale").getContext("2d");
    const image = context.createImageData(256, 1);
    for (let value = 0; value < 256; value += 1) {
      for (let channel = 0; channel < 3; channel += 1) image.data[4 * value + channel] = matrixColours[3 * value + channel];
      image.data[4 * value + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  function unitText(unit) {
    const label = shown.labels[unit];
    return label < 0 ? `unit ${unit} (dead)` : `unit ${unit} of module ${label}`;
  }

  function tellPair(row, column) {
    const [i, j] = [shown.order[row], shown.order[column]];
    const value = level(i, j);
    let text = "similarity with itself, which no module search looks at.";
    if (value === 0) {
      text = shown.measure.largest === 0
        ? "similarity 0, as of all pairs."
        : `similarity under ${(0.5 / data.levels).toFixed(3)} of the largest, which is ${shown.measure.largest}.`;
    } else if (value !== null) {
      const share = value / data.levels;
      text = `similarity ${Number((share * shown.measure.largest).toPrecision(2))}, ` +
        `${share.toFixed(3)} of the largest, which is ${shown.measure.largest}.`;
    }
    const who = `${unitText(i)}, ${unitText(j)}: `;
    part("pair").textContent = who[0].toUpperCase() + who.slice(1) + text;
  }

  function moveTo(row, column) {
    const last = shown.layer.units - 1;
    cursor.row = Math.max(0, Math.min(last, row));
    cursor.column = Math.max(0, Math.min(last, column));
    cursor.active = true;
    tellPair(cursor.row, cursor.column);
    draw();
  }

  function point(event) {
    const box = part("matrix").getBoundingClientRect();
    const { cell } = geometry();
    const column = Math.floor((event.clientX - box.left - margin) / cell);
    const row = Math.floor((event.clientY - box.top - margin) / cell);
    const n = shown.layer.units;
    if (row < 0 || column < 0 || row >= n || column >= n) return;
    if (!cursor.active || row !== cursor.row || column !== cursor.column) moveTo(row, column);
  }

  const KEYS = {
    ArrowLeft: () => [cursor.row, cursor.column - 1],
    ArrowRight: () => [cursor.row, cursor.column + 1],
    ArrowUp: () => [cursor.row - 1, cursor.column],
    ArrowDown: () => [cursor.row + 1, cursor.column],
    Home: () => [cursor.row, 0],
    End: () => [cursor.row, shown.layer.units - 1],
  };

  function press(event) {
    const key = KEYS[event.key];
    if (!key || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault(); // the page does not scroll, and the book does not turn to another page
    event.stopPropagation();
    moveTo(...key());
  }

  /* The still picture, in the page for those without JavaScript, folds away. */
  function foldStillPicture() {
    const still = document.querySelector("article .explorer-still");
    if (!still) return;
    const details = element("details", undefined, { class: "explorer-still" });
    details.append(element("summary", "One choice as a still picture, with its data"));
    still.replaceWith(details);
    details.append(still);
    still.classList.remove("explorer-still");
  }

  fill(selects.regulariser, data.sweeps.map((sweep) => sweep.label), data.chosen.regulariser);
  fillStrengths(data.chosen.strength);
  fill(selects.layer, data.networks[0].layers.map((_, index) => String(index + 1)), data.chosen.layer);
  fill(selects.measure, data.measures.map((measure) => `${measure.label}, ${measure.family}`), data.chosen.measure);
  fill(selects.sorted_by, data.measures.map((measure) => `${measure.label}, ${measure.family}`), data.chosen.sorted_by);
  selects.regulariser.addEventListener("change", () => fillStrengths(0));
  for (const select of Object.values(selects)) select.addEventListener("change", show);
  root.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  const matrix = part("matrix");
  matrix.addEventListener("pointermove", point);
  matrix.addEventListener("pointerdown", point);
  matrix.addEventListener("keydown", press);
  matrix.addEventListener("focus", () => moveTo(cursor.row, cursor.column));

  root.hidden = false;
  drawScale();
  show();
  new ResizeObserver(draw).observe(matrix.parentElement);
  new MutationObserver(show).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", foldStillPicture);
  else foldStillPicture();
})();
