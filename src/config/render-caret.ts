const MAX_LINE_CHARACTERS = 160;

/**
 * The line of the source and a caret below the column, two lines; undefined when the text has no such line. Lines of
 * more than 160 characters are left out.
 */
export function renderCaret(
  text: string,
  place: { readonly line: number; readonly column: number },
): string | undefined {
  const source = text.split(/\r\n|\r|\n/, place.line)[place.line - 1];
  if (source === undefined || source.trim() === '' || source.length > MAX_LINE_CHARACTERS) return undefined;
  // Tabs stay tabs, so that the caret stands right at any tab width.
  const indent = source.slice(0, place.column - 1).replaceAll(/[^\t]/g, ' ');
  return `  ${source}\n  ${indent}^`;
}
