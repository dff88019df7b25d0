/** The process of `parseApart`: one text in, one answer out. */
import { createFileParser } from '../config/file.ts';
import type { ParseTask } from './parse-apart.ts';

process.once('message', (message) => {
  const { input, layers } = message as ParseTask;
  // Without the channel nothing keeps the process.
  process.send?.(createFileParser(layers)(input), () => process.disconnect());
});
