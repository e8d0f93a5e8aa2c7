// Ctrl-K, Cmd-K or "/": search everything from anywhere, by keyboard alone.
(() => {
    "use strict";

    const WAIT_MS = 120;

    let dialog, input, results, words;
    let timer = 0;
    let running = null; // the request under way: a newer one replaces it

    const options = () => [...results.querySelectorAll('[role="option"]')];

    function isTyping(element) {
        return element.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(element.tagName);
    }

    function open() {
        if (dialog.open) return;
        dialog.showModal();
        input.select();
        if (input.value.trim()) search();
        else showRecent();
    }

    function choose(index) {
        const all = options();
        if (!all.length) return input.removeAttribute("aria-activedescendant");
        const at = (index + all.length) % all.length;
        all.forEach((one, number) => {
            one.id = `palette-option-${number}`;
            one.setAttribute("aria-selected", number === at ? "true" : "false");
        });
        input.setAttribute("aria-activedescendant", all[at].id);
        all[at].scrollIntoView({ block: "nearest" });
    }

    const chosen = () => options().findIndex((one) => one.getAttribute("aria-selected") === "true");

    function say(text) {
        const line = document.createElement("p");
        line.textContent = text;
        results.replaceChildren(line);
    }

    function showRecent() {
        const things = window.idpRecent.recent(dialog.dataset.user);
        results.replaceChildren();
        if (!things.length) return;
        const title = document.createElement("h2");
        title.textContent = words.recent;
        results.append(title, ...things.map((thing) => {
            const link = document.createElement("a");
            link.href = thing.url;
            link.setAttribute("role", "option");
            link.tabIndex = -1;
            const text = document.createElement("span");
            text.textContent = thing.title;
            const kind = document.createElement("em");
            kind.textContent = thing.kind;
            link.append(window.idpRecent.tile(thing), text, kind);
            return link;
        }));
        choose(0);
    }

    async function search() {
        running?.abort();
        const text = input.value.trim();
        if (!text) return showRecent();
        running = new AbortController();
        try {
            const answer = await fetch(`${dialog.dataset.url}?q=${encodeURIComponent(text)}`, {
                signal: running.signal,
                headers: { "HX-Request": "true" },
            });
            if (answer.headers.get("HX-Redirect")) return void (location.href = answer.headers.get("HX-Redirect"));
            if (!answer.ok) return say(words.failed);
            results.innerHTML = await answer.text(); // our own server's, escaped there
            if (options().length) choose(0);
        } catch (error) {
            if (error.name !== "AbortError") say(words.failed);
        }
    }

    function go(inNewTab) {
        const link = options()[chosen()];
        if (!link) return false;
        if (inNewTab) window.open(link.href, "_blank", "noopener");
        else location.href = link.href;
        return true;
    }

    function onKey(event) {
        if (event.key === "ArrowDown") choose(chosen() + 1);
        else if (event.key === "ArrowUp") choose(chosen() - 1);
        else if (event.key === "Escape") dialog.close(); // a search field would only clear itself
        else if (event.key === "Enter") {
            clearTimeout(timer);
            if (!go(event.ctrlKey || event.metaKey)) return; // the form leads to the search page
        } else return;
        event.preventDefault();
    }

    document.addEventListener("keydown", (event) => {
        if (!dialog) return;
        const isShortcut = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey);
        const isSlash = event.key === "/" && !isTyping(event.target) && !event.ctrlKey && !event.metaKey && !event.altKey;
        // lists of the admin have a search field of their own behind the slash
        if (!isShortcut && !(isSlash && !document.getElementById("searchbar"))) return;
        event.preventDefault();
        open();
    });

    document.addEventListener("click", (event) => {
        if (!dialog) return;
        if (event.target === dialog) dialog.close(); // the backdrop
        const opener = event.target.closest("[data-palette-open]");
        if (!opener || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        open();
    });

    document.addEventListener("DOMContentLoaded", () => {
        dialog = document.getElementById("palette");
        if (!dialog) return;
        input = dialog.querySelector("input");
        results = document.getElementById("palette-results");
        words = dialog.querySelector("[data-messages]").dataset;
        input.addEventListener("keydown", onKey);
        input.addEventListener("input", () => {
            clearTimeout(timer);
            timer = setTimeout(search, WAIT_MS);
        });
    });
})();
