import { readMemory, timeBest } from './gauges.mjs';
import { subtract } from './measure-table.mjs';
import { createFileText } from './sample.mjs';

/** The text of a file → drafts with their places: YAML, schema, and every check. */
export async function measureFile({ product, size, report }) {
  const parse = product.createFileParser();
  const text = createFileText(size);
  // Compiles the schema, which is done once.
  parse({ text: createFileText(1), file: 'lazy-proxy.yaml' });
  const before = await readMemory();
  const parsed = timeBest(() => parse({ text, file: 'lazy-proxy.yaml' }), { minRuns: 1 });
  const { config, problems } = parsed.result;
  if (config === undefined) throw new Error(`the sample file has a mistake: ${problems[0]?.message}`);
  report({ phase: 'file → drafts', ms: parsed.ms, operations: size });
  report({
    phase: 'drafts of a file',
    memory: subtract(await readMemory(), before),
    operations: config.services.length,
  });
}
