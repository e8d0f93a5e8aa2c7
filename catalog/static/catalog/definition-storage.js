// A frame without an origin has no storage, and Swagger UI asks for it: it gets one that forgets.
(() => {
    "use strict";

    const kept = new Map();
    const storage = {
        getItem: (key) => kept.get(String(key)) ?? null,
        setItem: (key, value) => void kept.set(String(key), String(value)),
        removeItem: (key) => void kept.delete(String(key)),
        clear: () => kept.clear(),
        key: (index) => [...kept.keys()][index] ?? null,
        get length() {
            return kept.size;
        },
    };
    for (const name of ["localStorage", "sessionStorage"]) {
        Object.defineProperty(window, name, { value: storage });
    }
})();
