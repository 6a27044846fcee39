/* What both explorers share: what page.py or front.py wrote into the page, and the picture of a matrix. */

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/* The data of an explorer; megabytes of text that nothing needs any more leave the page. */
function takeData(name) {
  const source = document.getElementById(`${name}-data`);
  source.remove();
  return JSON.parse(source.textContent);
}

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/* A number with its minus sign; "none" for the score of a layer without modules. */
const scoreText = (score) => (score === null ? "none" : score.toFixed(3).replace("-", "−"));

const pairsOf = (units) => (units * (units - 1)) / 2;

/* Stored value of the similarity of two units; null for a unit and itself. `start`: where the matrix begins. */
function levelOf(levels, start, units, i, j) {
  if (i === j) return null;
  const [a, b] = i < j ? [i, j] : [j, i];
  return levels[start + a * units - (a * (a + 1)) / 2 + (b - a - 1)];
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

/* Draw a matrix into a canvas, with white lines between blocks; the diagonal is black. Returns the context, whose
   lengths are CSS pixels, or null where the canvas has no width. `margin`: room above and on the left. */
function paintMatrix(canvas, { order, blocks, level, colours, margin }) {
  const width = canvas.clientWidth;
  if (width <= margin) return null;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = canvas.width;
  const context = canvas.getContext("2d");
  context.scale(canvas.width / width, canvas.width / width);
  const n = order.length;
  const small = element("canvas", undefined, { width: n, height: n });
  const image = small.getContext("2d").createImageData(n, n);
  order.forEach((i, row) => {
    order.forEach((j, column) => {
      const colour = 3 * (level(i, j) || 0);
      const pixel = 4 * (row * n + column);
      for (let channel = 0; channel < 3; channel += 1) image.data[pixel + channel] = colours[colour + channel];
      image.data[pixel + 3] = 255;
    });
  });
  small.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, margin, margin, width - margin, width - margin);
  context.strokeStyle = "white";
  context.lineWidth = 1.5;
  context.beginPath();
  for (const block of blocks.slice(1)) {
    const from = margin + (block.from * (width - margin)) / n;
    context.moveTo(from, margin);
    context.lineTo(from, width);
    context.moveTo(margin, from);
    context.lineTo(width, from);
  }
  context.stroke();
  return context;
}

/* All colours from 0 to the largest, side by side. */
function paintScale(canvas, colours) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(256, 1);
  for (let value = 0; value < 256; value += 1) {
    for (let channel = 0; channel < 3; channel += 1) image.data[4 * value + channel] = colours[3 * value + channel];
    image.data[4 * value + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}
