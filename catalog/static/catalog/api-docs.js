// The page of this API is as dark as the portal: the choice made there, or the system's.
(() => {
    "use strict";

    const system = matchMedia("(prefers-color-scheme: dark)");
    const apply = () => {
        let chosen = "auto";
        try { chosen = JSON.parse(localStorage.getItem("_x_adminTheme") || '"auto"'); } catch { /* the system's, then */ }
        document.documentElement.classList.toggle("dark-mode", chosen === "dark" || (chosen !== "light" && system.matches));
    };
    system.addEventListener("change", apply);
    addEventListener("storage", apply);
    apply();
})();
