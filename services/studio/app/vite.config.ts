import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The server replaces this mark with the nonce of each answer (services/studio/static-files.ts).
const nonceMark = "CSP-NONCE";

export default defineConfig({
  plugins: [react()],
  html: { cspNonce: nonceMark },
  build: {
    target: "es2022",
    // These know light-dark(), which would otherwise be rewritten for older ones.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // Everything is a file of its own: the policy of the page allows no data: URLs.
    assetsInlineLimit: 0,
    // The import map and preload helper of older browsers are inline scripts, which the policy forbids.
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1_500,
    rolldownOptions: {
      output: {
        advancedChunks: {
          groups: [{ name: "packages", test: /node_modules/ }],
        },
      },
    },
  },
});
