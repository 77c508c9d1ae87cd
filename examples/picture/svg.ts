/** The few shapes of SVG that the picture needs. */

export interface Point {
  x: number;
  y: number;
}
export interface Box extends Point {
  width: number;
  height: number;
}

const ESCAPED: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escapeText = (text: string) => text.replaceAll(/[&<>"]/g, (c) => ESCAPED[c] ?? c);

export const box = ({ x, y, width, height }: Box, className: string) =>
  `<rect class="${className}" x="${x}" y="${y}" width="${width}" height="${height}" rx="6"/>`;

export const label = ({ x, y }: Point, text: string, className: string) =>
  `<text class="${className}" x="${x}" y="${y}">${escapeText(text)}</text>`;

/** A curve that leaves and enters horizontally. @param bend how far its ends pull, to the right when positive. */
export function arrow(from: Point, to: Point, bends: [number, number], className: string): string {
  const [first, last] = [from.x + bends[0], to.x + bends[1]];
  const curve = `C${first} ${from.y} ${last} ${to.y} ${to.x} ${to.y}`;
  return `<path class="${className}" d="M${from.x} ${from.y}${curve}" marker-end="url(#${className})"/>`;
}

const marker = (name: string) =>
  `<marker id="${name}" class="${name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="5" ` +
  `markerHeight="5" orient="auto"><path d="M0 0L8 4L0 8z"/></marker>`;

export interface Drawing {
  width: number;
  height: number;
  title: string;
  description: string;
  style: string;
  /** Classes of arrows, each with a head of its own color. */
  arrows: string[];
  shapes: string[];
}

export function document({ width, height, title, description, ...drawing }: Drawing): string {
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" ` +
      `height="${height}" role="img" aria-labelledby="title description">`,
    `<title id="title">${escapeText(title)}</title>`,
    `<desc id="description">${escapeText(description)}</desc>`,
    `<style>${drawing.style}</style>`,
    `<defs>${drawing.arrows.map(marker).join("")}</defs>`,
    ...drawing.shapes,
    "</svg>",
  ];
  return `${lines.join("\n")}\n`;
}
