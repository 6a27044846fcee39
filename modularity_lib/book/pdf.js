// Arranges the single page for print: title and contents before the chapters, whose headings stand below those of the
// front page. Returns the number of chapters.
({title, style}) => {
    document.head.append(Object.assign(document.createElement("style"), {textContent: style}));
    document.documentElement.dataset.theme = "light";
    const print = Object.assign(document.createElement("div"), {id: "print"});
    const front = Object.assign(document.createElement("div"), {className: "title-page", innerHTML: title});
    const contents = Object.assign(document.createElement("nav"), {className: "contents"});
    contents.innerHTML = "<h2>Contents</h2>";
    const list = contents.appendChild(document.createElement("ul"));
    const article = document.querySelector("article");
    const found = [...article.querySelectorAll(".toctree-wrapper > section")];
    article.querySelectorAll("details.fold-out, .toctree-wrapper > p.caption").forEach(element => element.remove());
    for (const chapter of [article.querySelector("section"), ...found]) {
        chapter.classList.add("chapter");
        const heading = chapter.querySelector("h1, h2, h3, h4");
        const level = Number(heading.tagName[1]);
        for (const old of level > 1 ? chapter.querySelectorAll("h2, h3, h4, h5, h6") : []) {
            const renamed = document.createElement("h" + Math.max(1, Number(old.tagName[1]) - level + 1));
            renamed.append(...old.childNodes);
            old.replaceWith(renamed);
        }
        const link = Object.assign(document.createElement("a"), {href: "#" + chapter.id});
        link.textContent = chapter.querySelector("h1").innerText.replace(/#$/, "").trim();
        list.appendChild(document.createElement("li")).append(link);
    }
    print.append(front, contents, article);
    document.body.append(print);
    return found.length + 1;
}
