/** docs/overview.svg, the picture at the top of the README. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { drawOverview, PALETTES } from '../scripts/overview.mjs';

/** What WCAG 2.1 asks for text of normal size. */
const MIN_CONTRAST = 4.5;

/** The relative luminance of `#rrggbb`, from 0 to 1, as WCAG 2.1 defines it. */
function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [darker = 0, lighter = 0] = [luminance(one), luminance(other)].toSorted((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

test('docs/overview.svg is what scripts/overview.mjs draws', () => {
  const hint = 'node scripts/overview.mjs draws it anew';
  expect(readFileSync('docs/overview.svg', 'utf8'), hint).toBe(drawOverview());
});

test('docs/overview.svg needs nothing but itself', () => {
  const addresses = drawOverview().match(/[a-z]+:\/\/[^"\s]*/g);
  expect(addresses).toEqual(['http://www.w3.org/2000/svg']);
  expect(drawOverview()).not.toMatch(/<script|<image|<use|@import|url\(/);
});

test.each(Object.entries(PALETTES))('docs/overview.svg can be read where the screen is %s', (_, palette) => {
  const { paper, fill, ink, faint, accent } = palette;
  for (const behind of [paper, fill])
    for (const text of [ink, faint, accent]) expect(contrast(behind, text)).toBeGreaterThan(MIN_CONTRAST);
  // The boxes' edges carry meaning, too; WCAG asks 3 of those.
  expect(contrast(palette.line, paper)).toBeGreaterThan(3);
});
