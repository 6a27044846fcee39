/* The explorer of the front page: one layer from upstream and from downstream, against dropout. */

const data = takeData("front");
const root = document.getElementById("front");
const levels = bytes(data.matrices);
const colours = bytes(data.colours);
const part = (name) => root.querySelector(`[data-part="${name}"]`);
const sides = [...root.querySelectorAll(".front-side")];
const slider = root.querySelector('input[type="range"]');
const orders = [...root.querySelectorAll('input[type="radio"]')];

const percent = (share) => `${(100 * share).toFixed(0).replace("-", "−")} %`;
const counted = (count) => `${count} ${count === 1 ? "module" : "modules"}`;

function show() {
  const network = data.networks[slider.value];
  const sortedByOther = orders.find((one) => one.checked).value === "other";
  part("dropout").textContent = network.dropout;
  slider.setAttribute("aria-valuetext", network.dropout);
  sides.forEach((side, index) => {
    const own = network.labels[index];
    const other = network.labels[1 - index];
    const labels = sortedByOther ? other : own;
    const order = sortedUnits(labels);
    const start = (2 * Number(slider.value) + index) * pairsOf(own.length);
    const canvas = side.querySelector("canvas");
    const texts = [
      [`Q = ${scoreText(network.scores[index])}`, ` by its own ${counted(Math.max(...own) + 1)}`],
      [`Q = ${scoreText(network.scoresOther[index])}`, ` by the other’s ${counted(Math.max(...other) + 1)}`],
    ];
    const lines = texts.map(([score, by], place) => {
      const line = element("span", undefined, { class: place === Number(sortedByOther) ? "front-now" : "front-not-now" });
      line.append(element("strong", score), by);
      return line;
    });
    side.querySelector('[data-part="scores"]').replaceChildren(...lines);
    canvas.setAttribute(
      "aria-label",
      `Similarity of ${own.length} units by ${data.sides[index].label}, dropout ${network.dropout}, sorted by ` +
        `${sortedByOther ? "the other’s" : "its own"} modules: ${texts[Number(sortedByOther)].join("")}.`,
    );
    const level = (i, j) => levelOf(levels, start, own.length, i, j);
    paintMatrix(canvas, { order, blocks: blocksOf(order, labels), level, colours, margin: 0 });
  });
  part("kept").replaceChildren(
    "Under each other’s modules the two keep ",
    element("strong", percent(network.transfer)),
    " of their Q (chance: 0 %, the same modules: 100 %).",
  );
  for (const link of document.querySelectorAll('article p a[href*="explorer.html"]')) {
    link.setAttribute("href", `${link.getAttribute("href").split("#")[0]}#${addressIn(network)}`);
  }
}

/* The same network in the explorer of all networks: see address.js. */
function addressIn(network) {
  const [measure, other] = data.sides.map((side) => side.name);
  return new URLSearchParams({
    regulariser: "dropout", strength: network.dropout, layer: data.layer, measure, sorted_by: other,
  }).toString();
}

slider.max = data.networks.length - 1;
slider.value = slider.max;
sides.forEach((side, index) => {
  const { asked, family, label } = data.sides[index];
  side.querySelector('[data-part="asked"]').textContent = asked;
  side.querySelector('[data-part="measure"]').textContent = `${family}: ${label}`;
});
for (const input of [slider, ...orders]) input.addEventListener("input", show);
root.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
root.hidden = false;
paintScale(part("scale"), colours);
show();
new ResizeObserver(show).observe(sides[0].querySelector("canvas"));
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", show);
