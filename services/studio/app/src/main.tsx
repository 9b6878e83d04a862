import "@mantine/core/styles.css";
import "./studio.css";
import { createTheme, MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";

// The page's policy admits the style elements that carry this answer's nonce. Mantine takes it below, and the scroll
// lock of its dialogs (get-nonce) from where webpack would have put it.
const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? "";
Object.assign(globalThis, { __webpack_nonce__: nonce });

// Whoever comes back from the bank's page brings the payment's secret along. Checkout tells how it ended.
if (location.search !== "") history.replaceState(null, "", location.pathname + location.hash);

const theme = createTheme({
  // The seventh carries white text in both schemes (5.5 : 1).
  colors: {
    mesh: [
      "#f0fdfa",
      "#ccfbf1",
      "#99f6e4",
      "#5eead4",
      "#2dd4bf",
      "#14b8a6",
      "#0d9488",
      "#0f766e",
      "#115e59",
      "#134e4a",
    ],
    // Text, lines, buttons, cards, ground: Mantine's greys with a little of the mesh's green.
    dark: [
      "#d8dfdf",
      "#b9c3c3",
      "#93a3a3",
      "#6c7b7b",
      "#3d4848",
      "#303a3b",
      "#242c2d",
      "#171c1d",
      "#121617",
      "#0f1314",
    ],
  },
  primaryColor: "mesh",
  primaryShade: 7,
  defaultRadius: "md",
  cursorType: "pointer",
  fontFamily:
    'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace',
  headings: { fontWeight: "650" },
});

// What was cleared never changes, so an answer stays good; what failed is asked again by the user's hand.
const queries = new QueryClient({
  defaultOptions: { queries: { retry: false, refetchOnWindowFocus: false, staleTime: 60_000 } },
});

const root = document.getElementById("root");
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={() => nonce}>
        <QueryClientProvider client={queries}>
          <App />
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
}
