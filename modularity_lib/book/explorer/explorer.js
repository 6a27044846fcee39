/* The explorer of all networks of a run: draws what page.py wrote into the page (see `page_data` there). */

const data = takeData("explorer");
const root = document.getElementById("explorer");
const part = (name) => root.querySelector(`[data-part="${name}"]`);
// Selects, and a slider for the strength. The value of each is the place of what is chosen.
const choices = Object.fromEntries([...root.querySelectorAll("[data-choice]")].map((one) => [one.dataset.choice, one]));
const place = (name) => Number(choices[name].value);
const matrices = bytes(data.matrices);
const pictures = bytes(data.pictures);
const digits = bytes(data.digits);
const matrixColours = bytes(data.matrixColours);
const weightColours = bytes(data.weightColours);

// Where each matrix starts: networks, layers, measures, one after the other.
let start = 0;
for (const network of data.networks) {
  for (const layer of network.layers) {
    for (const measure of layer.measures) {
      measure.start = start;
      start += pairsOf(layer.units);
    }
  }
}

const strengths = () => data.sweeps[place("regulariser")].strengths;
const MEASURES = data.measures.map((measure) => measure.name);
// What can be chosen, by the names that the address has for it. The strengths depend on the regulariser, which comes first.
const OPTIONS = {
  regulariser: () => data.sweeps.map((sweep) => sweep.name),
  strength: () => strengths().map((one) => one.label),
  layer: () => data.networks[0].layers.map((_, index) => String(index + 1)),
  measure: () => MEASURES,
  sorted_by: () => MEASURES,
};
const NAMES = Object.keys(OPTIONS);

let shown = null; // what is drawn: see `show`
const cursor = { row: 0, column: 1, active: false };

function fill(select, labels) {
  select.replaceChildren(...labels.map((label, value) => element("option", label, { value })));
}

function fillStrengths() {
  choices.strength.max = strengths().length - 1;
  choices.strength.value = 0;
}

/* Stored similarity of two units, 0 to data.levels; null for a unit and itself. */
const level = (i, j) => levelOf(matrices, shown.measure.start, shown.layer.units, i, j);

function show() {
  const strength = strengths()[place("strength")];
  part("strength").textContent = strength.label;
  choices.strength.setAttribute("aria-valuetext", strength.label);
  const network = data.networks[strength.network];
  const layer = network.layers[place("layer")];
  const own = place("measure");
  const other = place("sorted_by");
  const labels = layer.measures[other].labels;
  const order = sortedUnits(labels);
  shown = { network, layer, own, other, measure: layer.measures[own], labels, order, blocks: blocksOf(order, labels) };
  cursor.row = Math.min(cursor.row, layer.units - 1);
  cursor.column = Math.min(cursor.column, layer.units - 1);
  showNetwork();
  showFacts();
  showModules();
  const live = shown.measure.labels.filter(isLive).length;
  part("live").textContent = `Bands along the edges mark the units that are live for ${nameOf(own)}: ${live} of ${layer.units}.`;
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

function showFacts() {
  part("facts").replaceChildren(...factsOf({ ...shown, nameOf }));
}

function showModules() {
  const { modules } = shown.layer.measures[shown.other];
  part("modules-title").textContent = `Modules of ${nameOf(shown.other)}`;
  part("modules-note").textContent = modules.length
    ? "The digits that excite each module most, its mean input weights or gradient, and its mean activity on each digit."
    : "All units of this layer are silent for this measure: there are no modules.";
  const what = place("layer") === 0 ? "Mean input weights" : "Mean input gradient";
  const look = { what, data, digits, pictures, colours: weightColours, style: getComputedStyle(root) };
  const cards = modules.map((index, number) => {
    const count = shown.labels.filter((label) => label === number).length;
    return moduleCard(shown.layer.modules[index], { number, count, ...look });
  });
  part("modules").replaceChildren(...cards);
}

const BAND = 6; // of live units, beside the matrix, in CSS pixels
const margin = 28; // room for the numbers of the modules and the band

/* Geometry of the matrix on its canvas, in CSS pixels. */
function geometry() {
  const width = part("matrix").clientWidth;
  return { width, cell: (width - margin) / shown.layer.units };
}

function draw() {
  const { cell } = geometry();
  const { order, blocks, measure } = shown;
  const context = paintMatrix(part("matrix"), { order, blocks, level, colours: matrixColours, margin });
  if (!context) return;
  context.fillStyle = getComputedStyle(root).color;
  context.font = "12px sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  const middleOfNames = (margin - BAND) / 2;
  for (const block of blocks) {
    const middle = margin + ((block.from + block.to) / 2) * cell;
    const text = block.label < 0 ? "silent" : String(block.label);
    if ((block.to - block.from) * cell >= (block.label < 0 ? 36 : 10)) {
      context.fillText(text, middle, middleOfNames);
      context.save();
      context.translate(middleOfNames, middle);
      if (block.label < 0) context.rotate(-Math.PI / 2);
      context.fillText(text, 0, 0);
      context.restore();
    }
  }
  // Of the measure that the matrix is of, whatever it is sorted by.
  const thick = BAND - 2;
  order.forEach((unit, position) => {
    if (!isLive(measure.labels[unit])) return;
    const from = margin + position * cell; // a little longer than a cell: neighbours leave no seam
    context.fillRect(from, margin - BAND, cell + 0.5, thick);
    context.fillRect(margin - BAND, from, thick, cell + 0.5);
  });
  if (!cursor.active) return;
  const [x, y] = [margin + cursor.column * cell, margin + cursor.row * cell];
  for (const [ring, wide] of [["black", 4], ["white", 2]]) {
    context.strokeStyle = ring;
    context.lineWidth = wide;
    context.strokeRect(x - 1, y - 1, cell + 2, cell + 2);
  }
}

function unitText(unit) {
  const label = shown.labels[unit];
  return label < 0 ? `unit ${unit} (silent)` : `unit ${unit} of module ${label}`;
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

/* Choose what the address asks for, and the rest as first shown; say so where there is no such thing. */
function follow() {
  const named = choicesIn(location.hash, NAMES);
  if (named === null && shown) return;
  const asked = named || {};
  const missing = [];
  for (const name of NAMES) {
    if (name === "strength") fillStrengths();
    const found = OPTIONS[name]().indexOf(asked[name]);
    if (name in asked && found < 0) missing.push(`${name} ${asked[name]}`);
    const isAnother = name === "strength" && place("regulariser") !== data.chosen.regulariser;
    const first = isAnother ? 0 : data.chosen[name];
    choices[name].value = found < 0 ? first : found;
  }
  part("notice").textContent = missing.length ? `The address asks for ${missing.join(" and ")}, which is not here.` : "";
  show();
}

function chooseAnew(event) {
  if (event.target === choices.regulariser) fillStrengths();
  part("notice").textContent = "";
  show();
}

fill(choices.regulariser, data.sweeps.map((sweep) => sweep.label));
fill(choices.layer, OPTIONS.layer());
for (const name of ["measure", "sorted_by"]) {
  fill(choices[name], data.measures.map((measure) => `${measure.label}, ${measure.family}`));
}
const form = root.querySelector("form");
form.addEventListener("input", chooseAnew);
form.addEventListener("change", () => {
  remember(viewIn(Object.fromEntries(NAMES.map((name) => [name, OPTIONS[name]()[place(name)]]))));
});
form.addEventListener("submit", (event) => event.preventDefault());
window.addEventListener("hashchange", follow);
const matrix = part("matrix");
matrix.addEventListener("pointermove", point);
matrix.addEventListener("pointerdown", point);
matrix.addEventListener("keydown", press);
matrix.addEventListener("focus", () => moveTo(cursor.row, cursor.column));

root.hidden = false;
paintScale(part("scale"), matrixColours);
follow();
new ResizeObserver(draw).observe(matrix.parentElement);
new MutationObserver(show).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", foldStillPicture);
else foldStillPicture();
