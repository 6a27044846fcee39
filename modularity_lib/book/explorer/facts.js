/* Facts of the clusterings by which a matrix is sorted: its own, and that of another measure. */

const isLive = (label) => label >= 0;

function sizesOf(labels) {
  const counts = [];
  for (const label of labels.filter(isLive)) counts[label] = (counts[label] || 0) + 1;
  return counts;
}

/* Caption, head and body of a table: a column for each of the two, or one where they are the same. */
function factsOf({ layer, measure, own, other, nameOf }) {
  const views = [...new Set([own, other])].map((index) => ({ index, view: layer.measures[index] }));
  const rows = [
    ["Q of the matrix", ({ index, view }) => scoreText(index === own ? view.score : measure.scores[index]), "score"],
    ["modules", ({ view }) => String(sizesOf(view.labels).length), "count"],
    ["sizes", ({ view }) => sizesOf(view.labels).join(", ") || "none", "sizes"],
    ["soft number", ({ view }) => view.soft.toFixed(2), "soft"],
    ["live units", ({ view }) => String(view.labels.filter(isLive).length), "live"],
    ["silent units", ({ view }) => String(view.labels.filter((label) => !isLive(label)).length), "dead"],
  ];
  const head = element("tr");
  head.append(element("td"));
  for (const { index } of views) {
    head.append(element("th", index === own ? "its own modules" : `modules of ${nameOf(index)}`, { scope: "col" }));
  }
  const thead = element("thead");
  thead.append(head);
  const body = element("tbody");
  for (const [title, text, key] of rows) {
    const row = element("tr");
    row.append(element("th", title, { scope: "row" }));
    for (const one of views) {
      row.append(element("td", text(one), { "data-fact": `${key}-${one.index === own ? "own" : "other"}` }));
    }
    body.append(row);
  }
  return [element("caption", `The matrix of ${nameOf(own)}, under`), thead, body];
}
