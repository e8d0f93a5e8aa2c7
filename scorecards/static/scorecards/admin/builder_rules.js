/* The part of the scorecard builder about rules, and what they and filters ask. */
(() => {
  const EXPRESSIONS = { conditions: "query", cql: "expression", jq: "jq" };
  const FRESH = {
    conditions: () => ({ combinator: "and", conditions: [{ property: "$team", operator: "isNotEmpty" }] }),
    cql: () => "",
    jq: () => "",
  };

  window.scorecardRules = ({ uid, read, write, put, slug, number }) => ({
    /* --- JSON to rows and back --- */

    loadRules() {
      const before = this.rules;
      this.rules = (this.doc.rules ?? []).map((def, at) => {
        const held = before[at]?.def.identifier === def.identifier ? before[at] : null;
        const known = held ?? before.find((row) => row.def.identifier && row.def.identifier === def.identifier);
        return this.ruleRow({ ...def }, known);
      });
    },

    ruleRow(def, known) {
      return {
        uid: known?.uid ?? uid(),
        def,
        open: known?.open ?? false,
        auto: false,
        kept: known?.kept ?? {}, // expressions in other languages, for whoever turns back
        level: this.levels.find((row) => this.levelTitle(row) === def.level)?.uid ?? "",
      };
    },

    /** The rule with the present title of its level. */
    ruleOf(row) {
      const level = this.levels.find((one) => one.uid === row.level);
      return level ? { ...row.def, level: this.levelTitle(level) } : row.def;
    },

    /* --- what the inputs do --- */

    addRule() {
      const def = { title: "" };
      if (!this.isCortex) def.identifier = "";
      const level = this.goals[0];
      if (level) def.level = this.levelTitle(level);
      if (this.isCortex) def.expression = "";
      else def.query = FRESH.conditions();
      const row = this.ruleRow(def);
      row.open = true;
      row.auto = !this.isCortex;
      this.rules.push(row);
      this.focusOn(row);
    },

    copyRule(row) {
      const def = read(write(this.ruleOf(row)));
      if (this.isCortex) delete def.identifier;
      else def.identifier = this.freeName(def.identifier ?? "");
      const made = this.ruleRow(def);
      made.open = true;
      this.rules.splice(this.rules.indexOf(row) + 1, 0, made);
      this.focusOn(made);
    },

    freeName(name) {
      const taken = new Set(this.rules.map((row) => row.def.identifier));
      for (let n = 2; ; n += 1) if (!taken.has(`${name}_${n}`)) return `${name}_${n}`;
    },

    setRuleTitle(row, text) {
      row.def.title = text;
      if (row.auto) row.def.identifier = slug(text).replace(/^(?=\d)/, "_");
    },

    setRuleLevel(row, key) {
      row.level = key;
      if (!key) delete row.def.level;
      else row.def.level = this.levelTitle(this.levels.find((one) => one.uid === key));
    },

    isLost(row) {
      return Boolean(row.def.level) && !this.levels.some((one) => one.uid === row.level);
    },

    languageOf(row) {
      if (this.isCortex || "expression" in row.def) return "cql";
      return "jq" in row.def ? "jq" : "conditions";
    },

    setLanguage(row, language) {
      const was = this.languageOf(row);
      if (was === language) return;
      row.kept[was] = row.def[EXPRESSIONS[was]];
      delete row.def[EXPRESSIONS[was]];
      row.def[EXPRESSIONS[language]] = row.kept[language] ?? FRESH[language]();
    },

    setNumber(row, key, text) {
      const value = number(text);
      if (!text.trim()) delete row.def[key];
      else if (value !== undefined) row.def[key] = value;
    },

    /** Whether a rule says more than most do. */
    hasMore(row) {
      return ["filter", "missing", "failureMessage", "fixUrl", "effectiveFrom", "effectiveUntil", "owner", "effort"].some(
        (key) => key in row.def,
      );
    },

    ruleBadge(row) {
      const level = this.levels.find((one) => one.uid === row.level);
      const weight = row.def.weight;
      const parts = [level ? this.levelTitle(level) : row.def.level ? `${row.def.level}?` : "points"];
      if (weight !== undefined && String(this.shown(weight)) !== "1") parts.push(`weight ${this.shown(weight)}`);
      return parts.join(" · ");
    },

    /** How entities do on it now: "31 of 57 pass". */
    tally(row) {
      return this.told[this.rules.indexOf(row)]?.text ?? "";
    },

    /* --- filters --- */

    /** A filter as it is, of the scorecard (null) or of a rule. */
    filterOf(row) {
      return (row ? row.def.filter : this.doc.filter) ?? {};
    },

    setFilter(row, filter) {
      const { kind, ...said } = filter;
      const holder = row ? row.def : this.doc;
      if (!Object.keys(said).length) delete holder.filter;
      else holder.filter = this.isCortex && !("category" in filter) ? { kind: "GENERIC", ...filter } : filter;
    },

    names(row, group, side) {
      return this.filterOf(row)[group]?.[side] ?? [];
    },

    setNames(row, group, side, names) {
      const { [group]: held, ...filter } = this.filterOf(row);
      const lists = { ...(held ?? {}) };
      put(lists, side, names.length ? names : "");
      this.setFilter(row, Object.keys(lists).length ? { ...filter, [group]: lists } : filter);
    },

    setFilterQuery(row, text) {
      const filter = { ...this.filterOf(row) };
      put(filter, "query", text);
      this.setFilter(row, filter);
    },

    filterConditions(row) {
      const filter = this.filterOf(row);
      return Array.isArray(filter.conditions) ? filter : undefined;
    },

    setFilterConditions(row, query) {
      const { combinator, conditions, ...rest } = this.filterOf(row);
      this.setFilter(row, query ? { combinator: query.combinator, conditions: query.conditions, ...rest } : rest);
    },

    /* --- what is wrong --- */

    toldOf(row) {
      return this.problemsAt(`rules.${this.rules.indexOf(row)}`);
    },

    remarksOf(row) {
      const place = `rules.${this.rules.indexOf(row)}`;
      return this.remarks
        .filter((one) => one.field === place || one.field.startsWith(`${place}.`))
        .map((one) => one.message);
    },

    openWrongRows() {
      for (const row of this.rules) if (this.toldOf(row).length) row.open = true;
    },
  });

  /** Names in a list: chips, and an input for one more. get, set: of the list. */
  window.nameList = (get, set) => ({
    get names() {
      const found = get();
      return Array.isArray(found) ? found : [];
    },

    add(input) {
      const name = input.value.trim();
      input.value = "";
      if (name && !this.names.includes(name)) set([...this.names, name]);
    },

    remove(name) {
      set(this.names.filter((one) => one !== name));
    },
  });

  /** Conditions: {combinator, conditions: [{property | relation, operator, value}]}. get, set: of them;
   * must: whether there is to be one at least.
   */
  window.conditionList = (get, set, must = true) => {
    const { number, isObject } = window.builderBase;
    return {
      get query() {
        return get() ?? null;
      },

      get conditions() {
        return this.query?.conditions ?? [];
      },

      nameOf: (one) => one.property ?? one.relation ?? "",

      /** As `fields` calls it: a relation may have the name of a property. */
      keyOf: (one) => ("relation" in one ? `>${one.relation}` : one.property),

      fieldOf(one) {
        const name = this.nameOf(one);
        return this.fields.get(this.keyOf(one)) ?? { key: this.keyOf(one), name, title: name, missing: true };
      },

      /** [group, fields] as the picker shows them. */
      get choices() {
        const all = [...this.fields.values()];
        return [
          ["Properties", all.filter((one) => !one.relation && !one.name.startsWith("$"))],
          ["Relations", all.filter((one) => one.relation)],
          ["Of every entity", all.filter((one) => one.name.startsWith("$"))],
        ].filter(([, members]) => members.length);
      },

      operatorsOf(one) {
        const field = this.fieldOf(one);
        const key = field.missing ? "any" : field.relation ? "relation" : field.format === "date-time" ? "moment" : field.type;
        return this.operators.filter((operator) => (this.fitting[key] ?? this.fitting.any).includes(operator.name));
      },

      takes(one) {
        return this.operators.find((operator) => operator.name === one.operator)?.takes ?? "EQUAL";
      },

      add() {
        const first = this.choices[0]?.[1][0] ?? this.metas[0];
        const made = { [first.relation ? "relation" : "property"]: first.name, operator: "isNotEmpty" };
        set({ combinator: "and", ...this.query, conditions: [...this.conditions, made] });
      },

      remove(at) {
        const left = this.conditions.filter((_, place) => place !== at);
        set(left.length || must ? { ...this.query, conditions: left } : undefined);
      },

      setField(one, key) {
        const field = this.fields.get(key);
        if (!field) return;
        const was = this.fieldOf(one);
        delete one.property;
        delete one.relation;
        one[field.relation ? "relation" : "property"] = field.name;
        const isAlike = was.type === field.type && was.format === field.format && was.relation === field.relation;
        if (isAlike && !field.enum && !was.enum) return;
        if (!this.operatorsOf(one).some((operator) => operator.name === one.operator)) one.operator = "isNotEmpty";
        this.fit(one);
      },

      setOperator(one, operator) {
        one.operator = operator;
        this.fit(one);
      },

      /** A value of the form that field and operator want; what is there is kept where it fits. */
      fit(one) {
        const takes = this.takes(one);
        const field = this.fieldOf(one);
        const held = one.value;
        if (takes === "NOTHING") delete one.value;
        else if (takes === "LIST") one.value = Array.isArray(held) ? held : this.isWord(held) ? [held] : [];
        else if (takes === "RANGE") one.value = isObject(held) && !held.rawJSON ? held : { preset: "lastMonth" };
        else if (field.type === "boolean" && typeof held !== "boolean") one.value = true;
        else if (field.type === "number" && typeof held !== "number" && !held?.rawJSON) one.value = 0;
        else if (field.enum ? !field.enum.includes(held) : !this.isWord(held)) one.value = field.enum?.[0] ?? "";
      },

      isWord: (value) => ["string", "number", "boolean"].includes(typeof value) && value !== "",

      /** Which input a value gets. */
      widget(one) {
        const takes = this.takes(one);
        const field = this.fieldOf(one);
        if (takes === "NOTHING") return "none";
        if (takes === "RANGE" || (isObject(one.value) && !one.value.rawJSON)) return "range";
        if (takes === "LIST" || Array.isArray(one.value)) return "list";
        if (field.type === "boolean" && takes === "EQUAL") return "flag";
        if (field.enum?.length && takes !== "TEXT") return "enum";
        if (field.type === "number" && takes !== "TEXT") return "number";
        return "text";
      },

      setNumber(one, text) {
        const value = number(text);
        if (value !== undefined) one.value = value;
      },

      setList(one, text) {
        const isNumber = this.fieldOf(one).type === "number";
        const parts = text.split(",").map((part) => part.trim()).filter(Boolean);
        one.value = isNumber ? parts.map((part) => number(part) ?? part) : parts;
      },

      listText: (one) => (Array.isArray(one.value) ? one.value.map((part) => part?.rawJSON ?? part).join(", ") : String(one.value ?? "")),

      setPreset(one, preset) {
        const today = new Date().toISOString().slice(0, 10);
        one.value = preset ? { preset } : { from: today, to: today };
      },

      setCombinator(value) {
        set({ ...this.query, combinator: value });
      },
    };
  };
})();
