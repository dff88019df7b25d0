/** Global setup of the unit tests: builds what runs in a thread or program of its own, since Node 20 takes no TypeScript. */
import path from 'node:path';
import { build } from 'esbuild';
import { THREAD_FOLDER } from './relay-thread-file.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

export async function setup(): Promise<void> {
  await build({
    entryPoints: [
      'src/relay/splice/thread/relay-thread.ts',
      'src/relay/http/login/bcrypt-thread.ts',
      'test/support/mortal-relay-thread.ts',
      'src/relay/native/datagrams/load-datagrams.ts',
    ].map((file) => path.join(ROOT, file)),
    entryNames: '[name]',
    outdir: THREAD_FOLDER,
    bundle: true,
    platform: 'node',
    format: 'esm',
    external: ['koffi'],
  });
}
