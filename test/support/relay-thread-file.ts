import path from 'node:path';
import { pathToFileURL } from 'node:url';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** Where `build-relay-threads.ts` puts what it builds; beside the packages, so that these are found from there. */
export const THREAD_FOLDER = path.join(ROOT, 'node_modules/.cache/lazy-proxy-test');

/** The relay thread. */
export const THREAD_FILE = pathToFileURL(path.join(THREAD_FOLDER, 'relay-thread.js'));

/** One that fails as soon as it is told to: see `mortal-relay-thread.ts`. */
export const MORTAL_THREAD_FILE = pathToFileURL(path.join(THREAD_FOLDER, 'mortal-relay-thread.js'));
