/** Colours as `#rrggbb`, by what they paint: `paper` and `fill` lie behind the others. */
export type Palette = Readonly<Record<'paper' | 'fill' | 'line' | 'ink' | 'faint' | 'accent', string>>;

/** What is painted where the reader's screen is light, and where it is dark. */
export const PALETTES: Readonly<Record<'light' | 'dark', Palette>>;

/** The text of docs/overview.svg. */
export function drawOverview(): string;
