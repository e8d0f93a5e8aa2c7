/* <entity-picker>: search for entities and pick one or several.
 *
 * The server renders hidden inputs with what is picked and a text input; without scripts the
 * picked values are sent back as they are. A combobox in the sense of the ARIA practices: arrows
 * choose, Enter picks, Escape closes, Backspace in the empty input takes the last one off.
 */
(() => {
  const WAIT_MS = 180;
  let count = 0;

  class EntityPicker extends HTMLElement {
    connectedCallback() {
      if (this.settings) return; // moved in the page, not new
      this.settings = JSON.parse(this.dataset.settings);
      this.picked = this.settings.picked;
      this.options = [];
      this.active = -1;
      this.box = this.querySelector(".idp-picker-box");
      this.input = this.querySelector(".idp-picker-input");
      this.kind = this.querySelector(".idp-picker-kind");
      this.list = document.createElement("ul");
      this.list.className = "idp-picker-list";
      this.list.id = `idp-picker-${++count}`;
      this.list.hidden = true;
      this.list.setAttribute("role", "listbox");
      this.list.setAttribute("aria-label", "Matches");
      this.status = document.createElement("span");
      this.status.className = "ui-sr";
      this.status.setAttribute("role", "status");
      this.box.append(this.list, this.status);
      for (const [name, value] of [
        ["role", "combobox"],
        ["aria-autocomplete", "list"],
        ["aria-expanded", "false"],
        ["aria-controls", this.list.id],
      ]) this.input.setAttribute(name, value);
      this.input.addEventListener("input", () => this.later());
      this.input.addEventListener("focus", () => this.search());
      this.input.addEventListener("blur", () => this.close());
      this.input.addEventListener("keydown", (event) => this.key(event));
      this.box.addEventListener("mousedown", (event) => {
        if (event.target === this.box) {
          event.preventDefault();
          this.input.focus();
        }
      });
      this.list.addEventListener("mousedown", (event) => {
        event.preventDefault(); // keeps the focus where it is
        const item = event.target.closest("[data-index]");
        if (item) this.pick(this.options[Number(item.dataset.index)]);
      });
      this.draw();
    }

    draw() {
      this.box.querySelectorAll("input[type=hidden], .idp-chip").forEach((node) => node.remove());
      for (const one of this.picked) {
        const hidden = document.createElement("input");
        hidden.type = "hidden";
        hidden.name = this.settings.name;
        hidden.value = one.value;
        const chip = document.createElement("span");
        chip.className = one.missing ? "idp-chip idp-chip-missing" : "idp-chip";
        chip.title = one.missing ? `${one.value} is not in the catalogue` : one.value;
        const label = document.createElement("span");
        label.textContent = one.label;
        const off = document.createElement("button");
        off.type = "button";
        off.setAttribute("aria-label", `Remove ${one.label}`);
        off.textContent = "×";
        off.addEventListener("click", () => this.remove(one));
        chip.append(label, off);
        this.box.insertBefore(hidden, this.input);
        this.box.insertBefore(chip, this.input);
      }
    }

    later() {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.search(), WAIT_MS);
    }

    async search() {
      this.request?.abort();
      this.request = new AbortController();
      const url = new URL(this.settings.url, window.location.href);
      const text = this.input.value.trim();
      url.searchParams.set("q", text);
      if (this.kind?.value) url.searchParams.set("kind", this.kind.value);
      let found;
      try {
        const answer = await fetch(url, { signal: this.request.signal });
        if (!answer.ok) throw new Error(answer.statusText);
        found = (await answer.json()).results;
      } catch (error) {
        if (error.name !== "AbortError") this.say("The search did not answer.");
        return;
      }
      if (document.activeElement !== this.input) return;
      const taken = new Set(this.picked.map((one) => one.value));
      this.options = found.filter((one) => !taken.has(one.value));
      if (this.settings.free && text && !found.some((one) => one.value === text)) {
        this.options.push({ value: text, label: text, hint: "as typed", kind: "" });
      }
      this.show();
    }

    show() {
      this.list.replaceChildren();
      this.options.forEach((one, index) => {
        const item = document.createElement("li");
        item.id = `${this.list.id}-${index}`;
        item.dataset.index = index;
        item.setAttribute("role", "option");
        const label = document.createElement("span");
        label.textContent = one.label;
        const hint = document.createElement("small");
        hint.textContent = [one.kind, one.hint].filter(Boolean).join(" · ");
        item.append(label, hint);
        this.list.append(item);
      });
      if (!this.options.length) {
        this.say(this.input.value.trim() ? "Nothing found" : "Nothing to choose from");
        return;
      }
      this.list.hidden = false;
      this.input.setAttribute("aria-expanded", "true");
      this.status.textContent = `${this.options.length} found`;
      this.mark(this.input.value.trim() ? 0 : -1);
    }

    say(message) {
      const item = document.createElement("li");
      item.className = "idp-picker-empty";
      item.textContent = message;
      this.list.replaceChildren(item);
      this.list.hidden = false;
      this.options = [];
      this.active = -1;
      this.status.textContent = message;
    }

    mark(index) {
      this.active = index;
      [...this.list.children].forEach((item, at) => {
        item.setAttribute("aria-selected", String(at === index));
        if (at === index) item.scrollIntoView({ block: "nearest" });
      });
      if (index < 0) this.input.removeAttribute("aria-activedescendant");
      else this.input.setAttribute("aria-activedescendant", `${this.list.id}-${index}`);
    }

    key(event) {
      const last = this.options.length - 1;
      const isOpen = !this.list.hidden;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        if (!isOpen) this.search();
        else if (last >= 0) {
          const step = event.key === "ArrowDown" ? 1 : -1;
          this.mark(Math.min(last, Math.max(0, this.active + step)));
        }
      } else if (event.key === "Enter") {
        event.preventDefault(); // Enter picks; it never sends the form from here
        if (isOpen && this.active >= 0) this.pick(this.options[this.active]);
      } else if (event.key === "Escape" && isOpen) {
        event.preventDefault();
        event.stopPropagation();
        this.close();
      } else if (event.key === "Backspace" && !this.input.value && this.picked.length) {
        this.remove(this.picked[this.picked.length - 1]);
      }
    }

    pick(one) {
      const chosen = { value: one.value, label: one.label, missing: false };
      this.picked = this.settings.many ? [...this.picked, chosen] : [chosen];
      this.input.value = "";
      this.close();
      this.changed();
    }

    remove(one) {
      this.picked = this.picked.filter((other) => other !== one);
      this.changed();
      this.input.focus();
    }

    changed() {
      this.draw();
      this.dispatchEvent(new Event("change", { bubbles: true }));
    }

    close() {
      clearTimeout(this.timer);
      this.request?.abort();
      this.list.hidden = true;
      this.input.setAttribute("aria-expanded", "false");
      this.input.removeAttribute("aria-activedescendant");
      this.active = -1;
    }
  }

  // Once the page is read: an element is born before its children are.
  const define = () => customElements.define("entity-picker", EntityPicker);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", define);
  else define();
})();
