/* The blueprint builder: the same blueprint as a form and as JSON, each following the other.
 *
 * What is sent is always the JSON. Keys that the form has no input for stay as they are.
 */
(() => {
  const ANY = "*";
  const base = window.builderBase;
  const { uid, read, write, put, slug, shown, isObject } = base;

  const NAMED = ["properties", "mirrors", "calculations", "aggregations"]; // share their names
  const GROUPS = [...NAMED, "relations"];

  const computedRows = window.blueprintComputedRows({ uid, read, write, put, shown, isObject, slug });

  const builder = () => base.compose(base.parts(), computedRows, {
    doc: {},
    properties: [],
    relations: [],
    ...JSON.parse(document.getElementById("builder-data").textContent),

    init() {
      this.begin(() => this.announce());
      this.openWrongRows();
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
        this.showWrong();
        return;
      }
      window.removeEventListener("beforeunload", this.leave);
    },

    renameLink(part, name) {
      return `${this.renameUrl}?part=${part}&name=${encodeURIComponent(name)}`;
    },
  });

  document.addEventListener("alpine:init", () => Alpine.data("blueprintBuilder", builder));
})();
