// Small helpers of the pages of actions. Every page works without them.
(() => {
    "use strict";

    // a form that is being sent is not sent again; the server would know it for the same, too
    document.addEventListener("submit", (event) => {
        const form = event.target;
        if (!form.matches("[data-once]") || event.defaultPrevented || event.submitter?.formTarget) return;
        if (form.dataset.sent !== undefined) return event.preventDefault();
        form.dataset.sent = "";
        form.setAttribute("aria-busy", "true");
    });

    // on the way back in history the page may be as it was left
    window.addEventListener("pageshow", () => {
        for (const form of document.querySelectorAll("[data-once][data-sent]")) {
            delete form.dataset.sent;
            form.removeAttribute("aria-busy");
        }
    });

    // filters of a list take effect as they are chosen
    document.addEventListener("change", (event) => {
        const form = event.target.closest("[data-filters]");
        if (form && event.target.matches("select, [type=checkbox]")) form.requestSubmit();
    });
})();
