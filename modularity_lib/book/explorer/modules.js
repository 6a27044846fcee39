/* What the modules of a layer respond to, and what is lost without them: a card for each. */

const SIDE = 28; // pixels of a digit
const STRONG = 0.75; // share of the largest mean activity from which on a class of digits is named

const pixelsOf = (all, index) => all.subarray(index * SIDE * SIDE, (index + 1) * SIDE * SIDE);

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

/* Ten bars, one per digit, in the colours of `style`. */
function bars(heights, label, style) {
  const scale = 2;
  const canvas = element("canvas", undefined, { width: 112 * scale, height: 112 * scale, role: "img", "aria-label": label });
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
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

/* The classes that a module responds to most, the strongest first: "7, 9 and 4". */
function classesText(activity) {
  const largest = Math.max(...activity);
  const strong = activity.map((_, digit) => digit).filter((digit) => activity[digit] >= STRONG * largest);
  strong.sort((a, b) => activity[b] - activity[a] || a - b);
  const last = strong.pop();
  return strong.length ? `${strong.join(", ")} and ${last}` : String(last);
}

const points = (share) => `${(100 * share).toFixed(1).replace("-", "−")} points`;

function lostText([module, random]) {
  const beside = random === null ? "" : `, without as many random units ${points(random)}`;
  return `Accuracy lost without it: ${points(module)}${beside}.`;
}

/* `module`: its data; `number`: in the clustering; `count`: of its units; `what`: the name of its picture. */
function moduleCard(module, { number, count, what, data, digits, pictures, colours, style }) {
  const item = element("li");
  item.append(element("h4", `Module ${number}: ${count} ${count === 1 ? "unit" : "units"}`));
  const isSilent = !module.digits.length;
  const active = isSilent ? "None of its units is active on any of the digits." : `Most active on ${classesText(module.activity)}.`;
  item.append(element("p", active, { class: "explorer-note" }));
  if (module.lost) item.append(element("p", lostText(module.lost), { class: "explorer-note", "data-part": "lost" }));
  if (!isSilent) {
    const row = element("div", undefined, { class: "explorer-digits" });
    module.digits.forEach((digit, place) => {
      const label = `A handwritten ${data.digitLabels[digit]}, number ${place + 1} of those that excite module ${number}.`;
      row.append(picture(pixelsOf(digits, digit), null, label));
    });
    item.append(row);
  }
  const more = element("div", undefined, { class: "explorer-more" });
  const weights = picture(pixelsOf(pictures, module.picture), colours, `${what} of module ${number} on 28 by 28 pixels.`);
  more.append(captioned(weights, `${what}, blue −${module.largest} to red ${module.largest}`));
  const values = module.activity.map((mean, digit) => `${digit}: ${mean.toFixed(2)}`).join(", ");
  const heights = bars(module.activity, `Mean activity of module ${number} by digit, ${values}.`, style);
  more.append(captioned(heights, `Mean activity by digit, up to ${Math.max(...module.activity).toFixed(2)}`));
  item.append(more);
  return item;
}
