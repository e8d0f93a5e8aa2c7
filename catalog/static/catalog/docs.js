// The reader of docs: every page works without it.
(() => {
    "use strict";

    // on narrow screens the contents are folded until they are asked for
    const contents = document.querySelector("[data-docs-nav]");
    if (contents && matchMedia("(max-width: 63.99rem)").matches) contents.open = false;

    const here = document.querySelector(".doc-nav [aria-current]");
    const side = document.querySelector(".doc-side");
    if (here && side && here.offsetTop > side.clientHeight) side.scrollTop = here.offsetTop - side.clientHeight / 2;

    // code can be taken along
    for (const block of document.querySelectorAll(".doc-text .highlight")) {
        const code = block.querySelector("code");
        if (!code || !navigator.clipboard) continue;
        const button = document.createElement("button");
        button.type = "button";
        button.className = "doc-copy";
        button.title = "Copy";
        button.setAttribute("aria-label", "Copy the code");
        const symbol = document.createElement("span");
        symbol.className = "material-symbols-outlined";
        symbol.textContent = "content_copy";
        button.append(symbol);
        button.addEventListener("click", async () => {
            await navigator.clipboard.writeText(code.textContent);
            button.dataset.done = "";
            symbol.textContent = "check";
            setTimeout(() => {
                delete button.dataset.done;
                symbol.textContent = "content_copy";
            }, 1500);
        });
        block.append(button);
    }

    // the part being read is marked in the list beside it
    const links = new Map([...document.querySelectorAll(".doc-toc a")].map((one) => [decodeURIComponent(one.hash.slice(1)), one]));
    if (!links.size) return;
    const headings = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
    function mark() {
        const passed = headings.filter((one) => one.getBoundingClientRect().top < 120);
        const current = (passed.at(-1) ?? headings[0])?.id;
        for (const [id, link] of links) {
            if (id === current) link.setAttribute("aria-current", "true");
            else link.removeAttribute("aria-current");
        }
    }
    let waiting = false;
    document.addEventListener("scroll", () => {
        if (waiting) return;
        waiting = true;
        requestAnimationFrame(() => {
            waiting = false;
            mark();
        });
    }, { passive: true, capture: true });
    mark();
})();
