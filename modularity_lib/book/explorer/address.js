/* The view as the part of the address after "#", such as "regulariser=dropout&strength=0.7&layer=1&measure=...".
   A choice that the address leaves out is that which the page shows first. */

const viewIn = (choices) => new URLSearchParams(choices).toString();

/* The choices that an address names: {name: text}. null: it is none of a view, but of a heading of the page. */
function choicesIn(hash, names) {
  const asked = new URLSearchParams(hash.slice(1));
  const found = Object.fromEntries(names.filter((name) => asked.has(name)).map((name) => [name, asked.get(name)]));
  return hash.length > 1 && !Object.keys(found).length ? null : found;
}

/* A new entry of the history, unless the view is that of the present one. */
function remember(view) {
  if (location.hash.slice(1) !== view) history.pushState(null, "", `#${view}`);
}
