// The tab "Definition": the frame of the reference as high as what is in it, a filter of the outline.
(() => {
    "use strict";

    const frame = document.querySelector("[data-reference]");
    if (frame) {
        const paint = () => {
            const dark = document.documentElement.classList.contains("dark");
            frame.contentWindow.postMessage({ dark }, "*");
        };
        addEventListener("message", (event) => {
            // the frame has no origin: what counts is that it is this one, and a number is all it says
            if (event.source !== frame.contentWindow || !event.data) return;
            const height = Number(event.data.height);
            if (height > 0) frame.style.height = `${Math.min(Math.ceil(height), 100000)}px`;
            paint();
        });
        frame.addEventListener("load", paint);
        new MutationObserver(paint).observe(document.documentElement, { attributeFilter: ["class"] });
    }

    const filter = document.querySelector("[data-filter-outline]");
    if (filter) {
        filter.addEventListener("input", () => {
            const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
            for (const group of document.querySelectorAll("[data-outline-group]")) {
                let shown = 0;
                for (const row of group.querySelectorAll("[data-outline-row]")) {
                    const text = row.textContent.toLowerCase();
                    row.hidden = !words.every((word) => text.includes(word));
                    shown += !row.hidden;
                }
                group.hidden = !shown;
            }
        });
    }
})();
