import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { describe, expect, onTestFinished, test } from 'vitest';
import { toSourceStack } from '../../src/system/source-stack.ts';

/** A compiled file whose function fails in line 3 of `source.ts`. */
async function compile() {
  const folder = await mkdtemp(path.join(tmpdir(), 'source-stack-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const source = path.join(folder, 'source.ts');
  await writeFile(
    source,
    'interface A {}\nexport const fail = (): A => {\n  throw new Error("failed");\n};\n',
  );
  const outfile = path.join(folder, 'out.js');
  await build({ entryPoints: [source], outfile, format: 'esm', minifyWhitespace: true, sourcemap: true });
  await writeFile(path.join(folder, 'package.json'), '{ "type": "module" }');
  return { source, outfile };
}

describe('toSourceStack', () => {
  test.each(['a path', 'a URL'])('names the source when the file stands as %s', async (kind) => {
    const { source, outfile } = await compile();
    const { fail } = (await import(/* @vite-ignore */ pathToFileURL(outfile).href)) as { fail(): void };
    let stack = '';
    try {
      fail();
    } catch (error) {
      stack = String((error as Error).stack);
    }
    const url = pathToFileURL(outfile).href;
    const text = stack.replaceAll(url, outfile).replaceAll(outfile, kind === 'a URL' ? url : outfile);
    expect(toSourceStack(text)).toContain(`${source}:3:9`);
  });

  test('leaves a place alone when there is no map', () => {
    const stack = 'Error: no\n    at f (/gone/main.js:1:2)\n    at node:internal/x:1:2';
    expect(toSourceStack(stack)).toBe(stack);
  });
});
