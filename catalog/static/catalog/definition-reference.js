// Draws a definition with Swagger UI, in a frame without an origin: see the view that serves it.
(() => {
    "use strict";

    const written = document.getElementById("document");
    const tell = () => parent.postMessage({ height: document.documentElement.offsetHeight }, "*");

    addEventListener("message", (event) => {
        if (event.source !== parent || typeof event.data !== "object" || event.data === null) return;
        document.documentElement.classList.toggle("dark-mode", event.data.dark === true);
    });

    if (written) {
        window.SwaggerUIBundle({
            spec: JSON.parse(written.textContent),
            domNode: document.getElementById("reference"),
            presets: [window.SwaggerUIBundle.presets.apis],
            supportedSubmitMethods: [],
            validatorUrl: null,
            queryConfigEnabled: false,
            deepLinking: false,
            docExpansion: document.querySelector("[data-one]") ? "full" : "list",
            defaultModelsExpandDepth: 0,
            onComplete: tell,
        });
    }
    new ResizeObserver(tell).observe(document.documentElement);
    tell();
})();
