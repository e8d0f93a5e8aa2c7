// A run's page while it works. Everything is there without it, once the page is loaded again.
(() => {
    "use strict";

    const NEAR_PX = 24; // this close to the end counts as at the end
    const EARLIER = "run-log-earlier";

    const log = document.querySelector("[data-log]");
    const follow = document.querySelector("[data-follow]");
    const lost = document.querySelector("[data-lost]");

    // --- the log: its end stays in sight as long as nobody scrolls away from it

    const isAtEnd = () => log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_PX;
    const toEnd = () => { log.scrollTop = log.scrollHeight; };

    if (log) {
        toEnd();
        follow?.addEventListener("change", () => follow.checked && toEnd());
        log.addEventListener("scroll", () => { if (follow) follow.checked = isAtEnd(); }, { passive: true });
    }

    // earlier lines come in above: what is being read stays where it is
    let fromEnd = null;
    document.addEventListener("htmx:beforeSwap", (event) => {
        if (log && event.target.id === EARLIER) fromEnd = log.scrollHeight - log.scrollTop;
    });

    document.addEventListener("htmx:afterSettle", () => {
        if (!log) return;
        if (fromEnd !== null) {
            log.scrollTop = log.scrollHeight - fromEnd;
            fromEnd = null;
        } else if (follow?.checked) toEnd();
    });

    // --- questions: none while nobody looks; a server that is away is asked again

    const isPoll = (event) => event.target.id === "run-live";

    document.addEventListener("htmx:beforeRequest", (event) => {
        if (isPoll(event) && document.hidden) event.preventDefault();
    });
    for (const name of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
        document.addEventListener(name, (event) => { if (isPoll(event) && lost) lost.hidden = false; });
    }
    document.addEventListener("htmx:afterRequest", (event) => {
        if (isPoll(event) && event.detail.successful && lost) lost.hidden = true;
    });

    // --- what was unfolded stays unfolded when its part of the page is drawn anew

    document.addEventListener("htmx:oobBeforeSwap", (event) => {
        for (const open of event.detail.target.querySelectorAll("details[id][open]")) {
            const same = event.detail.fragment.querySelector(`#${CSS.escape(open.id)}`);
            if (same) same.open = true;
        }
    });

    // --- clocks of what is at work

    function words(seconds) {
        if (seconds < 60) return `${seconds} s`;
        const minutes = Math.floor(seconds / 60);
        if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
        return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
    }

    function tick() {
        const now = Math.floor(Date.now() / 1000);
        for (const one of document.querySelectorAll("[data-since]")) {
            one.textContent = words(Math.max(0, now - Number(one.dataset.since)));
        }
    }
    if (document.querySelector("[data-since]") || document.querySelector("#run-live[hx-get]")) {
        tick();
        setInterval(tick, 1000);
    }
})();
