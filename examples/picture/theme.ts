/** The colors of the picture in light and dark mode; each text has a contrast of at least 4.5 to its ground. */

/** Kinds of references, each a class of arrows. */
export const ARROWS = ["fd", "pin", "names", "slot"] as const;

type Color = "page" | "panel" | "card" | "line" | "text" | "map" | "prog" | (typeof ARROWS)[number];

const LIGHT: Record<Color, string> = {
  ...{ page: "#ffffff", panel: "#f6f8fa", card: "#ffffff", line: "#8c959f", text: "#1f2328" },
  ...{ map: "#ddf4ff", prog: "#fff1e5", fd: "#0969da", pin: "#1a7f37", names: "#6e7781" },
  slot: "#bc4c00",
};
const DARK: Record<Color, string> = {
  ...{ page: "#0d1117", panel: "#161b22", card: "#0d1117", line: "#6e7681", text: "#e6edf3" },
  ...{ map: "#0c2d48", prog: "#3d1f0a", fd: "#58a6ff", pin: "#3fb950", names: "#8b949e" },
  slot: "#f0883e",
};

/** Written out for each mode: not every viewer of SVG knows variables. */
function rules(colors: Record<Color, string>): string {
  const arrows = ARROWS.map(
    (name) => `path.${name}{stroke:${colors[name]}}marker.${name} path{fill:${colors[name]}}`,
  );
  return [
    `text{fill:${colors.text}}`,
    `rect{stroke:${colors.line};fill:${colors.card}}`,
    `rect.page{stroke:none;fill:${colors.page}}`,
    `rect.panel{fill:${colors.panel}}rect.map{fill:${colors.map}}rect.prog{fill:${colors.prog}}`,
    ...arrows,
  ].join("\n");
}

const SHAPES = [
  "text{font:14px ui-monospace,Menlo,Consolas,monospace}",
  ".title,.caption{font-weight:bold}.caption{font-family:system-ui,sans-serif}",
  "path{fill:none;stroke-width:2}marker path{stroke:none}path.names{stroke-dasharray:6 4}",
];

export const STYLE = [
  ...SHAPES,
  rules(LIGHT),
  `@media(prefers-color-scheme:dark){\n${rules(DARK)}\n}`,
].join("\n");
