import type { DrawnMap, DrawnProgram, Moment, ObjectRef } from "./objects.ts";
import { arrow, type Box, box, document, label, type Point } from "./svg.ts";
import { ARROWS, STYLE } from "./theme.ts";

/** Draws moments one below the other: holders on the left, the objects that they hold on the right. */

const WIDTH = 760;
const MARGIN = 16;
const ROW = 22;
const GAP = 18;
const CAPTION = 34;
const HOLDERS = { x: MARGIN + 12, width: 220 };
const OBJECTS = { x: 440, width: 210 };

/** A box with a title, lines of text below it, and arrows that start or end at it. */
interface Card extends Box {
  title: string;
  rows: string[];
}

/** A line of a card that holds an object. */
interface Holder {
  at: Point;
  holds: ObjectRef;
  how: (typeof ARROWS)[number];
}

const keyOf = ({ kind, id }: ObjectRef) => `${kind} ${id}`;
const rowY = (card: Card, row: number) => card.y + ROW * (row + 1) + ROW / 2;

/** Puts cards one below the other. */
function stack(column: { x: number; width: number }, top: number, texts: string[][]): Card[] {
  let y = top;
  return texts.map(([title = "", ...rows]) => {
    const card = { ...column, y, height: ROW * (rows.length + 1) + 6, title, rows };
    y += card.height + GAP;
    return card;
  });
}

const shapesOf = (card: Card, className: string) => [
  box(card, className),
  label({ x: card.x + 10, y: card.y + 17 }, card.title, "title"),
  ...card.rows.map((row, i) => label({ x: card.x + 10, y: rowY(card, i) + 5 }, row, "row")),
];

const mapText = (map: DrawnMap) => [
  `map ${map.id}: ${map.map_name}`,
  map.map_type,
  `refcnt ${map.refcnt}, usercnt ${map.usercnt}`,
  ...map.slots.map((id, slot) => `[${slot}] ${id === undefined ? "empty" : `program ${id}`}`),
];
const progText = (prog: DrawnProgram) => [
  `program ${prog.id}: ${prog.prog_name}`,
  `refcnt ${prog.refcnt}`,
];

/** Programs that name maps stand above the maps, the others below, so that arrows go down. */
function objectCards({ maps, progs }: Moment, top: number): Map<string, Card> {
  const names = progs.filter((prog) => prog.map_ids.length > 0);
  const others = progs.filter((prog) => prog.map_ids.length === 0);
  const keys = [
    ...names.map((prog) => keyOf({ kind: "prog", id: prog.id })),
    ...maps.map((map) => keyOf({ kind: "map", id: map.id })),
    ...others.map((prog) => keyOf({ kind: "prog", id: prog.id })),
  ];
  const texts = [...names.map(progText), ...maps.map(mapText), ...others.map(progText)];
  return new Map(stack(OBJECTS, top, texts).map((card, i) => [keys[i] ?? "", card]));
}

function holderCards(
  { sessions, pins }: Moment,
  top: number,
): { cards: Card[]; holders: Holder[] } {
  const cards = stack(HOLDERS, top, [
    ...sessions.map(({ label, fds }) => [`session ${label}`, ...fds.map(({ fd }) => `fd ${fd}`)]),
    ["bpffs /", ...pins.map(({ path }) => path)],
  ]);
  const held = [
    ...sessions.map(({ fds }) => fds.map((fd) => ({ holds: fd, how: "fd" as const }))),
    pins.map((pin) => ({ holds: pin, how: "pin" as const })),
  ];
  const holders = cards.flatMap((card, i) =>
    (held[i] ?? []).map((holder, row) => ({
      ...holder,
      at: { x: card.x + card.width, y: rowY(card, row) },
    })),
  );
  return { cards, holders };
}

/** Arrows from descriptors and pins, each with a place of its own at the object's left side. */
function holderArrows(holders: Holder[], objects: Map<string, Card>): string[] {
  return [...objects].flatMap(([key, card]) => {
    const mine = holders.filter(({ holds }) => keyOf(holds) === key);
    return mine.map(({ at, how }, i) => {
      const to = { x: card.x - 2, y: card.y + (card.height * (i + 1)) / (mine.length + 1) };
      return arrow(at, to, [90, -90], how);
    });
  });
}

const right = (card: Card, y: number): Point => ({ x: card.x + card.width, y });
/** The place at the right side of a card where arrows of other objects end. */
const door = (card: Card): Point => ({ x: card.x + card.width + 2, y: card.y + ROW / 2 });

/** Arrows between objects, at their right side: a program names a map, a slot holds a program. */
function objectArrows({ maps, progs }: Moment, objects: Map<string, Card>): string[] {
  const link = (from: Point, to: ObjectRef, how: (typeof ARROWS)[number]) => {
    const card = objects.get(keyOf(to));
    return card ? [arrow(from, door(card), [60, 60], how)] : [];
  };
  const names = progs.flatMap(({ id, map_ids }) => {
    const card = objects.get(keyOf({ kind: "prog", id }));
    if (!card) return [];
    return map_ids.flatMap((map) =>
      link(right(card, rowY(card, 0)), { kind: "map", id: map }, "names"),
    );
  });
  const slots = maps.flatMap((map) => {
    const card = objects.get(keyOf({ kind: "map", id: map.id }));
    return map.slots.flatMap((prog, slot) =>
      card && prog !== undefined
        ? link(right(card, rowY(card, 2 + slot)), { kind: "prog", id: prog }, "slot")
        : [],
    );
  });
  return [...names, ...slots];
}

const bottomOf = (cards: Iterable<Card>) =>
  Math.max(...[...cards].map(({ y, height }) => y + height));

function panel(moment: Moment, top: number): { shapes: string[]; bottom: number } {
  const inside = top + CAPTION;
  const objects = objectCards(moment, inside);
  const { cards, holders } = holderCards(moment, inside);
  const bottom = bottomOf([...objects.values(), ...cards]) + 14;
  const frame = { x: MARGIN, y: top, width: WIDTH - 2 * MARGIN, height: bottom - top };
  const shapes = [
    box(frame, "panel"),
    label({ x: HOLDERS.x, y: top + 22 }, moment.caption, "caption"),
    ...holderArrows(holders, objects),
    ...objectArrows(moment, objects),
    ...cards.flatMap((card) => shapesOf(card, "holder")),
    ...[...objects].flatMap(([key, card]) => shapesOf(card, key.split(" ")[0] ?? "")),
  ];
  return { shapes, bottom };
}

/** What each kind of arrow means. */
function legend(top: number): string[] {
  const meanings = { fd: "descriptor", pin: "pin", names: "names the map", slot: "slot holds" };
  return ARROWS.flatMap((how, i) => {
    const x = HOLDERS.x + i * 172;
    const line = arrow({ x, y: top }, { x: x + 34, y: top }, [10, -10], how);
    return [line, label({ x: x + 44, y: top + 5 }, meanings[how], "row")];
  });
}

const DESCRIPTION =
  "Sessions with their descriptors and the pins in bpffs on the left, the map with its refcnt and " +
  "usercnt and the programs on the right, at each moment.";

export function draw(moments: Moment[]): string {
  const shapes: string[] = [];
  let y = MARGIN;
  for (const moment of moments) {
    const drawn = panel(moment, y);
    shapes.push(...drawn.shapes);
    y = drawn.bottom + GAP;
  }
  const captions = moments.map(({ caption }) => caption).join(" ");
  return document({
    width: WIDTH,
    height: y + 32,
    title: "Who keeps a program array full",
    description: `${captions} ${DESCRIPTION}`,
    style: STYLE,
    arrows: [...ARROWS],
    shapes: [
      box({ x: 0, y: 0, width: WIDTH, height: y + 32 }, "page"),
      ...shapes,
      ...legend(y + 8),
    ],
  });
}
