/**
 * Text of files, labels, clients and programs, made harmless for a terminal and for a log: it must not steer the one, forge a
 * line in the other, or turn the direction of writing round. Whatever writes text out calls this, once and last. Pure.
 */

/** Control, format and separator characters, and halves of a surrogate pair. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
/** The same, but for the line feed: where it stands in JSON or YAML, it ends a line of ours. */
const UNSAFE_IN_DOCUMENT = /[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** A text on one line: control, format and separator characters as `\u{…}`. Text without them stays as it is. */
export function escapeText(text: string): string {
  return text.replace(UNSAFE, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`);
}

/** As escapeText, line by line: for text whose line feeds are ours, such as a stack. */
export function escapeLines(text: string): string {
  return text.split('\n').map(escapeText).join('\n');
}

/** Whether a text holds what escapeText shows differently, line feeds left out. */
export function isUnsafe(text: string): boolean {
  return text.search(UNSAFE_IN_DOCUMENT) >= 0;
}

/** A whole document in JSON: the same data, with JSON's own escapes for what a terminal must not get. */
export function escapeJson(document: string): string {
  return document.replace(UNSAFE_IN_DOCUMENT, (char) =>
    // Each half of a surrogate pair by itself, as JSON wants it.
    Array.from({ length: char.length }, (_, index) => `\\u${hex(char.charCodeAt(index), 4)}`).join(''),
  );
}

/** A whole document in YAML in which only double-quoted texts hold such characters: the same data, as escapeJson. */
export function escapeYaml(document: string): string {
  return document.replace(UNSAFE_IN_DOCUMENT, (char) => {
    const code = char.codePointAt(0) ?? 0;
    return code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`;
  });
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}
