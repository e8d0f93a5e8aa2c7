// Light or dark as the shell would have it, for pages that are drawn without the shell.
(() => {
    "use strict";
    let theme = "auto";
    try {
        theme = JSON.parse(localStorage.getItem("adminTheme")) || "auto";
    } catch {
        // nothing kept, or not by us
    }
    const isDark = theme === "dark" || (theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.classList.toggle("dark", isDark);
})();
