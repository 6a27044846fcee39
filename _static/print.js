// Printed pages are on white paper, whatever the screen shows: the dark theme colours code, boxes and titles by rules of
// its own, so the light one takes its place.
addEventListener("beforeprint", () => {
  const { dataset } = document.documentElement;
  const shown = dataset.theme;
  dataset.theme = "light";
  addEventListener("afterprint", () => { dataset.theme = shown; }, { once: true });
});
