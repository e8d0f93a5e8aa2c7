/* What the builders of the admin share: JSON that loses nothing on its way through JavaScript, rows
 * that are added, moved and brought back, and the types and values of properties.
 *
 * Numbers that JavaScript cannot hold (large integers, 1.0) are carried as raw JSON.
 */
window.builderBase = (() => {
  const LIMIT_KEYS = [
    "minLength", "maxLength", "pattern", "minimum", "maximum", "minItems", "maxItems",
    "uniqueItems", "minProperties", "maxProperties",
  ];
  let last = 0;
  const uid = () => `row-${++last}`;

  const keepNumbers = (key, value, context) =>
    typeof value === "number" && context?.source && JSON.rawJSON && String(value) !== context.source
      ? JSON.rawJSON(context.source)
      : value;
  const read = (text) => JSON.parse(text, keepNumbers);
  const write = (value) => JSON.stringify(value, null, 2);
  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  const shown = (value) => (value === undefined || value === null ? "" : (value.rawJSON ?? value));

  /** Set a key, or take it out when there is nothing to say. */
  const put = (object, key, value) => {
    if (value === "" || value === undefined || value === null || value === false) delete object[key];
    else object[key] = value;
  };

  const slug = (text) =>
    text.trim().normalize("NFKD").replace(/[^\w\s-]/g, "").trim().toLowerCase().replace(/[\s-]+/g, "_");

  /** A number as typed, or undefined for what is none. */
  const number = (text) => {
    try {
      const value = read(text.trim());
      return typeof value === "number" || value?.rawJSON ? value : undefined;
    } catch {
      return undefined;
    }
  };

  /** One object with the members of all, getters too; later ones win. */
  const compose = (...parts) =>
    Object.defineProperties({}, Object.assign({}, ...parts.map(Object.getOwnPropertyDescriptors)));

  const parts = () => ({
    tab: "form",
    text: "",
    problem: "",
    problems: [], // what the server said: {field, value, message}
    removed: [],
    generation: 0, // rises when rows were dragged, so that they are drawn anew

    /* --- the document: `load(text)` makes rows of it, `toDocument()` makes it of rows --- */

    /** Follow the rows with the JSON; `drawn` is what the JSON itself has just put into them. */
    begin(announce) {
      this.text = this.$refs.document.value;
      this.load(this.text);
      if (this.problem) this.tab = "json";
      this.saved = this.text;
      Alpine.effect(() => {
        const next = write(this.toDocument());
        if (this.problem || next === this.drawn) return;
        this.drawn = null;
        this.text = next;
      });
      this.$watch("text", announce);
      this.leave = (event) => {
        if (this.text !== this.saved) event.preventDefault();
      };
      window.addEventListener("beforeunload", this.leave);
      this.$nextTick(announce);
    },

    typed(text) {
      this.text = text;
      this.load(text);
    },

    tidyText() {
      if (!this.problem) this.text = write(read(this.text));
    },

    problemAt(field) {
      return this.problems.find((one) => one.field === field)?.message ?? "";
    },

    /* --- types --- */

    shown,
    put,

    typeOf(def) {
      return this.types.find(
        (one) =>
          one.type === def.type &&
          (one.format ?? undefined) === (def.format || undefined) &&
          (one.spec ?? undefined) === (def.spec || undefined),
      );
    },

    typeTitle(def) {
      const found = this.typeOf(def);
      const title = found ? found.title : [def.type, def.format, def.spec].filter(Boolean).join(" · ");
      if (def.type !== "array" || !isObject(def.items)) return title;
      return `${title} of ${(this.typeOf(def.items)?.title ?? def.items.type ?? "anything").toLowerCase()}`;
    },

    typeIcon(def) {
      return this.typeOf(def)?.icon ?? "data_object";
    },

    typeGroups(types) {
      return Object.entries(Object.groupBy(types, (one) => one.group));
    },

    get itemTypes() {
      return this.types.filter((one) => one.type !== "array");
    },

    setType(row, key) {
      const chosen = this.types.find((one) => one.key === key);
      if (!chosen) return;
      if (chosen.type !== row.def.type) {
        for (const name of [...LIMIT_KEYS, "default", "enum", "enumColors"]) delete row.def[name];
        if (chosen.type === "array") row.def.items = { type: "string" };
        else delete row.def.items;
      }
      this.describe(row.def, chosen);
      this.readValues(row);
    },

    setItemType(row, key) {
      const chosen = this.types.find((one) => one.key === key);
      if (!chosen) return;
      const items = isObject(row.def.items) ? row.def.items : {};
      if (items.type !== chosen.type) for (const name of ["enum", "enumColors"]) delete items[name];
      this.describe(items, chosen);
      row.def.items = items;
      this.readValues(row);
    },

    describe(def, type) {
      def.type = type.type;
      put(def, "format", type.format);
      put(def, "spec", type.spec);
    },

    hasMore(def) {
      return ["icon", ...LIMIT_KEYS].some((key) => key in def);
    },

    /* --- values --- */

    canEnum(row) {
      return ["string", "number"].includes(this.holder(row).type);
    },

    holder(row) {
      return row.def.type === "array" && isObject(row.def.items) ? row.def.items : row.def;
    },

    /** Enum values as rows, of the property or of the items of its list. */
    readValues(row) {
      const holder = this.holder(row);
      const colours = isObject(holder.enumColors) ? holder.enumColors : {};
      row.values = (Array.isArray(holder.enum) ? holder.enum : []).map((value) => ({
        uid: uid(),
        value,
        colour: colours[shown(value)] ?? "",
        fresh: false,
      }));
      const standard = row.def.default;
      row.defaultText =
        standard === undefined || standard === null
          ? ""
          : typeof standard === "object" && !standard.rawJSON
            ? write(standard)
            : String(shown(standard));
    },

    writeValues(row) {
      const holder = this.holder(row);
      const values = row.values.filter((one) => !(one.fresh && one.value === ""));
      put(holder, "enum", values.length ? values.map((one) => one.value) : "");
      const coloured = values.filter((one) => one.colour);
      put(
        holder,
        "enumColors",
        coloured.length
          ? Object.fromEntries(coloured.map((one) => [shown(one.value), one.colour]))
          : "",
      );
    },

    addValue(row) {
      row.values.push({ uid: uid(), value: "", colour: "", fresh: true });
      this.$nextTick(() => {
        const inputs = this.$root.querySelectorAll(`[data-values="${row.uid}"] input`);
        inputs[inputs.length - 1]?.focus();
      });
    },

    setValue(row, one, text) {
      const isNumber = this.holder(row).type === "number";
      const value = isNumber ? number(text) : text;
      one.wrong = value === undefined;
      if (one.wrong) return;
      one.value = value;
      one.fresh = one.fresh && text === "";
      this.writeValues(row);
    },

    removeValue(row, one) {
      row.values = row.values.filter((other) => other.uid !== one.uid);
      this.writeValues(row);
    },

    setDefault(row, text) {
      row.defaultText = text;
      row.defaultProblem = "";
      if (!text.trim()) {
        delete row.def.default;
        return;
      }
      if (row.def.type === "string") {
        row.def.default = text;
        return;
      }
      try {
        row.def.default = read(text);
      } catch (error) {
        row.defaultProblem = `Not JSON yet: ${error.message}`;
      }
    },

    setLimit(row, key, text, kind) {
      if (kind === "text") put(row.def, key, text);
      else if (text.trim() === "") delete row.def[key];
      else {
        const value = number(text);
        if (value !== undefined) row.def[key] = value;
      }
    },

    setTitle(row, text) {
      put(row.def, "title", text);
      if (row.auto) row.name = slug(text);
    },

    /* --- rows --- */

    focusOn(row) {
      this.$nextTick(() => document.getElementById(`${row.uid}-title`)?.focus());
    },

    remove(group, row) {
      const at = this[group].findIndex((other) => other.uid === row.uid);
      this.removed.push({ group, at, row });
      this[group].splice(at, 1);
    },

    undo() {
      const { group, at, row } = this.removed.pop();
      this[group].splice(at, 0, row);
      this.focusOn(row);
    },

    move(group, row, step, event) {
      const rows = this[group];
      const at = rows.findIndex((other) => other.uid === row.uid);
      const to = at + step;
      if (to < 0 || to >= rows.length) return;
      rows.splice(to, 0, ...rows.splice(at, 1));
      const button = event.currentTarget;
      const other = step < 0 ? button.nextElementSibling : button.previousElementSibling;
      // It moved along, and so does the focus; at the end of its way, to the other direction.
      this.$nextTick(() => (button.disabled ? other : button).focus());
    },

    dropped(group, key, position) {
      const rows = [...this[group]];
      const at = rows.findIndex((other) => other.uid === key);
      rows.splice(position, 0, ...rows.splice(at, 1));
      this[group] = rows;
      this.generation += 1;
    },

    /** Where something stands that keeps the form from being sent. */
    showWrong() {
      this.$nextTick(() =>
        this.$root.querySelector(".idp-row-wrong, [aria-invalid=true]")?.scrollIntoView({ block: "center" }),
      );
    },
  });

  return { uid, read, write, put, slug, number, shown, isObject, compose, parts };
})();
