// Small helpers of the portal's pages. Every page works without them.
(() => {
    "use strict";

    const RECENT = 12;

    // --- things seen lately, kept in this browser alone

    const recentKey = (user) => `idp.recent.${user}`;

    function recent(user) {
        try {
            const kept = JSON.parse(localStorage.getItem(recentKey(user)));
            return Array.isArray(kept) ? kept : [];
        } catch {
            return [];
        }
    }

    function remember(user, thing) {
        const others = recent(user).filter((one) => one.url !== thing.url);
        localStorage.setItem(recentKey(user), JSON.stringify([thing, ...others].slice(0, RECENT)));
    }

    function tile(thing) {
        const outer = document.createElement("span");
        outer.className = "ui-kind ui-kind-sm";
        outer.style.setProperty("--hue", Number(thing.hue) || 0);
        outer.setAttribute("aria-hidden", "true");
        const symbol = document.createElement("span");
        symbol.className = "material-symbols-outlined";
        symbol.textContent = thing.icon;
        outer.append(symbol);
        return outer;
    }

    window.idpRecent = { recent, tile };

    function fillRecent() {
        const card = document.querySelector("[data-recent-card]");
        if (!card) return;
        const list = card.querySelector("ul");
        const things = recent(card.dataset.user);
        if (!things.length) return;
        list.replaceChildren(...things.slice(0, 6).map((thing) => {
            const item = document.createElement("li");
            const link = document.createElement("a");
            link.href = thing.url;
            link.className = "ui-strong";
            link.textContent = thing.title;
            const kind = document.createElement("span");
            kind.className = "ui-sub";
            kind.textContent = thing.kind;
            const text = document.createElement("div");
            text.className = "ui-grow";
            text.append(link, kind);
            item.append(tile(thing), text);
            return item;
        }));
        card.hidden = false;
    }

    // --- copying

    async function copy(button) {
        const source = button.dataset.copyFrom && document.querySelector(button.dataset.copyFrom);
        const text = source ? source.textContent : button.dataset.copy || location.href;
        try {
            await navigator.clipboard.writeText(text.trim());
        } catch {
            return; // no clipboard without HTTPS: the text stays selectable
        }
        button.dataset.done = "";
        const icon = button.querySelector(".material-symbols-outlined");
        const before = icon && icon.textContent;
        if (icon) icon.textContent = "check";
        setTimeout(() => {
            delete button.dataset.done;
            if (icon) icon.textContent = before;
        }, 1500);
    }

    // --- popovers

    function closePopovers(except) {
        for (const one of document.querySelectorAll("details.ui-pop[open]")) {
            if (one !== except) one.open = false;
        }
    }

    // --- the list of columns

    function move(button) {
        const item = button.closest("li");
        const other = button.dataset.move === "up" ? item.previousElementSibling : item.nextElementSibling;
        if (!other) return;
        if (button.dataset.move === "up") other.before(item);
        else other.after(item);
        button.focus();
    }

    function makeDraggable(list) {
        let dragged = null;
        list.addEventListener("dragstart", (event) => {
            dragged = event.target.closest("li");
            dragged.classList.add("ui-dragged");
            event.dataTransfer.effectAllowed = "move";
        });
        list.addEventListener("dragover", (event) => {
            const over = event.target.closest("li");
            if (!dragged || !over || over === dragged || over.parentElement !== dragged.parentElement) return;
            event.preventDefault();
            const box = over.getBoundingClientRect();
            if (event.clientY > box.top + box.height / 2) over.after(dragged);
            else over.before(dragged);
        });
        list.addEventListener("dragend", () => {
            dragged?.classList.remove("ui-dragged");
            dragged = null;
        });
    }

    // --- the graph: begin with the middle of it in sight

    function showMiddle(frame) {
        const middle = frame.querySelector(".g-centre");
        if (!middle) return;
        const box = middle.getBoundingClientRect();
        const view = frame.getBoundingClientRect();
        frame.scrollLeft += box.left + box.width / 2 - view.left - view.width / 2;
        frame.scrollTop += box.top + box.height / 2 - view.top - view.height / 2;
    }

    // --- the page

    document.addEventListener("click", (event) => {
        const target = event.target.closest("[data-copy], [data-copy-from], [data-copy-link], [data-move]");
        if (target?.dataset.move) move(target);
        else if (target) copy(target);
        closePopovers(event.target.closest("details.ui-pop"));
    });

    document.addEventListener("keydown", (event) => {
        if (event.key !== "Escape") return;
        const open = document.querySelector("details.ui-pop[open]");
        if (!open) return;
        open.open = false;
        open.querySelector("summary").focus();
    });

    document.addEventListener("submit", (event) => {
        if (!event.target.matches("[data-log-out]")) return;
        for (const key of Object.keys(localStorage)) {
            if (key.startsWith("idp.recent.")) localStorage.removeItem(key);
        }
    });

    // Forms beside a table say which table they mean; a swapped region brings the new answer.
    function passOnQuery() {
        const region = document.getElementById("table-region");
        if (!region) return;
        for (const field of document.querySelectorAll("[data-current-query]")) field.value = region.dataset.query;
    }

    // what a mark says of its value goes away without leaving its place
    document.addEventListener("keydown", (event) => {
        if (event.key === "Escape" && document.activeElement?.closest(".ui-mark")) document.activeElement.blur();
    });

    document.addEventListener("htmx:afterSwap", passOnQuery);
    document.addEventListener("htmx:historyRestore", passOnQuery);

    document.addEventListener("DOMContentLoaded", () => {
        const seen = document.getElementById("seen-entity");
        if (seen) {
            const { user, ...thing } = JSON.parse(seen.textContent);
            remember(user, thing);
        }
        fillRecent();
        document.querySelectorAll(".ui-columns").forEach(makeDraggable);
        document.querySelectorAll(".ui-graph").forEach(showMiddle);
        document.querySelector(".ui-tabbar [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    });
})();
