import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ConfigFile } from '../../src/sources/config-file.ts';
import { type ConfigText, createFileParser, type ParsedFile } from '../../src/config/file.ts';
import { systemClock } from '../../src/system/clock.ts';

/** An input that has read a file without services; each further parsing ends when the test says so. */
async function startInput() {
  const folder = await mkdtemp(path.join(tmpdir(), 'file-input-'));
  const file = path.join(folder, 'lazy-proxy.yaml');
  const write = async (text: string) => {
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
  };
  await write('services: {}\n');
  const gate = createGate();
  let changes = 0;
  const input = new ConfigFile({
    candidates: { named: { path: file, origin: { kind: 'flag', flag: '--config' } }, candidates: [] },
    cwd: folder,
    parse: gate.parse,
    clock: systemClock,
    onChange: () => changes++,
  });
  onTestFinished(async () => {
    await input.close();
    await rm(folder, { recursive: true, force: true });
  });
  const started = input.start();
  (await gate.begun())();
  await started;
  return { input, write, begun: gate.begun, changes: () => changes };
}

/** A content that is to be parsed: a call parses it. */
type Parsing = (() => void) & { readonly signal: AbortSignal; readonly fail: (error: Error) => void };

/** A parser that waits; `begun` resolves with the next content that is to be parsed. */
function createGate() {
  const waiting: Parsing[] = [];
  let tell = () => {};
  return {
    parse: (text: ConfigText, signal: AbortSignal) =>
      new Promise<ParsedFile>((resolve, reject) => {
        const parse = () => resolve(createFileParser()(text));
        waiting.push(Object.assign(parse, { signal, fail: reject }));
        tell();
      }),
    async begun(): Promise<Parsing> {
      if (waiting.length === 0) {
        await new Promise<void>((resolve) => {
          tell = resolve;
        });
      }
      return waiting.shift() as Parsing;
    },
  };
}

test('a file input has its configuration when the start resolves', async () => {
  const { input, changes } = await startInput();
  expect({ services: input.config?.services, changes: changes() }).toEqual({ services: [], changes: 0 });
});

test('a file input tells of a change when it is parsed, and keeps the last good content', async () => {
  const { input, write, begun, changes } = await startInput();
  await write('services: [\n');
  const goOn = await begun();
  expect({ problems: input.problems.length, changes: changes() }).toEqual({ problems: 0, changes: 0 });
  goOn();
  await expect.poll(changes).toBe(1);
  expect(input.problems).not.toEqual([]);
  expect(input.config?.services).toEqual([]);
});

test('a file input tells nothing when it is closed while a change is parsed', async () => {
  const { input, write, begun, changes } = await startInput();
  await write('services: [\n');
  const goOn = await begun();
  await input.close();
  goOn();
  await expect.poll(() => input.problems.length).toBeGreaterThan(0);
  expect(changes()).toBe(0);
});

test('a file input gives up what is being parsed when a newer content is there, and when it is closed', async () => {
  const { input, write, begun, changes } = await startInput();
  await write('services: [\n');
  const first = await begun();
  first.signal.addEventListener('abort', () => first.fail(new Error('given up')));
  await write('services: {} # new\n');
  const second = await begun();
  expect({ first: first.signal.aborted, second: second.signal.aborted }).toEqual({
    first: true,
    second: false,
  });
  second();
  await expect.poll(changes).toBe(1);
  expect(input.problems).toEqual([]);
  await write('services: {} # newer\n');
  const third = await begun();
  await input.close();
  expect(third.signal.aborted).toBe(true);
  expect(changes()).toBe(1);
});

test('a file input tells why a content could not be parsed, and tries again when it is asked to', async () => {
  const { input, write, begun, changes } = await startInput();
  await write('services: [\n');
  (await begun()).fail(new Error('it takes longer than 60 s'));
  await expect.poll(changes).toBe(1);
  expect(input.problems.map(({ message }) => message)).toEqual([
    "can't be parsed: it takes longer than 60 s",
  ]);
  const reloaded = input.reload();
  (await begun())();
  expect(await reloaded).toBe(true);
  expect(input.problems[0]?.code).toBe('yaml-syntax');
});
