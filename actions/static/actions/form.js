// The form of an action: pages to turn, rows to add, a look at Markdown. Without it everything
// stands on one page, and works.
(() => {
    "use strict";

    const BLANK = "__row__";

    // --- rows of a list

    function addRow(list) {
        const blank = list.querySelector(":scope > template[data-blank]");
        const number = Math.max(-1, ...[...list.querySelectorAll(":scope > [data-row] [name]")].map(
            (one) => Number(one.name.match(/\.(\d+)\.[^.]*$/)?.[1] ?? -1))) + 1;
        const row = blank.content.firstElementChild.cloneNode(true);
        for (const one of [row, ...row.querySelectorAll("*")]) {
            for (const attribute of [...one.attributes]) {
                if (attribute.value.includes(BLANK)) {
                    one.setAttribute(attribute.name, attribute.value.replaceAll(BLANK, number));
                }
            }
        }
        blank.before(row);
        row.querySelector("input, select, textarea")?.focus();
    }

    function removeRow(row) {
        const list = row.closest("[data-rows]");
        row.remove();
        list.querySelector(":scope > [data-add]")?.focus();
        list.dispatchEvent(new Event("change", { bubbles: true }));
    }

    // --- what the server is asked on the way

    function ask(root, values) {
        const source = root.querySelector("[data-ask]");
        if (!source || !window.htmx) return Promise.reject(new Error("nobody to ask"));
        return window.htmx.ajax("POST", source.dataset.ask, { source, swap: "none", values });
    }

    document.addEventListener("click", (event) => {
        const button = event.target.closest("button");
        const root = button?.closest("[data-action-form]");
        if (!root) return;
        if (button.matches("[data-add]")) addRow(button.closest("[data-rows]"));
        else if (button.matches("[data-remove]")) removeRow(button.closest("[data-row]"));
        else if (button.matches("[data-preview]")) ask(root, { preview: button.dataset.preview }).catch(() => {});
    });

    // what is being mended is not wrong any more until somebody looks again
    document.addEventListener("input", (event) => {
        const field = event.target.closest("[data-action-form] .idp-field.errors");
        if (!field) return;
        field.classList.remove("errors");
        field.querySelector(":scope > .idp-errors")?.remove();
        event.target.removeAttribute("aria-invalid");
    });

    // --- pages

    class Pages {
        constructor(root) {
            this.root = root;
            this.form = root.closest("form");
            this.submits = [...(this.form?.querySelectorAll("[type=submit]") ?? [])];
            this.furthest = 0;
            this.back = root.querySelector("[data-back]");
            this.forward = root.querySelector("[data-next]");
            // beside the button that they stand for, where there is one
            this.submits[0]?.before(this.back, this.forward);
            root.classList.add("act-paged");
            const wrong = this.pages.findIndex((page) => page.dataset.wrong !== undefined);
            this.show(Math.max(0, wrong), { isFirst: true });
            this.forward.addEventListener("click", () => this.next());
            this.back.addEventListener("click", () => this.show(this.at - 1));
            root.querySelector("[data-steps]").addEventListener("click", (event) => {
                const name = event.target.closest("[data-step-name]")?.dataset.stepName;
                if (name !== undefined) this.go(name);
            });
            root.addEventListener("click", (event) => {
                const link = event.target.closest("#form-problems a");
                const target = link && document.getElementById(link.hash.slice(1));
                if (target) this.show(this.pages.indexOf(target.closest("[data-step]")));
            });
            root.addEventListener("actionform", (event) => this.heard(event.detail));
            this.form?.addEventListener("submit", (event) => {
                if (this.isLast) return;
                event.preventDefault();
                event.stopImmediatePropagation();
                this.next();
            }, { capture: true });
        }

        get pages() {
            return [...this.root.querySelectorAll("[data-step]")].filter(
                (page) => page.dataset.step === "review" || !page.hidden || page.classList.contains("act-now"));
        }

        get at() {
            return this.pages.findIndex((page) => page.classList.contains("act-now"));
        }

        get isLast() {
            return this.at === this.pages.length - 1;
        }

        show(index, { isFirst = false } = {}) {
            const pages = this.pages;
            const now = pages[Math.min(Math.max(index, 0), pages.length - 1)];
            for (const page of pages) {
                page.classList.toggle("act-now", page === now);
                if (page.dataset.step === "review") page.hidden = page !== now;
            }
            this.furthest = Math.max(this.furthest, this.at);
            this.draw();
            if (isFirst) return;
            const first = now.querySelector("[aria-invalid=true]") ?? now.querySelector("h2");
            first?.focus({ preventScroll: true });
            this.root.scrollIntoView({ block: "nearest" });
        }

        draw() {
            const pages = this.pages, at = this.at;
            let number = 0;
            for (const name of this.root.querySelectorAll("[data-step-name]")) {
                const index = pages.findIndex((page) => page.dataset.step === name.dataset.stepName);
                name.hidden = index < 0;
                if (index < 0) continue;
                name.querySelector("span").textContent = ++number;
                name.classList.toggle("idp-step-now", index === at);
                name.classList.toggle("idp-step-done", index < at);
                const button = name.querySelector("button");
                button.disabled = index > this.furthest;
                if (index === at) button.setAttribute("aria-current", "step");
                else button.removeAttribute("aria-current");
            }
            this.back.hidden = at <= 0;
            this.forward.hidden = this.isLast;
            for (const one of this.submits) one.hidden = !this.isLast;
        }

        go(name) {
            const index = this.pages.findIndex((page) => page.dataset.step === name);
            if (index < this.at) this.show(index);
            else if (index > this.at) this.next();
        }

        // the page is looked through before the next one comes; a server that does not answer is
        // no reason to stay, since everything is looked through once more when it is sent
        next() {
            if (this.isAsking) return;
            const page = this.pages[this.at];
            const values = { step: page.dataset.step };
            if (this.pages[this.at + 1]?.dataset.step === "review") values.review = "1";
            this.isAsking = true;
            this.answer = null;
            ask(this.root, values).catch(() => {}).finally(() => {
                this.isAsking = false;
                if (this.answer === null || this.answer.ok) this.show(this.at + 1);
                else this.show(this.at);
            });
        }

        heard(answer) {
            if (answer.step !== undefined) this.answer = answer;
            answer.steps?.forEach((isVisible, number) => {
                const page = this.root.querySelector(`[data-step="${number}"]`);
                if (page) page.hidden = !isVisible;
            });
            this.draw();
        }
    }

    function start(within) {
        for (const root of within.querySelectorAll("[data-action-form]")) {
            if (root.classList.contains("act-js")) continue;
            root.classList.add("act-js");
            if (root.dataset.wizard !== undefined) new Pages(root);
        }
        document.getElementById("form-problems")?.focus();
    }

    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => start(document));
    else start(document);
    document.addEventListener("htmx:load", (event) => {
        if (event.detail.elt.querySelector?.("[data-action-form]")) start(document);
    });
})();
