import { readFileSync } from 'node:fs';
import { SourceMap, type SourceMapPayload } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** `/app/dist/main.js:12:345`, or the same as a URL. */
const PLACE = /((?:file:\/\/)?[^\s()]+\.js):(\d+):(\d+)/g;

/**
 * The text of a stack with places in the source, where source maps lie beside the files. Maps are read only when something
 * has failed: with Node's own switch every map would be in memory from the start.
 */
export function toSourceStack(stack: string): string {
  const maps = new Map<string, SourceMap | undefined>();
  return stack.replace(PLACE, (place, file: string, line: string, column: string) => {
    const generated = file.startsWith('file://') ? fileURLToPath(file) : file;
    if (!maps.has(generated)) maps.set(generated, readMap(`${generated}.map`));
    const origin = maps.get(generated)?.findEntry(Number(line) - 1, Number(column) - 1);
    if (origin === undefined || !('originalSource' in origin)) return place;
    const source = path.resolve(path.dirname(generated), origin.originalSource);
    return `${source}:${origin.originalLine + 1}:${origin.originalColumn + 1}`;
  });
}

/** Undefined where there is no readable map: showing a stack must never fail. */
function readMap(file: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(file, 'utf8')) as SourceMapPayload);
  } catch {
    return undefined;
  }
}
