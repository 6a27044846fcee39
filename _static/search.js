// What the search page shows of a page that it found. Sphinx takes all text of it, so hidden lists of contents (for
// print), buttons and raw LaTeX would stand there as well.
addEventListener("DOMContentLoaded", () => {
  if (typeof Search === "undefined") return; // on any other page
  const unread = "script, style, button, summary, .headerlink, .onlyprint, .cell_input, div.math, details.toggle-details";
  Search.htmlToText = (html, anchor) => {
    const page = new DOMParser().parseFromString(html, "text/html").querySelector("article.bd-article");
    if (page === null) return "";
    page.querySelectorAll(unread).forEach((element) => element.remove());
    page.querySelectorAll("span.math").forEach((formula) => {
      const latex = formula.textContent.replace(/^\\\(|\\\)$/g, "");
      formula.textContent = latex.includes("\\") ? "…" : latex.replace(/[{}]/g, "");
    });
    const part = anchor ? page.querySelector(anchor) : page;
    return (part ?? page).textContent.replace(/\s+/g, " ").trim();
  };
});
