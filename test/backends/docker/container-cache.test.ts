import { expect, test } from 'vitest';
import { ContainerCache } from '../../../src/backends/docker/container-cache.ts';
import type { EngineEvent } from '../../../src/backends/engine/event-stream.ts';

function event(action: string, id: string, attributes: Record<string, string> = {}): EngineEvent {
  return { type: 'container', action, id, attributes };
}

test('ContainerCache takes the labels of a created container from the event alone', () => {
  const cache = new ContainerCache();
  const change = cache.apply(event('create', 'c1', { name: 'db', image: 'bb', 'p.enabled': 'true' }));
  expect(change).toEqual({ names: ['db'], population: true });
  expect(cache.get('db')).toMatchObject({ id: 'c1', labels: { 'p.enabled': 'true' } });
});

test('ContainerCache follows a container that is recreated under a temporary name', () => {
  const cache = new ContainerCache();
  cache.replaceAll([{ Id: 'c1', Names: ['/db'] }]);
  cache.apply(event('create', 'c2', { name: 'c1_db' }));
  cache.apply(event('destroy', 'c1', { name: 'db' }));
  expect(cache.get('db')).toBeUndefined();
  expect(cache.apply(event('rename', 'c2', { name: 'db', oldName: '/c1_db' }))).toEqual({
    names: ['c1_db', 'db'],
    population: true,
    renamed: { from: 'c1_db', to: 'db' },
  });
  expect(cache.get('db')?.id).toBe('c2');
  expect(cache.get('c1_db')).toBeUndefined();
});

test('ContainerCache keeps a name with its new holder when the old one is told to be gone late', () => {
  const cache = new ContainerCache();
  cache.replaceAll([{ Id: 'c1', Names: ['/db'] }]);
  cache.apply(event('create', 'c2', { name: 'db' }));
  cache.apply(event('destroy', 'c1', { name: 'db' }));
  expect(cache.get('db')?.id).toBe('c2');
});

test('ContainerCache does not bring a destroyed container back when its death is told late', () => {
  const cache = new ContainerCache();
  cache.replaceAll([{ Id: 'c1', Names: ['/db'] }]);
  cache.apply(event('destroy', 'c1', { name: 'db' }));
  expect(cache.apply(event('die', 'c1', { name: 'db' }))).toEqual({ names: ['db'], population: false });
  expect(cache.get('db')).toBeUndefined();
});

test('ContainerCache ends where it began when old events are told again', () => {
  const cache = new ContainerCache();
  cache.replaceAll([{ Id: 'c2', Names: ['/db'] }]);
  cache.apply(event('create', 'c1', { name: 'db' }));
  cache.apply(event('create', 'c2', { name: 'c1_db' }));
  cache.apply(event('destroy', 'c1', { name: 'db' }));
  cache.apply(event('rename', 'c2', { name: 'db' }));
  expect(cache.all()).toEqual([{ id: 'c2', name: 'db', labels: {}, listed: undefined }]);
  expect(cache.get('db')?.id).toBe('c2');
});

test("ContainerCache takes a container's own name where links gave it others", () => {
  const cache = new ContainerCache();
  cache.replaceAll([{ Id: 'c1', Names: ['/web/db', '/db'], Labels: null }]);
  expect(cache.get('db')?.id).toBe('c1');
});

test('ContainerCache relates a network event to its container, unless that is at rest', () => {
  const cache = new ContainerCache();
  cache.replaceAll([
    { Id: 'c1', Names: ['/db'], State: 'running' },
    { Id: 'c2', Names: ['/web'], State: 'exited' },
  ]);
  const connect = (container: string) => ({
    type: 'network',
    action: 'connect',
    id: 'n1',
    attributes: { container },
  });
  expect(cache.apply(connect('c1')).names).toEqual(['db']);
  expect(cache.apply(connect('c2')).names).toEqual([]);
  expect(cache.apply(connect('c3')).names).toEqual([]);
});

test('ContainerCache understands how Podman tells of a container that was created and removed', () => {
  const cache = new ContainerCache();
  const own = { containerExitCode: '0', podId: '', image: 'bb' };
  cache.apply(event('create', 'c1', { ...own, name: 'db', 'p.enabled': 'true' }));
  expect(cache.get('db')?.labels).toEqual({ 'p.enabled': 'true' });
  expect(cache.apply(event('remove', 'c1', { ...own, name: 'db' }))).toEqual({
    names: ['db'],
    population: true,
  });
  expect(cache.get('db')).toBeUndefined();
});

test('ContainerCache leaves out the labels of containers that belong to Swarm services', () => {
  const cache = new ContainerCache();
  const Labels = { 'p.enabled': 'true' };
  const task = { ...Labels, 'com.docker.swarm.task.id': 't1' };
  cache.replaceAll([
    { Id: 'c1', Names: ['/db'], Labels },
    { Id: 'c2', Names: ['/web.1.t1'], Labels: task },
  ]);
  expect(cache.labelled()).toMatchObject([{ ref: { kind: 'docker', name: 'db' }, labels: Labels }]);
});

/** Orders in which engines tell the same. */
test.each([
  ['stop, version 20.10', ['kill 15', 'die', 'stop'], 'others'],
  ['stop, from 28 on', ['kill 15', 'stop', 'die'], 'others'],
  ['stop by force', ['kill 15', 'kill 9', 'stop', 'die'], 'others'],
  ['kill', ['kill 9', 'die'], 'others'],
  ['end of its own', ['die'], 'itself'],
  ['end of its own, as Podman tells it', ['died'], 'itself'],
  ['end of its own after a signal to reload', ['kill 1', 'die'], 'itself'],
  ['restart', ['kill 15', 'die', 'stop', 'start', 'restart'], undefined],
  ['crash after a restart', ['kill 15', 'die', 'start', 'die'], 'itself'],
] as const)('ContainerCache knows whose doing the end of a run was after a %s', (_, actions, expected) => {
  const cache = new ContainerCache();
  cache.replaceAll([{ Id: 'c1', Names: ['/db'] }]);
  for (const text of actions) {
    const [action = '', signal] = text.split(' ');
    cache.apply(event(action, 'c1', { name: 'db', ...(signal && { signal }) }));
  }
  expect(cache.stoppedBy('c1')).toBe(expected);
});

test('ContainerCache keeps nothing of how a run ended when its container is gone', () => {
  const cache = new ContainerCache();
  cache.replaceAll([{ Id: 'c1', Names: ['/db'] }]);
  for (const action of ['kill', 'destroy', 'die']) cache.apply(event(action, 'c1', { name: 'db' }));
  expect(cache.stoppedBy('c1')).toBeUndefined();
});

test('ContainerCache has nobody look when a signal is sent', () => {
  const cache = new ContainerCache();
  cache.replaceAll([{ Id: 'c1', Names: ['/db'] }]);
  expect(cache.apply(event('kill', 'c1', { name: 'db', signal: '15' })).names).toEqual([]);
});

test('ContainerCache tells of names that have changed while no events came', () => {
  const cache = new ContainerCache();
  expect(
    cache.replaceAll([
      { Id: 'c1', Names: ['/a'] },
      { Id: 'c2', Names: ['/same'] },
    ]),
  ).toEqual([]);
  const renames = cache.replaceAll([
    { Id: 'c1', Names: ['/b'] },
    { Id: 'c2', Names: ['/same'] },
    { Id: 'c3', Names: ['/a'] },
  ]);
  expect(renames).toEqual([{ from: 'a', to: 'b' }]);
});
