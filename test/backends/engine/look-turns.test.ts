import { expect, test } from 'vitest';
import { LookTurns } from '../../../src/backends/engine/look-turns.ts';

/** Looks that end when they are told to, by name. */
function createLooks() {
  const begun: string[] = [];
  const ends: { name: string; resolve: () => void; reject: (reason: Error) => void }[] = [];
  const look = (name: string) => () => {
    begun.push(name);
    return new Promise<void>((resolve, reject) => ends.push({ name, resolve, reject }));
  };
  const next = (name: string) => {
    const [end] = ends.splice(
      ends.findIndex((one) => one.name === name),
      1,
    );
    if (end === undefined) throw new Error(`no look of ${name} runs`);
    return end;
  };
  return { begun, look, next };
}

test('LookTurns lets so many looks run at once, and the others in their order as soon as one has ended', async () => {
  const turns = new LookTurns(2);
  const { begun, look, next } = createLooks();
  const [a, , c] = ['a', 'b', 'c', 'd'].map((name) => turns.take(name, look(name)));
  expect(begun).toEqual(['a', 'b']);
  next('a').resolve();
  await a;
  await Promise.resolve();
  expect(begun).toEqual(['a', 'b', 'c']);
  next('c').resolve();
  await c;
  await Promise.resolve();
  expect(begun).toEqual(['a', 'b', 'c', 'd']);
});

test('LookTurns begins one more look of a name, however often it is asked for while one runs', async () => {
  const turns = new LookTurns(2);
  const { begun, look, next } = createLooks();
  void turns.take('a', look('a'));
  const later = Array.from({ length: 100 }, () => turns.take('a', look('a')));
  next('a').resolve();
  await expect.poll(() => begun).toEqual(['a', 'a']);
  next('a').resolve();
  await Promise.all(later);
  expect(begun).toEqual(['a', 'a']);
});

test('LookTurns lets others run when one look never ends and its name is asked for again', () => {
  const turns = new LookTurns(2);
  const { begun, look } = createLooks();
  for (let time = 0; time < 3; time++) void turns.take('hangs', look('hangs'));
  void turns.take('b', look('b'));
  expect(begun).toEqual(['hangs', 'b']);
});

test('LookTurns rejects as the look does, and goes on', async () => {
  const turns = new LookTurns(1);
  const { begun, look, next } = createLooks();
  const failing = turns.take('a', look('a'));
  void turns.take('b', look('b'));
  next('a').reject(new Error('no'));
  await expect(failing).rejects.toThrow('no');
  await expect.poll(() => begun).toEqual(['a', 'b']);
});
