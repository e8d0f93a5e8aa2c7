/* The blueprint builder: the same blueprint as a form and as JSON, each following the other.
 *
 * What is sent is always the JSON. Keys that the form has no input for stay as they are, and so
 * do numbers that JavaScript cannot hold (large integers, 1.0): they are carried as raw JSON.
 */
(() => {
  const ANY = "*";
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
  const copy = (value) => read(JSON.stringify(value));
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

  const NAMED = ["properties", "mirrors", "calculations", "aggregations"]; // share their names
  const GROUPS = [...NAMED, "relations"];

  const computedRows = window.blueprintComputedRows({ uid, read, write, put, shown, isObject, slug });

  const builder = () => Object.defineProperties({
    tab: "form",
    text: "",
    problem: "",
    doc: {},
    properties: [],
    relations: [],
    removed: [],
    generation: 0, // rises when rows were dragged, so that they are drawn anew
    ...JSON.parse(document.getElementById("builder-data").textContent),

    init() {
      this.text = this.$refs.document.value;
      this.load(this.text);
      if (this.problem) this.tab = "json";
      this.saved = this.text;
      // The form writes the JSON; `drawn` is what the JSON itself has just put into the form.
      Alpine.effect(() => {
        const next = write(this.toDocument());
        if (this.problem || next === this.drawn) return;
        this.drawn = null;
        this.text = next;
      });
      this.$watch("text", () => this.announce());
      this.leave = (event) => {
        if (this.text !== this.saved) event.preventDefault();
      };
      window.addEventListener("beforeunload", this.leave);
      this.openWrongRows();
      this.$nextTick(() => this.announce());
    },

    /** Ask the server what it makes of the blueprint. */
    announce() {
      this.$dispatch("blueprint-changed");
      if (this.hasComputed && !this.problem) this.$dispatch("computed-changed");
    },

    /* --- JSON to form and back --- */

    load(text) {
      let doc;
      try {
        doc = read(text);
      } catch (error) {
        this.problem = error.message;
        return;
      }
      this.problem = this.unfit(doc);
      if (this.problem) return;
      const schema = doc.schema ?? {};
      const required = schema.required ?? [];
      const before = Object.fromEntries(this.properties.map((row) => [row.name, row]));
      const edges = Object.fromEntries(this.relations.map((row) => [row.name, row]));
      this.doc = doc;
      this.properties = Object.entries(schema.properties ?? {}).map(([name, def]) =>
        this.propertyRow(name, def, required.includes(name), before[name]),
      );
      this.relations = Object.entries(doc.relations ?? {}).map(([name, def]) => ({
        uid: edges[name]?.uid ?? uid(),
        name,
        stored: this.storedRelations.includes(name),
        open: edges[name]?.open ?? false,
        auto: false,
        def,
      }));
      this.loadComputed(doc);
      this.drawn = write(this.toDocument());
    },

    /** Why this JSON is no blueprint that rows could show; "" when it is one. */
    unfit(doc) {
      if (!isObject(doc)) return "A blueprint is a JSON object: {…}";
      if (!isObject(doc.schema ?? {})) return "schema must be an object";
      for (const [where, group] of [
        ["schema.properties", doc.schema?.properties ?? {}],
        ["relations", doc.relations ?? {}],
        ...this.computedGroups()
          .map((group) => this.documentKey(group))
          .map((key) => [key, doc[key] ?? {}]),
      ]) {
        if (!isObject(group)) return `${where} must be an object`;
        for (const [name, one] of Object.entries(group)) {
          if (!isObject(one)) return `${where}.${name} must be an object`;
        }
      }
      if (!Array.isArray(doc.schema?.required ?? [])) return "schema.required must be a list";
      return "";
    },

    propertyRow(name, def, required, before) {
      const row = {
        uid: before?.uid ?? uid(),
        name,
        stored: this.storedProperties.includes(name),
        open: before?.open ?? false,
        auto: false,
        required,
        def,
        values: [],
        defaultText: "",
        defaultProblem: "",
      };
      this.readValues(row);
      return row;
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

    holder(row) {
      return row.def.type === "array" && isObject(row.def.items) ? row.def.items : row.def;
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

    toDocument() {
      const schema = { ...(this.doc.schema ?? {}) };
      const was = schema.required ?? [];
      const ticked = this.properties.filter((row) => row.required && row.name).map((r) => r.name);
      schema.properties = Object.fromEntries(
        this.properties.filter((row) => row.name).map((row) => [row.name, row.def]),
      );
      schema.required = [
        ...was.filter((name) => ticked.includes(name)),
        ...ticked.filter((name) => !was.includes(name)),
      ];
      return {
        ...this.doc,
        schema,
        relations: Object.fromEntries(
          this.relations.filter((row) => row.name).map((row) => [row.name, row.def]),
        ),
        ...this.computedParts(),
      };
    },

    /* --- what the inputs do --- */

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

    canEnum(row) {
      return ["string", "number"].includes(this.holder(row).type);
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

    addProperty() {
      const row = this.propertyRow("", { type: "string" }, false);
      row.open = row.auto = true;
      this.properties.push(row);
      this.focusOn(row);
    },

    addRelation() {
      const row = {
        uid: uid(),
        name: "",
        stored: false,
        open: true,
        auto: true,
        def: { title: "", target: this.kinds[0]?.identifier ?? ANY, required: false, many: false },
      };
      this.relations.push(row);
      this.focusOn(row);
    },

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

    setMany(row, many) {
      row.def.many = many;
      if (many) row.def.required = false;
    },

    /* --- what is wrong --- */

    wrong(group, row) {
      const told = this.told(group, row);
      if (row.queryProblem) told.push(row.queryProblem);
      if (!row.name) told.push("It needs an identifier");
      else if (this.isTaken(group, row)) told.push("Another one has this identifier");
      return told;
    },

    /** What the server said about a row. */
    told(group, row) {
      if (this.computedGroups().includes(group)) return this.computedTold(group, row);
      const whole = group === "properties" ? "schema.properties" : "relations";
      const path = `${whole}.${row.name}`;
      return this.problems
        .filter(
          (one) =>
            one.field === path || one.field.startsWith(`${path}.`) ||
            ((one.field === whole || one.field === "schema") && one.value === row.name && row.name),
        )
        .map((one) => one.message);
    },

    /** Whether another row has the name; properties share theirs with what is computed. */
    isTaken(group, row) {
      const groups = NAMED.includes(group) ? NAMED : [group];
      return groups.flatMap((one) => this[one]).filter((other) => other.name === row.name).length > 1;
    },

    /** Whether a row would be lost, or not be sent as it looks. */
    isUnfinished(group, row) {
      return !row.name || Boolean(row.queryProblem) || this.isTaken(group, row);
    },

    problemAt(field) {
      return this.problems.find((one) => one.field === field)?.message ?? "";
    },

    openWrongRows() {
      for (const group of GROUPS) {
        for (const row of this[group]) if (this.wrong(group, row).length) row.open = true;
      }
    },

    get isBlocked() {
      return (
        Boolean(this.problem) ||
        GROUPS.some((group) => this[group].some((row) => this.isUnfinished(group, row)))
      );
    },

    /** Before the form is sent: an unfinished row would be lost without a word. */
    send(event) {
      if (this.isBlocked) {
        event.preventDefault();
        this.openWrongRows();
        this.$nextTick(() =>
          this.$root.querySelector(".idp-row-wrong, [aria-invalid=true]")?.scrollIntoView({ block: "center" }),
        );
        return;
      }
      window.removeEventListener("beforeunload", this.leave);
    },

    renameLink(part, name) {
      return `${this.renameUrl}?part=${part}&name=${encodeURIComponent(name)}`;
    },

    typed(text) {
      this.text = text;
      this.load(text);
    },

    tidyText() {
      if (!this.problem) this.text = write(read(this.text));
    },
  }, Object.getOwnPropertyDescriptors(computedRows));

  document.addEventListener("alpine:init", () => Alpine.data("blueprintBuilder", builder));
})();
