import { expect, test } from 'vitest';
import {
  findOwnContainer,
  parseCgroup,
  parseMountinfo,
} from '../../../../src/backends/engine/network/own-container.ts';

const A = 'a1'.repeat(32);
const B = 'b2'.repeat(32);

function mount(root: string, point: string): string {
  return `168 107 254:0 ${root} ${point} rw,relatime - ext4 /dev/vda rw`;
}

test.each([
  ['the host name file', mount(`/var/lib/docker/containers/${A}/hostname`, '/etc/hostname'), [A]],
  ['a file system of its own', mount(`/containers/${A}/hosts`, '/etc/hosts'), [A]],
  ['another data root', mount(`/data/x/containers/${A}/resolv.conf`, '/etc/resolv.conf'), [A]],
  ['Podman', mount(`/containers/storage/overlay-containers/${A}/userdata/hostname`, '/etc/hostname'), [A]],
  ['a mount elsewhere', mount(`/var/lib/docker/containers/${A}/mounts/shm`, '/dev/shm'), []],
  ['a folder of the host', mount(`/home/${A}/x/hostname`, '/etc/hostname'), []],
  ['a volume with a long name', mount(`/volumes/${A}/_data`, '/etc/hostname.d'), []],
  ['nothing', '', []],
])('parseMountinfo finds the id in %s', (_, line, expected) => {
  expect(parseMountinfo(`1 0 254:0 / / rw - overlay overlay rw\n${line}\n${line}\n`)).toEqual(expected);
});

test.each([
  ['cgroup v1', `12:pids:/docker/${A}\n11:memory:/docker/${A}\n`, [A]],
  ['systemd', `0::/system.slice/docker-${A}.scope\n`, [A]],
  ['Podman', `0::/machine.slice/libpod-${A}.scope/container\n`, [A]],
  ['an engine in a container', `1:cpu:/docker/${A}/docker/${B}\n`, [B, A]],
  ['a cgroup namespace of its own', '0::/\n', []],
  ['a host', '0::/user.slice/user-0.slice/session-1.scope\n', []],
  ['a longer number', `0::/docker/${A}ff\n`, []],
])('parseCgroup reads the text of %s', (_, text, expected) => {
  expect(parseCgroup(text)).toEqual(expected);
});

interface Machine {
  readonly files?: Readonly<Record<string, string>>;
  readonly hostname?: string;
  readonly containers: Readonly<Record<string, { readonly running?: boolean; readonly hostname?: string }>>;
}

/** The id that is found, and who was asked for. */
async function find({ files = {}, hostname = 'host', containers }: Machine) {
  const asked: string[] = [];
  const found = await findOwnContainer({
    system: {
      readFile: async (path) => {
        const text = files[path];
        if (text === undefined) throw new Error('there is no such file');
        return text;
      },
      hostname: () => hostname,
    },
    inspect: async (container) => {
      asked.push(container);
      const known = containers[container];
      if (known === undefined) return undefined;
      const config = known.hostname === undefined ? {} : { Config: { Hostname: known.hostname } };
      return { Id: container, State: { Running: known.running ?? true }, ...config };
    },
  });
  return { id: found?.Id, asked };
}

const MOUNTS = { '/proc/self/mountinfo': mount(`/containers/${A}/hostname`, '/etc/hostname') };

test('findOwnContainer takes the id of the mounts when the engine knows it', async () => {
  expect(await find({ files: MOUNTS, containers: { [A]: {} } })).toEqual({ id: A, asked: [A] });
});

test('findOwnContainer takes the cgroup first: the mounts may be those of the container whose network is shared', async () => {
  const files = { ...MOUNTS, '/proc/self/cgroup': `1:cpu:/docker/${B}\n` };
  expect((await find({ files, containers: { [A]: {}, [B]: {} } })).id).toBe(B);
});

test('findOwnContainer takes no container that does not run', async () => {
  const containers = { [A]: { running: false } };
  expect((await find({ files: MOUNTS, containers })).id).toBeUndefined();
});

test('findOwnContainer finds nothing when the containers are those of another engine', async () => {
  expect((await find({ files: MOUNTS, containers: {} })).id).toBeUndefined();
});

test.each([
  ['its host name', { proxy: { hostname: 'proxy' } }, 'proxy'],
  ['the name of another one', { proxy: { hostname: 'other' } }, undefined],
])('findOwnContainer takes the host name where a container has %s', async (_, containers, expected) => {
  const machine = { files: { '/.dockerenv': '' }, hostname: 'proxy', containers };
  expect((await find(machine)).id).toBe(expected);
});

test('findOwnContainer asks nothing when the proxy runs on the host', async () => {
  const machine = { hostname: 'nas', containers: { nas: { hostname: 'nas' } } };
  expect(await find(machine)).toEqual({ id: undefined, asked: [] });
});
