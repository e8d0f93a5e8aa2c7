/* The scorecard builder: the same scorecard as a form and as text, side by side, each following the
 * other; beside them, what would come of it.
 *
 * What is sent is always the JSON, in the words of the scorecard's dialect. Keys that the form has
 * no input for stay as they are.
 */
(() => {
  const base = window.builderBase;
  const { uid, read, write, put, slug, isObject } = base;
  const YAML_WAIT_MS = 400;

  /* How the dialects call the same thing. */
  const WORDS = {
    native: { identifier: "identifier", title: "title", level: "title" },
    cortex: { identifier: "tag", title: "name", level: "name" },
  };

  /** Whether a problem with `field` belongs to this place of the document. */
  const isAt = (field, place) => field === place || field.startsWith(`${place}.`);

  const builder = () => base.compose(base.parts(), window.scorecardRules(base), {
    doc: { rules: [] },
    levels: [],
    rules: [],
    aside: "passes",
    yaml: "",
    yamlProblem: "",
    told: {}, // what the server made of the rules, by their place
    remarks: [], // and what it would tell about the document: {field, message}
    ...JSON.parse(document.getElementById("builder-data").textContent),

    init() {
      this.begin(() => this.announce());
      if (this.problem) this.aside = "json";
      else if (this.isCortex && !this.stored) this.showYaml();
      this.openWrongRows();
      if (this.problems.length) this.$nextTick(() => this.showWrong());
    },

    /** Ask the server what would come of it. */
    announce() {
      if (this.problem) return;
      this.$dispatch("scorecard-changed");
      if (this.aside === "yaml" && !this.isCortex) this.showYaml();
    },

    get isCortex() {
      return this.dialect === "cortex";
    },

    get words() {
      return WORDS[this.dialect];
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
      this.doc = doc;
      this.loadLevels();
      this.loadRules();
      this.drawn = write(this.toDocument());
    },

    /** Why this JSON is no scorecard that the form could show; "" when it is one. */
    unfit(doc) {
      if (!isObject(doc)) return "A scorecard is a JSON object: {…}";
      const isList = (value) => Array.isArray(value) && value.every(isObject);
      if (!isList(doc.rules ?? [])) return "rules must be a list of objects";
      for (const key of ["filter", "exemptions", "notifications", "evaluation", "ladder"]) {
        if (!isObject(doc[key] ?? {})) return `${key} must be an object`;
      }
      const levels = this.isCortex ? doc.ladder?.levels : doc.levels;
      if (!isList(levels ?? [])) return `${this.isCortex ? "ladder.levels" : "levels"} must be a list of objects`;
      for (const [at, rule] of (doc.rules ?? []).entries()) {
        for (const key of ["filter", "query"]) {
          if (!isObject(rule[key] ?? {})) return `rules.${at}.${key} must be an object`;
          if (!isList(rule[key]?.conditions ?? [])) return `rules.${at}.${key}.conditions must be a list of objects`;
        }
      }
      if (!isList(doc.filter?.conditions ?? [])) return "filter.conditions must be a list of objects";
      return "";
    },

    toDocument() {
      const doc = { ...this.doc };
      this.writeLevels(doc);
      if (this.rules.length || "rules" in doc) doc.rules = this.rules.map((row) => this.ruleOf(row));
      return doc;
    },

    /* --- levels --- */

    loadLevels() {
      const before = Object.fromEntries(this.levels.map((row) => [row.def[this.words.level], row.uid]));
      const given = this.isCortex ? this.doc.ladder?.levels : this.doc.levels;
      const ranked = [...(given ?? (this.isCortex ? [] : this.standardLevels))];
      if (this.isCortex) ranked.sort((one, other) => one.rank - other.rank);
      this.levels = ranked.map((def) => ({ uid: before[def[this.words.level]] ?? uid(), def: { ...def } }));
      this.standing = this.levelStamp();
    },

    levelStamp() {
      return write(this.levels.map((row) => row.def));
    },

    /** Levels that nobody touched stay as they were written, or are left out. */
    writeLevels(doc) {
      if (this.levelStamp() === this.standing) return;
      const levels = this.levels.map((row) => row.def);
      if (!this.isCortex) doc.levels = levels;
      else if (!levels.length) delete doc.ladder;
      else doc.ladder = { ...doc.ladder, levels: levels.map((def, at) => ({ ...def, rank: at + 1 })) };
    },

    levelTitle(row) {
      return row.def[this.words.level] ?? "";
    },

    setLevelTitle(row, text) {
      row.def[this.words.level] = text;
    },

    addLevel() {
      const row = { uid: uid(), def: { [this.words.level]: "" } };
      if (!this.isCortex) row.def.color = this.freeColour();
      this.levels.push(row);
      this.focusOn(row);
    },

    freeColour() {
      const used = this.levels.map((row) => row.def.color);
      return this.colours.find((one) => !used.includes(one)) ?? this.colours[0];
    },

    /** For ladders whose smallest rank was the best. */
    turnLadder() {
      this.levels = [...this.levels].reverse();
    },

    /** Where everybody starts; no rules lead to it. */
    isStart(row) {
      return !this.isCortex && this.levels[0]?.uid === row.uid;
    },

    get goals() {
      return this.isCortex ? this.levels : this.levels.slice(1);
    },

    rulesOfLevel(row) {
      return this.rules.filter((one) => one.level === row.uid).length;
    },

    /** As an HTML input wants a colour. */
    hexOf(row) {
      const found = /^#?([0-9a-f]{6})$/i.exec(row.def.color ?? "");
      return found ? `#${found[1]}` : "#888888";
    },

    isTakenLevel(row) {
      const title = this.levelTitle(row);
      return this.levels.filter((other) => this.levelTitle(other) === title).length > 1;
    },

    /* --- the whole --- */

    setTitle(text) {
      const { identifier, title } = this.words;
      const was = this.doc[identifier] ?? "";
      if (!this.stored && was === slug(this.doc[title] ?? "")) this.doc[identifier] = slug(text);
      this.doc[title] = text;
    },

    get several() {
      return this.isCortex || !this.doc.blueprint;
    },

    /** What rules and filters may be about. */
    get subjects() {
      if (!this.several) return this.kinds.filter((one) => one.identifier === this.doc.blueprint);
      const types = this.doc.filter?.types?.include ?? [];
      const named = this.kinds.filter((one) =>
        [one.identifier, one.identifier.replace(/^_/, "")].some((name) => types.includes(name)),
      );
      return named.length ? named : this.kinds.filter((one) => !one.identifier.startsWith("_"));
    },

    /** The things to ask for, by key: {key, name, title, type, format, enum, relation}. */
    get fields() {
      const found = new Map();
      for (const one of [...this.metas, ...this.subjects.flatMap((kind) => kind.fields)]) {
        const key = one.relation ? `>${one.name}` : one.name;
        if (!found.has(key)) found.set(key, { ...one, key });
      }
      return found;
    },

    /** A key of one of the groups "exemptions", "notifications", "evaluation"; undefined takes it out. */
    setIn(group, key, value) {
      const held = { ...(this.doc[group] ?? {}) };
      if (value === undefined) delete held[key];
      else held[key] = value;
      put(this.doc, group, Object.keys(held).length ? held : "");
    },

    setWhole(group, key, text) {
      const value = base.number(text);
      if (!text.trim()) this.setIn(group, key, undefined);
      else if (value !== undefined) this.setIn(group, key, value);
    },

    get state() {
      return this.isCortex ? (this.doc.draft ? "draft" : "active") : (this.doc.state ?? "active");
    },

    setState(value) {
      if (this.isCortex) this.doc.draft = value === "draft";
      else this.doc.state = value;
    },

    /* --- as YAML --- */

    async showYaml() {
      this.aside = "yaml";
      const answer = await this.converted(this.text, "yaml");
      if (answer) this.yaml = answer.text ?? "";
      if (answer) this.yamlProblem = answer.error ?? "";
    },

    typedYaml(text) {
      this.yaml = text;
      clearTimeout(this.yamlTimer);
      this.yamlTimer = setTimeout(async () => {
        const answer = await this.converted(text, "json");
        if (!answer) return;
        if (!answer.error) this.typed(answer.text);
        this.yamlProblem = answer.error || this.problem;
      }, YAML_WAIT_MS);
    },

    /** What the server makes of a text; null when a later one is under way. */
    async converted(text, to) {
      this.converting?.abort();
      this.converting = new AbortController();
      const box = this.$refs.yaml.dataset;
      try {
        const answer = await fetch(box.url, {
          method: "POST",
          body: new URLSearchParams({ text, to, dialect: this.dialect, scorecard: box.scorecard }),
          headers: { "X-CSRFToken": box.token },
          signal: this.converting.signal,
        });
        if (!answer.ok) throw new Error(answer.statusText);
        return await answer.json();
      } catch (error) {
        return error.name === "AbortError" ? null : { error: "The server did not answer." };
      }
    },

    /* --- what the server made of it --- */

    readPreview() {
      const answer = JSON.parse(document.getElementById("preview-data")?.textContent || "null");
      if (!answer) return;
      this.problems = answer.problems;
      this.remarks = answer.remarks;
      this.told = answer.rules;
    },

    problemsAt(...places) {
      return this.problems
        .filter((one) => places.some((place) => isAt(one.field, place)))
        .map((one) => one.message);
    },

    /** Of the document as a whole: what neither a rule nor a field shows. */
    get otherProblems() {
      const shown = ["title", "name", "identifier", "tag", "blueprint", "rules", "levels", "ladder", "filter"];
      return this.problems
        .filter((one) => !shown.some((place) => isAt(one.field, place)))
        .map((one) => one.message);
    },

    get isBlocked() {
      return Boolean(this.problem) || Boolean(this.yamlProblem && this.isCortex);
    },

    /** Before the form is sent: what cannot be read would be lost without a word. */
    send(event) {
      if (this.isBlocked) {
        event.preventDefault();
        this.aside = this.problem ? "json" : "yaml";
        return;
      }
      window.removeEventListener("beforeunload", this.leave);
    },
  });

  document.addEventListener("alpine:init", () => {
    Alpine.data("scorecardBuilder", builder);
    Alpine.data("nameList", window.nameList);
    Alpine.data("conditionList", window.conditionList);
  });
})();
