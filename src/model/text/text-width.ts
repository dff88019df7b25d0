/** How many columns of a terminal text takes. Pure. */

/** Ideographs, kana, Hangul, full-width forms and pictures: each takes two columns. */
const WIDE =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u;
/** Marks that stand on the character before them. */
const NARROW = /[\p{Mn}\p{Me}]/u;

/** Of a text whose control characters are escaped; tabs are not known here. */
export function widthOf(text: string): number {
  let columns = 0;
  for (const char of text) columns += NARROW.test(char) ? 0 : WIDE.test(char) ? 2 : 1;
  return columns;
}
