/* The part of the blueprint builder about computed properties: mirrors, calculations and
 * aggregations, and what they give for an entity (which the server works out).
 */
(() => {
  const ANY = "*";
  const GROUPS = {
    mirrors: "mirrorProperties",
    calculations: "calculationProperties",
    aggregations: "aggregationProperties",
  };
  const META = [
    ["$title", "Title"],
    ["$identifier", "Identifier"],
    ["$team", "Teams"],
    ["$icon", "Icon"],
    ["$blueprint", "Blueprint"],
    ["$createdAt", "Created at"],
    ["$updatedAt", "Updated at"],
    ["$createdBy", "Created by"],
    ["$updatedBy", "Updated by"],
  ];
  const WHAT = [
    ["entities:count", "Number of entities"],
    ["entities:average", "Entities per period"],
    ["property:sum", "Sum of a property"],
    ["property:average", "Average of a property"],
    ["property:median", "Median of a property"],
    ["property:min", "Smallest of a property"],
    ["property:max", "Largest of a property"],
  ];
  const PERIODS = ["hour", "day", "week", "month"];

  window.blueprintComputedRows = ({ uid, read, write, put, shown, isObject, slug }) => ({
    mirrors: [],
    calculations: [],
    aggregations: [],
    tried: {},
    sample: "",
    whats: WHAT,

    /* --- JSON to rows and back --- */

    computedGroups: () => Object.keys(GROUPS),
    documentKey: (group) => GROUPS[group],

    loadComputed(doc) {
      for (const [group, key] of Object.entries(GROUPS)) {
        const before = Object.fromEntries(this[group].map((row) => [row.name, row]));
        this[group] = Object.entries(doc[key] ?? {}).map(([name, def]) =>
          this.computedRow(group, name, def, before[name]),
        );
      }
    },

    /** A key that the document does not have, and that no row needs, stays away. */
    computedParts() {
      const parts = {};
      for (const [group, key] of Object.entries(GROUPS)) {
        const rows = this[group].filter((row) => row.name);
        if (rows.length || isObject(this.doc[key])) {
          parts[key] = Object.fromEntries(rows.map((row) => [row.name, row.def]));
        }
      }
      return parts;
    },

    computedRow(group, name, def, before) {
      return {
        uid: before?.uid ?? uid(),
        name,
        stored: group === "mirrors" && this.storedMirrors.includes(name),
        open: before?.open ?? false,
        auto: false,
        def,
        queryText: def.query ? write(def.query) : "",
        queryProblem: "",
        colours: Object.entries(isObject(def.colors) ? def.colors : {}).map(([value, colour]) => ({
          uid: uid(),
          value,
          colour,
        })),
      };
    },

    addComputed(group) {
      const counted = this.kinds.find((kind) => kind.identifier !== this.doc.identifier);
      const def = {
        mirrors: { title: "", path: "" },
        calculations: { title: "", type: "string", calculation: "" },
        aggregations: {
          title: "",
          type: "number",
          target: (counted ?? this.kinds[0])?.identifier ?? "",
          calculationSpec: { calculationBy: "entities", func: "count" },
        },
      }[group];
      const row = this.computedRow(group, "", def);
      row.open = row.auto = true;
      this[group].push(row);
      this.focusOn(row);
    },

    setComputedTitle(row, text) {
      row.def.title = text;
      if (row.auto) row.name = slug(text);
    },

    /* --- mirrors: a path, step by step --- */

    /** What there is at a blueprint; of the one in the builder, as it is in the builder. */
    place(identifier) {
      if (identifier !== this.doc.identifier) {
        return (
          this.kinds.find((kind) => kind.identifier === identifier) ?? { relations: [], properties: [] }
        );
      }
      const named = (rows) => rows.filter((row) => row.name);
      return {
        title: this.doc.title,
        relations: named(this.relations).map(({ name, def }) => ({
          name,
          title: def.title || name,
          target: def.target,
        })),
        properties: [
          ...named(this.properties),
          ...this.computedGroups().flatMap((group) => named(this[group])),
        ].map(({ name, def }) => ({
          name,
          title: def.title || name,
          type: def.type,
          format: def.format,
        })),
      };
    },

    /** The choices of a path so far. The last one is a property; one more relation ends in a dot. */
    pathSteps(row) {
      const parts = String(row.def.path ?? "").split(".");
      const steps = [];
      let here = this.place(this.doc.identifier);
      let isAny = false;
      parts.forEach((part, at) => {
        const isLast = at === parts.length - 1;
        const relations = here.relations;
        const properties = at ? here.properties : [];
        const meta = at ? META.map(([name, title]) => ({ name, title })) : [];
        const asRelation = !isLast || at === 0;
        const known = asRelation ? relations : [...properties, ...meta];
        steps.push({
          at,
          isAny,
          relations,
          properties,
          meta,
          chosen: part ? `${asRelation ? "r" : "p"}:${part}` : "",
          name: part,
          isKnown: !part || known.some((one) => one.name === part),
          label: at ? `Of ${isAny ? "whatever is there" : here.title || "it"}` : "Relation",
        });
        const taken = relations.find((one) => one.name === part);
        isAny = Boolean(taken) && [null, ANY].includes(taken.target);
        here = taken && !isAny ? this.place(taken.target) : { relations: [], properties: [] };
      });
      return steps;
    },

    setStep(row, at, value) {
      const before = String(row.def.path ?? "").split(".").slice(0, at);
      const [sort, name] = [value.slice(0, 1), value.slice(2)];
      row.def.path = [...before, name].join(".") + (sort === "r" ? "." : "");
    },

    /* --- calculations --- */

    setComputedType(row, key) {
      const chosen = this.types.find((one) => one.key === key);
      if (!chosen) return;
      if (chosen.type === "array") row.def.items = { type: "string" };
      else delete row.def.items;
      this.describe(row.def, chosen);
    },

    writeColours(row) {
      const said = row.colours.filter((one) => one.value !== "" && one.colour);
      put(row.def, "colors", said.length ? Object.fromEntries(said.map((one) => [one.value, one.colour])) : "");
      put(row.def, "colorized", said.length > 0);
    },

    addColour(row) {
      row.colours.push({ uid: uid(), value: "", colour: "green" });
      this.$nextTick(() => {
        const inputs = this.$root.querySelectorAll(`[data-colours="${row.uid}"] input`);
        inputs[inputs.length - 1]?.focus();
      });
    },

    removeColour(row, one) {
      row.colours = row.colours.filter((other) => other.uid !== one.uid);
      this.writeColours(row);
    },

    /* --- aggregations --- */

    specOf(row) {
      return isObject(row.def.calculationSpec) ? row.def.calculationSpec : {};
    },

    whatOf(row) {
      const spec = this.specOf(row);
      return `${spec.calculationBy ?? (spec.property ? "property" : "entities")}:${spec.func}`;
    },

    setWhat(row, key) {
      const [by, func] = key.split(":");
      const spec = { ...this.specOf(row), calculationBy: by, func };
      if (by === "entities") delete spec.property;
      else spec.property ??= this.measured(row)[0]?.name ?? "";
      if (func !== "average") {
        delete spec.averageOf;
        delete spec.measureTimeBy;
      } else if (by === "entities" && (spec.averageOf ?? "total") === "total") {
        spec.averageOf = "day";
        spec.measureTimeBy ??= "$createdAt";
      }
      row.def.calculationSpec = spec;
    },

    setSpec(row, key, value) {
      const spec = { ...this.specOf(row) };
      put(spec, key, value);
      if (key === "averageOf" && !PERIODS.includes(value)) delete spec.measureTimeBy;
      row.def.calculationSpec = spec;
    },

    isOfProperty(row) {
      return this.whatOf(row).startsWith("property:");
    },

    isPeriodic(row) {
      return this.specOf(row).func === "average" && PERIODS.includes(this.specOf(row).averageOf);
    },

    /** [value, label]: what an average is of. */
    averages(row) {
      const whole = this.isOfProperty(row) ? "Each value" : "No period: how many";
      return [["total", whole], ...PERIODS.map((one) => [one, `Each ${one}`])];
    },

    averageOf(row) {
      return this.specOf(row).averageOf ?? "total";
    },

    /** The properties of the target that may be numbers. */
    measured(row) {
      return this.place(row.def.target).properties.filter((one) => [undefined, null, "number"].includes(one.type));
    },

    moments(row) {
      const dates = this.place(row.def.target).properties.filter(
        (one) => [undefined, null].includes(one.type) || one.format === "date-time",
      );
      return [
        { name: "$createdAt", title: "When it was created" },
        { name: "$updatedAt", title: "When it was last changed" },
        ...dates,
      ];
    },

    setQuery(row, text) {
      row.queryText = text;
      row.queryProblem = "";
      if (!text.trim()) {
        delete row.def.query;
        return;
      }
      try {
        row.def.query = read(text);
      } catch (error) {
        row.queryProblem = `Query: not JSON yet: ${error.message}`;
      }
    },

    exampleQuery(row) {
      this.setQuery(
        row,
        write({ combinator: "and", rules: [{ property: "$title", operator: "contains", value: "" }] }),
      );
    },

    filterOf(row) {
      const first = Array.isArray(row.def.pathFilter) ? row.def.pathFilter[0] : undefined;
      return isObject(first) ? first : {};
    },

    filterPath(row) {
      const { path } = this.filterOf(row);
      return Array.isArray(path) ? path.join(".") : "";
    },

    setFilter(row, text, start) {
      const path = text.trim();
      if (!path) {
        delete row.def.pathFilter;
        return;
      }
      const filter = { ...this.filterOf(row), path: path.split(".") };
      put(filter, "fromBlueprint", start);
      row.def.pathFilter = [filter];
    },

    /* --- what the server made of them --- */

    get hasComputed() {
      return Boolean(this.mirrors.length || this.calculations.length || this.aggregations.length);
    },

    readTrial() {
      const answer = JSON.parse(document.getElementById("trial-data")?.textContent || "null");
      this.tried = answer?.results ?? {};
      this.sample = answer?.sample ?? "";
    },

    outcome(group, row) {
      return this.tried[GROUPS[group]]?.[row.name];
    },

    /** Whether there is enough to be right or wrong. */
    isBegun(group, row) {
      if (group === "mirrors") return /.\../.test(String(row.def.path ?? ""));
      if (group === "calculations") return Boolean(String(row.def.calculation ?? "").trim());
      return Boolean(row.def.target);
    },

    computedBadge(group, row) {
      if (group === "calculations") return this.typeTitle(row.def);
      const schema = this.outcome(group, row)?.schema;
      return schema ? this.typeTitle(schema) : "";
    },

    /** Errors of the server about a row: the newest ones, or those of the last attempt to save. */
    computedTold(group, row) {
      const path = `${GROUPS[group]}.${row.name}`;
      const inside = (message) => message.replaceAll(`${path}.`, "");
      const outcome = this.outcome(group, row);
      if (outcome && this.isBegun(group, row)) return outcome.error ? [inside(outcome.error)] : [];
      const self = `${this.doc.identifier}.${row.name}`;
      return this.problems
        .filter(
          (one) =>
            row.name &&
            (one.field === path || one.field.startsWith(`${path}.`) ||
              ([GROUPS[group], "schema"].includes(one.field) && one.value === row.name) ||
              one.value.split(" → ").includes(self)),
        )
        .map((one) => inside(one.message));
    },
  });
})();
