import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { SOURCE_FOLDER } from '../support/source-files.ts';
import { measureSize } from './scale/measure-size.mjs';
import { loadProduct } from './scale/product.mjs';

const ROOT = path.resolve(import.meta.dirname, '../..');
const IMPORT = /^import \{([^}]*)\} from '(\.[^']*)';$/gm;
const EXPORT = /^export (?:async )?(?:function|class|const) (\w+|\[.*?\])/gm;
const OWN_FILE = /path\.join\(import\.meta\.dirname, '([^']*\.mjs)'\)/g;

/** The first with a dependant is the 105th. */
const SERVICES = 110;

// Once is enough to see that something runs.
vi.mock(import('./scale/gauges.mjs'), async (load) => {
  const { timeOnce, ...gauges } = await load();
  const timeBest = <T>(run: (runs: number) => T) => timeOnce(() => run(0));
  const readMemory = async () => ({ heapBytes: 0, privateBytes: 0 });
  return { ...gauges, timeOnce, timeBest, readMemory, MIN_OBSERVED: 0 };
});

/** The benches are run by hand alone, so nothing else tells that they don't run any more. */
describe('the benches', () => {
  test('are there under the names of package.json', () => {
    const { scripts } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
    const commands = Object.entries<string>(scripts).filter(([name]) => name.startsWith('bench'));
    const files = commands.map(([, command]) => command.replace(/^node /, ''));
    expect(files.filter((file) => !existsSync(path.join(ROOT, file)))).toEqual([]);
  });

  test('name only files and exports that are there', () => {
    const names = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' });
    const benches = names.filter((name) => name.endsWith('.mjs'));
    expect(benches.flatMap((name) => findMissing(path.join(import.meta.dirname, name)))).toEqual([]);
  });

  test('simulate the control side as it is', async () => {
    const product = await loadProduct(SOURCE_FOLDER, '.ts');
    const results = await measureSize({ product, size: SERVICES });
    expect(results.filter(({ ms, memory }) => ms === undefined && memory === undefined)).toEqual([]);
  });
});

/** What a file imports, or starts, that is not there. */
function findMissing(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  const resolve = (name: string) => path.resolve(path.dirname(file), name);
  const imported = [...text.matchAll(IMPORT)].flatMap(([, names = '', module = '']) => {
    const exported = existsSync(resolve(module))
      ? [...readFileSync(resolve(module), 'utf8').matchAll(EXPORT)].flatMap(
          ([, names]) => names?.match(/\w+/g) ?? [],
        )
      : [];
    const wanted = names.split(',').map((name) => name.trim().replace(/ as .*/, ''));
    return wanted
      .filter((name) => name !== '' && !exported.includes(name))
      .map((name) => `${name} of ${module}`);
  });
  const started = [...text.matchAll(OWN_FILE)].map(([, name = '']) => name);
  return [...imported, ...started.filter((name) => !existsSync(resolve(name)))].map(
    (what) => `${path.relative(ROOT, file)}: ${what}`,
  );
}
