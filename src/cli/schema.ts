import { readFileSync } from 'node:fs';

/** The JSON Schema of the configuration file, whose validator is made when the program is built; one string a line. */
export function readSchemaLines(): readonly string[] {
  const text = readFileSync(new URL('../../schema/lazy-proxy.schema.json', import.meta.url), 'utf8');
  return text.trimEnd().split('\n');
}
