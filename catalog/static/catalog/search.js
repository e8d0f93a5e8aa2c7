// The search page by keyboard: arrows go from the field to the hits and along them.
(() => {
    "use strict";

    const hits = () => [...document.querySelectorAll("[data-hit]")];

    document.addEventListener("keydown", (event) => {
        if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
        if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
        if (document.querySelector("dialog[open]")) return;
        const field = document.getElementById("search-text");
        const all = hits();
        const at = all.indexOf(document.activeElement);
        if (at < 0 && document.activeElement !== field) return;
        const to = at + (event.key === "ArrowDown" ? 1 : -1);
        if (to >= all.length || (at < 0 && to < 0)) return;
        event.preventDefault();
        if (to < 0) return field.focus();
        all[to].focus();
        all[to].closest("li").scrollIntoView({ block: "nearest" });
    });
})();
